//! The settings of a connection that is there: a form of what its connector lets people choose.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{Router, extract::Path, http::StatusCode, response::Response, routing::get};
use maud::{Markup, html};

use super::{
    Form, Look,
    connection::Own,
    field::{Field, FieldKind},
};
use crate::{
    http::{self, Services},
    model::{Choice, Manifest, Setting, SettingType},
    unify::{self, SettingsChange},
    web::{
        self,
        parts::{self, Tone},
    },
};

/// How long a page waits for a provider that tells what can be chosen.
const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn routes() -> Router<Arc<Services>> {
    let at = "/connect/{token}/connections/{id}/settings";
    Router::new()
        .route(at, get(show).post(save))
        .route(&format!("{at}/{{setting}}"), get(one))
}

/// What was typed, and what is wrong with it.
#[derive(Default)]
struct Typed {
    values: Option<BTreeMap<String, String>>,
    wrong: BTreeMap<String, String>,
    failed: Option<String>,
}

async fn show(own: Own) -> Response {
    let made = page(&own, &Typed::default()).await;
    own.open.show(made)
}

async fn page(own: &Own, typed: &Typed) -> Result<Response, http::Error> {
    let texts = own.open.texts;
    let Some(version) = &own.version else {
        return Ok(own.open.to(&own.href("")));
    };
    let manifest = version.manifest();
    let vault = &own.open.services.vault;
    let held = vault.secret_settings(&own.scope, manifest).await?;
    let mut fields = Vec::with_capacity(manifest.settings.len());
    for setting in &manifest.settings {
        fields.push(row(own, setting, typed, &held).await?);
    }
    let has_values = manifest
        .settings
        .iter()
        .any(|setting| setting.kind != SettingType::FieldMapping);
    let body = html! {
        @if let Some(failed) = &typed.failed {
            (parts::alert(Tone::Bad, texts.get("settings.failed"), &html! { p { (failed) } }))
        } @else if !typed.wrong.is_empty() {
            (parts::alert(Tone::Bad, texts.get("settings.wrong"), &html! {}))
        }
        p { (texts.with("settings.lead", &[("connector", own.name())])) }
        form.form method="post" action=(own.href("/settings")) novalidate {
            @for field in &fields { (field) }
            div.row {
                @if has_values { button.button.primary type="submit" { (texts.get("settings.save")) } }
                a.button href=(own.href("")) { (texts.get("manage.cancel")) }
            }
        }
    };
    let look = Look {
        status: if typed.failed.is_some() || !typed.wrong.is_empty() {
            StatusCode::UNPROCESSABLE_ENTITY
        } else {
            StatusCode::OK
        },
        ..own.look()
    };
    let title = texts.with("settings.title", &[("connector", own.name())]);
    Ok(own.open.page_with(look, &title, &body))
}

/// `GET …/settings/{setting}`: one field again, after the provider did not answer.
async fn one(own: Own, Path(places): Path<BTreeMap<String, String>>) -> Response {
    let wanted = places.get("setting").map_or("", String::as_str);
    let manifest = own.version.as_ref().map(|version| version.manifest());
    let setting =
        manifest.and_then(|manifest| manifest.settings.iter().find(|one| one.id == wanted));
    let Some(setting) = setting else {
        return own.open.to(&own.href("/settings"));
    };
    match row(&own, setting, &Typed::default(), &[]).await {
        Ok(markup) => web::fragment(markup),
        Err(error) => own.open.show(Err(error)),
    }
}

async fn row(
    own: &Own,
    setting: &Setting,
    typed: &Typed,
    held: &[String],
) -> Result<Markup, http::Error> {
    if setting.kind == SettingType::FieldMapping {
        return mapping_row(own, setting).await;
    }
    let texts = own.open.texts;
    let wrong = typed.wrong.get(&setting.id).map(String::as_str);
    let stored = own.connection().settings.get(&setting.id);
    let value = match &typed.values {
        Some(values) => values.get(&setting.id),
        None => stored.or(setting.default.as_ref()),
    };
    let value = value.map(String::as_str);
    if setting.options_from.is_some() {
        return Ok(loaded_row(own, setting, value.unwrap_or_default(), wrong).await);
    }
    let has_secret = setting.kind == SettingType::Password && held.contains(&setting.id);
    let tooltip = setting.tooltip.as_deref().unwrap_or_default();
    let hint = if has_secret {
        format!("{tooltip} {}", texts.get("settings.secret_kept"))
    } else {
        tooltip.to_owned()
    };
    let field = Field {
        id: &setting.id,
        title: &setting.title,
        hint: hint.trim(),
        required: setting.required && !has_secret,
        kind: FieldKind::Setting(setting),
    };
    let value = value.filter(|_| setting.kind != SettingType::Password);
    Ok(field.show(texts, value, wrong))
}

