//! One custom field: its mappings, and making one by looking at what a provider has.

use axum::{extract::Path, http::StatusCode, response::Response};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{edit, found};
use crate::{
    dashboard::{ProjectDesk, Section, address::chosen},
    http,
    model::{CustomField, CustomFieldMapping, MappingRules, Role, Scope, Transform},
    store::ConnectionFilter,
    unify::{MappingDraft, Previewed, RemoteFields},
    web::{
        self, Form, Page, Query,
        parts::{self, Choice, Tone},
    },
};

/// Connections that are offered for looking.
const OFFERED: u32 = 100;
/// Records of a preview.
const SAMPLES: u32 = 5;

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    connection: String,
    remote: String,
    transforms: String,
}

impl Asked {
    fn rules(&self) -> Result<Option<MappingRules>, String> {
        let names = self.remote.split(',').filter_map(chosen);
        let names: Vec<String> = names.map(str::to_owned).collect();
        if names.is_empty() {
            return Ok(None);
        }
        let transforms = match chosen(&self.transforms) {
            None => Vec::new(),
            Some(text) => serde_json::from_str::<Vec<Transform>>(text)
                .map_err(|error| format!("This is no list of transforms: {error}."))?,
        };
        Ok(Some(MappingRules {
            remote_fields: names,
            transforms,
            default: None,
        }))
    }
}

#[derive(Debug, Deserialize)]
pub(super) struct Chosen {
    connection: String,
    remote: String,
    #[serde(default)]
    transforms: String,
    whom: String,
}

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, field)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Result<Response, web::Error> {
    let field = found(&desk, &field).await?;
    page(&desk, &field, &asked, None).await
}

