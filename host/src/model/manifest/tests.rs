use super::*;

const GOOD: &str = r##"
slug = "redmine"
name = "Redmine"
version = "1.2.3"
description = "Tickets."
accent_color = "#aa1122"

[variables.address]
type = "url"
title = "Address"

[endpoints.api]
production = "{address}"

[auth.login]
type = "basic"
title = "Password"

[auth.key]
type = "api_key"
title = "Key"
in = "header"
name = "X-Redmine-API-Key"

[[settings]]
id = "language"
type = "select"
title = "Language"
options = ["de", "en"]
default = "en"

[objects."ticketing.ticket"]
operations = ["read", "create"]
fields = ["name"]
incremental = true

[objects."ticketing.comment"]
operations = ["read"]
fields = ["body"]

[permissions]
http = ["{address}/"]
secrets = ["api_key"]
"##;

#[test]
fn a_good_manifest_keeps_its_order() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let schemes: Vec<_> = manifest.auth.iter().map(|scheme| &scheme.name).collect();
    assert_eq!(schemes, ["login", "key"]);
    let objects: Vec<_> = manifest
        .objects
        .iter()
        .map(|object| object.kind.name())
        .collect();
    assert_eq!(objects, ["ticketing.ticket", "ticketing.comment"]);
    assert_eq!(manifest.permissions.memory_mib, 64);
    assert_eq!(manifest.verticals(), ["ticketing"]);
}

#[test]
fn every_mistake_is_named() {
    for (from, to, expected) in [
        ("slug = \"redmine\"", "slug = \"Red mine\"", "Red mine"),
        (
            "name = \"Redmine\"",
            "nam = \"Redmine\"",
            "unknown field `nam`",
        ),
        ("version = \"1.2.3\"", "version = \"1\"", "version"),
        ("#aa1122", "red", "accent_color"),
        ("type = \"url\"", "type = \"uri\"", "unknown variant `uri`"),
        (
            "production = \"{address}\"",
            "production = \"{adress}\"",
            "[variables.adress]",
        ),
        (
            "type = \"basic\"",
            "type = \"digest\"",
            "unknown variant `digest`",
        ),
        (
            "options = [\"de\", \"en\"]",
            "options = []",
            "settings.language.options",
        ),
        (
            "default = \"en\"",
            "default = \"fr\"",
            "settings.language.default",
        ),
        (
            "default = \"en\"",
            "options_from = \"discovery\"",
            "settings.language.options_from: is for a select without options",
        ),
        (
            "options = [\"de\", \"en\"]",
            "options_from = \"discovery\"",
            "settings.language.default: cannot be",
        ),
        (
            "default = \"en\"",
            "object = \"ticketing.ticket\"",
            "settings.language.object: is for a field_mapping",
        ),
        (
            "type = \"select\"\ntitle = \"Language\"\noptions = [\"de\", \"en\"]\ndefault = \"en\"",
            "type = \"field_mapping\"\ntitle = \"Language\"",
            "settings.language.object: is missing",
        ),
        (
            "type = \"select\"\ntitle = \"Language\"\noptions = [\"de\", \"en\"]\ndefault = \"en\"",
            "type = \"field_mapping\"\ntitle = \"Language\"\nobject = \"ticketing.tickets\"",
            "is no object under [objects]; did you mean \"ticketing.ticket\"?",
        ),
        (
            "ticketing.comment",
            "ticketing.coment",
            "is no known object",
        ),
        (
            "fields = [\"body\"]",
            "fields = [\"text\"]",
            "has no field \"text\"",
        ),
        (
            "incremental = true",
            "write_safety = \"hope\"",
            "unknown variant `hope`",
        ),
        (
            "incremental = true",
            "full_pass = \"most\"",
            "unknown variant `most`",
        ),
        (
            "incremental = true",
            "history_days = 30",
            "history_days: says something about `since`",
        ),
        (
            "incremental = true",
            "incremental = true\nsince_granularity = 0",
            "since_granularity: is 0",
        ),
        (
            "incremental = true",
            "incremental = true\nresult_cap = -1",
            "result_cap",
        ),
        (
            "incremental = true",
            "incremental = true\nmax_window_days = 31",
            "unknown field `max_window_days`",
        ),
        ("\"read\", \"create\"", "\"create\"", "lacks \"read\""),
        (
            "\"read\", \"create\"",
            "\"read\", \"write\"",
            "\"write\" is not one of",
        ),
        (
            "http = [\"{address}/\"]",
            "http = [\"*\"]",
            "permissions.http",
        ),
        (
            "secrets = [\"api_key\"]",
            "secrets = [\"token\"]",
            "permissions.secrets",
        ),
        (
            "secrets = [\"api_key\"]",
            "memory_mib = 1000",
            "permissions.memory_mib",
        ),
    ] {
        assert!(GOOD.contains(from), "{from}");
        let error = Manifest::parse(&GOOD.replacen(from, to, 1)).unwrap_err();
        let text = error.to_string();
        assert!(text.contains(expected), "{from} -> {to}: {text}");
    }
}

