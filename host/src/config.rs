//! Configuration: one commented default file, a file of the operator over it, the environment
//! over both.

mod access;
mod layers;

use std::{
    collections::BTreeMap,
    fmt,
    net::{IpAddr, SocketAddr},
    path::{Path, PathBuf},
};

use ipnet::IpNet;
use secrecy::SecretString;
use serde::{Deserialize, Deserializer, de};
use url::Url;

use crate::model::{Slug, consent::ConsentPolicy};

pub use access::{Access, ClaimValues, Oidc};

/// The commented file with every key and its default; the documentation of the configuration.
pub const DEFAULT_FILE: &str = include_str!("../config.default.toml");

/// With less than this the compiler of connectors does not even start.
const LEAST_COMPILE_MEMORY_MIB: u64 = 256;

/// Everything that an operator can choose. `config.default.toml` says what each key means.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Config {
    /// Where the API listens.
    pub listen: SocketAddr,
    /// How browsers and providers reach the server; see [`Self::public_url`].
    #[serde(default)]
    public_url: Option<Url>,
    /// See [`Self::database_url`].
    #[serde(default, deserialize_with = "secret")]
    database_url: Option<SecretString>,
    /// The folder of connectors.
    pub plugins_dir: PathBuf,
    /// The server's own folder.
    pub data_dir: PathBuf,
    /// See [`Self::encryption_keys`].
    #[serde(default, deserialize_with = "secret")]
    encryption_key: Option<SecretString>,
    #[serde(default)]
    encryption_key_file: Option<PathBuf>,
    /// What is logged, and how.
    pub log: Log,
    /// The server's front door.
    pub http: Http,
    /// The way out.
    pub egress: Egress,
    /// Requests of applications in a provider's own form.
    pub passthrough: Passthrough,
    /// Background reads.
    pub sync: Sync,
    /// Deliveries of events.
    pub webhooks: Webhooks,
    /// How long things are kept.
    pub retention: Retention,
    /// Operators and how they sign in.
    pub access: Access,
    /// What is written down of requests to providers.
    pub exchange_log: ExchangeLog,
    /// Limits of connectors.
    pub runtime: Runtime,
    /// What connectors are allowed.
    pub consent: Consent,
    /// When a new version of a connector counts as broken.
    pub breaker: Breaker,
    /// Where connectors come from.
    pub marketplace: Marketplace,
    /// Who answers questions about what goes wrong.
    #[serde(default)]
    pub assistant: Assistant,
    /// Choices for single connectors.
    #[serde(default)]
    pub connectors: BTreeMap<Slug, Connector>,
    /// Variables such as `HUBSPOT_CRM_CLOUD_CLIENT_ID`, by name: OAuth apps in the spelling
    /// `CONNECTOR_VERTICAL_CLOUD_ATTRIBUTE`.
    #[serde(skip)]
    pub oauth_variables: BTreeMap<String, SecretString>,
}

/// What is logged, and how.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Log {
    /// For people or for machines.
    pub format: LogFormat,
    /// Directives of `tracing_subscriber::EnvFilter`.
    pub filter: String,
}

/// The form of a line in the log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum LogFormat {
    /// For people.
    Text,
    /// One JSON object.
    Json,
}

/// The server's front door.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Http {
    /// Connections served at the same time.
    pub max_connections: u32,
    /// Seconds that running requests have when the server stops.
    pub drain_seconds: u64,
    /// Requests that a project may make in a minute; 0 for any number.
    pub rate_limit: u32,
}

/// The way out.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Egress {
    /// Networks that connectors may reach though they are not public.
    #[serde(deserialize_with = "networks")]
    pub allow_private: Vec<IpNet>,
    /// The largest answer that is read, MiB.
    pub max_response_mib: u32,
    /// Seconds that one exchange may take.
    pub timeout_seconds: u64,
}

/// Requests of applications in a provider's own form.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Passthrough {
    /// The largest body that is streamed, in either direction, MiB.
    pub max_stream_mib: u64,
    /// Seconds in which something has to move.
    pub idle_seconds: u64,
}

/// Background reads.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Sync {
    /// Seconds between the end of a sync and the start of the next.
    pub interval_seconds: u64,
    /// Records asked for in one page.
    pub page_size: u32,
    /// Pages read at the same time.
    pub workers: u32,
    /// Seconds that a dead worker keeps others from its sync.
    pub lease_seconds: u64,
    /// Pages after which a run is taken for endless.
    pub max_pages: u64,
}

