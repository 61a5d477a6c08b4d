//! The records that a sync asks about, before somebody answers.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use maud::html;

use super::page::found;
use crate::{
    dashboard::{
        Section, board,
        desk::ProjectDesk,
        records::{shown, telling, values},
    },
    web::{self, parts},
};

/// Records that are shown.
const SHOWN: usize = 50;

pub(super) async fn show(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    let id = path.get("id").map_or("", String::as_str);
    let (run, scope) = found(&desk, id).await?;
    let deleted = || web::Error::not_found("The connection of this run was deleted.");
    let scope = scope.ok_or_else(deleted)?;
    let services = &desk.services;
    let missing = services.unify.asked_about(&scope, run.kind).await?;
    let first: Vec<_> = missing.iter().copied().take(SHOWN).collect();
    let store = &services.store;
    let stored = store.records(&scope, run.kind, &first, false).await?;
    let fields = telling(run.kind);
    let mut columns: Vec<&str> = vec!["Record"];
    columns.extend(fields.iter().copied());
    columns.push("Changed");
    let rows = html! {
        @for record in first.iter().filter_map(|id| stored.get(id)) {
            @let values = values(record);
            tr {
                th scope="row" {
                    a href=(desk.href(&format!("/records/{}/{}", run.kind, record.id))) { (board::cut(&record.remote_id, 40)) }
                }
                @for field in &fields { td { (shown(values.get(*field))) } }
                td.nowrap { (parts::time(record.modified_at)) }
            }
        }
    };
    let back = desk.href(&format!("/runs/{}", run.id));
    let body = html! {
        p { a href=(back) { "Back to the run, to answer" } }
        @if missing.is_empty() {
            (parts::empty("Nothing would be deleted", "This sync asks nothing, or the provider has shown the records again.", Some(("Back to the run", &back))))
        } @else {
            p {
                "The provider no longer shows " (parts::number(missing.len() as u64)) " records."
                @if missing.len() > SHOWN { " These are the first " (SHOWN) "." }
                " What it shows again until somebody answers stays."
            }
            (parts::table("Records that would be deleted", &columns, &rows))
        }
    };
    Ok(desk.page(Section::Runs, "Records that would be deleted", body))
}
