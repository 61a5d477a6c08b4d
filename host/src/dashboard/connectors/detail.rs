//! One connector.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};

use super::{HOME, notes, parse_slug, state_badge, unknown, words};
use crate::{
    dashboard::{Desk, Section},
    model::{
        Role,
        consent::{Book, KnownVersion, Standing},
    },
    runtime::{ConnectorState, ConnectorStatus, Described},
    web::{
        self, Page,
        markdown::markdown,
        parts::{self, Tone},
    },
};

const STYLE: &str = "\
.permissions { margin: 0 0 .75rem; padding-left: 1.2rem; }\
.permissions li { overflow-wrap: anywhere; }\
.lead { display: flex; gap: 1rem; align-items: flex-start; margin-bottom: 1rem; }\
.changes { list-style: none; padding: 0; margin: 0 0 .75rem; }\
.changes li { padding: .15rem 0; overflow-wrap: anywhere; }\
.changes ins, .changes del { text-decoration: none; }\
.changes ins { color: var(--good); } .changes del { color: var(--bad); }\
.fields { columns: 14rem; margin: .5rem 0 0; padding-left: 1.2rem; }";

pub(super) async fn show(desk: Desk, Path(slug): Path<String>) -> Result<Response, web::Error> {
    let slug = parse_slug(&slug)?;
    let status = desk.services.runtime.status(&slug);
    let book = desk.services.market.book(&slug).await?;
    if status.is_none() && book.is_none() {
        return Err(unknown(slug.as_str()));
    }
    let described = status.as_ref().and_then(|status| status.described.as_ref());
    let name = described.map_or_else(|| slug.to_string(), |one| one.name.clone());
    let base = format!("{HOME}/{slug}");
    let owner = desk.is(Role::Owner);
    let body = html! {
        div.lead {
            (parts::icon(described.and_then(|one| one.icon.as_deref()), &name))
            div {
                @if let Some(described) = described { p { (described.description) } }
                div.row {
                    @match &status {
                        Some(status) => { (state_badge(status.state)) (notes(status)) }
                        None => (parts::badge(Tone::Neutral, "not loaded on this server")),
                    }
                    @if let Some(described) = described { span.muted { "version " (described.version) } }
                    a href={ (base) "/log" } { "Live log" }
                }
            }
        }
        @if let Some(status) = &status { (trouble(status)) }
        @if let Some(book) = &book { (pending(book, &base, owner)) }
        @if let Some(book) = &book { @if owner { (actions(book, status.as_ref(), &base)) } }
        div.grid.two {
            @if let Some(book) = &book { (permissions(book)) }
            @if let Some(described) = described { (about(described)) }
        }
        @if let Some(book) = &book { (versions(book, status.as_ref(), &base, owner)) }
        @if let Some(described) = described {
            (coverage(described))
            (logins(described))
            @if !described.overview.trim().is_empty() {
                h2 { "Overview" }
                div.card { (markdown(&described.overview)) }
            }
        }
    };
    let page = Page::new(name).style(STYLE);
    Ok(desk.page_with(page, Section::Connectors, body))
}

/// What is wrong.
fn trouble(status: &ConnectorStatus) -> Markup {
    let Some(error) = &status.last_error else {
        return Markup::default();
    };
    let (tone, title) = match status.state {
        ConnectorState::Active => (Tone::Warn, "The file in the folder does not serve"),
        ConnectorState::PendingConsent => (Tone::Warn, "It waits for consent"),
        ConnectorState::Disabled => (Tone::Info, "It is disabled"),
        ConnectorState::Suspended => (Tone::Bad, "It crashed too often"),
        ConnectorState::Rejected | ConnectorState::Retired => (Tone::Bad, "It does not serve"),
    };
    parts::alert(tone, title, &html! { p { (error) } })
}

