//! Changing the settings of a connection.

use std::{collections::BTreeMap, time::Duration};

use axum::{extract::Path, http::StatusCode, response::Response};
use maud::{Markup, html};

use super::found;
use crate::{
    dashboard::{ProjectDesk, Section},
    model::{Role, Scope, Setting, SettingType},
    runtime::ConnectorVersion,
    unify,
    web::{
        self, Form, Page,
        parts::{self, Choice},
    },
};

/// How long a page waits for what a provider lists.
const PATIENCE: Duration = Duration::from_secs(10);

type Typed = BTreeMap<String, String>;

pub(super) async fn show(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
) -> Result<Response, web::Error> {
    let scope = found(&desk, &id).await?;
    let values = scope.connection().settings.clone();
    form(&desk, &scope, &values, &BTreeMap::new()).await
}

pub(super) async fn save(
    desk: ProjectDesk,
    Path((_, id)): Path<(String, String)>,
    Form(typed): Form<Typed>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let scope = found(&desk, &id).await?;
    let version = serving(&desk, &scope)?;
    let settings = version.manifest().settings.iter();
    let changes = settings.filter_map(|setting| {
        let typed = typed.get(&field(setting)).cloned();
        let value = match setting.kind {
            SettingType::FieldMapping => return None,
            // Never shown, so nothing typed changes nothing.
            SettingType::Password => Some(typed.filter(|text| !text.is_empty())?),
            SettingType::Boolean => Some(typed.unwrap_or_else(|| "false".to_owned())),
            _ => typed.filter(|text| !text.is_empty()),
        };
        Some((setting.id.clone(), value))
    });
    let changes = changes.collect();
    let saved = desk
        .services
        .unify
        .update_settings(&scope, changes, &desk.actor())
        .await;
    match saved {
        Ok(_) => {
            let href = desk.href(&format!("/connections/{}", scope.connection().id));
            let message = "The settings were saved. All syncs read everything again.";
            Ok(desk.done(message, &href))
        }
        Err(unify::Error::Invalid(problems)) => {
            let problems = problems.into_iter().map(|problem| {
                let id = problem.path.rsplit('/').next().unwrap_or_default();
                (id.to_owned(), problem.message)
            });
            let values = typed.into_iter().filter_map(|(name, value)| {
                Some((name.strip_prefix("setting-")?.to_owned(), value))
            });
            form(&desk, &scope, &values.collect(), &problems.collect()).await
        }
        Err(error) => Err(error.into()),
    }
}

fn field(setting: &Setting) -> String {
    format!("setting-{}", setting.id)
}

fn serving(
    desk: &ProjectDesk,
    scope: &Scope,
) -> Result<std::sync::Arc<ConnectorVersion>, web::Error> {
    let active = desk.services.runtime.active(&scope.connection().connector);
    active.ok_or_else(|| {
        web::Error::invalid("The connector does not serve now, so its settings are not known.")
    })
}

async fn form(
    desk: &ProjectDesk,
    scope: &Scope,
    values: &Typed,
    problems: &Typed,
) -> Result<Response, web::Error> {
    let version = serving(desk, scope)?;
    let mut fields = Vec::new();
    for setting in &version.manifest().settings {
        let problem = problems.get(&setting.id).map(String::as_str);
        fields.push(one(desk, scope, setting, values, problem).await);
    }
    let here = desk.href(&format!("/connections/{}", scope.connection().id));
    let body = html! {
        p { a href=(here) { "Back to the connection" } }
        form.form.card method="post" action={ (here) "/settings" } {
            @for field in &fields { (field) }
            @if desk.is(Role::Developer) { button.button.primary type="submit" { "Save" } }
            @else { p.muted { "You may look at settings, not change them." } }
        }
    };
    let status = match problems.is_empty() {
        true => StatusCode::OK,
        false => StatusCode::UNPROCESSABLE_ENTITY,
    };
    let page = Page::new("Settings of the connection").status(status);
    Ok(desk.page_with(page, Section::Connections, body))
}

async fn one(
    desk: &ProjectDesk,
    scope: &Scope,
    setting: &Setting,
    values: &Typed,
    problem: Option<&str>,
) -> Markup {
    let (id, wrong) = (field(setting), problem.is_some());
    let value = values.get(&setting.id).or(setting.default.as_ref());
    let value = value.map(String::as_str).unwrap_or_default();
    let mut hint = setting.tooltip.clone().unwrap_or_default();
    let input = match setting.kind {
        SettingType::FieldMapping => {
            let href = desk.href("/field-mappings");
            return html! { p { (setting.title) ": " a href=(href) { "field mappings" } } };
        }
        SettingType::LongText => parts::textarea(&id, value, setting.required, wrong),
        SettingType::Number => parts::input(&id, "text", value, setting.required, wrong),
        SettingType::Url => parts::input(&id, "url", value, setting.required, wrong),
        SettingType::Email => parts::input(&id, "email", value, setting.required, wrong),
        SettingType::Text => parts::input(&id, "text", value, setting.required, wrong),
        SettingType::Boolean => {
            return html! { div.field {
                (parts::checkbox(&id, &setting.title, value == "true"))
                @if !hint.is_empty() { p.hint { (hint) } }
                @if let Some(problem) = problem { p.error { (problem) } }
            } };
        }
        SettingType::Password => {
            hint.push_str(" It is never shown; leave it empty to keep what is there.");
            parts::secret_input(&id, false, wrong)
        }
        SettingType::Select => {
            let listed = setting.options.iter();
            let mut choices: Vec<Choice> =
                listed.map(|option| Choice::new(option, option)).collect();
            // Who may only look makes no requests to a provider.
            if setting.options_from.is_some() && desk.is(Role::Developer) {
                let asking = desk.services.unify.setting_choices(scope, &setting.id);
                match tokio::time::timeout(PATIENCE, asking).await {
                    Err(_) => {
                        let seconds = PATIENCE.as_secs();
                        hint = format!(
                            "The provider has not told in {seconds} seconds what can be chosen."
                        );
                    }
                    Ok(Ok(found)) => choices.extend(
                        found
                            .into_iter()
                            .map(|one| Choice::new(one.value, one.label)),
                    ),
                    Ok(Err(error)) => {
                        hint = format!("The provider does not tell what can be chosen: {error}.");
                    }
                }
            }
            if !setting.required || value.is_empty() {
                choices.insert(0, Choice::new("", "none"));
            }
            if !choices.iter().any(|choice| choice.value == value) {
                choices.push(Choice::new(value, value));
            }
            parts::select(&id, &choices, value, wrong)
        }
    };
    parts::field(&id, &setting.title, &hint, problem, &input)
}
