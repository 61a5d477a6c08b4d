//! What a connection logs in with.

use std::{collections::BTreeMap, fmt};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{
    ExposeSecret as _, SecretString,
    zeroize::{Zeroize as _, Zeroizing},
};
use serde::{Deserialize, Serialize};

use super::Error;
use crate::{
    egress::{self, Authorization},
    model::{ApiKeyPlace, AuthKind, AuthScheme, Manifest, SettingType, Timestamp},
};

/// Values by name (`access_token`, `refresh_token`, `api_key`, `username`, `password`,
/// `client_id`, `client_secret`, and settings of type password), and when the access token expires.
///
/// Printing it shows the names only, and its memory is wiped.
#[derive(Clone, Default)]
pub struct Credentials {
    values: BTreeMap<String, SecretString>,
    expires_at: Option<Timestamp>,
    /// The secret of the app that asked for the tokens: nobody may see it either. Not stored here.
    app_secret: Option<SecretString>,
}

pub(super) const ACCESS_TOKEN: &str = "access_token";
pub(super) const REFRESH_TOKEN: &str = "refresh_token";
pub(super) const CLIENT_ID: &str = "client_id";
pub(super) const CLIENT_SECRET: &str = "client_secret";

/// Values of the login form that are no secrets: they occur in ordinary records.
const IDENTIFIERS: [&str; 2] = ["username", CLIENT_ID];
/// A private key in PEM is the longest thing anyone has to type.
const LONGEST: usize = 16 * 1024;

/// What somebody typed, in the places where the scheme wants it, for a use that keeps nothing. For
/// OAuth it is an `access_token` that was made elsewhere.
///
/// # Errors
/// A value is missing, or cannot be sent.
pub fn authorization(
    manifest: &Manifest,
    scheme: &AuthScheme,
    fields: &BTreeMap<String, String>,
) -> Result<Authorization, Error> {
    let credentials = if scheme.oauth().is_some() {
        let mut credentials = Credentials::default();
        let token = fields.get(ACCESS_TOKEN).map(|token| token.trim());
        let token = token
            .filter(|token| !token.is_empty())
            .ok_or_else(|| Error::field(ACCESS_TOKEN, "Access token is missing".to_owned()))?;
        credentials.add(ACCESS_TOKEN, "Access token", token)?;
        credentials.add_password_settings(manifest, fields)?;
        credentials
    } else {
        Credentials::from_fields(manifest, scheme, fields)?
    };
    credentials
        .authorization(scheme, 1)
        .map_err(|error| Error::field(scheme.name.as_str(), error.to_string()))
}

impl Credentials {
    /// When the access token expires; none where it does not, or nobody knows.
    #[must_use]
    pub const fn expires_at(&self) -> Option<Timestamp> {
        self.expires_at
    }