/// The page of a field; `wrong` is what was typed of it, and what is wrong with that.
pub(super) async fn page(
    desk: &ProjectDesk,
    field: &CustomField,
    asked: &Asked,
    wrong: Option<(&edit::Typed, &str)>,
) -> Result<Response, web::Error> {
    let here = desk.href(&format!("/field-mappings/{}", field.id));
    let store = &desk.services.store;
    let mappings = store.mappings_of(desk.project.id, field.id).await?;
    let look = match desk.is(Role::Developer) {
        true => look(desk, field, asked, &here).await?,
        false => Markup::default(),
    };
    let body = html! {
        p { a href=(desk.href("/field-mappings")) { "All custom fields" } }
        section.card {
            h2 { "Field" }
            (parts::definition(&[
                ("Object", html! { (field.kind.name()) }),
                ("Type", html! { (field.data_type.as_str()) }),
                ("Description", html! { (field.description) }),
                ("Where there is none", html! {
                    @match &field.default { Some(value) => code { (value) }, None => "null" }
                }),
                ("Customers map it", html! {
                    @if field.linked_users_map { "yes, on their connect page" } @else { "no" }
                }),
            ]))
            @if desk.is(Role::Developer) {
                (edit::form(&here, field, wrong))
                (parts::post_button(&format!("{here}/delete"), "Delete the field", Tone::Bad, Some("Delete this field and its mappings? Its values leave the records here; the provider keeps them.")))
            }
        }
        section.card {
            h2 { "Mappings" }
            @if mappings.is_empty() { p.muted { "No connector knows yet where to find it." } }
            @else { (table(desk, &mappings, &here)) }
        }
        (look)
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let document = Page::new(field.slug.as_str()).status(status);
    Ok(desk.page_with(document, Section::FieldMappings, body))
}

fn table(desk: &ProjectDesk, mappings: &[CustomFieldMapping], here: &str) -> Markup {
    let mut columns = vec![
        "Connector",
        "For",
        "Provider's field",
        "Transforms",
        "Written back",
    ];
    if desk.is(Role::Developer) {
        columns.push("Actions");
    }
    let rows = html! {
        @for mapping in mappings {
            tr {
                th scope="row" { (mapping.connector) }
                td {
                    @match mapping.linked_user {
                        Some(user) => a href=(desk.href(&format!("/linked-users/{user}"))) { "one linked user" },
                        None => "all linked users",
                    }
                }
                td.mono { (mapping.rules.remote_fields.join(", ")) }
                td {
                    @if mapping.rules.transforms.is_empty() { span.muted { "none" } }
                    @for transform in &mapping.rules.transforms { code { (transform.name()) } " " }
                }
                td {
                    @match mapping.rules.one_way() {
                        Some(reason) => { (parts::badge(Tone::Neutral, "read only")) div.muted { "It " (reason) "." } },
                        None => (parts::badge(Tone::Good, "yes")),
                    }
                }
                @if desk.is(Role::Developer) {
                    td { (parts::post_button(&format!("{here}/mappings/{}/delete", mapping.id), "Delete", Tone::Bad, Some("Delete this mapping? Its values leave the records here."))) }
                }
            }
        }
    };
    parts::table("Mappings", &columns, &rows)
}

/// Choosing a connection, one of its provider's fields, and seeing what comes of it.
async fn look(
    desk: &ProjectDesk,
    field: &CustomField,
    asked: &Asked,
    here: &str,
) -> Result<Markup, web::Error> {
    let store = &desk.services.store;
    let filter = ConnectionFilter {
        limit: OFFERED,
        ..ConnectionFilter::default()
    };
    let rows = store.connection_page(desk.project.id, &filter).await?;
    let mut choices = vec![Choice::new("", "choose")];
    for row in &rows {
        let connection = &row.connection;
        let active = desk.services.runtime.active(&connection.connector);
        let serves = active.is_some_and(|one| one.manifest().object(field.kind).is_some());
        if serves {
            let account = connection.account_name.as_deref().unwrap_or("account");
            let label = format!(
                "{} · {account} · {}",
                connection.connector, row.linked_user.alias
            );
            choices.push(Choice::new(connection.id.to_string(), label));
        }
    }
    let scope = match asked.connection.parse() {
        Ok(id) => store.scope_by_id(desk.project.id, id).await?,
        Err(_) => None,
    };
    let rest = match &scope {
        Some(scope) => provider(desk, field, scope, asked, here).await,
        None => Markup::default(),
    };
    let connection = parts::select("connection", &choices, &asked.connection, false);
    Ok(html! {
        section.card {
            h2 { "Map it" }
            @if choices.len() == 1 {
                (parts::empty("Nothing to look at", "Connect an account whose connector serves this object: its fields can be chosen then.", None))
            } @else {
                form.form.filter method="get" action=(here) {
                    (parts::field("connection", "Look at", "A connection whose provider's fields are shown", None, &connection))
                    button.button type="submit" { "Show its fields" }
                }
            }
            (rest)
        }
    })
}

async fn provider(
    desk: &ProjectDesk,
    field: &CustomField,
    scope: &Scope,
    asked: &Asked,
    here: &str,
) -> Markup {
    let unify = &desk.services.unify;
    let fields = match unify.remote_fields(scope, field.kind).await {
        Ok(fields) => fields,
        Err(error) => {
            let error = http::Error::from(error);
            let text = html! { p { (error.detail()) } p { (error.code().help_on_pages()) } };
            return parts::alert(Tone::Bad, "The fields cannot be shown", &text);
        }
    };
    let rules = asked.rules();
    let wrong = rules.as_ref().err().cloned();
    let preview = match &rules {
        Ok(Some(rules)) => {
            let shown = unify.preview(scope, field.kind, field.data_type, rules, &[], SAMPLES);
            match shown.await {
                Ok(found) => previewed(&found),
                Err(error) => {
                    let error = http::Error::from(error);
                    let text = html! { p { (error.detail()) } };
                    parts::alert(Tone::Bad, "This mapping does not work", &text)
                }
            }
        }
        _ => Markup::default(),
    };
    html! {
        (choose(asked, &fields, here, wrong.as_deref()))
        (preview)
        @if let Ok(Some(_)) = &rules { (save_forms(scope, asked, here)) }
    }
}

fn choose(asked: &Asked, fields: &RemoteFields, here: &str, wrong: Option<&str>) -> Markup {
    let transforms = parts::textarea("transforms", &asked.transforms, false, wrong.is_some());
    html! {
        form.form method="get" action=(here) {
            (parts::hidden("connection", &asked.connection))
            div.field {
                label for="remote" { "Provider's field" }
                input id="remote" name="remote" value=(asked.remote) list="remote-fields" required aria-describedby="remote-hint";
                p.hint id="remote-hint" {
                    @if fields.discovered { "As the provider tells." }
                    @else { "Places in stored documents: the connector cannot ask the provider. They can be read only." }
                    " Several with commas between, where a transform joins them."
                }
                datalist id="remote-fields" {
                    @for one in &fields.fields { option value=(one.name) { (one.label) " · " (one.data_type) } }
                }
            }
            (parts::field("transforms", "Transforms", "A JSON list, such as [{\"type\": \"trim\"}]; empty for none", wrong, &transforms))
            button.button type="submit" { "Preview" }
        }
        details {
            summary { "All fields of the provider (" (fields.fields.len()) ")" }
            (parts::table("Fields of the provider", &["Field", "Name", "Type", "Values now"], &html! {
                @for one in &fields.fields {
                    tr {
                        th.mono scope="row" { (one.name) }
                        td { (one.label) }
                        td { (one.data_type) }
                        td { (one.samples.join(", ")) }
                    }
                }
            }))
        }
    }
}

fn previewed(found: &[Previewed]) -> Markup {
    if found.is_empty() {
        return html! { p.muted { "There are no stored records to try it on yet." } };
    }
    let rows = html! {
        @for one in found {
            tr {
                th.mono scope="row" { (one.remote_id) }
                td { @for (name, value) in &one.sources { div { code { (name) } " " (value) } } }
                td { code { (one.mapped.value) } }
                td { @if let Some(warning) = &one.mapped.warning { (parts::badge(Tone::Warn, "look")) " " (warning) } }
            }
        }
    };
    html! {
        h3 { "What it makes of stored records" }
        (parts::table("Preview", &["Record", "Provider has", "Field becomes", "Note"], &rows))
    }
}

fn save_forms(scope: &Scope, asked: &Asked, here: &str) -> Markup {
    let connection = scope.connection();
    let all = format!("Map for all linked users of {}", connection.connector);
    let fields = |whom: &'static str| {
        [
            ("connection", asked.connection.clone()),
            ("remote", asked.remote.clone()),
            ("transforms", asked.transforms.clone()),
            ("whom", whom.to_owned()),
        ]
    };
    let button = |label: &str, tone, whom: &'static str| {
        let fields = fields(whom);
        let fields: Vec<(&str, &str)> = fields
            .iter()
            .map(|(name, value)| (*name, value.as_str()))
            .collect();
        parts::post_button_with(&format!("{here}/mappings"), label, tone, None, &fields)
    };
    html! {
        div.row {
            (button(&all, Tone::Info, "all"))
            (button("Map for this linked user only", Tone::Neutral, "one"))
        }
        p.muted { "It takes the place of the mapping that there may be. Stored records get their values in the background." }
    }
}

