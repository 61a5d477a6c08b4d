//! What needs somebody: each thing with its cause and the way to it.

use std::time::Duration;

use crate::{
    dashboard::{board, desk::ProjectDesk},
    model::{ErrorClass, Slug},
    runtime::ConnectorState,
    store::{ConnectionCounts, FailingSyncs, TroubledEndpoint},
    web,
    web::parts,
};

/// How long deliveries that were given up are told of.
const LATELY: Duration = Duration::from_secs(7 * 24 * 3600);
/// Syncs that ask something, as many as are told of one by one.
const ASKING: u32 = 5;

/// How bad a thing is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Weight {
    /// Something does not work.
    Broken,
    /// It can wait.
    Look,
}

/// A thing that needs somebody.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) weight: Weight,
    pub(super) title: String,
    pub(super) text: String,
    pub(super) href: String,
    pub(super) action: &'static str,
}

/// All of them, the worst first. `idle` are the connectors that do not serve, with the number of
/// connections that would work if they did.
pub(super) async fn find(
    desk: &ProjectDesk,
    connections: &ConnectionCounts,
    idle: &[(Slug, u64)],
) -> Result<Vec<Item>, web::Error> {
    let (store, project) = (&desk.services.store, desk.project.id);
    let mut items = Vec::new();
    if connections.needs_reconnect > 0 {
        items.push(reconnect(desk, connections.needs_reconnect).await?);
    }
    for failing in store.failing_syncs(project).await? {
        items.push(syncs(desk, &failing));
    }
    for asking in store.asking_syncs(project, ASKING).await? {
        let question = asking.question;
        items.push(Item {
            weight: Weight::Broken,
            title: format!(
                "The sync of {} ({}) asks before it deletes {} of {} records",
                asking.kind,
                asking.connector,
                parts::number(question.missing),
                parts::number(question.stored)
            ),
            text: "The provider shows them no more. Nothing is deleted until somebody decides."
                .to_owned(),
            href: match asking.run {
                Some(run) => desk.href(&format!("/runs/{run}")),
                None => desk.href(&format!("/connections/{}", asking.connection)),
            },
            action: "Decide",
        });
    }
    let since = desk.services.clock.now().minus(LATELY);
    for troubled in store.troubled_endpoints(project, since).await? {
        items.push(endpoint(desk, &troubled));
    }
    items.extend(connectors(desk, idle));
    let conflicts = store.open_conflicts(project, None, None).await?;
    if !conflicts.is_zero() {
        let one = conflicts.number == 1;
        items.push(Item {
            weight: Weight::Look,
            title: format!(
                "{conflicts} {} for a decision",
                if one {
                    "conflict waits"
                } else {
                    "conflicts wait"
                }
            ),
            text: "Both sides changed the same fields of a record.".to_owned(),
            href: desk.href("/conflicts?state=open"),
            action: "Resolve",
        });
    }
    let failing = store.failing_records(project).await?;
    if !failing.is_zero() {
        let one = failing.number == 1;
        items.push(Item {
            weight: Weight::Look,
            title: format!(
                "{failing} {} not be unified",
                if one { "record could" } else { "records could" }
            ),
            text: "They are kept as the provider gave them, with the reason.".to_owned(),
            href: desk.href("/failures"),
            action: "Look",
        });
    }
    items.sort_by_key(|item| item.weight == Weight::Look);
    Ok(items)
}

async fn reconnect(desk: &ProjectDesk, count: u64) -> Result<Item, web::Error> {
    let store = &desk.services.store;
    let some = store.connections_to_reconnect(desk.project.id, 3).await?;
    let names: Vec<String> = some
        .iter()
        .map(|connection| match &connection.account_name {
            Some(name) => format!("{} ({})", name, connection.connector),
            None => connection.connector.to_string(),
        })
        .collect();
    let more = if count > 3 { " and others" } else { "" };
    Ok(Item {
        weight: Weight::Broken,
        title: match count {
            1 => "One connection needs a new login".to_owned(),
            count => format!("{} connections need a new login", parts::number(count)),
        },
        text: format!(
            "{}{more}. Send their customers a reconnect link.",
            names.join(", ")
        ),
        href: match (count, some.first()) {
            (1, Some(only)) => desk.href(&format!("/connections/{}", only.id)),
            _ => desk.href("/connections?status=needs_reconnect"),
        },
        action: "Reconnect",
    })
}

