//! What can be changed of a custom field: its description, and who may map it.

use axum::{extract::Path, response::Response};
use maud::{Markup, html};
use serde::Deserialize;

use super::{audit, found, map};
use crate::{
    dashboard::ProjectDesk,
    model::{CustomField, Role},
    unify::{self, FieldChange},
    web::{self, Form, parts},
};

/// What the switch says with which customers get the field on their connect page.
pub(super) const OWN: &str = "Customers may map it themselves where they connect";

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Typed {
    description: String,
    linked_users_map: String,
}

pub(super) async fn save(
    desk: ProjectDesk,
    Path((_, field)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let field = found(&desk, &field).await?;
    let change = FieldChange {
        description: Some(typed.description.trim().to_owned()),
        linked_users_map: Some(typed.linked_users_map == "true"),
        ..FieldChange::default()
    };
    let unify = &desk.services.unify;
    match unify.change_field(desk.project.id, field.id, change).await {
        Ok(field) => {
            audit(&desk, "custom_field.change", &field).await?;
            let href = desk.href(&format!("/field-mappings/{}", field.id));
            Ok(desk.done("The field was saved.", &href))
        }
        Err(unify::Error::Invalid(problems)) => {
            let problem = problems.first().map(|one| one.message.as_str());
            let wrong = (&typed, problem.unwrap_or("This cannot be saved."));
            map::page(&desk, &field, &map::Asked::default(), Some(wrong)).await
        }
        Err(error) => Err(error.into()),
    }
}

/// The field's form, as it is or as it was typed.
pub(super) fn form(here: &str, field: &CustomField, wrong: Option<(&Typed, &str)>) -> Markup {
    let (description, own) = match wrong {
        Some((typed, _)) => (&typed.description, typed.linked_users_map == "true"),
        None => (&field.description, field.linked_users_map),
    };
    let problem = wrong.map(|(_, problem)| problem);
    html! {
        form.form method="post" action={ (here) "/edit" } {
            (parts::field("description", "Description", "For people; customers who map the field read it too", problem,
                &parts::input("description", "text", description, false, problem.is_some())))
            (parts::checkbox("linked_users_map", OWN, own))
            p.muted { "A customer’s own mapping goes before the one for all linked users, for that customer’s connections. Switched off, the mappings that customers made stay until you delete them." }
            button.button type="submit" { "Save the field" }
        }
    }
}
