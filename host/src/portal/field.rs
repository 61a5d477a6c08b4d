//! Fields of login forms, as manifests describe them, and what is wrong with what was typed.

use std::collections::BTreeMap;

use maud::{Markup, html};

use super::Texts;
use crate::{
    model::{AuthField, Connection, Manifest, Setting, SettingType, Variable, VariableType},
    web::parts::{self, Choice},
};

/// One field of a form.
pub(crate) struct Field<'a> {
    /// Its key, also the name and the id of the input.
    pub(crate) id: &'a str,
    /// Its label.
    pub(crate) title: &'a str,
    /// A hint.
    pub(crate) hint: &'a str,
    /// Whether it has to be typed.
    pub(crate) required: bool,
    /// What may be typed.
    pub(crate) kind: FieldKind<'a>,
}

/// What may be typed into a field.
#[derive(Clone, Copy)]
pub(crate) enum FieldKind<'a> {
    /// A part of a login; hidden or not.
    Login {
        /// Whether it is hidden.
        secret: bool,
    },
    /// A part of an address.
    Variable(&'a Variable),
    /// A setting.
    Setting(&'a Setting),
}

/// The fields of a login: what its address is made of, the login itself, settings that have to be
/// there or are secret. Everything else can be chosen later.
pub(super) fn of_login<'a>(manifest: &'a Manifest, login: &'a [AuthField]) -> Vec<Field<'a>> {
    let variables = manifest.variables.iter().map(|(id, variable)| Field {
        id,
        title: &variable.title,
        hint: variable.tooltip.as_deref().unwrap_or_default(),
        required: true,
        kind: FieldKind::Variable(variable),
    });
    let login = login.iter().map(|field| Field {
        id: field.id,
        title: &field.title,
        hint: "",
        // Providers that take a key as the user name expect an empty password.
        required: field.id != "password",
        kind: FieldKind::Login {
            secret: field.secret,
        },
    });
    let settings = manifest.settings.iter().filter(|setting| {
        setting.kind == SettingType::Password
            || (setting.required && setting.default.is_none() && !setting.is_after_login())
    });
    let settings = settings.map(|setting| Field {
        id: &setting.id,
        title: &setting.title,
        hint: setting.tooltip.as_deref().unwrap_or_default(),
        required: setting.required,
        kind: FieldKind::Setting(setting),
    });
    variables.chain(login).chain(settings).collect()
}

/// What stands in the fields at first: what a connection has that is logged in again.
pub(super) fn filled_in(again: Option<&Connection>) -> BTreeMap<String, String> {
    again.map_or_else(BTreeMap::new, |connection| connection.settings.clone())
}

impl Field<'_> {
    /// What is wrong with what was typed, a sentence.
    pub(crate) fn wrong(&self, texts: &'static Texts, typed: &str) -> Option<String> {
        let typed = typed.trim();
        let with = |key| Some(texts.with(key, &[("field", self.title)]));
        if typed.is_empty() {
            return self.required.then(|| with("field.needed")).flatten();
        }
        match self.kind {
            FieldKind::Login { .. } => None,
            FieldKind::Variable(variable) => {
                variable
                    .canonical(typed)
                    .is_err()
                    .then(|| match variable.kind {
                        VariableType::Url => with("field.address"),
                        VariableType::Host => with("field.host"),
                        VariableType::Label => with("field.label"),
                    })?
            }
            FieldKind::Setting(setting) => {
                setting.check(typed).is_err().then(|| match setting.kind {
                    SettingType::Number => with("field.number"),
                    SettingType::Url => with("field.url"),
                    SettingType::Email => with("field.email"),
                    SettingType::Select => with("field.select"),
                    SettingType::Boolean => with("field.boolean"),
                    SettingType::Text
                    | SettingType::LongText
                    | SettingType::Password
                    | SettingType::FieldMapping => with("field.line"),
                })?
            }
        }
    }

    /// The field with what was typed and what is wrong with it. Secrets are never filled in.
    pub(crate) fn show(
        &self,
        texts: &'static Texts,
        typed: Option<&str>,
        wrong: Option<&str>,
    ) -> Markup {
        let is_wrong = wrong.is_some();
        let input = |kind: &str| {
            parts::input(
                self.id,
                kind,
                typed.unwrap_or_default(),
                self.required,
                is_wrong,
            )
        };
        let input = match self.kind {
            FieldKind::Login { secret: true } => secret(texts, self, is_wrong),
            FieldKind::Login { secret: false } => input("text"),
            FieldKind::Variable(variable) => match variable.kind {
                VariableType::Url => input("url"),
                VariableType::Host | VariableType::Label => input("text"),
            },
            FieldKind::Setting(setting) => match setting.kind {
                SettingType::Text | SettingType::FieldMapping => input("text"),
                SettingType::Url => input("url"),
                SettingType::Email => input("email"),
                SettingType::Number => html! {
                    input id=(self.id) name=(self.id) type="text" inputmode="decimal" required[self.required]
                        value=(typed.or(setting.default.as_deref()).unwrap_or_default())
                        aria-describedby={ (self.id) "-hint" @if is_wrong { " " (self.id) "-error" } }
                        aria-invalid=[is_wrong.then_some("true")];
                },
                SettingType::LongText => {
                    parts::textarea(self.id, typed.unwrap_or_default(), self.required, is_wrong)
                }
                SettingType::Password => secret(texts, self, is_wrong),
                SettingType::Boolean => {
                    let choices = [
                        Choice::new("true", texts.get("yes")),
                        Choice::new("false", texts.get("no")),
                    ];
                    let chosen = typed.or(setting.default.as_deref()).unwrap_or("false");
                    parts::select(self.id, &choices, chosen, is_wrong)
                }
                SettingType::Select => {
                    let mut choices = vec![Choice::new("", texts.get("field.choose"))];
                    let options = setting.options.iter();
                    choices.extend(options.map(|option| Choice::new(option, option)));
                    let chosen = typed.or(setting.default.as_deref()).unwrap_or_default();
                    parts::select(self.id, &choices, chosen, is_wrong)
                }
            },
        };
        let optional = (!self.required && !matches!(self.kind, FieldKind::Login { .. }))
            .then(|| texts.with("field.optional", &[("field", self.title)]));
        parts::field(
            self.id,
            optional.as_deref().unwrap_or(self.title),
            self.hint,
            wrong,
            &input,
        )
    }
}

/// An input that hides what is typed, with a button that shows it.
fn secret(texts: &'static Texts, field: &Field<'_>, wrong: bool) -> Markup {
    html! {
        span.reveal {
            input id=(field.id) name=(field.id) type="password" required[field.required]
                autocomplete="off" spellcheck="false"
                aria-describedby={ (field.id) "-hint" @if wrong { " " (field.id) "-error" } }
                aria-invalid=[wrong.then_some("true")];
            button.button.small type="button" data-reveal=(field.id) aria-pressed="false"
                aria-label=(texts.with("show_field", &[("field", field.title)])) hidden { (texts.get("show")) }
        }
    }
}
