//! What the pages of field mappings show.

use maud::{Markup, html};
use serde_json::Value;

use super::{
    Held,
    form::{Rules, STEPS},
};
use crate::{
    model::{CustomField, DataType, RemoteField},
    portal::{Texts, connection::Own},
    unify::{Previewed, RemoteFields},
    web::parts::{self, Choice, Tone},
};

/// Fields of the provider on a page; a search finds the others.
const MOST: usize = 100;
/// Characters of a value that are shown.
const SHOWN: usize = 80;

pub(super) const STYLE: &str = "\
.mapping-fields{max-height:22rem;overflow:auto}\
.mapping-fields label{display:block;cursor:pointer}\
.mapping-fields td:first-child{width:2rem}";

/// All fields that can be mapped, by object.
pub(super) fn overview(own: &Own, held: &[Held], done: &str) -> Markup {
    let texts = own.open.texts;
    let mut kinds: Vec<_> = held.iter().map(|one| one.field.kind).collect();
    kinds.dedup();
    html! {
        @match done {
            "saved" => (parts::alert(Tone::Good, texts.get("fields.saved"), &html! {})),
            "reset" => (parts::alert(Tone::Good, texts.get("fields.was_reset"), &html! {})),
            _ => {}
        }
        p { (texts.with("fields.lead", &[("brand", own.open.brand()), ("connector", own.name())])) }
        @if held.is_empty() {
            (parts::empty(texts.get("fields.none"), &texts.with("fields.none_detail", &[("brand", own.open.brand())]), None))
        }
        @for kind in kinds {
            section {
                h2 { (texts.object_heading(kind)) }
                ul.plain-list {
                    @for one in held.iter().filter(|one| one.field.kind == kind) { (entry(own, one)) }
                }
            }
        }
        p { a href=(own.href("")) { (texts.get("fields.back")) } }
    }
}

fn entry(own: &Own, held: &Held) -> Markup {
    let texts = own.open.texts;
    let field = &held.field;
    let from = held
        .mapping
        .as_ref()
        .map(|mapping| mapping.rules.remote_fields.join(", "));
    html! {
        li.card {
            p {
                strong { (field.slug) } " "
                @match (&from, held.is_own) {
                    (None, _) => (parts::badge(Tone::Warn, texts.get("fields.unmapped"))),
                    (Some(_), true) => (parts::badge(Tone::Good, texts.get("fields.own"))),
                    (Some(_), false) => (parts::badge(Tone::Neutral, texts.get("fields.default"))),
                }
            }
            @if !field.description.is_empty() { p { (field.description) } }
            @if let Some(from) = &from { p.muted { (texts.with("fields.from", &[("field", from)])) } }
            p { a.button href=(own.href(&format!("/fields/{}", field.id)))
                aria-label=(texts.with("fields.edit", &[("field", field.slug.as_str())])) { (texts.get("fields.change")) } }
        }
    }
}

/// What the editor of a field shows.
pub(super) struct Editor<'a> {
    pub(super) own: &'a Own,
    pub(super) field: &'a CustomField,
    pub(super) is_own: bool,
    /// Whether there is a mapping that the form cannot show.
    pub(super) hides: bool,
    pub(super) typed: &'a Rules,
    pub(super) wrong: Option<&'a str>,
    /// What is searched for among the provider's fields.
    pub(super) wanted: &'a str,
    pub(super) remote: &'a Result<RemoteFields, String>,
    pub(super) tried: Markup,
}

pub(super) fn editor(editor: &Editor<'_>) -> Markup {
    let (own, field, typed) = (editor.own, editor.field, editor.typed);
    let texts = own.open.texts;
    let here = own.href(&format!("/fields/{}", field.id));
    let preview = own.href(&format!("/fields/{}/preview", field.id));
    let steps = STEPS.map(|step| {
        let key = if step.is_empty() { "none" } else { step };
        Choice::new(step, texts.get(&format!("fields.step.{key}")))
    });
    html! {
        @if let Some(wrong) = editor.wrong {
            (parts::alert(Tone::Bad, texts.get("settings.wrong"), &html! { p { (wrong) } }))
        }
        @if editor.hides {
            (parts::alert(Tone::Warn, texts.get("fields.hidden.title"), &html! { p { (texts.get("fields.hidden.text")) } }))
        }
        section.card {
            h2 { (texts.with("fields.ours", &[("brand", own.open.brand())])) }
            p { strong { (field.slug) } " " (parts::badge(Tone::Neutral, texts.get(type_key(field.data_type)))) }
            @if !field.description.is_empty() { p { (field.description) } }
            (unified(own, field))
        }
        section {
            h2 { (texts.with("fields.theirs", &[("connector", own.name())])) }
            form role="search" method="get" action=(here) {
                div.field {
                    label for="q" { (texts.get("fields.search")) }
                    div.row {
                        input.grow id="q" name="q" type="search" value=(editor.wanted) autocomplete="off"
                            hx-get=(here) hx-trigger="input changed delay:300ms, search" hx-include="#mapping"
                            hx-select="#remote" hx-target="#remote" hx-swap="outerHTML";
                        button.button type="submit" { (texts.get("list.find")) }
                    }
                }
            }
            form.form id="mapping" method="post" action=(here) {
                (remote(editor, &here))
                (parts::field("step", texts.get("fields.step"), texts.get("fields.step.hint"), None,
                    &parts::select("step", &steps, &typed.step, false)))
                (parts::field("words", texts.get("fields.words"), texts.get("fields.words.hint"), None,
                    &parts::textarea("words", &typed.words, false, false)))
                (parts::field("otherwise", texts.get("fields.otherwise"), texts.get("fields.otherwise.hint"), None,
                    &parts::input("otherwise", "text", &typed.otherwise, false, false)))
                h2 { (texts.get("fields.preview")) }
                div id="preview" aria-live="polite" hx-get=(preview)
                    hx-trigger="input delay:400ms from:#mapping" hx-include="#mapping" { (editor.tried) }
                div.row {
                    button.button.primary type="submit" name="do" value="save" { (texts.get("settings.save")) }
                    button.button type="submit" name="do" value="preview" { (texts.get("fields.preview.show")) }
                    a.button href=(own.href("/fields")) { (texts.get("manage.cancel")) }
                }
            }
            @if editor.is_own {
                (parts::post_button(&own.href(&format!("/fields/{}/reset", field.id)), texts.get("fields.reset"), Tone::Neutral, None))
            }
        }
    }
}

