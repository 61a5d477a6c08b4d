//! One conflict: field by field what both sides had, what ours is, what the provider's is.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde_json::Value;

use super::label;
use crate::{
    dashboard::{Section, board, desk::ProjectDesk},
    model::{
        Conflict, ConflictId, ConflictState, Role, Scope,
        conflict::{DELETED, FieldConflict},
    },
    web::{
        self, Page,
        parts::{self, Tone},
    },
};

const STYLE: &str = "
.sides td { min-width: 11rem; }
.sides .value { display: block; white-space: pre-wrap; overflow-wrap: anywhere; margin-bottom: .3rem; }
.sides fieldset { border: 0; padding: 0; margin: 0; }
.sides fieldset .check { margin-bottom: .2rem; }
";

/// The conflict of a path.
pub(super) async fn found(
    desk: &ProjectDesk,
    path: &BTreeMap<String, String>,
) -> Result<(Scope, Conflict), web::Error> {
    let id = path.get("id").map_or("", String::as_str);
    let store = &desk.services.store;
    let conflict = match id.parse::<ConflictId>() {
        Ok(id) => store.conflict(desk.project.id, id).await?,
        Err(_) => None,
    };
    let missing = || {
        let id = board::cut(id, 80);
        web::Error::not_found(format!("This project has no conflict “{id}”."))
    };
    conflict.ok_or_else(missing)
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    let (_, conflict) = found(&desk, &path).await?;
    Ok(page(&desk, &conflict, &Typed::default()))
}

/// What was typed, where it could not be used.
#[derive(Debug, Default)]
pub(super) struct Typed {
    /// What was chosen, by field.
    pub(super) chosen: BTreeMap<String, String>,
    /// Other values, by field.
    pub(super) values: BTreeMap<String, String>,
    /// What is wrong, by field.
    pub(super) errors: BTreeMap<String, String>,
    /// What is wrong with all of it.
    pub(super) error: Option<String>,
}

impl Typed {
    pub(super) fn is_wrong(&self) -> bool {
        self.error.is_some() || !self.errors.is_empty()
    }
}

/// The page, with what was typed.
pub(super) fn page(desk: &ProjectDesk, conflict: &Conflict, typed: &Typed) -> Response {
    let connection = &conflict.connection;
    let is_open = conflict.state == ConflictState::Open && desk.is(Role::Developer);
    let path = desk.href(&format!("/conflicts/{}/resolve", conflict.id));
    let record = desk.href(&format!("/records/{}/{}", conflict.kind, conflict.record));
    let connection_href = desk.href(&format!("/connections/{}", connection.id));
    let theirs = "Take the provider's values for all fields? What your applications wrote there is given up.";
    let ours = "Take your applications' values for all fields? They are written to the provider.";
    let body = html! {
        p {
            a href=(desk.href("/conflicts")) { "Conflicts" } " / "
            a href=(record) { "The record" } " / "
            a href=(connection_href) {
                (connection.connector) @if let Some(name) = &connection.account_name { " · " (name) }
            }
        }
        @if let Some(error) = &typed.error { (parts::alert(Tone::Bad, error, &Markup::default())) }
        @match conflict.state {
            ConflictState::Open => p { (parts::badge(Tone::Warn, "open")) " since " (parts::time(conflict.created_at)) },
            ConflictState::Resolved => p {
                (parts::badge(Tone::Good, "resolved")) " " (board::moment(conflict.resolved_at))
                @match &conflict.resolved_by {
                    Some(by) => { " by " (by) },
                    None => ", as both sides came to agree",
                }
            },
        }
        @if is_open {
            div.row {
                (parts::post_button_with(&path, "Take the provider’s for all fields", Tone::Neutral, Some(theirs), &[("all", "theirs")]))
                (parts::post_button_with(&path, "Take ours for all fields", Tone::Neutral, Some(ours), &[("all", "ours")]))
            }
            h2 { "Field by field" }
            form method="post" action=(path) {
                (table(conflict, Some(typed)))
                p.muted { "What is decided for ours, or for another value, is written to the provider; what is decided for the provider’s is stored here. Fields without a choice wait on." }
                button.button.primary type="submit" { "Resolve as chosen" }
            }
        } @else {
            (table(conflict, None))
        }
    };
    let mut document = Page::new(format!("Conflict in {}", conflict.kind)).style(STYLE);
    if typed.is_wrong() {
        document = document.status(axum::http::StatusCode::UNPROCESSABLE_ENTITY);
    }
    desk.page_with(document, Section::Conflicts, body)
}

