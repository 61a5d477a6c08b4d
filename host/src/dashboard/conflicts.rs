//! The review queue: records of which both sides changed the same fields, side by side.

mod decide;
mod review;

use std::sync::Arc;

use axum::{
    Router,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desktop, Section, address::address, board, desk::ProjectDesk};
use crate::{
    model::{Conflict, ConflictId, ConflictState, Role, conflict::DELETED},
    store::ConflictFilter,
    web::{
        self,
        parts::{self, Tone},
    },
};

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/conflicts", get(list))
        .route("/dashboard/{project}/conflicts/resolve", post(decide::many))
        .route("/dashboard/{project}/conflicts/{id}", get(review::show))
        .route(
            "/dashboard/{project}/conflicts/{id}/resolve",
            post(decide::one),
        )
}

/// What is asked of the list.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    state: String,
    connection: String,
    object: String,
    before: String,
}

impl Asked {
    fn at(&self, path: &str, before: &str) -> String {
        address(
            path,
            &[
                ("state", &self.state),
                ("connection", &self.connection),
                ("object", &self.object),
                ("before", before),
            ],
        )
    }

    /// Open ones are listed where nothing is said.
    async fn filter(&self, desk: &ProjectDesk, limit: u32) -> Result<ConflictFilter, web::Error> {
        let scope = board::connection(desk, &self.connection).await?;
        let state = match self.state.as_str() {
            "all" => None,
            "" => Some(ConflictState::Open),
            word => board::word(word, "state", ConflictState::parse)?,
        };
        let place = |text: &str| text.parse::<ConflictId>().ok();
        Ok(ConflictFilter {
            connection: scope.map(|scope| scope.connection().number),
            kind: board::object(&self.object)?,
            state,
            before: board::word(&self.before, "place in this list", place)?,
            limit,
        })
    }
}

async fn list(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let filter = asked.filter(&desk, board::PAGE + 1).await?;
    let mut conflicts = store.conflicts(desk.project.id, &filter).await?;
    let is_more = conflicts.len() > board::PAGE as usize;
    conflicts.truncate(board::PAGE as usize);
    let open = store
        .open_conflicts(desk.project.id, filter.connection, filter.kind)
        .await?;
    let path = desk.href("/conflicts");
    let next = conflicts.last().filter(|_| is_more);
    let next = next.map(|(_, last)| asked.at(&path, &last.id.to_string()));
    let first = asked.at(&path, "");
    let first = Some(first.as_str()).filter(|_| !asked.before.is_empty());
    let states = [("all", "All"), ("resolved", "Resolved")];
    let states = states.map(|(value, label)| (value.to_owned(), label.to_owned()));
    let chosen = if asked.state == "open" {
        ""
    } else {
        &asked.state
    };
    let bulk =
        desk.is(Role::Developer) && filter.state == Some(ConflictState::Open) && !open.is_zero();
    let body = html! {
        p.muted {
            "With the conflict policy “manual”, a field that was changed here and at the provider keeps both values until somebody decides."
        }
        form.form.filter method="get" action=(path) role="search" aria-label="Filter the conflicts" {
            (board::choice("state", "State", "Open", states.into_iter(), chosen))
            (board::choice("object", "Object", "All", board::objects(), &asked.object))
            (board::connection_field(&asked.connection))
            button.button type="submit" { "Filter" }
        }
        @if bulk { (all_at_once(&desk, &asked, &open.to_string())) }
        @if conflicts.is_empty() {
            @let all = asked_all(&desk);
            (parts::empty(
                "No conflict waits",
                "Where both sides change the same fields of a record, it appears here.",
                (asked.state != "all").then_some(("Show those that were resolved", all.as_str())),
            ))
        } @else {
            (table(&desk, &conflicts.iter().map(|(_, conflict)| conflict).collect::<Vec<_>>()))
            (parts::pager(next.as_deref(), first))
        }
    };
    Ok(desk.page(Section::Conflicts, "Conflicts", body))
}

fn asked_all(desk: &ProjectDesk) -> String {
    desk.href("/conflicts?state=all")
}

/// Both buttons for everything that the filter leaves.
fn all_at_once(desk: &ProjectDesk, asked: &Asked, open: &str) -> Markup {
    let path = asked.at(&desk.href("/conflicts/resolve"), "");
    let theirs = format!(
        "Take the provider's values in all {open} open conflicts of this list? What your applications wrote there is given up."
    );
    let ours = format!(
        "Take your applications' values in all {open} open conflicts of this list? They are written to the providers."
    );
    html! {
        div.row {
            (parts::post_button_with(&path, &format!("Take the provider’s for all {open}"), Tone::Neutral, Some(&theirs), &[("side", "theirs")]))
            (parts::post_button_with(&path, &format!("Take ours for all {open}"), Tone::Neutral, Some(&ours), &[("side", "ours")]))
        }
    }
}

fn table(desk: &ProjectDesk, conflicts: &[&Conflict]) -> Markup {
    let rows = html! {
        @for conflict in conflicts {
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/conflicts/{}", conflict.id))) {
                        (conflict.connection.connector) " · " (conflict.kind)
                    }
                    @if let Some(name) = &conflict.connection.account_name { br; span.muted { (name) } }
                }
                td { (fields(conflict)) }
                td {
                    @match conflict.state {
                        ConflictState::Open => (parts::badge(Tone::Warn, "open")),
                        ConflictState::Resolved => (parts::badge(Tone::Good, "resolved")),
                    }
                }
                td.nowrap { (parts::time(conflict.created_at)) }
                td.nowrap { (board::moment(conflict.resolved_at)) }
            }
        }
    };
    let columns = ["Record", "Fields", "State", "Found", "Resolved"];
    parts::table("Conflicts", &columns, &rows)
}

fn fields(conflict: &Conflict) -> String {
    let names = conflict.fields.keys().map(|name| label(name));
    board::cut(&names.collect::<Vec<_>>().join(", "), 120)
}

/// A field's name for people.
fn label(field: &str) -> &str {
    match field {
        DELETED => "the record itself",
        other => other,
    }
}