pub(super) async fn save(
    desk: ProjectDesk,
    Path((_, field)): Path<(String, String)>,
    Form(typed): Form<Chosen>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let field = found(&desk, &field).await?;
    let gone = || web::Error::not_found("This project has no such connection.");
    let id = typed.connection.parse().map_err(|_| gone())?;
    let scope = desk.services.store.scope_by_id(desk.project.id, id).await?;
    let scope = scope.ok_or_else(gone)?;
    let asked = Asked {
        connection: typed.connection,
        remote: typed.remote,
        transforms: typed.transforms,
    };
    let rules = asked.rules().map_err(web::Error::invalid)?;
    let rules = rules.ok_or_else(|| web::Error::invalid("No field of the provider is chosen."))?;
    let connection = scope.connection();
    let draft = MappingDraft {
        connector: connection.connector.clone(),
        linked_user: (typed.whom == "one").then_some(connection.linked_user),
        rules,
    };
    let unify = &desk.services.unify;
    let mapping = unify.put_mapping(desk.project.id, field.id, &draft).await?;
    desk.audit("field_mapping.set", mapping.id, mapping.audited())
        .await?;
    let message = "The field is mapped. Stored records get their values in the background.";
    Ok(desk.done(
        message,
        &desk.href(&format!("/field-mappings/{}", field.id)),
    ))
}

pub(super) async fn delete(
    desk: ProjectDesk,
    Path((_, field, mapping)): Path<(String, String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let field = found(&desk, &field).await?;
    let gone = |_| web::Error::not_found("This field has no such mapping.");
    let mapping = mapping.parse().map_err(gone)?;
    let unify = &desk.services.unify;
    unify
        .delete_mapping(desk.project.id, field.id, mapping)
        .await?;
    let details = json!({ "field": field.id });
    desk.audit("field_mapping.delete", mapping, details).await?;
    let href = desk.href(&format!("/field-mappings/{}", field.id));
    Ok(desk.done(
        "The mapping was deleted. Its values leave the records.",
        &href,
    ))
}
