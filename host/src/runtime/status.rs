//! What `GET /connectors` tells.

use schemars::JsonSchema;
use serde::Serialize;

use std::collections::BTreeMap;

use super::{Coverage, FieldCoverage, Import};
use crate::{
    model::{
        AuthKind, Manifest, OptionsFrom, SettingType, Timestamp,
        consent::{Book, PinOrigin},
    },
    telemetry::METRICS,
};

/// How a connector stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ConnectorState {
    /// It serves.
    Active,
    /// Its file was refused, and there is no older version that serves.
    Rejected,
    /// Its file is gone; running calls end, new ones are refused.
    Retired,
    /// It asks for more than was granted, and there is no older version that serves.
    PendingConsent,
    /// The operator disabled it.
    Disabled,
    /// It crashed too often; it serves again after a pause.
    Suspended,
}

/// How a version stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum VersionState {
    /// It serves new calls.
    Active,
    /// Calls that began with it still run.
    Draining,
    /// Nothing runs any more.
    Retired,
}

/// A connector, as operators and applications see it.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConnectorStatus {
    /// Its name in URLs; none for a file that was refused before its name was known.
    pub slug: Option<String>,
    /// The file's name, without the folder.
    pub file: String,
    /// How it stands.
    pub state: ConnectorState,
    /// What is wrong with the file that lies in the folder now, a sentence.
    pub last_error: Option<String>,
    /// When that was found.
    pub last_error_at: Option<String>,
    /// Everything else, from the manifest of the version that serves (or served last).
    #[serde(flatten)]
    pub described: Option<Described>,
    /// What was allowed, and what waits for somebody to allow it; null for a file that was never
    /// allowed anything.
    pub consent: Option<ConsentStatus>,
    /// Webhooks of its provider since this process began.
    pub inbound: InboundCounts,
    /// The version that serves, and those before it that are still known.
    pub versions: Vec<VersionStatus>,
}

/// What the operator allowed a connector.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct ConsentStatus {
    /// Who signed the version that serves: `ed25519:` and the key, or `unsigned`.
    pub(crate) publisher: Option<String>,
    /// What the version that serves asks for, line by line.
    pub(crate) permissions: Vec<String>,
    /// The hash of those lines.
    pub(crate) permission_hash: Option<String>,
    /// Since when the operator lets it not serve.
    pub(crate) disabled_at: Option<String>,
    /// Until when it does not serve because it crashed too often.
    pub(crate) suspended_until: Option<String>,
    /// Why a version serves whatever lies in the folder: `installed`, `rolled_back` or `held`.
    pub(crate) pinned: Option<&'static str>,
    /// The version that waits for consent.
    pub(crate) pending: Option<PendingStatus>,
    #[serde(skip)]
    pub(crate) suspended: Option<Timestamp>,
}

/// A version that waits for consent.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct PendingStatus {
    pub(crate) version: String,
    pub(crate) digest: String,
    pub(crate) publisher: String,
    /// What it asks for, line by line.
    pub(crate) permissions: Vec<String>,
    /// The hash of those lines: what `POST /connectors/{slug}/grant` takes.
    pub(crate) permission_hash: String,
    /// The lines that are not granted.
    pub(crate) added: Vec<String>,
    /// Why it waits, a sentence.
    pub(crate) reason: Option<String>,
    pub(crate) seen_at: String,
}

impl ConsentStatus {
    /// Of a book.
    #[must_use]
    pub fn of(book: &Book) -> Self {
        let serving = book.serving();
        let suspended = book.suspended.as_ref().map(|(until, _)| *until);
        Self {
            publisher: serving.map(|known| known.publisher.clone()),
            permissions: serving.map_or_else(Vec::new, |known| known.asked.lines().to_vec()),
            permission_hash: serving.map(|known| known.asked.hash().to_string()),
            disabled_at: book.disabled_at.map(|at| at.to_string()),
            suspended_until: suspended.map(|at| at.to_string()),
            pinned: book.pin.map(|pin| match pin.origin {
                PinOrigin::Installed => "installed",
                PinOrigin::RolledBack => "rolled_back",
                PinOrigin::Held => "held",
            }),
            pending: book.pending().map(|known| PendingStatus {
                version: known.version.clone(),
                digest: known.digest.to_string(),
                publisher: known.publisher.clone(),
                permissions: known.asked.lines().to_vec(),
                permission_hash: known.asked.hash().to_string(),
                added: book
                    .beyond(&known.publisher, &known.asked)
                    .unwrap_or_else(|| known.asked.lines().to_vec()),
                reason: known.reason.clone(),
                seen_at: known.seen_at.to_string(),
            }),
            suspended,
        }
    }

    /// Whether a version waits for somebody to allow it.
    #[must_use]
    pub const fn waits(&self) -> bool {
        self.pending.is_some()
    }

