//! Custom fields of a project, and where connectors find them.

mod edit;
mod map;

use std::{collections::BTreeMap, sync::Arc};

use axum::{
    Router,
    extract::Path,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desktop, ProjectDesk, Section, address::chosen};
use crate::{
    model::{CustomField, CustomFieldMapping, DataType, LinkedUserId, ObjectKind, Role},
    unify::{self, FieldDraft},
    web::{
        self, Form, Page, Query,
        parts::{self, Choice, Tone},
    },
};

const HERE: &str = "/dashboard/{project}/field-mappings";

pub(super) fn routes() -> Router<Arc<Desktop>> {
    let one = |rest: &str| format!("{HERE}/{{field}}{rest}");
    Router::new()
        .route(HERE, get(list).post(create))
        .route(&one(""), get(map::show))
        .route(&one("/edit"), post(edit::save))
        .route(&one("/mappings"), post(map::save))
        .route(&one("/mappings/{mapping}/delete"), post(map::delete))
        .route(&one("/delete"), post(delete))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    connector: String,
    user: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Typed {
    object: String,
    slug: String,
    data_type: String,
    description: String,
    linked_users_map: String,
}

async fn list(desk: ProjectDesk, Query(asked): Query<Asked>) -> Result<Response, web::Error> {
    page(&desk, &asked, &Typed::default(), &BTreeMap::new()).await
}

async fn create(desk: ProjectDesk, Form(typed): Form<Typed>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let unknown = || web::Error::invalid("There is no such object or type.");
    let draft = FieldDraft {
        kind: ObjectKind::parse(&typed.object).ok_or_else(unknown)?,
        slug: typed.slug.trim().to_owned(),
        description: typed.description.trim().to_owned(),
        data_type: data_type(&typed.data_type).ok_or_else(unknown)?,
        default: None,
        linked_users_map: typed.linked_users_map == "true",
    };
    match desk
        .services
        .unify
        .define_field(desk.project.id, draft)
        .await
    {
        Ok(field) => {
            audit(&desk, "custom_field.create", &field).await?;
            let href = desk.href(&format!("/field-mappings/{}", field.id));
            Ok(desk.done(
                "The field was made. Now say where connectors find it.",
                &href,
            ))
        }
        Err(unify::Error::Invalid(problems)) => {
            let problems = problems.into_iter();
            let problems =
                problems.map(|one| (one.path.trim_start_matches('/').to_owned(), one.message));
            page(&desk, &Asked::default(), &typed, &problems.collect()).await
        }
        Err(unify::Error::Conflict(_)) => {
            let text = format!("{} has a field of this name already.", typed.object);
            let problems = BTreeMap::from([("slug".to_owned(), text)]);
            page(&desk, &Asked::default(), &typed, &problems).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Writes into the audit log what was done with a field.
async fn audit(desk: &ProjectDesk, action: &str, field: &CustomField) -> Result<(), web::Error> {
    desk.audit(action, field.id, field.audited()).await
}

async fn delete(
    desk: ProjectDesk,
    Path((_, field)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let field = found(&desk, &field).await?;
    desk.services
        .unify
        .delete_field(desk.project.id, field.id)
        .await?;
    audit(&desk, "custom_field.delete", &field).await?;
    let message = "The field and its mappings were deleted. Its values leave the records.";
    Ok(desk.done(message, &desk.href("/field-mappings")))
}

fn data_type(text: &str) -> Option<DataType> {
    DataType::ALL
        .iter()
        .copied()
        .find(|one| one.as_str() == text)
}

async fn page(
    desk: &ProjectDesk,
    asked: &Asked,
    typed: &Typed,
    problems: &BTreeMap<String, String>,
) -> Result<Response, web::Error> {
    let store = &desk.services.store;
    let user = asked.user.parse::<LinkedUserId>().ok();
    let mut rows = Vec::new();
    for field in store.custom_fields(desk.project.id).await? {
        let mut mappings = store.mappings_of(desk.project.id, field.id).await?;
        mappings.retain(|one| {
            (asked.connector.is_empty() || one.connector.as_str() == asked.connector)
                && (user.is_none() || one.linked_user == user || one.linked_user.is_none())
        });
        rows.push((field, mappings));
    }
    let here = desk.href("/field-mappings");
    let columns = ["Field", "Object", "Type", "Found by"];
    let table = html! {
        @for (field, mappings) in &rows {
            tr {
                th scope="row" {
                    a.mono href={ (here) "/" (field.id) } { (field.slug) }
                    @if !field.description.is_empty() { div.muted { (field.description) } }
                }
                td { (field.kind.name()) }
                td { (field.data_type.as_str()) }
                td { (summary(mappings)) }
            }
        }
    };
    let body = html! {
        p { "Custom fields are what your application knows of a record beyond the unified object. A mapping says where a connector finds the value: for all linked users, or for one." }
        @if let Some(user) = user {
            p { "Mappings that hold for " a href=(desk.href(&format!("/linked-users/{user}"))) { "one linked user" } ". " a href=(here) { "Show all" } }
        }
        (filter_form(desk, asked, &here))
        @if rows.is_empty() {
            (parts::empty("No custom fields yet", "Make one below: choose the object and a name; then say where connectors find it.", None))
        } @else { (parts::table("Custom fields", &columns, &table)) }
        @if desk.is(Role::Developer) { (new_form(&here, typed, problems)) }
    };
    let status = match problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let document = Page::new("Field mappings").status(status);
    Ok(desk.page_with(document, Section::FieldMappings, body))
}

fn summary(mappings: &[CustomFieldMapping]) -> Markup {
    html! {
        @if mappings.is_empty() { (parts::badge(Tone::Warn, "not mapped")) }
        @for mapping in mappings {
            div {
                (mapping.connector) ": " code { (mapping.rules.remote_fields.join(", ")) }
                @if mapping.linked_user.is_some() { " " span.muted { "one linked user" } }
            }
        }
    }
}

fn filter_form(desk: &ProjectDesk, asked: &Asked, here: &str) -> Markup {
    let mut connectors = vec![Choice::new("", "all")];
    for version in desk.services.runtime.all_active() {
        let manifest = version.manifest();
        connectors.push(Choice::new(manifest.slug.to_string(), &manifest.name));
    }
    let connector = parts::select("connector", &connectors, &asked.connector, false);
    html! {
        form.form.filter method="get" action=(here) {
            (parts::field("connector", "Connector", "", None, &connector))
            @if chosen(&asked.user).is_some() { (parts::hidden("user", &asked.user)) }
            button.button type="submit" { "Filter" }
        }
    }
}

fn new_form(here: &str, typed: &Typed, problems: &BTreeMap<String, String>) -> Markup {
    let problem = |name: &str| problems.get(name).map(String::as_str);
    let objects: Vec<Choice> = ObjectKind::all()
        .map(|kind| Choice::new(kind.name(), kind.name()))
        .collect();
    let types: Vec<Choice> = DataType::ALL
        .iter()
        .map(|one| Choice::new(one.as_str(), one.as_str()))
        .collect();
    let object = match typed.object.as_str() {
        "" => "crm.contact",
        object => object,
    };
    html! {
        section.card {
            h2 { "New custom field" }
            form.form method="post" action=(here) {
                (parts::field("object", "Object", "", None, &parts::select("object", &objects, object, false)))
                (parts::field("slug", "Name", "As your application reads it: lower-case letters, digits and underscores, like favourite_dish", problem("slug"),
                    &parts::input("slug", "text", &typed.slug, true, problem("slug").is_some())))
                (parts::field("data_type", "Type", "", None, &parts::select("data_type", &types, &typed.data_type, false)))
                (parts::field("description", "Description", "For people", problem("description"),
                    &parts::input("description", "text", &typed.description, false, problem("description").is_some())))
                (parts::checkbox("linked_users_map", edit::OWN, typed.linked_users_map == "true"))
                button.button.primary type="submit" { "Make" }
            }
        }
    }
}

/// The custom field that a path names.
async fn found(desk: &ProjectDesk, id: &str) -> Result<CustomField, web::Error> {
    let field = match id.parse() {
        Ok(id) => {
            desk.services
                .store
                .custom_field(desk.project.id, id)
                .await?
        }
        Err(_) => None,
    };
    field.ok_or_else(|| web::Error::not_found("This project has no such custom field."))
}