/// A choice of what the provider has.
async fn loaded_row(own: &Own, setting: &Setting, value: &str, wrong: Option<&str>) -> Markup {
    let texts = own.open.texts;
    let unify = &own.open.services.unify;
    let loading = unify.setting_choices(&own.scope, &setting.id);
    let loaded: Result<Vec<Choice>, String> = if !own.may_ask() {
        Err(texts.get("fields.too_often").to_owned())
    } else {
        match tokio::time::timeout(PATIENCE, loading).await {
            Ok(loaded) => loaded.map_err(|error| error.to_string()),
            Err(_) => Err(texts.get("fields.late").to_owned()),
        }
    };
    let mut choices = vec![parts::Choice::new("", texts.get("field.choose"))];
    let known = loaded.as_deref().unwrap_or_default();
    choices.extend(
        known
            .iter()
            .map(|one| parts::Choice::new(&one.value, &one.label)),
    );
    // What is chosen stays, also where the provider does not say what it is called.
    if !value.is_empty() && !known.iter().any(|one| one.value == value) {
        choices.push(parts::Choice::new(value, value));
    }
    let id = format!("field-{}", setting.id);
    let again = own.href(&format!("/settings/{}", setting.id));
    let select = html! {
        (parts::select(&setting.id, &choices, value, wrong.is_some()))
        @if let Err(error) = &loaded {
            div.alert.warn role="alert" {
                strong { (texts.with("settings.not_loaded", &[("connector", own.name())])) }
                details { summary { (texts.get("manage.reason")) } p { (error) } }
                p {
                    a.button.small href=(own.href("/settings")) hx-get=(again)
                        hx-target={ "#" (id) } hx-swap="outerHTML" { (texts.get("settings.again")) }
                }
            }
        }
    };
    let title = match setting.required {
        true => setting.title.clone(),
        false => texts.with("field.optional", &[("field", &setting.title)]),
    };
    let hint = setting.tooltip.as_deref().unwrap_or_default();
    html! {
        div id=(id) { (parts::field(&setting.id, &title, hint, wrong, &select)) }
    }
}

/// The mapping of an object's custom fields, which has a page of its own.
async fn mapping_row(own: &Own, setting: &Setting) -> Result<Markup, http::Error> {
    let texts = own.open.texts;
    let Some(kind) = setting.object_kind() else {
        return Ok(Markup::default());
    };
    let offered = super::mapping::offered(own).await?;
    let fields: Vec<_> = offered.iter().filter(|field| field.kind == kind).collect();
    if fields.is_empty() {
        return Ok(Markup::default());
    }
    let store = &own.open.services.store;
    let mapped = store.effective_mappings(&own.scope, kind).await?;
    let done = fields
        .iter()
        .filter(|field| mapped.get(field.slug.as_str()).is_some())
        .count();
    let counts = [
        ("done", done.to_string()),
        ("count", fields.len().to_string()),
    ];
    let counts = counts
        .each_ref()
        .map(|(name, count)| (*name, count.as_str()));
    Ok(html! {
        div.field {
            p { strong { (setting.title) } }
            @if let Some(tooltip) = &setting.tooltip { p.hint { (tooltip) } }
            p.row {
                span { (texts.with("settings.mapped", &counts)) }
                a.button href=(own.href("/fields")) { (texts.get("manage.fields")) }
            }
        }
    })
}

async fn save(own: Own, Form(values): Form<BTreeMap<String, String>>) -> Response {
    let made = store(&own, values).await;
    own.open.show(made)
}

async fn store(own: &Own, values: BTreeMap<String, String>) -> Result<Response, http::Error> {
    let Some(version) = &own.version else {
        return Ok(own.open.to(&own.href("")));
    };
    let changes = changes(version.manifest(), &values);
    let changed = own
        .open
        .services
        .unify
        .update_settings(&own.scope, changes, &own.actor())
        .await;
    let mut typed = Typed {
        values: Some(values),
        ..Typed::default()
    };
    match changed {
        Ok(_) => return Ok(own.to_done("saved")),
        Err(unify::Error::Invalid(violations)) => {
            let settings = &version.manifest().settings;
            for violation in violations {
                let id = violation.path.trim_start_matches("/settings/").to_owned();
                let setting = settings.iter().find(|setting| setting.id == id);
                let message = setting.map_or(violation.message, |setting| {
                    wrong(own, setting, typed.values.as_ref())
                });
                typed.wrong.insert(id, message);
            }
        }
        Err(unify::Error::Conflict(_)) => {
            typed.failed = Some(own.open.texts.get("settings.conflict").to_owned());
        }
        Err(unify::Error::Store(error)) => return Err(error.into()),
        Err(error) => typed.failed = Some(error.to_string()),
    }
    page(own, &typed).await
}

/// What is wrong with a value, in the language of the page.
fn wrong(own: &Own, setting: &Setting, values: Option<&BTreeMap<String, String>>) -> String {
    let texts = own.open.texts;
    let field = Field {
        id: &setting.id,
        title: &setting.title,
        hint: "",
        required: setting.required,
        kind: FieldKind::Setting(setting),
    };
    let typed = values.and_then(|values| values.get(&setting.id));
    let typed = typed.map_or("", String::as_str);
    field
        .wrong(texts, typed)
        .unwrap_or_else(|| texts.with("field.select", &[("field", &setting.title)]))
}

/// What was sent, as a change: an empty field takes its setting away, but an empty password stays
/// what it was.
fn changes(manifest: &Manifest, values: &BTreeMap<String, String>) -> SettingsChange {
    let settings = manifest.settings.iter();
    settings
        .filter(|setting| setting.kind != SettingType::FieldMapping)
        .filter_map(|setting| {
            let value = values.get(&setting.id)?;
            let value = match setting.kind {
                SettingType::Password => value.clone(),
                SettingType::LongText => value.replace("\r\n", "\n"),
                _ => value.trim().to_owned(),
            };
            let value = Some(value).filter(|value| !value.is_empty());
            let stays = value.is_none() && setting.kind == SettingType::Password;
            (!stays).then(|| (setting.id.clone(), value))
        })
        .collect()
}