    /// The names of its values, sorted.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.keys().map(String::as_str)
    }

    pub(super) fn get(&self, name: &str) -> Option<&SecretString> {
        self.values.get(name)
    }

    pub(super) fn set(&mut self, name: &str, value: SecretString) {
        self.values.insert(name.to_owned(), value);
    }

    pub(super) fn set_app_secret(&mut self, secret: Option<SecretString>) {
        self.app_secret = secret;
    }

    /// Sets a value, or takes it away where there is none.
    pub(super) fn change(&mut self, name: &str, value: Option<SecretString>) {
        match value {
            Some(value) => self.set(name, value),
            None => drop(self.values.remove(name)),
        }
    }

    pub(super) const fn set_expiry(&mut self, expires_at: Option<Timestamp>) {
        self.expires_at = expires_at;
    }

    /// From the fields of a login form; settings of type password are among them.
    pub(super) fn from_fields(
        manifest: &Manifest,
        scheme: &AuthScheme,
        fields: &BTreeMap<String, String>,
    ) -> Result<Self, Error> {
        let mut credentials = Self::default();
        for field in scheme.fields() {
            let value = spellings(field.id)
                .iter()
                .find_map(|name| fields.get(*name));
            let value = value.map(|value| value.trim()).unwrap_or_default();
            // Providers that take a key as the user name expect an empty password.
            if value.is_empty() && field.id != "password" {
                return Err(Error::field(
                    field.id,
                    format!("{} is missing", field.title),
                ));
            }
            credentials.add(field.id, &field.title, value)?;
        }
        credentials.add_password_settings(manifest, fields)?;
        // A value that cannot be sent is refused here, where a person can mend it.
        let sendable = matches!(scheme.kind, AuthKind::OAuth2ClientCredentials { .. })
            || credentials.authorization(scheme, 0).is_ok();
        match scheme.fields().first() {
            Some(field) if !sendable => Err(Error::field(
                field.id,
                format!("{} has characters that cannot be sent", field.title),
            )),
            _ => Ok(credentials),
        }
    }

    /// Takes the settings of type password out of what was typed.
    pub(super) fn add_password_settings(
        &mut self,
        manifest: &Manifest,
        fields: &BTreeMap<String, String>,
    ) -> Result<(), Error> {
        let passwords = manifest
            .settings
            .iter()
            .filter(|setting| setting.kind == SettingType::Password);
        for setting in passwords {
            match fields.get(&setting.id).filter(|value| !value.is_empty()) {
                Some(value) => self.add(&setting.id, &setting.title, value)?,
                None if setting.required => {
                    return Err(Error::field(
                        &setting.id,
                        format!("{} is missing", setting.title),
                    ));
                }
                None => {}
            }
        }
        Ok(())
    }

    fn add(&mut self, id: &str, title: &str, value: &str) -> Result<(), Error> {
        if value.len() > LONGEST {
            return Err(Error::field(id, format!("{title} is too long")));
        }
        if id == "username" && value.contains(':') {
            return Err(Error::field(id, format!("{title} cannot contain a colon")));
        }
        self.set(id, value.into());
        Ok(())
    }

    /// The credentials in the places where the scheme wants them.
    ///
    /// # Errors
    /// A value is missing, or has characters that cannot stand in its place.
    pub(super) fn authorization(
        &self,
        scheme: &AuthScheme,
        generation: i64,
    ) -> Result<Authorization, egress::Error> {
        let value = |name: &str| {
            self.values
                .get(name)
                .ok_or_else(|| egress::Error::Invalid(format!("the credentials have no {name}")))
        };
        let mut authorization = Authorization::new(generation);
        authorization = match &scheme.kind {
            AuthKind::OAuth2Code { .. }
            | AuthKind::OAuth2ClientCredentials { .. }
            | AuthKind::Bearer { .. } => {
                let token = value(ACCESS_TOKEN)?.expose_secret();
                authorization.with_header("authorization", &format!("Bearer {token}").into())?
            }
            AuthKind::Basic { .. } => {
                let username = value("username")?.expose_secret();
                let password = value("password")?.expose_secret();
                let pair = Zeroizing::new(format!("{username}:{password}"));
                let header = format!("Basic {}", STANDARD.encode(pair.as_bytes()));
                authorization.with_header("authorization", &header.into())?
            }
            AuthKind::ApiKey {
                place,
                name,
                prefix,
                ..
            } => {
                let key = value("api_key")?.expose_secret();
                let text = SecretString::from(format!("{prefix}{key}"));
                match place {
                    ApiKeyPlace::Header => authorization.with_header(name, &text)?,
                    ApiKeyPlace::Query => authorization.with_query(name, text),
                    ApiKeyPlace::Cookie => authorization.with_cookie(name, text)?,
                }
            }
        };
        if let Some(secret) = &self.app_secret {
            authorization = authorization.with_masked(secret);
        }
        for (name, value) in &self.values {
            authorization = if name == REFRESH_TOKEN {
                authorization.with_masked(value)
            } else if IDENTIFIERS.contains(&name.as_str()) {
                authorization.with_identifier(name, value.clone())
            } else {
                authorization.with_secret(name, value.clone())
            };
        }
        Ok(authorization)
    }

    /// JSON text for sealing.
    pub(super) fn to_json(&self) -> Zeroizing<Vec<u8>> {
        let written = Written {
            values: self
                .values
                .iter()
                .map(|(name, value)| (name.as_str(), value.expose_secret()))
                .collect(),
            expires_at: self.expires_at,
        };
        Zeroizing::new(serde_json::to_vec(&written).expect("a map of texts is always JSON"))
    }

    /// The reverse of [`Self::to_json`].
    pub(super) fn from_json(json: &[u8]) -> Result<Self, Error> {
        let read: Read = serde_json::from_slice(json)
            .map_err(|_| Error::Sealed("its content is not what was put in"))?;
        Ok(Self {
            values: read
                .values
                .into_iter()
                .map(|(name, mut value)| {
                    let secret = SecretString::from(value.as_str());
                    value.zeroize();
                    (name, secret)
                })
                .collect(),
            expires_at: read.expires_at,
            app_secret: None,
        })
    }
}

impl fmt::Debug for Credentials {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Credentials")
            .field("names", &self.values.keys().collect::<Vec<_>>())
            .field("expires_at", &self.expires_at)
            .finish()
    }
}

#[derive(Serialize)]
struct Written<'a> {
    values: BTreeMap<&'a str, &'a str>,
    expires_at: Option<Timestamp>,
}