/// Deliveries of events.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Webhooks {
    /// Seconds before each attempt.
    #[serde(deserialize_with = "numbers")]
    pub schedule_seconds: Vec<u64>,
    /// Seconds that one attempt may take.
    pub timeout_seconds: u64,
    /// Seconds that a dead worker keeps others from its deliveries.
    pub lease_seconds: u64,
    /// Attempts at the same time.
    pub concurrency: u32,
    /// Attempts at the same time to one endpoint.
    pub endpoint_concurrency: u32,
    /// Days of nothing but failures after which an endpoint is disabled.
    pub disable_after_days: u64,
}

/// How long things are kept.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Retention {
    /// Days that events are kept.
    pub events_days: u64,
    /// Days that deliveries and their attempts are kept.
    pub deliveries_days: u64,
    /// Days that ended runs of syncs, and records that failed in them, are kept.
    pub sync_runs_days: u64,
    /// Days that the audit log is kept.
    pub audit_days: u64,
    /// Days that numbers of requests are kept.
    pub requests_days: u64,
    /// Days that requests to providers are kept.
    pub exchanges_days: u64,
}

/// What is written down of requests to providers.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ExchangeLog {
    /// Whether anything is.
    pub enabled: bool,
    /// Whether the beginnings of bodies are.
    pub bodies: bool,
    /// The most requests of one connection that are kept.
    pub most_per_connection: u32,
}

/// Limits of connectors.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Runtime {
    /// The most memory of a call, MiB.
    pub max_memory_mib: u32,
    /// Seconds that a call may take.
    pub call_timeout_seconds: u64,
    /// Milliseconds that a call may compute.
    pub cpu_milliseconds: u64,
    /// The largest value that a call may return, MiB.
    pub max_output_mib: u32,
    /// The most that a call may exchange with its provider, MiB.
    pub max_transfer_mib: u32,
    /// Calls that run at the same time.
    pub max_instances: u32,
    /// Seconds between two readings of the folder of connectors.
    pub poll_seconds: u64,
    /// Seconds of computing that compiling a connector may take.
    pub compile_cpu_seconds: u64,
    /// Memory that compiling a connector may take, MiB.
    pub compile_memory_mib: u64,
    /// Seconds that compiling a connector may take.
    pub compile_timeout_seconds: u64,
}

/// What connectors are allowed.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Consent {
    /// Who is asked.
    pub policy: ConsentPolicy,
}

/// When a new version of a connector counts as broken.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Breaker {
    /// Crashes that are needed at least; 0 turns it off.
    pub traps: u32,
    /// Percent of the last calls.
    pub percent: u32,
    /// How many calls those are.
    pub calls: u32,
    /// Seconds after its start in which a version is watched.
    pub within_seconds: u64,
    /// Seconds that a version without a predecessor does not serve.
    pub pause_seconds: u64,
}

/// Where connectors come from.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Marketplace {
    /// Whether only connectors that one of `publishers` signed are served.
    pub require_signature: bool,
    /// Keys of publishers that are trusted, `ed25519:…`.
    #[serde(deserialize_with = "texts")]
    pub publishers: Vec<String>,
    /// Addresses of indexes: `https://…` or `oci://registry/repository:tag`.
    #[serde(deserialize_with = "texts")]
    pub indexes: Vec<String>,
    /// A file of logins at registries, as Docker writes it.
    #[serde(default)]
    pub docker_config: Option<PathBuf>,
    /// Logins at registries, by host and port.
    #[serde(default)]
    pub registries: BTreeMap<String, RegistryLogin>,
}

/// Who answers questions about what goes wrong: an OpenAI-compatible endpoint.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Assistant {
    #[serde(default)]
    url: Option<Url>,
    #[serde(default)]
    model: Option<String>,
    /// What is sent as `Authorization: Bearer`.
    #[serde(default, deserialize_with = "secret")]
    pub api_key: Option<SecretString>,
}

impl Assistant {
    /// The base of its API and the name of the model; none where nobody is configured.
    #[must_use]
    pub fn endpoint(&self) -> Option<(&Url, &str)> {
        self.url.as_ref().zip(self.model.as_deref())
    }
}

/// How to log in at a registry: user name and password, or a token.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RegistryLogin {
    /// With a password.
    #[serde(default)]
    pub username: Option<String>,
    /// The password.
    #[serde(default, deserialize_with = "secret")]
    pub password: Option<SecretString>,
    /// In place of both.
    #[serde(default, deserialize_with = "secret")]
    pub token: Option<SecretString>,
}

