//! The file as TOML reads it, before anything is checked.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use serde::{
    Deserialize, Deserializer,
    de::{MapAccess, Visitor},
};

use super::{
    ApiKeyPlace, AuthKind, AuthScheme, ClientAuthentication, FullPass, HttpRule, MAX_ICON,
    MAX_MEMORY_MIB, ManifestError, OAuthClient, ObjectSupport, PushOperation, RateLimits, Retry,
    Setting, SettingType, Template, Variable, VariableType, Webhooks, WriteSafety,
};
use crate::model::{ObjectKind, Slug, nearest};

/// The longest name, in characters: it stands on buttons.
const LONGEST_NAME: usize = 100;
const OPERATIONS: [&str; 4] = ["read", "create", "update", "delete"];

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Manifest {
    slug: Slug,
    name: String,
    version: semver::Version,
    description: String,
    #[serde(default)]
    overview: String,
    icon: Option<String>,
    accent_color: Option<String>,
    licence: Option<String>,
    source: Option<String>,
    #[serde(default)]
    variables: BTreeMap<String, Variable>,
    endpoints: BTreeMap<String, Endpoint>,
    auth: Ordered<Auth>,
    #[serde(default)]
    settings: Vec<Setting>,
    objects: Ordered<Object>,
    webhooks: Option<Webhooks>,
    rate_limit: Option<RateLimits>,
    #[serde(default)]
    retry: Retry,
    permissions: Permissions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Endpoint {
    production: String,
    sandbox: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, rename_all = "lowercase")]
enum Place {
    Header,
    Query,
    Cookie,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum ClientStyle {
    Body,
    Basic,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields, tag = "type", rename_all = "snake_case")]
enum Auth {
    #[serde(rename = "oauth2_code")]
    OAuth2Code {
        title: String,
        authorize_url: String,
        token_url: String,
        revoke_url: Option<String>,
        #[serde(default)]
        scopes: Vec<String>,
        scope_separator: Option<String>,
        #[serde(default = "yes")]
        pkce: bool,
        client_authentication: Option<ClientStyle>,
        #[serde(default)]
        authorize_parameters: BTreeMap<String, String>,
        #[serde(default)]
        token_parameters: BTreeMap<String, String>,
    },
    #[serde(rename = "oauth2_client_credentials")]
    OAuth2ClientCredentials {
        title: String,
        token_url: String,
        revoke_url: Option<String>,
        #[serde(default)]
        scopes: Vec<String>,
        scope_separator: Option<String>,
        client_authentication: Option<ClientStyle>,
        #[serde(default)]
        token_parameters: BTreeMap<String, String>,
    },
    ApiKey {
        title: String,
        #[serde(rename = "in")]
        place: Place,
        name: String,
        #[serde(default)]
        prefix: String,
        api_key_label: Option<String>,
    },
    Basic {
        title: String,
        username_label: Option<String>,
        password_label: Option<String>,
    },
    Bearer {
        title: String,
        access_token_label: Option<String>,
    },
}

const fn yes() -> bool {
    true
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Object {
    operations: Vec<String>,
    fields: Vec<String>,
    #[serde(default)]
    incremental: bool,
    #[serde(default)]
    look_back: u32,
    #[serde(default)]
    full_pass: FullPass,
    since_granularity: Option<u32>,
    history_days: Option<u32>,
    result_cap: Option<u32>,
    #[serde(default)]
    write_safety: WriteSafety,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Permissions {
    http: Vec<String>,
    #[serde(default)]
    secrets: Vec<String>,
    #[serde(default = "default_memory")]
    memory_mib: u32,
}

const fn default_memory() -> u32 {
    64
}

/// A table in the order of the file.
struct Ordered<T>(Vec<(String, T)>);

impl<'de, T: Deserialize<'de>> Deserialize<'de> for Ordered<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Entries<T>(PhantomData<T>);
        impl<'de, T: Deserialize<'de>> Visitor<'de> for Entries<T> {
            type Value = Ordered<T>;
            fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str("a table")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut entries = Vec::new();
                while let Some(entry) = map.next_entry()? {
                    entries.push(entry);
                }
                Ok(Ordered(entries))
            }
        }
        deserializer.deserialize_map(Entries(PhantomData))
    }
}