/// The version that waits, and what it asks for beyond what is granted.
fn pending(book: &Book, base: &str, owner: bool) -> Markup {
    let Some(waits) = book.pending() else {
        return Markup::default();
    };
    let serving = book.serving().filter(|known| known.digest != waits.digest);
    let before = serving.map_or(&[][..], |known| known.asked.lines());
    let granted = book.beyond(&waits.publisher, &waits.asked);
    let beyond = granted.unwrap_or_else(|| waits.asked.lines().to_vec());
    let gone = before
        .iter()
        .filter(|line| !waits.asked.lines().contains(line));
    let hash = waits.asked.hash().to_string();
    html! {
        section.card id="consent" {
            h2 { "Version " (waits.version) " asks for consent" }
            p { "It was seen " (parts::time(waits.seen_at)) ", published by " (words::publisher(Some(&waits.publisher))) ". "
                @match serving {
                    Some(known) => { "Until you decide, version " (known.version) " serves." }
                    None => "Until you decide, nothing of it serves.",
                }
            }
            @if let Some(other) = book.other_publisher(&waits.publisher) {
                (parts::alert(Tone::Bad, "Another publisher", &html! { p { "What was granted so far was published by " code { (other) } ". Grant this only if you know why." } }))
            }
            h3 { "What it asks for that is not granted" }
            @if beyond.is_empty() {
                p { "Nothing: everything it asks for was granted before." }
            } @else {
                ul.changes { @for line in &beyond { li { ins { "+ " (words::permission(line)) } } } }
            }
            @if gone.clone().next().is_some() {
                h3 { "What it no longer asks for" }
                ul.changes { @for line in gone { li { del { "− " (words::permission(line)) } } } }
            }
            details { summary { "Everything it asks for" } (words::permissions(waits.asked.lines(), &beyond)) }
            @if owner {
                div.row {
                    (parts::post_button_with(&format!("{base}/grant"), "Grant", Tone::Good, Some("Grant all that this version asks for? It serves on all servers of the database then."), &[("permission_hash", &hash)]))
                    (parts::post_button(&format!("{base}/refuse"), "Refuse", Tone::Bad, Some("Refuse this version? It will not be asked about again unless it is granted later.")))
                }
            } @else {
                p.muted { "An owner decides." }
            }
        }
    }
}

fn actions(book: &Book, status: Option<&ConnectorStatus>, base: &str) -> Markup {
    let suspended = status.is_some_and(|status| status.state == ConnectorState::Suspended);
    let installed = book
        .pin
        .is_some_and(|pin| pin.origin == crate::model::consent::PinOrigin::Installed);
    let granted = book.standing_grants().next().is_some();
    html! {
        div.row {
            @if book.disabled_at.is_some() || suspended {
                (parts::post_button(&format!("{base}/enable"), if suspended { "End the suspension" } else { "Enable" }, Tone::Good, None))
            }
            @if book.disabled_at.is_none() {
                (parts::post_button(&format!("{base}/disable"), "Disable", Tone::Neutral, Some("Disable this connector on all servers? Calls and syncs of its connections fail until it is enabled again. Nothing is deleted.")))
            }
            @if granted {
                (parts::post_button(&format!("{base}/revoke"), "Revoke all grants", Tone::Bad, Some("Take back everything that was granted? Nothing of this connector serves until somebody grants it again.")))
            }
            @if installed {
                (parts::post_button(&format!("{base}/uninstall"), "Uninstall", Tone::Bad, Some("Uninstall this connector? A file in the plugins folder serves in its place, if there is one. Connections and records stay.")))
            }
        }
    }
}

fn permissions(book: &Book) -> Markup {
    html! {
        section.card {
            h2 { "What it may do" }
            @match book.serving() {
                Some(known) => {
                    (words::permissions(known.asked.lines(), &[]))
                    p.muted { "It has no file, no other network address, no environment and no credential: the server adds logins to its requests." }
                }
                None => p { "Nothing serves, so it may do nothing." }
            }
            @for grant in &book.grants {
                p.small.muted {
                    @if let Some(at) = grant.revoked_at { "Revoked " (parts::time(at)) ": granted " } @else { "Granted " }
                    (parts::time(grant.granted_at)) " by " (grant.granted_by) " to " (words::short(&grant.publisher))
                }
            }
        }
    }
}

fn about(described: &Described) -> Markup {
    let dash = || html! { "–" };
    let endpoints = html! {
        @for (name, endpoint) in &described.endpoints {
            div { (name) ": " code { (endpoint.production) }
                @if let Some(sandbox) = &endpoint.sandbox { " · sandbox " code { (sandbox) } } }
        }
    };
    let source = described.source.as_deref().map_or_else(dash, |source| {
        // Only what browsers open as a page.
        html! { @if source.starts_with("https://") { a href=(source) rel="noreferrer" { (source) } } @else { (source) } }
    });
    let licence = described.licence.as_deref();
    let webhooks = match &described.webhooks {
        Some(webhooks) => {
            html! { "by " (webhooks.route) ", signed with the " (webhooks.secret) "'s secret" }
        }
        None => html! { "none: changes are found by syncs" },
    };
    html! {
        section.card {
            h2 { "About" }
            (parts::definition(&[
                ("Verticals", html! { (described.verticals.join(", ")) }),
                ("Addresses", endpoints),
                ("Webhooks in", webhooks),
                ("Licence", licence.map_or_else(dash, |licence| html! { (licence) })),
                ("Source", source),
                ("Imports", html! { (described.permissions.imports.join(", ")) }),
            ]))
        }
    }
}