/// Choices for one connector.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Connector {
    /// Where endpoints of the manifest really are, by name.
    #[serde(default)]
    pub endpoints: BTreeMap<String, Url>,
    /// The OAuth app, and where its provider is.
    #[serde(default)]
    pub oauth: OAuth,
    /// What the provider signs webhooks with, where the manifest says that the operator has it.
    #[serde(default, deserialize_with = "secret")]
    pub webhook_secret: Option<SecretString>,
}

/// The OAuth app of a connector, and addresses in place of the manifest's.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OAuth {
    /// The app's id.
    #[serde(default)]
    pub client_id: Option<String>,
    /// The app's secret.
    #[serde(default, deserialize_with = "secret")]
    pub client_secret: Option<SecretString>,
    /// Where browsers are sent.
    #[serde(default)]
    pub authorize_url: Option<Url>,
    /// Where codes and refresh tokens are exchanged.
    #[serde(default)]
    pub token_url: Option<Url>,
    /// Where tokens are revoked.
    #[serde(default)]
    pub revoke_url: Option<Url>,
}

/// Where the operator keeps the encryption keys.
#[derive(Clone, Debug)]
pub enum KeySource {
    /// In the configuration or the environment.
    Given(SecretString),
    /// In a file.
    File(PathBuf),
}

/// Why there is no configuration.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file cannot be read.
    #[error("cannot read {path}: {reason}")]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// What the system says.
        reason: std::io::Error,
    },
    /// A variable has bytes that are no text.
    #[error("the environment variable {0} is not valid UTF-8")]
    NotText(String),
    /// A key is unknown, or a value has another type than its key.
    #[error("configuration: {0}; `jackfield config` prints every key with its meaning")]
    Invalid(String),
}

/// A variable of the environment whose name begins with `JACKFIELD_` and that is no key.
///
/// # Errors
/// A variable of ours is not text.
pub fn variable(name: &str) -> Result<Option<String>, Error> {
    let mut variables = layers::process_environment()?.into_iter();
    Ok(variables
        .find(|(known, _)| known == name)
        .map(|(_, value)| value))
}

impl Config {
    /// The defaults, `file` over them where it is given, and the process's environment over both.
    ///
    /// # Errors
    /// The first key that is unknown or has a value that makes no sense.
    pub fn load(file: Option<&Path>) -> Result<Self, Error> {
        let text = match file {
            None => None,
            Some(path) => Some(read(path)?),
        };
        let name = file.map(|path| path.display().to_string());
        let variables = layers::process_environment()?;
        Self::from_layers(name.as_deref().zip(text.as_deref()), variables)
    }

    /// The same from given layers: a file as its name and its text, and variables.
    ///
    /// # Errors
    /// As [`Self::load`].
    pub fn from_layers(
        file: Option<(&str, &str)>,
        variables: impl IntoIterator<Item = (String, String)>,
    ) -> Result<Self, Error> {
        layers::merge(DEFAULT_FILE, file, variables)?.check()
    }

    /// Where everything is stored; a file in [`Self::data_dir`] where nothing is chosen.
    #[must_use]
    pub fn database_url(&self) -> SecretString {
        self.database_url.clone().unwrap_or_else(|| {
            let file = self.data_dir.join("jackfield.db");
            format!("sqlite:{}", file.display()).into()
        })
    }

    /// The file of [`Self::database_url`], where nothing is chosen.
    #[must_use]
    pub fn default_database(&self) -> Option<PathBuf> {
        match self.database_url {
            Some(_) => None,
            None => Some(self.data_dir.join("jackfield.db")),
        }
    }

    /// How browsers and providers reach the server when it listens on `listening`.
    ///
    /// # Panics
    /// Never: the text of a socket address makes a URL.
    #[must_use]
    pub fn public_url(&self, listening: SocketAddr) -> Url {
        self.public_url.clone().unwrap_or_else(|| {
            Url::parse(&format!("http://{listening}/")).expect("a socket address makes a URL")
        })
    }

    /// Where the encryption keys are; none where the operator chose nothing.
    #[must_use]
    pub fn encryption_keys(&self) -> Option<KeySource> {
        match (&self.encryption_key, &self.encryption_key_file) {
            (Some(keys), _) => Some(KeySource::Given(keys.clone())),
            (None, Some(path)) => Some(KeySource::File(path.clone())),
            (None, None) => None,
        }
    }