#[test]
fn variables_have_one_spelling() {
    let manifest = Manifest::parse(GOOD).unwrap();
    let address = &manifest.variables["address"];
    assert_eq!(
        address
            .canonical(" HTTPS://Tickets.Example.com:443/redmine/ ")
            .unwrap(),
        "https://tickets.example.com/redmine"
    );
    for bad in [
        "",
        "tickets",
        "ftp://x.y",
        "https://a@b.c",
        "https://a.b?x",
        "javascript:1",
    ] {
        assert!(address.canonical(bad).is_err(), "{bad}");
    }
}

const LIMITS: &str = r#"
[rate_limit]
reserve_percent = 10

[rate_limit.buckets.all]
requests = 100
seconds = 10
headers = { limit = "X-Max", remaining = "X-Left", reset = "X-Reset", reset_form = "epoch_seconds" }

[rate_limit.buckets.search]
requests = 4
seconds = 1
scope = "account"
methods = ["POST"]
urls = ["{api}/objects/*/search"]

[retry]
idempotency_headers = ["PayPal-Request-Id"]

[[retry.rules]]
status = [403]
header = "X-Left"
equals = "0"
meaning = "rate_limited"
wait_header = "X-Reset"
wait_form = "epoch_seconds"

[[retry.rules]]
status = [200]
json = "/error"
equals = ["ratelimited", 17]
meaning = "rate_limited"
wait_seconds = 30
"#;

#[test]
fn limits_and_meanings_are_data() {
    let manifest = Manifest::parse(&format!("{GOOD}{LIMITS}")).unwrap();
    let limits = manifest.rate_limit.unwrap();
    assert_eq!(limits.reserve_percent, 10);
    let all = &limits.buckets["all"];
    assert_eq!(
        (all.requests, all.seconds, all.scope),
        (100, 10, BudgetScope::Connection)
    );
    let headers = all.headers.as_ref().unwrap();
    assert_eq!(headers.limit.as_deref(), Some("x-max"));
    assert_eq!(headers.reset_form, TimeForm::EpochSeconds);
    assert_eq!(limits.buckets["search"].scope, BudgetScope::Account);
    assert_eq!(manifest.retry.idempotency_headers, ["paypal-request-id"]);
    assert_eq!(
        manifest.retry.rules[1]
            .equals
            .as_ref()
            .unwrap()
            .values()
            .len(),
        2
    );
    let none = Manifest::parse(GOOD).unwrap();
    assert_eq!((none.rate_limit, none.retry), (None, Retry::default()));
}

