//! What can be done about a run: its sync is asked for again, paused, or answered.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use serde::Deserialize;
use serde_json::{Value, json};

use super::page::found;
use crate::{
    dashboard::desk::ProjectDesk,
    model::{Role, Run, Scope, Trigger},
    web,
};

/// How a sync is run again.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Again {
    #[serde(default)]
    full: bool,
}

/// What becomes of records that the provider no longer shows.
#[derive(Debug, Deserialize)]
pub(super) struct Answer {
    delete: bool,
}

type Names = Path<BTreeMap<String, String>>;

pub(super) async fn again(
    desk: ProjectDesk,
    Path(path): Names,
    web::Form(again): web::Form<Again>,
) -> Result<Response, web::Error> {
    let (run, scope) = sync_of(&desk, &path).await?;
    let services = &desk.services;
    services
        .store
        .request_run(&scope, run.kind, Trigger::Manual, again.full)
        .await?;
    audit(&desk, &run, "sync.run", json!({ "full": again.full })).await?;
    services.unify.work().notify_one();
    let href = desk.href(&format!(
        "/runs?connection={}&object={}",
        run.connection, run.kind
    ));
    Ok(desk.done(
        "The sync was asked for. Its run appears here as soon as a worker takes it.",
        &href,
    ))
}

pub(super) async fn pause(desk: ProjectDesk, Path(path): Names) -> Result<Response, web::Error> {
    let (run, scope) = sync_of(&desk, &path).await?;
    desk.services.store.pause_sync(&scope, run.kind).await?;
    audit(&desk, &run, "sync.pause", json!({})).await?;
    let message = "The sync is paused: the page at work is finished, then nothing is read.";
    Ok(desk.done(message, &desk.href(&format!("/runs/{}", run.id))))
}

pub(super) async fn resume(desk: ProjectDesk, Path(path): Names) -> Result<Response, web::Error> {
    let (run, scope) = sync_of(&desk, &path).await?;
    desk.services.store.resume_sync(&scope, run.kind).await?;
    audit(&desk, &run, "sync.resume", json!({})).await?;
    desk.services.unify.work().notify_one();
    let message = "The sync goes on where it was.";
    Ok(desk.done(message, &desk.href(&format!("/runs/{}", run.id))))
}

pub(super) async fn cancel(desk: ProjectDesk, Path(path): Names) -> Result<Response, web::Error> {
    let (run, scope) = sync_of(&desk, &path).await?;
    let services = &desk.services;
    let interval = services.sync_interval;
    let href = desk.href(&format!("/runs/{}", run.id));
    if !services.unify.cancel_run(&scope, &run, interval).await? {
        return Ok(desk.done("There was nothing to cancel: the run is over.", &href));
    }
    audit(&desk, &run, "sync.cancel", json!({ "run": run.id })).await?;
    let message = "The run was cancelled. What it read stays; the next run goes on where it was.";
    Ok(desk.done(message, &href))
}

pub(super) async fn answer(
    desk: ProjectDesk,
    Path(path): Names,
    web::Form(Answer { delete }): web::Form<Answer>,
) -> Result<Response, web::Error> {
    let (run, scope) = sync_of(&desk, &path).await?;
    let services = &desk.services;
    let store = &services.store;
    let href = desk.href(&format!("/runs/{}", run.id));
    if !store.answer_question(&scope, run.kind, delete).await? {
        let message = "Somebody has decided already: this sync asks nothing any more.";
        return Ok(desk.done(message, &href));
    }
    audit(&desk, &run, "sync.confirm", json!({ "delete": delete })).await?;
    if delete {
        store
            .request_run(&scope, run.kind, Trigger::Manual, false)
            .await?;
        services.unify.work().notify_one();
    }
    let message = if delete {
        "The next run, which begins now, deletes them; but for those that were seen meanwhile."
    } else {
        "The records stay, and are not asked about again until the provider has shown them again."
    };
    Ok(desk.done(message, &href))
}

/// Writes into the audit log what was done with the sync of a run.
async fn audit(
    desk: &ProjectDesk,
    run: &Run,
    action: &str,
    mut details: Value,
) -> Result<(), web::Error> {
    if let Some(details) = details.as_object_mut() {
        details.insert("object".to_owned(), json!(run.kind.name()));
    }
    desk.audit(action, run.connection, details).await
}

/// The run and its connection, for somebody who may change something.
async fn sync_of(
    desk: &ProjectDesk,
    path: &BTreeMap<String, String>,
) -> Result<(Run, Scope), web::Error> {
    desk.may(Role::Developer)?;
    let id = path.get("id").map_or("", String::as_str);
    let (run, scope) = found(desk, id).await?;
    let deleted = || web::Error::not_found("The connection of this run was deleted.");
    Ok((run, scope.ok_or_else(deleted)?))
}
