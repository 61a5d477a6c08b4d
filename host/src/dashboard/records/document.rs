//! The fields of a record, and where their values came from.

use std::collections::HashSet;

use maud::{Markup, html};
use serde_json::Value;

use crate::{
    dashboard::{board, desk::ProjectDesk},
    model::{ObjectKind, RecordId, ValueSource, conflict::CUSTOM},
    store::{FieldOrigin, OriginRow, RecordPlace},
    web::{self, parts},
};

/// What is shown of a record's fields.
pub(super) struct Shown<'a> {
    pub(super) unified: &'a Value,
    pub(super) custom: &'a Value,
    pub(super) origins: &'a [FieldOrigin],
    /// Records that it refers to and that are here.
    pub(super) known: &'a HashSet<RecordId>,
}

/// The records that a record refers to and that are here: a reference may be older than what it
/// refers to.
pub(super) async fn known_references(
    desk: &ProjectDesk,
    place: &RecordPlace,
    unified: &Value,
) -> Result<HashSet<RecordId>, web::Error> {
    let mut known = HashSet::new();
    for property in &place.kind.spec().properties {
        let Some(reference) = property.reference else {
            continue;
        };
        let ids: Vec<RecordId> = match unified.get(&property.name) {
            Some(Value::String(id)) => id.parse().into_iter().collect(),
            Some(Value::Array(list)) => {
                let texts = list.iter().filter_map(Value::as_str);
                texts.filter_map(|id| id.parse().ok()).collect()
            }
            _ => continue,
        };
        let store = &desk.services.store;
        let found = store
            .remote_ids(&place.scope, reference.target, &ids)
            .await?;
        known.extend(found.into_keys());
    }
    Ok(known)
}

/// The unified fields, then the custom ones.
pub(super) fn fields(desk: &ProjectDesk, kind: ObjectKind, shown: &Shown<'_>) -> Markup {
    let Shown {
        unified,
        custom,
        origins,
        known,
    } = *shown;
    let rows = html! {
        @for property in &kind.spec().properties {
            @if let Some(value) = unified.get(&property.name) {
                tr {
                    th scope="row" { (property.name) }
                    td { (value_of(desk, value, property.reference.map(|reference| (reference.target, known)))) }
                    td { (source_of(origins, &property.name)) }
                }
            }
        }
        @if let Some(custom) = custom.as_object() {
            @for (slug, value) in custom {
                tr {
                    th scope="row" { (slug) " " (parts::badge(parts::Tone::Info, "custom")) }
                    td { (value_of(desk, value, None)) }
                    td { (source_of(origins, &format!("{CUSTOM}{slug}"))) }
                }
            }
        }
    };
    html! {
        div.document { (parts::table("Unified fields", &["Field", "Value", "From"], &rows)) }
    }
}

/// A value; ids of other records are links.
fn value_of(
    desk: &ProjectDesk,
    value: &Value,
    target: Option<(ObjectKind, &HashSet<RecordId>)>,
) -> Markup {
    match (value, target) {
        (Value::Null, _) => html! { span.muted { "–" } },
        (Value::String(id), Some((target, known))) => {
            let end = id.get(id.len().saturating_sub(4)..).unwrap_or("");
            let label = format!("{target} …{end}");
            let is_known = id.parse().is_ok_and(|id: RecordId| known.contains(&id));
            html! {
                @if is_known {
                    a href=(desk.href(&format!("/records/{target}/{id}"))) title=(id) { (label) }
                } @else {
                    span title=(id) { (label) } " " span.muted { "(not here)" }
                }
            }
        }
        (Value::Array(list), Some(_)) if !list.is_empty() => html! {
            @for one in list { (value_of(desk, one, target)) br; }
        },
        (Value::String(text), None) => html! { (text) },
        (Value::Array(_) | Value::Object(_), _) => parts::json(value),
        (other, _) => html! { (other.to_string()) },
    }
}

fn source_of(origins: &[FieldOrigin], field: &str) -> Markup {
    let origin = origins.iter().find(|origin| origin.field == field);
    match origin {
        Some(origin) => html! { span.muted.small { (source(origin.origin.as_ref())) } },
        None => Markup::default(),
    }
}

/// Where the value of each field came from.
pub(super) fn provenance(desk: &ProjectDesk, origins: &[FieldOrigin]) -> Markup {
    if origins.is_empty() {
        return html! { p.muted { "Nothing is written down of where its values came from." } };
    }
    let rows = html! {
        @for origin in origins {
            tr {
                th scope="row" { (origin.field) }
                td { (origin_words(origin.origin.as_ref())) }
                td.nowrap { (parts::time(origin.at)) }
                td.nowrap { (board::moment(origin.remote_modified_at)) }
                td { (links(desk, origin)) }
            }
        }
    };
    html! {
        details {
            summary { "Field by field" }
            (parts::table(
                "Where each value came from",
                &["Field", "From", "Since", "Changed at the provider", "By"],
                &rows,
            ))
        }
    }
}

fn links(desk: &ProjectDesk, origin: &FieldOrigin) -> Markup {
    html! {
        @if let Some(run) = origin.run { a href=(desk.href(&format!("/runs/{run}"))) { "run" } " " }
        @if let Some(change) = origin.change { span.mono title=(change) { "change " (board::short(&change.to_string())) } }
    }
}

/// Where values came from, with whose doing and by which version.
pub(super) fn origin_words(origin: Option<&OriginRow>) -> Markup {
    html! {
        (source(origin))
        @if let Some(actor) = origin.and_then(|origin| origin.actor.as_deref()) { " by " span.mono { (actor) } }
        @if let Some((version, digest)) = origin.and_then(|origin| origin.version.as_ref()) {
            span.muted title=(digest) { " (connector " (version) ")" }
        }
    }
}

fn source(origin: Option<&OriginRow>) -> &'static str {
    let Some(origin) = origin else {
        return "not written down";
    };
    match origin.source {
        ValueSource::Sync => "sync",
        ValueSource::Read => "read at the provider",
        ValueSource::Webhook => "provider’s webhook",
        ValueSource::Write => "an application",
        ValueSource::Answer => "provider’s answer to a write",
        ValueSource::Reunify => "unified again",
        ValueSource::Conflict => "a decided conflict",
        ValueSource::Undo => "an undo",
        ValueSource::GivenUp => "a change that was given up",
    }
}