fn versions(book: &Book, status: Option<&ConnectorStatus>, base: &str, owner: bool) -> Markup {
    let serving = book.serving().map(|known| known.digest);
    let mut known: Vec<&KnownVersion> = book.versions.iter().collect();
    known.sort_by_key(|one| std::cmp::Reverse(one.seen_at));
    let calls = |one: &KnownVersion| {
        let digest = one.digest.to_string();
        let all = status.map(|status| status.versions.iter());
        let found = all
            .into_iter()
            .flatten()
            .find(|other| other.digest == digest);
        found.map(|found| (found.calls, found.traps))
    };
    let rows = html! {
        @for one in known {
            tr {
                th scope="row" { (one.version) div.small.muted { code title=(one.digest.to_string()) { (one.digest.short()) } " · " (parts::bytes(one.bytes)) } }
                td {
                    @if Some(one.digest) == serving { (parts::badge(Tone::Good, "serves")) }
                    @else {
                        @match one.standing {
                            Standing::Admitted => (parts::badge(Tone::Neutral, "before")),
                            Standing::Pending => (parts::badge(Tone::Warn, "waits for consent")),
                            Standing::RolledBack => (parts::badge(Tone::Bad, "taken back")),
                        }
                    }
                    @if let Some(reason) = &one.reason { div.small.muted { (reason) } }
                }
                td { (words::publisher(Some(&one.publisher))) div.small.muted { "from " (words::short(&one.source)) } }
                td { (parts::time(one.seen_at)) @if let Some(at) = one.served_at { div.small.muted { "served " (parts::time(at)) } } }
                td.number { @if let Some((calls, traps)) = calls(one) { (parts::number(calls)) @if traps > 0 { div.small { (parts::number(traps)) " crashed" } } } @else { "–" } }
                @if owner {
                    td {
                        @if Some(one.digest) != serving && one.standing != Standing::Pending && serving.is_some() {
                            (parts::post_button_with(&format!("{base}/roll-back"), "Go back to it", Tone::Neutral, Some(&format!("Let version {} serve in place of the one that serves now? Running calls end with the version they began with.", one.version)), &[("to", &one.digest.to_string())]))
                        }
                    }
                }
            }
        }
    };
    let mut columns = vec!["Version", "State", "Publisher", "Seen", "Calls here"];
    if owner {
        columns.push("Roll back");
    }
    html! { h2 { "Versions" } (parts::table("Versions", &columns, &rows)) }
}

/// Objects by operations, and how many of their fields are filled.
fn coverage(described: &Described) -> Markup {
    let rows = html! {
        @for object in &described.objects {
            tr {
                th scope="row" { code { (object.object) } }
                td { (object.operations.join(", ")) }
                td {
                    @match &object.coverage {
                        Some(counts) => { (counts.readable) " read, " (counts.writable) " written, of " (counts.of) }
                        None => { (object.fields.len()) " promised" }
                    }
                    details {
                        summary.small { "Fields" }
                        ul.fields {
                            @for field in &object.fields {
                                li { code { (field.name) } " " span.muted.small { (match (field.readable, field.writable) { (true, true) => "read, write", (true, false) => "read", (false, true) => "write", (false, false) => "not mapped" }) } }
                            }
                        }
                    }
                }
                td { @if object.incremental { "changes only" } @else { "everything each time" } }
            }
        }
    };
    let columns = ["Object", "Operations", "Fields", "Syncs read"];
    html! { h2 { "Coverage" } (parts::table("Coverage", &columns, &rows)) }
}

fn logins(described: &Described) -> Markup {
    let schemes = html! {
        @for scheme in &described.auth {
            tr {
                th scope="row" { (scheme.title) }
                td { (words::scheme(scheme.r#type)) }
                td {
                    @for field in &scheme.fields { div { (field.title) } }
                    @for scope in &scheme.scopes { div { code { (scope) } } }
                }
            }
        }
    };
    let asked = described.variables.iter().chain(&described.settings);
    let settings = html! {
        @for field in asked {
            tr {
                th scope="row" { (field.title) @if let Some(tooltip) = &field.tooltip { div.small.muted { (tooltip) } } }
                td { (field.r#type) }
                td { @if field.required { "needed" } @else { "optional" } @if let Some(default) = &field.default { " · default " code { (default) } } }
            }
        }
    };
    let none = described.variables.is_empty() && described.settings.is_empty();
    html! {
        h2 { "Logins" }
        (parts::table("Logins", &["Login", "Kind", "Asks for"], &schemes))
        @if !none {
            h2 { "Settings" }
            (parts::table("Settings", &["Setting", "Type", "Needed"], &settings))
        }
    }
}