impl Manifest {
    pub(super) fn check(self) -> Result<super::Manifest, ManifestError> {
        for (name, variable) in &self.variables {
            identifier(&format!("variables.{name}"), name)?;
            not_empty(&format!("variables.{name}.title"), &variable.title)?;
        }
        not_empty("name", &self.name)?;
        if self.name.chars().count() > LONGEST_NAME {
            let message = format!("has more than {LONGEST_NAME} characters");
            return Err(ManifestError::value("name", message));
        }
        not_empty("description", &self.description)?;
        if let Some(icon) = &self.icon {
            check_icon(icon)?;
        }
        if let Some(color) = &self.accent_color {
            check_color(color)?;
        }
        if let Some(source) = &self.source
            && url::Url::parse(source).is_err()
        {
            return Err(ManifestError::value("source", "is not a URL"));
        }
        let variables = &self.variables;
        let template = |key: String, text: &str| template(&key, text, variables);
        let endpoints = self
            .endpoints
            .iter()
            .map(|(name, endpoint)| {
                let key = format!("endpoints.{name}");
                identifier(&key, name)?;
                let base = |word: &str, text: &str| {
                    let key = format!("{key}.{word}");
                    let scheme = ["https://", "http://", "{"];
                    if !scheme.iter().any(|scheme| text.starts_with(scheme)) {
                        let message = format!(
                            "is {text:?}, but must be an address like \"https://api.example.com\", or begin with a variable"
                        );
                        return Err(ManifestError::value(key, message));
                    }
                    template(key, text)
                };
                let sandbox = endpoint.sandbox.as_deref();
                let endpoint = super::Endpoint {
                    production: base("production", &endpoint.production)?,
                    sandbox: sandbox.map(|text| base("sandbox", text)).transpose()?,
                };
                Ok((name.clone(), endpoint))
            })
            .collect::<Result<_, ManifestError>>()?;
        if self.auth.0.is_empty() {
            return Err(ManifestError::value("auth", "has no scheme"));
        }
        let typed_hosts = variables
            .iter()
            .filter(|(_, variable)| variable.kind != VariableType::Label);
        let typed_hosts: Vec<String> = typed_hosts.map(|(name, _)| name.clone()).collect();
        let auth = self
            .auth
            .0
            .into_iter()
            .map(|(name, auth)| {
                identifier(&format!("auth.{name}"), &name)?;
                auth.check(name, &typed_hosts, &template)
            })
            .collect::<Result<Vec<_>, _>>()?;
        if self.objects.0.is_empty() {
            return Err(ManifestError::value("objects", "has no object"));
        }
        let objects = self
            .objects
            .0
            .into_iter()
            .map(|(name, object)| object.check(&name))
            .collect::<Result<Vec<_>, _>>()?;
        let mut settings_seen: Vec<&str> = self.variables.keys().map(String::as_str).collect();
        for setting in &self.settings {
            check_setting(setting, &objects)?;
            if settings_seen.contains(&setting.id.as_str()) {
                let key = format!("settings.{}", setting.id);
                return Err(ManifestError::value(key, "is there twice"));
            }
            settings_seen.push(&setting.id);
        }
        let permissions = self.permissions.check(&auth, variables)?;
        let rate_limit = self.rate_limit.map(|limits| limits.check(&endpoints));
        let rate_limit = rate_limit.transpose()?;
        Ok(super::Manifest {
            slug: self.slug,
            name: self.name,
            version: self.version,
            description: self.description,
            overview: self.overview,
            icon: self.icon,
            accent_color: self.accent_color,
            licence: self.licence,
            source: self.source,
            variables: self.variables.clone(),
            endpoints,
            auth,
            settings: self.settings,
            objects,
            webhooks: self.webhooks.map(Webhooks::check).transpose()?,
            rate_limit,
            retry: self.retry.check()?,
            permissions,
        })
    }
}