#[derive(Deserialize)]
struct Read {
    values: BTreeMap<String, String>,
    expires_at: Option<Timestamp>,
}

/// How forms and other servers' clients spell a field; the first is ours.
const fn spellings(id: &'static str) -> &'static [&'static str] {
    match id.as_bytes() {
        b"api_key" => &["api_key", "apikey", "apiKey"],
        // To an application both are "the API key of this connection".
        b"access_token" => &["access_token", "accessToken", "api_key", "apikey", "apiKey"],
        b"client_id" => &["client_id", "clientId"],
        b"client_secret" => &["client_secret", "clientSecret"],
        b"username" => &["username"],
        b"password" => &["password"],
        _ => &[],
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::egress::{HeaderMap, Method, Request};

    const MANIFEST: &str = r#"
        slug = "demo"
        name = "Demo"
        version = "0.1.0"
        description = "A demo."
        [endpoints.api]
        production = "https://example.com"
        [auth.key]
        type = "api_key"
        title = "Key"
        in = "query"
        name = "key"
        prefix = "k-"
        [auth.login]
        type = "basic"
        title = "Login"
        [auth.token]
        type = "bearer"
        title = "Token"
        [[settings]]
        id = "pin"
        type = "password"
        title = "PIN"
        required = true
        [objects."crm.contact"]
        operations = ["read"]
        fields = ["first_name"]
        [permissions]
        http = ["https://example.com/"]
    "#;

    fn fields(pairs: &[(&str, &str)]) -> BTreeMap<String, String> {
        pairs
            .iter()
            .map(|(name, value)| ((*name).to_owned(), (*value).to_owned()))
            .collect()
    }

    fn make(scheme: &str, pairs: &[(&str, &str)]) -> Result<Credentials, Error> {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        Credentials::from_fields(&manifest, manifest.scheme(scheme).unwrap(), &fields(pairs))
    }

    fn sent(scheme: &str, credentials: &Credentials) -> Request {
        let manifest = Manifest::parse(MANIFEST).unwrap();
        let mut request = Request {
            method: Method::GET,
            url: "https://example.com/".parse().unwrap(),
            headers: HeaderMap::new(),
            body: None,
        };
        let authorization = credentials.authorization(manifest.scheme(scheme).unwrap(), 0);
        authorization.unwrap().apply(&mut request);
        request
    }

    #[test]
    fn each_scheme_has_its_place() {
        for spelling in ["api_key", "apikey", "apiKey"] {
            let credentials = make("key", &[(spelling, " a1 "), ("pin", "1234")]).unwrap();
            assert_eq!(
                sent("key", &credentials).url.as_str(),
                "https://example.com/?key=k-a1"
            );
        }
        let credentials = make("token", &[("apikey", "t"), ("pin", "1234")]).unwrap();
        assert_eq!(
            sent("token", &credentials).headers["authorization"],
            "Bearer t"
        );
        let login = [
            ("username", "Aladdin"),
            ("password", "open sesame"),
            ("pin", "1"),
        ];
        let credentials = make("login", &login).unwrap();
        assert_eq!(
            sent("login", &credentials).headers["authorization"],
            "Basic QWxhZGRpbjpvcGVuIHNlc2FtZQ=="
        );
    }

    #[test]
    fn says_which_field_is_wrong() {
        for (scheme, pairs, expected) in [
            ("key", &[("pin", "1")] as &[_], "api_key"),
            ("key", &[("api_key", "  "), ("pin", "1")], "api_key"),
            ("key", &[("api_key", "a")], "pin"),
            (
                "token",
                &[("access_token", "a\nb"), ("pin", "1")],
                "access_token",
            ),
            ("login", &[("username", "a:b"), ("pin", "1")], "username"),
        ] {
            match make(scheme, pairs).unwrap_err() {
                Error::Field { field, .. } => assert_eq!(field, expected),
                error => panic!("{error:?}"),
            }
        }
    }

    #[test]
    fn survives_json_and_prints_no_value() {
        let mut credentials = make("key", &[("api_key", "canary\"ü"), ("pin", "canary")]).unwrap();
        credentials.set_expiry(Some(Timestamp::from_millis(5)));
        let read = Credentials::from_json(&credentials.to_json()).unwrap();
        assert_eq!(read.get("api_key").unwrap().expose_secret(), "canary\"ü");
        assert_eq!(read.expires_at(), credentials.expires_at());
        assert_eq!(read.names().collect::<Vec<_>>(), ["api_key", "pin"]);
        assert!(!format!("{read:?}").contains("canary"));
    }
}