    /// How a connector stands that does not serve.
    pub(super) fn state_at(&self, now: Timestamp, otherwise: ConnectorState) -> ConnectorState {
        if self.disabled_at.is_some() {
            return ConnectorState::Disabled;
        }
        if self.suspended.is_some_and(|until| until > now) {
            return ConnectorState::Suspended;
        }
        match self.pending {
            Some(_) => ConnectorState::PendingConsent,
            None => otherwise,
        }
    }
}

/// What became of the webhooks of a provider.
#[derive(Clone, Copy, Debug, Default, Serialize, JsonSchema)]
pub struct InboundCounts {
    /// Genuine requests.
    accepted: u64,
    /// Requests without a good signature.
    forged: u64,
    /// Genuine requests that make no sense.
    malformed: u64,
    /// Notices for accounts that nobody connected.
    unrouted: u64,
    /// Requests that came too fast.
    throttled: u64,
}

impl InboundCounts {
    /// Of a connector.
    #[must_use]
    pub fn of(connector: &str) -> Self {
        let count = |outcome| METRICS.inbound.value([connector, outcome]);
        Self {
            accepted: count("accepted"),
            forged: count("forged"),
            malformed: count("malformed"),
            unrouted: count("unrouted"),
            throttled: count("throttled"),
        }
    }
}

/// One version.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct VersionStatus {
    /// The manifest's version.
    pub version: String,
    /// SHA-256 of the file.
    pub digest: String,
    /// How it stands.
    pub state: VersionState,
    /// When it began to serve.
    pub loaded_at: String,
    /// Milliseconds from the moment its file was found complete until it served.
    pub swapped_in_ms: u64,
    /// Calls since then.
    pub calls: u64,
    /// Calls that were stopped or crashed.
    pub traps: u64,
    /// Calls that run now.
    pub running: u64,
}

/// What a manifest tells to people.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub struct Described {
    pub(crate) name: String,
    pub(crate) version: String,
    pub(crate) description: String,
    pub(crate) overview: String,
    pub(crate) icon: Option<String>,
    pub(crate) accent_color: Option<String>,
    pub(crate) licence: Option<String>,
    pub(crate) source: Option<String>,
    pub(crate) verticals: Vec<&'static str>,
    pub(crate) objects: Vec<DescribedObject>,
    pub(crate) auth: Vec<DescribedAuth>,
    pub(crate) variables: Vec<DescribedField>,
    pub(crate) settings: Vec<DescribedField>,
    pub(crate) permissions: DescribedPermissions,
    pub(crate) endpoints: BTreeMap<String, DescribedEndpoint>,
    /// The optional interface `webhooks`; null where the connector has none.
    pub(crate) webhooks: Option<DescribedWebhooks>,
    /// Whether it tells which fields the provider has.
    pub(crate) discovery: bool,
}

/// A base URL of the provider; names in braces are variables.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedEndpoint {
    pub(crate) production: String,
    pub(crate) sandbox: Option<String>,
}

/// How webhooks of the provider are taken.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedWebhooks {
    /// How the connection is found: `account` or `connection`.
    pub(crate) route: &'static str,
    /// Whose secret signs: `client`, `operator` or `connection`.
    pub(crate) secret: &'static str,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedObject {
    pub(crate) object: &'static str,
    pub(crate) operations: Vec<&'static str>,
    /// The fields of the object and what was found of each by asking the connector; before that, a
    /// moment after it was loaded, what the manifest promises.
    pub(crate) fields: Vec<FieldCoverage>,
    /// Null as long as it is not computed.
    pub(crate) coverage: Option<CoverageCounts>,
    pub(crate) incremental: bool,
}

/// How many fields.
#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct CoverageCounts {
    pub(crate) readable: usize,
    pub(crate) writable: usize,
    pub(crate) of: usize,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedAuth {
    pub(crate) scheme: String,
    pub(crate) r#type: &'static str,
    pub(crate) title: String,
    pub(crate) scopes: Vec<String>,
    pub(crate) fields: Vec<DescribedField>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedField {
    pub(crate) id: String,
    pub(crate) r#type: &'static str,
    pub(crate) title: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) tooltip: Option<String>,
    pub(crate) required: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub(crate) options: Vec<String>,
    /// `discovery`: the provider knows the choices; `GET /connections/{id}/settings/{setting}/choices`
    /// loads them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) options_from: Option<&'static str>,
    /// The object of a `field_mapping`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) object: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) default: Option<String>,
}

#[derive(Clone, Debug, Serialize, JsonSchema)]
pub(crate) struct DescribedPermissions {
    pub(crate) http: Vec<String>,
    pub(crate) secrets: Vec<String>,
    pub(crate) memory_mib: u32,
    pub(crate) imports: Vec<String>,
}