impl Auth {
    fn check(
        self,
        name: String,
        typed_hosts: &[String],
        template: &dyn Fn(String, &str) -> Result<Template, ManifestError>,
    ) -> Result<AuthScheme, ManifestError> {
        let key = |key: &str| format!("auth.{name}.{key}");
        let client = |token_url: &str,
                      revoke_url: Option<&str>,
                      scopes: Vec<String>,
                      scope_separator: Option<String>,
                      style: Option<ClientStyle>,
                      token_parameters: BTreeMap<String, String>| {
            Ok::<_, ManifestError>(OAuthClient {
                token_url: template(key("token_url"), token_url)?,
                revoke_url: revoke_url
                    .map(|text| template(key("revoke_url"), text))
                    .transpose()?,
                typed_hosts: typed_hosts.to_vec(),
                scopes,
                scope_separator: scope_separator.unwrap_or_else(|| " ".to_owned()),
                client_authentication: match style {
                    Some(ClientStyle::Basic) => ClientAuthentication::Basic,
                    Some(ClientStyle::Body) | None => ClientAuthentication::Body,
                },
                token_parameters,
            })
        };
        let (title, kind) = match self {
            Self::OAuth2Code {
                title,
                authorize_url,
                token_url,
                revoke_url,
                scopes,
                scope_separator,
                pkce,
                client_authentication,
                authorize_parameters,
                token_parameters,
            } => (
                title,
                AuthKind::OAuth2Code {
                    authorize_url: template(key("authorize_url"), &authorize_url)?,
                    pkce,
                    authorize_parameters,
                    client: client(
                        &token_url,
                        revoke_url.as_deref(),
                        scopes,
                        scope_separator,
                        client_authentication,
                        token_parameters,
                    )?,
                },
            ),
            Self::OAuth2ClientCredentials {
                title,
                token_url,
                revoke_url,
                scopes,
                scope_separator,
                client_authentication,
                token_parameters,
            } => (
                title,
                AuthKind::OAuth2ClientCredentials {
                    client: client(
                        &token_url,
                        revoke_url.as_deref(),
                        scopes,
                        scope_separator,
                        client_authentication,
                        token_parameters,
                    )?,
                },
            ),
            Self::ApiKey {
                title,
                place,
                name: parameter,
                prefix,
                api_key_label,
            } => {
                not_empty(&key("name"), &parameter)?;
                let kind = AuthKind::ApiKey {
                    place: match place {
                        Place::Header => ApiKeyPlace::Header,
                        Place::Query => ApiKeyPlace::Query,
                        Place::Cookie => ApiKeyPlace::Cookie,
                    },
                    name: parameter,
                    prefix,
                    label: api_key_label.unwrap_or_else(|| "API key".to_owned()),
                };
                (title, kind)
            }
            Self::Basic {
                title,
                username_label,
                password_label,
            } => {
                let kind = AuthKind::Basic {
                    username_label: username_label.unwrap_or_else(|| "User name".to_owned()),
                    password_label: password_label.unwrap_or_else(|| "Password".to_owned()),
                };
                (title, kind)
            }
            Self::Bearer {
                title,
                access_token_label,
            } => {
                let kind = AuthKind::Bearer {
                    label: access_token_label.unwrap_or_else(|| "Access token".to_owned()),
                };
                (title, kind)
            }
        };
        not_empty(&key("title"), &title)?;
        Ok(AuthScheme { name, title, kind })
    }
}