    fn check(self) -> Result<Self, Error> {
        let positive = [
            ("http.max_connections", u64::from(self.http.max_connections)),
            (
                "egress.max_response_mib",
                u64::from(self.egress.max_response_mib),
            ),
            ("egress.timeout_seconds", self.egress.timeout_seconds),
            ("sync.interval_seconds", self.sync.interval_seconds),
            ("sync.page_size", u64::from(self.sync.page_size)),
            ("sync.workers", u64::from(self.sync.workers)),
            ("sync.lease_seconds", self.sync.lease_seconds),
            ("sync.max_pages", self.sync.max_pages),
            (
                "runtime.max_memory_mib",
                u64::from(self.runtime.max_memory_mib),
            ),
            (
                "runtime.call_timeout_seconds",
                self.runtime.call_timeout_seconds,
            ),
            ("runtime.cpu_milliseconds", self.runtime.cpu_milliseconds),
            (
                "runtime.max_output_mib",
                u64::from(self.runtime.max_output_mib),
            ),
            (
                "runtime.max_transfer_mib",
                u64::from(self.runtime.max_transfer_mib),
            ),
            (
                "runtime.max_instances",
                u64::from(self.runtime.max_instances),
            ),
            ("runtime.poll_seconds", self.runtime.poll_seconds),
            (
                "runtime.compile_cpu_seconds",
                self.runtime.compile_cpu_seconds,
            ),
            (
                "runtime.compile_timeout_seconds",
                self.runtime.compile_timeout_seconds,
            ),
            ("webhooks.timeout_seconds", self.webhooks.timeout_seconds),
            ("webhooks.concurrency", u64::from(self.webhooks.concurrency)),
            (
                "webhooks.endpoint_concurrency",
                u64::from(self.webhooks.endpoint_concurrency),
            ),
            (
                "webhooks.disable_after_days",
                self.webhooks.disable_after_days,
            ),
            ("retention.events_days", self.retention.events_days),
            ("retention.deliveries_days", self.retention.deliveries_days),
            ("retention.sync_runs_days", self.retention.sync_runs_days),
            ("retention.audit_days", self.retention.audit_days),
            ("access.idle_hours", self.access.idle_hours),
            ("access.absolute_days", self.access.absolute_days),
            ("retention.requests_days", self.retention.requests_days),
            ("retention.exchanges_days", self.retention.exchanges_days),
            (
                "exchange_log.most_per_connection",
                u64::from(self.exchange_log.most_per_connection),
            ),
        ];
        if let Some((key, _)) = positive.iter().find(|(_, value)| *value == 0) {
            return Err(Error::Invalid(format!("{key} must be at least 1")));
        }
        self.access.check()?;
        if self.runtime.compile_memory_mib < LEAST_COMPILE_MEMORY_MIB {
            return Err(Error::Invalid(format!(
                "runtime.compile_memory_mib must be at least {LEAST_COMPILE_MEMORY_MIB}: the \
                 compiler itself takes some of it"
            )));
        }
        if !(1..=100).contains(&self.breaker.percent) || self.breaker.calls < self.breaker.traps {
            return Err(Error::Invalid(
                "breaker.percent must be from 1 to 100, and breaker.calls at least breaker.traps"
                    .into(),
            ));
        }
        let assistant = &self.assistant;
        if assistant.url.is_some() != assistant.model.is_some()
            || assistant.api_key.is_some() && assistant.url.is_none()
        {
            return Err(Error::Invalid(
                "assistant.url and assistant.model belong together: set both or neither, and \
                 assistant.api_key only with them"
                    .into(),
            ));
        }
        let marketplace = &self.marketplace;
        if let Some(bad) = marketplace.publishers.iter().find(|key| !is_publisher(key)) {
            return Err(Error::Invalid(format!(
                "marketplace.publishers: {bad:?} is no publisher's key; `jackfield connector key \
                 new` prints one"
            )));
        }
        if marketplace.require_signature && marketplace.publishers.is_empty() {
            return Err(Error::Invalid(
                "marketplace.require_signature needs marketplace.publishers: with none, no \
                 connector would be served"
                    .into(),
            ));
        }
        let is_index = |url: &&String| {
            let schemes = ["https://", "http://", "oci://", "oci+http://"];
            !schemes.iter().any(|scheme| url.starts_with(scheme))
        };
        if let Some(bad) = marketplace.indexes.iter().find(is_index) {
            return Err(Error::Invalid(format!(
                "marketplace.indexes: {bad:?} starts with neither https:// nor oci://"
            )));
        }
        if self.webhooks.schedule_seconds.is_empty() {
            return Err(Error::Invalid(
                "webhooks.schedule_seconds must have at least one number".into(),
            ));
        }
        if self.webhooks.lease_seconds <= self.webhooks.timeout_seconds {
            return Err(Error::Invalid(
                "webhooks.lease_seconds must be more than webhooks.timeout_seconds, or events \
                 would be sent twice at the same time"
                    .into(),
            ));
        }
        if self.encryption_key.is_some() && self.encryption_key_file.is_some() {
            return Err(Error::Invalid(
                "encryption_key and encryption_key_file are both set; keep one".into(),
            ));
        }
        let urls = self.connectors.iter().flat_map(|(slug, connector)| {
            let oauth = &connector.oauth;
            let endpoints = connector
                .endpoints
                .iter()
                .map(move |(name, url)| (format!("connectors.{slug}.endpoints.{name}"), url));
            let named = [
                ("authorize_url", &oauth.authorize_url),
                ("token_url", &oauth.token_url),
                ("revoke_url", &oauth.revoke_url),
            ];
            endpoints.chain(named.into_iter().filter_map(move |(name, url)| {
                Some((format!("connectors.{slug}.oauth.{name}"), url.as_ref()?))
            }))
        });
        let public = self
            .public_url
            .iter()
            .map(|url| ("public_url".to_owned(), url));
        let assistant = assistant.url.iter();
        let public = public.chain(assistant.map(|url| ("assistant.url".to_owned(), url)));
        for (key, url) in public.chain(urls) {
            if !matches!(url.scheme(), "http" | "https") {
                return Err(Error::Invalid(format!(
                    "{key} must start with http:// or https://"
                )));
            }
        }
        Ok(self)
    }
}