/// What the object has without any mapping.
fn unified(own: &Own, field: &CustomField) -> Markup {
    let version = own.version.as_ref();
    let support = version.and_then(|version| version.manifest().object(field.kind).cloned());
    let Some(support) = support.filter(|support| !support.fields.is_empty()) else {
        return Markup::default();
    };
    html! {
        details {
            summary { (own.open.texts.get("fields.unified")) }
            p { (support.fields.join(", ")) }
        }
    }
}

/// The provider's fields, one of which is chosen.
fn remote(editor: &Editor<'_>, here: &str) -> Markup {
    let texts = editor.own.open.texts;
    let chosen = editor.typed.remote.as_str();
    let known = match editor.remote {
        Ok(known) => known.fields.as_slice(),
        Err(reason) => {
            return html! {
                div id="remote" {
                    input type="hidden" name="remote" value=(chosen);
                    div.alert.warn role="alert" {
                        strong { (texts.with("settings.not_loaded", &[("connector", editor.own.name())])) }
                        details { summary { (texts.get("manage.reason")) } p { (reason) } }
                        p { a.button href=(here) { (texts.get("settings.again")) } }
                    }
                }
            };
        }
    };
    let wanted = editor.wanted.to_lowercase();
    let fits = |field: &&RemoteField| {
        field.name == chosen
            || field.name.to_lowercase().contains(&wanted)
            || field.label.to_lowercase().contains(&wanted)
    };
    let mut found: Vec<&RemoteField> = known.iter().filter(fits).collect();
    found.sort_by_key(|field| field.name != chosen);
    let more = found.len().saturating_sub(MOST);
    let is_listed = known.iter().any(|field| field.name == chosen);
    let columns = [
        "fields.column.chosen",
        "fields.column.field",
        "fields.column.type",
        "fields.column.samples",
    ];
    html! {
        div id="remote" {
            @if !chosen.is_empty() && !is_listed { input type="hidden" name="remote" value=(chosen); }
            @if found.is_empty() { p.muted { (texts.get("fields.not_found")) } }
            @else {
                div.table-wrap.mapping-fields tabindex="0" role="region" aria-label=(texts.get("fields.column.field")) {
                    table.list {
                        thead { tr { @for column in columns { th scope="col" { (texts.get(column)) } } } }
                        tbody {
                            @for (index, field) in found.iter().take(MOST).enumerate() {
                                tr {
                                    td { input type="radio" name="remote" id={ "remote-" (index) } value=(field.name) checked[field.name == chosen]; }
                                    td { label for={ "remote-" (index) } { (field.label)
                                        @if field.label != field.name { " " span.muted.mono { (field.name) } } } }
                                    td { (texts.get(type_key_of(field.data_type))) }
                                    td.muted { (short(&field.samples.join(", "))) }
                                }
                            }
                        }
                    }
                }
            }
            @if more > 0 { p.muted { (texts.with("fields.more", &[("count", &more.to_string())])) } }
        }
    }
}

/// What a mapping makes of records.
pub(super) fn tried(texts: &'static Texts, made: &Result<Vec<Previewed>, String>) -> Markup {
    let records = match made {
        Err(message) => return html! { p.error { (message) } },
        Ok(records) if records.is_empty() => {
            return html! { p.muted { (texts.get("fields.preview.empty")) } };
        }
        Ok(records) => records,
    };
    html! {
        (parts::table(texts.get("fields.preview"),
            &[texts.get("fields.preview.record"), texts.get("fields.preview.before"), texts.get("fields.preview.after")],
            &html! {
                @for record in records {
                    tr {
                        td.mono { (record.remote_id) }
                        td { @for value in record.sources.values() { (shown(value)) } }
                        td {
                            (shown(&record.mapped.value))
                            @if let Some(warning) = &record.mapped.warning { p.error { (warning) } }
                        }
                    }
                }
            }))
    }
}

fn shown(value: &Value) -> String {
    match value {
        Value::Null => "–".to_owned(),
        Value::String(text) => short(text),
        value => short(&value.to_string()),
    }
}

fn short(text: &str) -> String {
    let mut letters = text.chars();
    let mut shown: String = letters.by_ref().take(SHOWN).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

const fn type_key(data_type: DataType) -> &'static str {
    match data_type {
        DataType::String => "fields.type.string",
        DataType::Number => "fields.type.number",
        DataType::Boolean => "fields.type.boolean",
        DataType::Date => "fields.type.date",
        DataType::Datetime => "fields.type.datetime",
        DataType::List => "fields.type.list",
        DataType::Object => "fields.type.object",
    }
}

fn type_key_of(word: &str) -> &'static str {
    type_key(DataType::parse(word).unwrap_or(DataType::String))
}