fn syncs(desk: &ProjectDesk, failing: &FailingSyncs) -> Item {
    let class = failing.class.map_or("unknown", ErrorClass::as_str);
    let syncs = match failing.syncs {
        1 => "One sync fails".to_owned(),
        count => format!("{} syncs fail", parts::number(count)),
    };
    let waiting = match failing.given_up {
        0 => "Tried again by itself".to_owned(),
        all if all == failing.syncs => "Given up until the schedule's next time".to_owned(),
        some => format!("{} of them are given up", parts::number(some)),
    };
    // What goes on by itself is worth a look only.
    let weight = match failing.given_up {
        0 => Weight::Look,
        _ => Weight::Broken,
    };
    Item {
        weight,
        title: format!("{syncs}: {}", board::plain(class)),
        text: match failing.class {
            Some(class) => format!("{waiting}. {}", class.advice()),
            None => waiting,
        },
        href: match (failing.syncs, failing.run) {
            (1, Some(run)) => desk.href(&format!("/runs/{run}")),
            _ => desk.href(&format!("/runs?class={class}")),
        },
        action: "See why",
    }
}

fn endpoint(desk: &ProjectDesk, troubled: &TroubledEndpoint) -> Item {
    let webhook = &troubled.webhook;
    let href = desk.href(&format!("/webhooks/{}", webhook.id));
    let url = board::cut(&webhook.url, 80);
    let dead = troubled.dead;
    if webhook.disabled_at.is_some() && !webhook.active {
        return Item {
            weight: Weight::Broken,
            title: format!("The webhook endpoint {url} was disabled"),
            text: webhook.disabled_reason.clone().unwrap_or_default(),
            href,
            action: "Look",
        };
    }
    if webhook.active && webhook.failing_since.is_some() {
        return Item {
            weight: Weight::Broken,
            title: format!("Nothing arrives at {url}"),
            text: format!(
                "Every delivery fails; {} wait, {dead} were given up in the last 7 days.",
                troubled.waiting
            ),
            href,
            action: "Look",
        };
    }
    Item {
        weight: Weight::Look,
        title: format!("{dead} deliveries to {url} were given up"),
        text: "In the last 7 days. They can be sent again.".to_owned(),
        href,
        action: "Send again",
    }
}

/// Connectors that do not serve, or wait for consent.
fn connectors(desk: &ProjectDesk, idle: &[(Slug, u64)]) -> Vec<Item> {
    let catalogue = desk.services.runtime.catalogue();
    let named = |slug: &Slug| {
        let mut connectors = catalogue.iter();
        connectors.any(|connector| connector.slug.as_deref() == Some(slug.as_str()))
    };
    let mut items = Vec::new();
    // After a restart nothing remembers a file that is gone but its connections.
    for (slug, count) in idle.iter().filter(|(slug, _)| !named(slug)) {
        items.push(gone(slug.as_str(), *count));
    }
    for connector in &catalogue {
        let slug = connector.slug.as_deref();
        let needed = idle.iter().find(|(one, _)| Some(one.as_str()) == slug);
        let needed = needed.map_or(0, |(_, count)| *count);
        let waits = connector
            .consent
            .as_ref()
            .is_some_and(crate::runtime::ConsentStatus::waits);
        let name = slug.unwrap_or(&connector.file);
        let (weight, title) = match connector.state {
            ConnectorState::Suspended => {
                let title = format!("The connector {name} crashed too often and pauses");
                (Weight::Broken, title)
            }
            ConnectorState::PendingConsent => {
                let title = format!("The connector {name} waits for consent to its permissions");
                (Weight::Broken, title)
            }
            ConnectorState::Rejected => {
                let weight = if needed > 0 {
                    Weight::Broken
                } else {
                    Weight::Look
                };
                (weight, format!("The connector {name} was refused"))
            }
            ConnectorState::Disabled if needed > 0 => {
                let title = format!("The connector {name} is disabled");
                (Weight::Broken, title)
            }
            ConnectorState::Retired if needed > 0 => {
                items.push(gone(name, needed));
                continue;
            }
            ConnectorState::Active if waits => {
                let title = format!("An update of the connector {name} asks for more permissions");
                (Weight::Look, title)
            }
            _ => continue,
        };
        let reason = connector.last_error.as_deref().unwrap_or_default();
        items.push(Item {
            weight,
            title,
            text: match needed {
                0 => reason.to_owned(),
                count => format!("{} {reason}", need(count)).trim_end().to_owned(),
            },
            href: match slug {
                Some(slug) => format!("/dashboard/connectors/{slug}"),
                None => "/dashboard/connectors".to_owned(),
            },
            action: "Look",
        });
    }
    items
}

fn gone(slug: &str, count: u64) -> Item {
    Item {
        weight: Weight::Broken,
        title: format!("The connector {slug} does not serve: its file is gone"),
        text: format!("{} Put its file back, or install it again.", need(count)),
        href: "/dashboard/connectors".to_owned(),
        action: "Look",
    }
}

fn need(count: u64) -> String {
    match count {
        1 => "One connection needs it.".to_owned(),
        count => format!("{} connections need it.", parts::number(count)),
    }
}
