use std::collections::BTreeSet;

use super::*;

const NOTHING: Evidence<'static> = Evidence {
    kind: Kind::Delivery,
    status: None,
    message: "",
    spread: Spread::One,
    changes: &[],
};

fn said(kind: &str, message: &'static str) -> Evidence<'static> {
    Evidence {
        kind: Kind::parse(kind).expect("it is a kind"),
        message,
        ..NOTHING
    }
}

fn spread(kind: &str, spread: Spread) -> Evidence<'static> {
    Evidence {
        spread,
        ..said(kind, "")
    }
}

fn after(kind: &str, change: &'static [ChangeKind]) -> Evidence<'static> {
    Evidence {
        changes: change,
        ..said(kind, "")
    }
}

fn answered(status: u16) -> Evidence<'static> {
    Evidence {
        status: Some(status),
        ..NOTHING
    }
}

/// A case for each rule, and for some what a neighbour might take.
fn cases() -> Vec<(&'static str, Evidence<'static>)> {
    use ChangeKind as Change;
    vec![
        (
            "oauth_app_refused",
            said("auth", "the token endpoint says invalid_client"),
        ),
        ("login_many", spread("auth", Spread::Several)),
        ("login_many", spread("auth", Spread::Everywhere)),
        ("login_new_refused", after("auth", &[Change::Reconnected])),
        (
            "login_revoked",
            said("auth", "the provider refuses: Invalid_Grant"),
        ),
        ("login_refused", said("auth", "401")),
        ("grant_changed", after("forbidden", &[Change::Grant])),
        ("grant_changed", after("connector", &[Change::Grant])),
        (
            "outside_permissions",
            said("forbidden", "its permissions do not allow https://a.b"),
        ),
        (
            "scope_missing",
            said("forbidden", "the scope crm.read is missing"),
        ),
        ("forbidden_many", spread("forbidden", Spread::Several)),
        ("forbidden", said("forbidden", "no")),
        ("rate_limited_many", spread("rate_limited", Spread::Several)),
        ("rate_limited", said("rate_limited", "")),
        (
            "answer_too_large",
            said("provider", "GET /people: the answer is larger than 32 MiB"),
        ),
        (
            "provider_after_version",
            after("provider", &[Change::Version]),
        ),
        (
            "provider_after_version",
            after("contract", &[Change::Version]),
        ),
        ("provider_down_many", spread("provider", Spread::Several)),
        ("provider_down_many", spread("network", Spread::Several)),
        (
            "provider_after_settings",
            after("network", &[Change::Settings]),
        ),
        (
            "provider_gone",
            said("provider", "the provider does not have it: /v1/deals"),
        ),
        (
            "provider_nonsense",
            said("provider", "the provider's answer makes no sense: <html>"),
        ),
        (
            "provider_down",
            said("provider", "the provider is not available"),
        ),
        ("network_here", spread("network", Spread::Everywhere)),
        ("network_here", spread("provider", Spread::Everywhere)),
        (
            "network_private",
            said("network", "set egress.allow_private"),
        ),
        (
            "network_certificate",
            said("network", "invalid peer certificate: Expired"),
        ),
        (
            "network_name",
            said("network", "failed to lookup address information"),
        ),
        ("network_refused", said("network", "connection refused")),
        ("timeout_version", after("timeout", &[Change::Version])),
        ("timeout", said("timeout", "")),
        ("invalid_mapping", after("invalid", &[Change::Mapping])),
        ("invalid_mapping", after("record", &[Change::Mapping])),
        ("invalid_field", said("invalid", "")),
        ("record_version", after("record", &[Change::Version])),
        ("record", said("record", "")),
        ("connector_stopped", after("connector", &[Change::Stopped])),
        (
            "connector_memory",
            said("connector", "it wanted more than 64 MiB of memory"),
        ),
        (
            "connector_crash_version",
            after("connector", &[Change::Version]),
        ),
        (
            "connector_unsupported",
            said("connector", "the connector does not do this: deals"),
        ),
        ("connector", said("connector", "the connector crashed")),
        (
            "contract_endless",
            said("contract", "10000 pages and no end"),
        ),
        ("contract", said("contract", "no JSON")),
        (
            "storage_full",
            said("storage", "the database has no space left on its disk"),
        ),
        ("storage", said("storage", "the database is not available")),
        ("guard", said("guard", "")),
        (
            "oauth_app_missing",
            said("other", "no OAuth app is configured for hubspot"),
        ),
        (
            "interrupted",
            said(
                "other",
                "the process was stopped or killed in the middle of a page",
            ),
        ),
        ("other", said("other", "")),
        ("delivery_gone", answered(410)),
        ("delivery_moved", answered(301)),
        ("delivery_signature", answered(401)),
        ("delivery_signature", answered(403)),
        (
            "delivery_endpoint_changed",
            after("delivery", &[Change::Endpoint]),
        ),
        ("delivery_not_there", answered(404)),
        ("delivery_limited", answered(429)),
        ("delivery_too_large", answered(413)),
        ("delivery_refused", answered(422)),
        ("delivery_broken", answered(502)),
        (
            "delivery_slow",
            said("delivery", "the answer took too long"),
        ),
        (
            "delivery_private",
            said("delivery", "http:// to a.b is not encrypted"),
        ),
        (
            "delivery_certificate",
            said("delivery", "invalid peer certificate"),
        ),
        (
            "delivery_unreachable",
            said("delivery", "no connection to a.b"),
        ),
    ]
}

#[test]
fn each_rule_is_reached_by_what_it_is_for() {
    let mut reached = BTreeSet::new();
    for (id, evidence) in cases() {
        assert_eq!(rule_for(&evidence).id, id, "{evidence:?}");
        reached.insert(id);
    }
    let all: BTreeSet<&str> = RULES.iter().map(|rule| rule.id.as_str()).collect();
    assert_eq!(all.len(), RULES.len(), "ids are unique");
    assert_eq!(reached, all, "each rule has a case");
}

#[test]
fn each_kind_has_a_rule_whatever_else_is_known() {
    let classes = ErrorClass::ALL.iter().map(|class| Kind::Class(*class));
    for kind in classes.chain([Kind::Delivery, Kind::Record]) {
        assert_eq!(Kind::parse(kind.as_str()), Some(kind));
        let evidence = Evidence { kind, ..NOTHING };
        assert!(!rule_for(&evidence).cause.is_empty());
    }
}

#[test]
fn rules_are_written_as_they_are_shown() {
    for rule in RULES.iter() {
        let id = &rule.id;
        assert!(
            rule.cause.ends_with('.') || rule.cause.ends_with("{change}"),
            "{id}"
        );
        assert!(!rule.steps.is_empty(), "{id}");
        let blames = rule.cause.contains("{change}");
        assert_eq!(
            blames,
            !rule.change.is_empty(),
            "{id} tells of the change it blames"
        );
        for known in &rule.kinds {
            assert!(Kind::parse(known).is_some(), "{id}: {known}");
        }
        for text in &rule.text {
            assert_eq!(*text, text.to_lowercase(), "{id}");
        }
        for step in &rule.steps {
            assert!(step.text.ends_with('.'), "{id}: {}", step.text);
            if let Some(link) = &step.link {
                assert!(link.starts_with("/dashboard/"), "{id}: {link}");
            }
        }
    }
}