fn read(path: &Path) -> Result<String, Error> {
    std::fs::read_to_string(path).map_err(|reason| Error::Unreadable {
        path: path.to_owned(),
        reason,
    })
}

/// `ed25519:` and 32 bytes in base64 for URLs.
fn is_publisher(key: &str) -> bool {
    let letter = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_');
    key.strip_prefix("ed25519:")
        .is_some_and(|key| key.len() == 43 && key.bytes().all(letter))
}

/// A list of texts, or one text with commas between them.
fn texts<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<String>, D::Error> {
    #[derive(Deserialize)]
    #[serde(untagged)]
    enum Texts {
        One(String),
        Many(Vec<String>),
    }
    Ok(match Texts::deserialize(deserializer)? {
        Texts::Many(texts) => texts,
        Texts::One(text) => {
            let texts = text.split(',').map(str::trim);
            texts
                .filter(|text| !text.is_empty())
                .map(ToOwned::to_owned)
                .collect()
        }
    })
}

fn secret<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<SecretString>, D::Error> {
    Option::<String>::deserialize(deserializer).map(|text| text.map(Into::into))
}

/// A list of numbers, or one text with commas between them.
fn numbers<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<u64>, D::Error> {
    struct Numbers;
    impl<'de> de::Visitor<'de> for Numbers {
        type Value = Vec<u64>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of whole numbers")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            let parse = |number: &str| {
                let number = number.trim();
                number
                    .parse()
                    .map_err(|_| E::custom(format!("{number:?} is not a whole number")))
            };
            text.split(',').map(parse).collect()
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut numbers = Vec::new();
            while let Some(number) = list.next_element::<u64>()? {
                numbers.push(number);
            }
            Ok(numbers)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            let number = u64::try_from(number);
            number
                .map(|number| vec![number])
                .map_err(|_| E::custom("a number of seconds is not negative"))
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            Ok(vec![number])
        }
    }
    deserializer.deserialize_any(Numbers)
}

/// A list of networks, or one text with commas between them; a bare address is a network of one.
fn networks<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<IpNet>, D::Error> {
    struct Networks;
    impl<'de> de::Visitor<'de> for Networks {
        type Value = Vec<IpNet>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a list of networks such as \"10.0.0.0/8\"")
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            text.split(',')
                .map(str::trim)
                .filter(|network| !network.is_empty())
                .map(network)
                .collect()
        }

        fn visit_seq<A: de::SeqAccess<'de>>(self, mut list: A) -> Result<Self::Value, A::Error> {
            let mut networks = Vec::new();
            while let Some(text) = list.next_element::<String>()? {
                networks.push(network(&text)?);
            }
            Ok(networks)
        }
    }
    deserializer.deserialize_any(Networks)
}

fn network<E: de::Error>(text: &str) -> Result<IpNet, E> {
    let address = || text.parse::<IpAddr>().map(IpNet::from);
    text.parse::<IpNet>()
        .or_else(|_| address())
        .map_err(|_| E::custom(format!("{text:?} is not a network such as \"10.0.0.0/8\"")))
}

#[cfg(test)]
mod tests;