fn table(conflict: &Conflict, typed: Option<&Typed>) -> Markup {
    let rows = html! {
        @for (index, (name, field)) in conflict.fields.iter().enumerate() {
            tr {
                th scope="row" { (label(name)) }
                td { (value(name, &field.base)) }
                td {
                    (side(name, field, &field.ours))
                    span.muted.small { (parts::time(field.ours_at)) @if let Some(by) = &field.ours_by { " by " (by) } }
                }
                td {
                    (side(name, field, &field.theirs))
                    span.muted.small { (board::moment(field.theirs_at)) }
                }
                td {
                    @match typed {
                        Some(typed) => (choices(index, name, field, typed)),
                        None => (decision(conflict, name)),
                    }
                }
            }
        }
    };
    html! {
        div.sides {
            (parts::table(
                "The fields in conflict",
                &["Field", "Both had", "Ours", "The provider’s", "Decision"],
                &rows,
            ))
        }
    }
}

/// A side's value, marked where it differs from what both had.
fn side(name: &str, field: &FieldConflict, now: &Value) -> Markup {
    let is_changed = *now != field.base;
    html! {
        (value(name, now))
        @if is_changed { (parts::badge(Tone::Info, "changed")) " " }
    }
}

fn value(name: &str, value: &Value) -> Markup {
    html! {
        @if name == DELETED {
            span.value { @if value.is_null() { "there" } @else { "deleted" } }
        } @else if value.is_null() {
            span.value.muted { "nothing" }
        } @else if let Some(text) = value.as_str() {
            span.value { (text) }
        } @else {
            code.value { (serde_json::to_string_pretty(value).unwrap_or_default()) }
        }
    }
}

fn choices(index: usize, name: &str, field: &FieldConflict, typed: &Typed) -> Markup {
    let chosen = typed.chosen.get(name).map_or("", String::as_str);
    let error = typed.errors.get(name);
    let id = format!("value-{index}");
    let radio = |value: &str, label: &str| {
        html! {
            label.check {
                input type="radio" name={ "choice:" (name) } value=(value) checked[chosen == value];
                span { (label) }
            }
        }
    };
    let filled = match typed.values.get(name) {
        Some(typed) => typed.clone(),
        None => board::line(&field.ours),
    };
    html! {
        fieldset {
            legend.visually-hidden { "Decision for " (label(name)) }
            (radio("ours", "Ours"))
            (radio("theirs", "The provider’s"))
            @if name != DELETED {
                (radio("value", "Another value:"))
                div class=(if error.is_some() { "wrong" } else { "" }) {
                    label.visually-hidden for=(id) { "Another value for " (name) }
                    input type="text" id=(id) name={ "value:" (name) } value=(filled)
                        aria-invalid=[error.map(|_| "true")] aria-describedby=[error.map(|_| format!("{id}-error"))];
                    @if let Some(error) = error { p.error id={ (id) "-error" } { (error) } }
                }
            }
        }
    }
}

/// What was decided of a field.
fn decision(conflict: &Conflict, name: &str) -> Markup {
    let decided = conflict
        .decisions
        .as_ref()
        .and_then(|decisions| decisions.get(name));
    html! {
        @match decided {
            Some(Value::String(side)) if side == "ours" => "ours",
            Some(Value::String(_)) => "the provider’s",
            Some(other) => code { (board::line(other.get("value").unwrap_or(other))) },
            None => span.muted { "–" },
        }
    }
}
