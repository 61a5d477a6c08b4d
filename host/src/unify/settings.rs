//! Settings of a connection that is there: what can be chosen, what is missing, and new values.

use std::collections::BTreeMap;

use secrecy::SecretString;
use serde_json::json;

use super::{Error, Unify};
use crate::{
    egress::Priority,
    model::{
        AuditEntry, Choice, Connection, Manifest, Scope, Setting, SettingType, Trigger, Violation,
    },
    runtime::ConnectorVersion,
};

/// What is to change in a connection's settings, by id: a value, or none to take it away. What is
/// not named stays.
pub type SettingsChange = BTreeMap<String, Option<String>>;

impl Unify {
    /// What a setting with `options_from = "discovery"` can be set to, as the provider has it now.
    ///
    /// # Errors
    /// [`Error::InvalidSetting`] where the connector has no such setting; the connector or the
    /// provider fails.
    pub async fn setting_choices(
        &self,
        scope: &Scope,
        setting: &str,
    ) -> Result<Vec<Choice>, Error> {
        let version = self.version(&scope.connection().connector)?;
        let mut settings = version.manifest().settings.iter();
        let known = settings.find(|one| one.id == setting && one.options_from.is_some());
        if known.is_none() {
            let shown: String = setting.chars().take(80).collect();
            return Err(Error::InvalidSetting {
                field: "setting".to_owned(),
                message: format!("{shown:?} is no setting whose choices the provider knows"),
            });
        }
        self.choices_of(scope, &version, setting).await
    }

    async fn choices_of(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        setting: &str,
    ) -> Result<Vec<Choice>, Error> {
        let mut context = self.context(scope, version)?;
        context.priority = Priority::Interactive;
        match version.setting_choices(context, setting).await {
            Ok(choices) => Ok(choices),
            Err(error) => Err(self.failed(scope, error).await),
        }
    }

    /// Changes settings. Everything is checked before anything is stored; then all syncs read
    /// everything again, since settings may say what is read. `actor` is for the audit log. Gives
    /// the connection as it is now.
    ///
    /// # Errors
    /// [`Error::Invalid`] with all that is wrong, each at `/settings/<id>`; the provider does not
    /// tell what can be chosen; somebody else changes the settings at the same time.
    pub async fn update_settings(
        &self,
        scope: &Scope,
        changes: SettingsChange,
        actor: &str,
    ) -> Result<Scope, Error> {
        let version = self.version(&scope.connection().connector)?;
        let manifest = version.manifest();
        let mut settings = scope.connection().settings.clone();
        let mut secrets = BTreeMap::new();
        let mut problems = Vec::new();
        let names: Vec<String> = changes.keys().cloned().collect();
        for (id, value) in changes {
            let Some(setting) = manifest.settings.iter().find(|one| one.id == id) else {
                problems.push(problem(&id, unknown(manifest)));
                continue;
            };
            let value = value.filter(|value| !value.is_empty());
            if setting.kind == SettingType::FieldMapping {
                let title = &setting.title;
                let message = format!("{title} has no value: it is the mapping of custom fields");
                problems.push(problem(&id, message));
                continue;
            }
            match self.checked(scope, &version, setting, value).await? {
                Err(message) => problems.push(problem(&id, message)),
                Ok(value) if setting.kind == SettingType::Password => {
                    secrets.insert(id, value.map(SecretString::from));
                }
                Ok(Some(value)) => drop(settings.insert(id, value)),
                Ok(None) => drop(settings.remove(&id)),
            }
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        self.store_settings(scope, &settings, secrets, &names, actor)
            .await
    }

    async fn store_settings(
        &self,
        scope: &Scope,
        settings: &BTreeMap<String, String>,
        secrets: BTreeMap<String, Option<SecretString>>,
        names: &[String],
        actor: &str,
    ) -> Result<Scope, Error> {
        let connection = scope.connection();
        if *settings == connection.settings && secrets.is_empty() {
            return Ok(scope.clone());
        }
        let audit = AuditEntry {
            at: self.0.clock.now(),
            project: Some(scope.project()),
            actor: actor.to_owned(),
            action: "connection.settings".to_owned(),
            subject: connection.id.to_string(),
            details: json!({ "connector": connection.connector, "settings": names }),
        };
        if !self
            .0
            .store
            .change_settings(scope, settings, &audit)
            .await?
        {
            let text = "somebody else changed the settings of this connection just now; look at them and try again";
            return Err(Error::Conflict(text.to_owned()));
        }
        // Only now: who is told that nothing was saved has changed no password either, and no
        // password changes without an entry.
        if !secrets.is_empty() {
            self.0.vault.change_secret_settings(scope, &secrets).await?;
        }
        let found = self.0.store.scope_by_id(scope.project(), connection.id);
        let changed = found
            .await?
            .ok_or(crate::store::Error::Missing("connection"))?;
        for state in self.0.store.sync_states(&changed).await? {
            let asked = self
                .0
                .store
                .request_run(&changed, state.kind, Trigger::Manual, true);
            asked.await?;
        }
        self.0.work.notify_one();
        Ok(changed)
    }

    /// The value to store: what was sent, else the default; or what is wrong with it.
    async fn checked(
        &self,
        scope: &Scope,
        version: &ConnectorVersion,
        setting: &Setting,
        value: Option<String>,
    ) -> Result<Result<Option<String>, String>, Error> {
        let title = &setting.title;
        let Some(value) = value.or_else(|| setting.default.clone()) else {
            return Ok(if setting.required {
                Err(format!("{title} is needed"))
            } else {
                Ok(None)
            });
        };
        if let Err(message) = setting.check(&value) {
            return Ok(Err(message));
        }
        let is_new = scope.connection().settings.get(&setting.id) != Some(&value);
        if setting.options_from.is_some() && is_new {
            let choices = self.choices_of(scope, version, &setting.id).await?;
            if !choices.iter().any(|choice| choice.value == value) {
                return Ok(Err(format!(
                    "{title} must be one of the choices that the provider has now"
                )));
            }
        }
        Ok(Ok(Some(value)))
    }
}

/// The settings that a connection needs and does not have, among those that are asked after the
/// login. Mappings of fields are not looked at.
#[must_use]
pub fn missing_settings<'manifest>(
    manifest: &'manifest Manifest,
    connection: &Connection,
) -> Vec<&'manifest Setting> {
    let settings = manifest.settings.iter();
    settings
        .filter(|setting| setting.required && setting.options_from.is_some())
        .filter(|setting| !connection.settings.contains_key(&setting.id))
        .collect()
}

fn unknown(manifest: &Manifest) -> String {
    let known: Vec<&str> = manifest
        .settings
        .iter()
        .map(|setting| setting.id.as_str())
        .collect();
    if known.is_empty() {
        "is no setting: this connector has none".to_owned()
    } else {
        format!(
            "is no setting of this connector; it has {}",
            known.join(", ")
        )
    }
}

fn problem(id: &str, message: impl Into<String>) -> Violation {
    let id = id.replace('~', "~0").replace('/', "~1");
    Violation {
        path: format!("/settings/{id}"),
        message: message.into(),
    }
}