impl Object {
    fn check(self, name: &str) -> Result<ObjectSupport, ManifestError> {
        let key = format!("objects.{name:?}");
        let kind = ObjectKind::parse(name).ok_or_else(|| {
            let known = ObjectKind::all().map(ObjectKind::name);
            ManifestError::value(&key, format!("is no known object{}", meant(name, known)))
        })?;
        let look_back = Some(self.look_back).filter(|seconds| *seconds > 0);
        for (name, value, most) in [
            ("look_back", look_back, 2_592_000),
            ("since_granularity", self.since_granularity, 86_400),
            ("history_days", self.history_days, 3_650),
            ("result_cap", self.result_cap, 10_000_000),
        ] {
            let Some(value) = value else { continue };
            let key = format!("{key}.{name}");
            if !self.incremental {
                let message = "says something about `since`, which needs incremental = true";
                return Err(ManifestError::value(key, message));
            }
            if !(1..=most).contains(&value) {
                let message = format!("is {value}, but must be from 1 to {most}");
                return Err(ManifestError::value(key, message));
            }
        }
        let mut support = ObjectSupport {
            kind,
            read: false,
            push: Vec::new(),
            fields: Vec::new(),
            incremental: self.incremental,
            look_back: self.look_back,
            full_pass: self.full_pass,
            since_granularity: self.since_granularity,
            history_days: self.history_days,
            result_cap: self.result_cap,
            write_safety: self.write_safety,
        };
        for operation in &self.operations {
            match operation.as_str() {
                "read" => support.read = true,
                "create" => support.push.push(PushOperation::Create),
                "update" => support.push.push(PushOperation::Update),
                "delete" => support.push.push(PushOperation::Delete),
                other => {
                    return Err(ManifestError::value(
                        format!("{key}.operations"),
                        format!(
                            "{other:?} is not one of {}{}",
                            OPERATIONS.join(", "),
                            meant(other, OPERATIONS)
                        ),
                    ));
                }
            }
        }
        if !support.read {
            return Err(ManifestError::value(
                format!("{key}.operations"),
                "lacks \"read\": what cannot be read cannot be served",
            ));
        }
        for field in self.fields {
            if kind.spec().property(&field).is_none() {
                return Err(ManifestError::value(
                    format!("{key}.fields"),
                    format!(
                        "{name} has no field {field:?}{}",
                        meant(
                            &field,
                            kind.spec().properties.iter().map(|one| one.name.as_str())
                        )
                    ),
                ));
            }
            support.fields.push(field);
        }
        Ok(support)
    }
}

impl Permissions {
    fn check(
        self,
        auth: &[AuthScheme],
        variables: &BTreeMap<String, Variable>,
    ) -> Result<super::Permissions, ManifestError> {
        let http = self
            .http
            .iter()
            .map(|text| {
                let rule = HttpRule::parse(text)
                    .map_err(|error| ManifestError::value("permissions.http", error.to_string()))?;
                for name in rule.variables() {
                    known_variable("permissions.http", name, variables)?;
                }
                Ok(rule)
            })
            .collect::<Result<_, ManifestError>>()?;
        for secret in &self.secrets {
            let of_scheme = auth
                .iter()
                .any(|scheme| scheme.fields().iter().any(|field| field.id == secret));
            let is_token =
                secret == "access_token" && auth.iter().any(|scheme| scheme.oauth().is_some());
            if !of_scheme && !is_token {
                return Err(ManifestError::value(
                    "permissions.secrets",
                    format!("{secret:?} is not a field of any scheme under [auth]"),
                ));
            }
        }
        if !(1..=MAX_MEMORY_MIB).contains(&self.memory_mib) {
            return Err(ManifestError::value(
                "permissions.memory_mib",
                format!("must be from 1 to {MAX_MEMORY_MIB}"),
            ));
        }
        Ok(super::Permissions {
            http,
            secrets: self.secrets,
            memory_mib: self.memory_mib,
        })
    }
}

fn template(
    key: &str,
    text: &str,
    variables: &BTreeMap<String, Variable>,
) -> Result<Template, ManifestError> {
    let template =
        Template::parse(text).map_err(|error| ManifestError::value(key, error.to_string()))?;
    for name in template.variables() {
        known_variable(key, name, variables)?;
    }
    if template.variables().next().is_none() && url::Url::parse(text).is_err() {
        return Err(ManifestError::value(key, "is not an absolute URL"));
    }
    Ok(template)
}