impl Described {
    /// Of a manifest and what its component imports.
    #[must_use]
    pub fn new(manifest: &Manifest, imports: &[Import], discovery: bool) -> Self {
        Self {
            name: manifest.name.clone(),
            version: manifest.version.to_string(),
            description: manifest.description.clone(),
            overview: manifest.overview.clone(),
            icon: manifest.icon.clone(),
            accent_color: manifest.accent_color.clone(),
            licence: manifest.licence.clone(),
            source: manifest.source.clone(),
            verticals: manifest.verticals(),
            objects: manifest.objects.iter().map(DescribedObject::of).collect(),
            auth: manifest.auth.iter().map(DescribedAuth::of).collect(),
            variables: manifest
                .variables
                .iter()
                .map(|(id, variable)| DescribedField {
                    id: id.clone(),
                    r#type: variable.kind.as_str(),
                    title: variable.title.clone(),
                    tooltip: variable.tooltip.clone(),
                    required: true,
                    options: Vec::new(),
                    options_from: None,
                    object: None,
                    default: None,
                })
                .collect(),
            settings: manifest
                .settings
                .iter()
                .map(|setting| DescribedField {
                    id: setting.id.clone(),
                    r#type: setting.kind.as_str(),
                    title: setting.title.clone(),
                    tooltip: setting.tooltip.clone(),
                    required: setting.required,
                    options: setting.options.clone(),
                    options_from: setting.options_from.map(OptionsFrom::as_str),
                    object: setting.object.clone(),
                    default: setting
                        .default
                        .clone()
                        .filter(|_| setting.kind != SettingType::Password),
                })
                .collect(),
            permissions: DescribedPermissions {
                http: manifest
                    .permissions
                    .http
                    .iter()
                    .map(ToString::to_string)
                    .collect(),
                secrets: manifest.permissions.secrets.clone(),
                memory_mib: manifest.permissions.memory_mib,
                imports: imports.iter().map(ToString::to_string).collect(),
            },
            endpoints: manifest
                .endpoints
                .iter()
                .map(|(name, endpoint)| {
                    let described = DescribedEndpoint {
                        production: endpoint.production.to_string(),
                        sandbox: endpoint.sandbox.as_ref().map(ToString::to_string),
                    };
                    (name.clone(), described)
                })
                .collect(),
            webhooks: manifest.webhooks.map(|webhooks| DescribedWebhooks {
                route: webhooks.route.as_str(),
                secret: webhooks.secret.as_str(),
            }),
            discovery,
        }
    }
}

impl Described {
    /// Puts what was computed in the place of what is promised.
    pub(super) fn cover(&mut self, coverage: &Coverage) {
        for object in &mut self.objects {
            let Some(fields) = coverage.get(object.object) else {
                continue;
            };
            object.coverage = Some(CoverageCounts {
                readable: fields.iter().filter(|field| field.readable).count(),
                writable: fields.iter().filter(|field| field.writable).count(),
                of: fields.len(),
            });
            object.fields.clone_from(fields);
        }
    }

    /// Whether it is about this vertical.
    #[must_use]
    pub fn has_vertical(&self, vertical: &str) -> bool {
        self.verticals.contains(&vertical)
    }

    /// Whether it tells which fields the provider has.
    #[must_use]
    pub const fn has_discovery(&self) -> bool {
        self.discovery
    }

    /// Whether it serves this object.
    #[must_use]
    pub fn has_object(&self, name: &str) -> bool {
        self.objects.iter().any(|object| object.object == name)
    }

    /// Whether one of its ways to log in is of this type.
    #[must_use]
    pub fn has_auth(&self, kind: &str) -> bool {
        self.auth.iter().any(|scheme| scheme.r#type == kind)
    }
}

impl DescribedObject {
    fn of(object: &crate::model::ObjectSupport) -> Self {
        let mut operations = vec!["list", "get"];
        operations.extend(object.push.iter().map(|operation| operation.as_str()));
        Self {
            object: object.kind.name(),
            operations,
            fields: object
                .fields
                .iter()
                .map(|name| FieldCoverage {
                    name: name.clone(),
                    readable: true,
                    writable: false,
                })
                .collect(),
            coverage: None,
            incremental: object.incremental,
        }
    }
}

impl DescribedAuth {
    fn of(scheme: &crate::model::AuthScheme) -> Self {
        Self {
            scheme: scheme.name.clone(),
            r#type: scheme.type_name(),
            title: scheme.title.clone(),
            scopes: match &scheme.kind {
                AuthKind::OAuth2Code { client, .. }
                | AuthKind::OAuth2ClientCredentials { client } => client.scopes.clone(),
                AuthKind::ApiKey { .. } | AuthKind::Basic { .. } | AuthKind::Bearer { .. } => {
                    Vec::new()
                }
            },
            fields: scheme
                .fields()
                .into_iter()
                .map(|field| DescribedField {
                    id: field.id.to_owned(),
                    r#type: if field.secret { "password" } else { "text" },
                    title: field.title,
                    tooltip: None,
                    required: true,
                    options: Vec::new(),
                    options_from: None,
                    object: None,
                    default: None,
                })
                .collect(),
        }
    }
}