#[test]
fn every_mistake_in_limits_and_meanings_is_named() {
    for (good, bad, expected) in [
        (
            "reserve_percent = 10",
            "reserve_percent = 91",
            "rate_limit.reserve_percent",
        ),
        (
            "requests = 100",
            "requests = 0",
            "rate_limit.buckets.all.requests",
        ),
        (
            "seconds = 10",
            "seconds = 0",
            "rate_limit.buckets.all.seconds",
        ),
        (
            "\"X-Max\"",
            "\"X Max\"",
            "rate_limit.buckets.all.headers.limit",
        ),
        ("\"POST\"", "\"post\"", "rate_limit.buckets.search.methods"),
        (
            "{api}/objects",
            "{files}/objects",
            "rate_limit.buckets.search.urls",
        ),
        (
            "{api}/objects",
            "/objects",
            "rate_limit.buckets.search.urls",
        ),
        ("scope = \"account\"", "scope = \"planet\"", "planet"),
        ("seconds = 1\n", "seconds = 1\nburst = 3\n", "burst"),
        (
            "PayPal-Request-Id",
            "PayPal Request",
            "retry.idempotency_headers",
        ),
        ("status = [403]", "status = [99]", "retry.rules[0].status"),
        ("header = \"X-Left\"", "", "retry.rules[0].equals"),
        (
            "header = \"X-Left\"",
            "header = \"X:Left\"",
            "retry.rules[0].header",
        ),
        ("equals = \"0\"", "equals = 0", "retry.rules[0].equals"),
        (
            "equals = \"0\"",
            "equals = \"0\"\ncontains = \"0\"",
            "retry.rules[0].contains",
        ),
        (
            "equals = \"0\"",
            "json = \"/x\"\nequals = \"0\"",
            "retry.rules[0].json",
        ),
        (
            "wait_header = \"X-Reset\"\n",
            "",
            "retry.rules[0].wait_form",
        ),
        (
            "json = \"/error\"",
            "json = \"error\"",
            "retry.rules[1].json",
        ),
        (
            "status = [200]\njson = \"/error\"\nequals = [\"ratelimited\", 17]\n",
            "",
            "retry.rules[1]: fits every answer",
        ),
        (
            "wait_seconds = 30",
            "wait_seconds = 0",
            "retry.rules[1].wait_seconds",
        ),
        ("wait_seconds = 30", "meanings = 1", "meanings"),
        (
            "meaning = \"rate_limited\"\nwait_seconds",
            "meaning = \"forbidden\"\nwait_seconds",
            "retry.rules[1].meaning",
        ),
        (
            "meaning = \"rate_limited\"\nwait_seconds",
            "meaning = \"tired\"\nwait_seconds",
            "tired",
        ),
    ] {
        let text = format!("{GOOD}{LIMITS}");
        assert!(text.contains(good), "{good}");
        let error = Manifest::parse(&text.replacen(good, bad, 1))
            .map(|_| ())
            .unwrap_err();
        let error = error.to_string();
        assert!(
            error.contains("connector.toml") && error.contains(expected),
            "{bad}: {error}"
        );
    }
}

#[test]
fn settings_of_every_type_are_checked() {
    let setting = |kind: &str, more: &str| -> Setting {
        toml::from_str(&format!(
            "id = \"it\"\ntype = \"{kind}\"\ntitle = \"It\"\n{more}"
        ))
        .unwrap()
    };
    for (kind, more, good, bad) in [
        ("text", "", "one line", "two\nlines"),
        ("long_text", "", "two\nlines", ""),
        ("number", "", "-0.5", "NaN"),
        ("boolean", "", "true", "yes"),
        ("password", "", "a b\n", ""),
        ("url", "", "https://example.com/a", "javascript:alert(1)"),
        ("email", "", "a@example.com", "a@example"),
        ("select", "options = [\"a\", \"b\"]", "b", "c"),
        (
            "select",
            "options_from = \"discovery\"",
            "any",
            "two\nlines",
        ),
        ("field_mapping", "object = \"crm.contact\"", "", "any"),
    ] {
        let setting = setting(kind, more);
        assert_eq!(setting.kind.as_str(), kind);
        assert_eq!(
            setting.check(good).is_ok(),
            kind != "field_mapping",
            "{kind}"
        );
        if !bad.is_empty() {
            let message = setting.check(bad).unwrap_err();
            assert!(message.starts_with("It "), "{message}");
            assert!(!message.contains(bad), "{message}");
        }
        assert!(setting.check(&"x".repeat(20_000)).is_err(), "{kind}");
        let after_login = more.contains("options_from") || kind == "field_mapping";
        assert_eq!(setting.is_after_login(), after_login, "{kind}");
    }
}