fn known_variable(
    key: &str,
    name: &str,
    variables: &BTreeMap<String, Variable>,
) -> Result<(), ManifestError> {
    if variables.contains_key(name) {
        Ok(())
    } else {
        Err(ManifestError::value(
            key,
            format!("{{{name}}} is not declared: add [variables.{name}]"),
        ))
    }
}

/// `; did you mean …?` where something known is near.
fn meant<'a>(word: &str, known: impl IntoIterator<Item = &'a str>) -> String {
    nearest(word, known)
        .map(|near| format!("; did you mean {near:?}?"))
        .unwrap_or_default()
}

fn not_empty(key: &str, text: &str) -> Result<(), ManifestError> {
    if text.trim().is_empty() {
        Err(ManifestError::value(key, "is empty"))
    } else {
        Ok(())
    }
}

pub(super) fn identifier(key: &str, name: &str) -> Result<(), ManifestError> {
    let good = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
    if !name.is_empty() && name.len() <= 64 && name.bytes().all(good) {
        Ok(())
    } else {
        Err(ManifestError::value(
            key,
            "names have lower-case letters, digits and underscores only",
        ))
    }
}

fn check_icon(icon: &str) -> Result<(), ManifestError> {
    let known = ["data:image/svg+xml;base64,", "data:image/png;base64,"];
    if icon.len() > MAX_ICON {
        return Err(ManifestError::value("icon", "is over 32 KiB"));
    }
    if known.iter().any(|prefix| icon.starts_with(prefix)) {
        Ok(())
    } else {
        Err(ManifestError::value(
            "icon",
            "must be a data URI: data:image/svg+xml;base64,… or data:image/png;base64,…",
        ))
    }
}

fn check_color(color: &str) -> Result<(), ManifestError> {
    let digits = color.strip_prefix('#').unwrap_or_default();
    if digits.len() == 6 && digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        Ok(())
    } else {
        Err(ManifestError::value("accent_color", "must be like #0b7285"))
    }
}

fn check_setting(setting: &Setting, objects: &[ObjectSupport]) -> Result<(), ManifestError> {
    let key = format!("settings.{}", setting.id);
    identifier(&key, &setting.id)?;
    not_empty(&format!("{key}.title"), &setting.title)?;
    let is_select = setting.kind == SettingType::Select;
    if setting.options_from.is_some() && (!is_select || !setting.options.is_empty()) {
        return Err(ManifestError::value(
            format!("{key}.options_from"),
            "is for a select without options: the provider is asked for them",
        ));
    }
    let has_choices = !setting.options.is_empty() || setting.options_from.is_some();
    if is_select != has_choices {
        return Err(ManifestError::value(
            format!("{key}.options"),
            "are for a select, and a select needs them, or options_from = \"discovery\"",
        ));
    }
    match (&setting.object, setting.kind == SettingType::FieldMapping) {
        (None, false) => {}
        (None, true) => {
            return Err(ManifestError::value(
                format!("{key}.object"),
                "is missing: a field_mapping names the object whose custom fields are mapped",
            ));
        }
        (Some(_), false) => {
            return Err(ManifestError::value(
                format!("{key}.object"),
                "is for a field_mapping",
            ));
        }
        (Some(object), true) if !objects.iter().any(|one| one.kind.name() == object) => {
            let known = objects.iter().map(|one| one.kind.name());
            let near = meant(object, known);
            return Err(ManifestError::value(
                format!("{key}.object"),
                format!("{object:?} is no object under [objects]{near}"),
            ));
        }
        (Some(_), true) => {}
    }
    if setting.is_after_login() && setting.default.is_some() {
        return Err(ManifestError::value(
            format!("{key}.default"),
            "cannot be: what there is to choose is known after the login only",
        ));
    }
    if let Some(default) = &setting.default {
        setting
            .check(default)
            .map_err(|message| ManifestError::value(format!("{key}.default"), message))?;
    }
    Ok(())
}
