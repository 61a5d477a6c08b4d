//! Recording: a connector reads from the real provider, and what was said becomes a fixture.
//!
//! The connector's requests go to a server of this machine, which hands them on through the guarded
//! client and writes both sides down. So it works for every language, and nothing of the runtime
//! knows of it.

mod scrub;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex},
    time::Duration,
};

use ipnet::IpNet;
use serde_json::{Map, Value, json};
use url::Url;

use super::{
    Candidate, Error,
    fixture::{Exchange, Fixture, Mapping, Request, Response, Source},
    lab::{Lab, bases, fetch, locked, sample_values},
    provider::{Answer, Heard, Script},
};
use crate::{
    egress::{
        self, Authorization, AuthorizeError, Authorizer, BoxFuture, Egress, HeaderMap, HeaderName,
        HeaderValue, Method, Policy,
    },
    model::{ApiKeyPlace, AuthKind, AuthScheme, ObjectKind},
    runtime::{Artifact, FetchRequest},
    vault,
};
use scrub::Scrubber;

/// Documents of a recorded fixture: enough to fill every field, few enough to be read.
const MOST_DOCUMENTS: usize = 8;
/// Headers of answers that say how to go on; all others are left out.
const KEPT_HEADERS: [&str; 6] = [
    "link",
    "etag",
    "last-modified",
    "location",
    "retry-after",
    "content-type",
];
/// What the client that hands a request on says by itself.
const OWN_HEADERS: [&str; 7] = [
    "host",
    "content-length",
    "connection",
    "accept-encoding",
    "transfer-encoding",
    "user-agent",
    "expect",
];

/// What to record, and how to get at it.
#[derive(Clone, Debug)]
pub struct RecordOptions {
    /// The object to read.
    pub object: ObjectKind,
    /// The login's name in the manifest; the first one where none is given.
    pub scheme: Option<String>,
    /// What the login form would get; for OAuth an `access_token`.
    pub credentials: BTreeMap<String, String>,
    /// Values of variables and settings.
    pub settings: BTreeMap<String, String>,
    /// Real addresses in place of those of the manifest, by endpoint.
    pub endpoints: BTreeMap<String, Url>,
    /// Private networks that may be reached.
    pub allow_private: Vec<IpNet>,
    /// How many records a page has at most.
    pub limit: u32,
    /// How many pages to read at most.
    pub pages: u32,
    /// Only what changed since, RFC 3339.
    pub since: Option<String>,
    /// Only this record.
    pub remote_id: Option<String>,
    /// Whether names, mail addresses and phone numbers are replaced by invented ones.
    pub scrub: bool,
}

/// The login that credentials are asked for: the one of that name, or the first.
///
/// # Errors
/// The component is refused, or has no such login.
pub fn login(candidate: &Candidate, name: Option<&str>) -> Result<AuthScheme, Error> {
    let artifact = Artifact::read(&candidate.bytes)
        .map_err(|error| Error::Refused(candidate.path.clone(), error))?;
    let schemes = &artifact.manifest.auth;
    let found = match name {
        Some(name) => schemes.iter().find(|scheme| scheme.name == name),
        None => schemes.first(),
    };
    found.cloned().ok_or_else(|| {
        let known: Vec<&str> = schemes.iter().map(|scheme| scheme.name.as_str()).collect();
        Error::Login(name.unwrap_or_default().to_owned(), known.join(", "))
    })
}

/// Reads the account and pages of records from the real provider, and answers what was said,
/// without credentials, and what the documents become.
///
/// # Errors
/// The component is refused, the credentials are of no use, or the provider or the connector fails.
pub async fn record(candidate: &Candidate, options: &RecordOptions) -> Result<Fixture, Error> {
    let scheme = login(candidate, options.scheme.as_deref())?;
    let artifact = Artifact::read(&candidate.bytes)
        .map_err(|error| Error::Refused(candidate.path.clone(), error))?;
    let authorization = vault::authorization(&artifact.manifest, &scheme, &options.credentials)
        .map_err(|error| Error::Credentials(error.to_string()))?;
    let authorization = Arc::new(authorization);
    let values = sample_values(&artifact.manifest, options.settings.clone());
    let mut bases = bases(&artifact.manifest, &values);
    for (name, url) in &options.endpoints {
        bases.insert(name.clone(), url.as_str().trim_end_matches('/').to_owned());
    }
    let policy = Policy {
        allow_private: options.allow_private.clone(),
    };
    let egress = Egress::new(policy).map_err(|error| Error::Sandbox(error.into()))?;
    let tape = Arc::new(Tape {
        egress,
        bases,
        hidden: hidden_parameter(&scheme),
        exchanges: Mutex::default(),
        trouble: Mutex::default(),
    });
    let script = Arc::clone(&tape);
    let lab = Lab::open(candidate, values, Some(script))
        .await?
        .map_err(|error| Error::Refused(candidate.path.clone(), error))?
        .with_authorizer(Arc::new(Typed(Arc::clone(&authorization))));

    let failed = |error: crate::runtime::CallError| {
        let trouble = locked(&tape.trouble).take();
        Error::Provider(trouble.unwrap_or_else(|| error.to_string()))
    };
    lab.version
        .authenticate(lab.context())
        .await
        .map_err(failed)?;
    let mut request = FetchRequest {
        limit: options.limit,
        since: options.since.clone(),
        remote_id: options.remote_id.clone(),
        ..fetch(options.object.name())
    };
    let mut remotes: Vec<Value> = Vec::new();
    for _ in 0..options.pages.max(1) {
        let page = lab
            .version
            .fetch_records(lab.context(), request.clone())
            .await;
        let page = page.map_err(failed)?;
        let records: Vec<Map<String, Value>> =
            serde_json::from_str(&page.records).unwrap_or_default();
        remotes.extend(
            records
                .into_iter()
                .filter_map(|mut record| record.remove("data")),
        );
        match page.next_cursor {
            Some(cursor) => request.cursor = Some(cursor),
            None => break,
        }
    }

    let mut scrubber = Scrubber::new(Arc::clone(&authorization), options.scrub);
    let mut exchanges = std::mem::take(&mut *locked(&tape.exchanges));
    for remote in &remotes {
        if let Some(unified) = unified(&lab, options.object, remote).await {
            scrubber.learn(&Value::Object(unified));
        }
        scrubber.learn(remote);
    }
    for exchange in &mut exchanges {
        scrubber.text(&mut exchange.request.url);
        if let Some(body) = &mut exchange.request.body {
            scrubber.value(body);
        }
        for value in exchange.response.headers.values_mut() {
            scrubber.text(value);
        }
        scrubber.value(&mut exchange.response.body);
    }
    for remote in &mut remotes {
        scrubber.value(remote);
    }
    let documents = documents(&lab, options.object, remotes).await;
    Ok(Fixture {
        description: format!("{} as the provider has it", options.object),
        source: Source::Recorded,
        exchanges,
        documents,
        inputs: Vec::new(),
    })
}

/// Documents that show something that those before them do not, and what becomes of them.
async fn documents(lab: &Lab, kind: ObjectKind, remotes: Vec<Value>) -> Vec<Mapping> {
    let mut shown: BTreeSet<String> = BTreeSet::new();
    let mut documents = Vec::new();
    for remote in remotes {
        let Some(unified) = unified(lab, kind, &remote).await else {
            continue;
        };
        let set = unified.iter().filter(|(_, value)| !value.is_null());
        let names: Vec<String> = set.map(|(name, _)| name.clone()).collect();
        if names.iter().all(|name| shown.contains(name)) && !documents.is_empty() {
            continue;
        }
        shown.extend(names);
        documents.push(Mapping {
            object: kind.name().to_owned(),
            fields: BTreeMap::new(),
            remote: Some(remote),
            unified: Some(unified),
            error: None,
        });
        if documents.len() == MOST_DOCUMENTS {
            break;
        }
    }
    documents
}

/// What a document becomes; none where it is refused.
async fn unified(lab: &Lab, kind: ObjectKind, remote: &Value) -> Option<Map<String, Value>> {
    let text = json!([remote]).to_string();
    let answer = lab.version.unify(kind, text, &[]).await.ok()?;
    let entries: Vec<Map<String, Value>> = serde_json::from_str(&answer).ok()?;
    let first = entries.into_iter().next()?;
    (!first.contains_key("error")).then_some(first)
}

/// The parameter of the query in which a key goes.
fn hidden_parameter(scheme: &AuthScheme) -> Option<String> {
    match &scheme.kind {
        AuthKind::ApiKey {
            place: ApiKeyPlace::Query,
            name,
            ..
        } => Some(name.clone()),
        _ => None,
    }
}

/// Hands requests on to the real provider, and writes both sides down.
struct Tape {
    egress: Egress,
    /// Where each endpoint really is.
    bases: BTreeMap<String, String>,
    hidden: Option<String>,
    exchanges: Mutex<Vec<Exchange>>,
    /// Why the last request had no answer.
    trouble: Mutex<Option<String>>,
}

impl Script for Tape {
    fn answer(&self, heard: Heard) -> BoxFuture<'_, Answer> {
        Box::pin(async move {
            match self.hand_on(&heard).await {
                Ok(answer) => answer,
                Err(trouble) => {
                    *locked(&self.trouble) = Some(trouble);
                    Answer {
                        status: 502,
                        ..Answer::default()
                    }
                }
            }
        })
    }
}

impl Tape {
    async fn hand_on(&self, heard: &Heard) -> Result<Answer, String> {
        let base = self.bases.get(&heard.endpoint);
        let base = base.ok_or_else(|| format!("there is no endpoint {:?}", heard.endpoint))?;
        let text = format!("{base}{}", heard.rest);
        let url = Url::parse(&text).map_err(|error| format!("{base}: {error}"))?;
        let mut headers = HeaderMap::new();
        for (name, value) in &heard.headers {
            if OWN_HEADERS.contains(&name.as_str()) {
                continue;
            }
            let name = HeaderName::from_bytes(name.as_bytes());
            if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(value)) {
                headers.append(name, value);
            }
        }
        let request = egress::Request {
            method: Method::from_bytes(heard.method.as_bytes())
                .map_err(|error| error.to_string())?,
            url,
            headers,
            body: (!heard.body.is_empty()).then(|| heard.body.clone().into()),
        };
        let limits = egress::Limits {
            total: Duration::from_secs(30),
            max_request_bytes: 16 * 1024 * 1024,
            max_response_bytes: 16 * 1024 * 1024,
        };
        let response = self.egress.send(request, &limits).await;
        let response = response.map_err(|error| {
            let here = match error {
                egress::Error::Denied(_) => " (here: with --allow-private)",
                _ => "",
            };
            format!("{base}: {error}{here}")
        })?;
        let headers: Vec<(String, String)> = response
            .headers
            .iter()
            .filter_map(|(name, value)| {
                Some((name.as_str().to_owned(), value.to_str().ok()?.to_owned()))
            })
            .collect();
        let body = response.body.to_vec();
        // What the host waits for or asks again is no part of the story.
        if response.status < 500 && !matches!(response.status, 401 | 429) {
            let exchange = self.exchange(heard, response.status, &headers, &body);
            locked(&self.exchanges).push(exchange);
        }
        let own =
            |name: &str| matches!(name, "content-length" | "transfer-encoding" | "connection");
        Ok(Answer {
            status: response.status,
            headers: headers.into_iter().filter(|(name, _)| !own(name)).collect(),
            body,
        })
    }

    fn exchange(
        &self,
        heard: &Heard,
        status: u16,
        headers: &[(String, String)],
        body: &[u8],
    ) -> Exchange {
        let kept = |name: &str| {
            KEPT_HEADERS.contains(&name)
                || (name.starts_with("x-")
                    && ["total", "page", "next", "limit", "count"]
                        .iter()
                        .any(|word| name.contains(word)))
        };
        Exchange {
            request: Request {
                method: heard.method.clone(),
                url: format!("{{{}}}{}", heard.endpoint, self.without_key(&heard.rest)),
                headers: BTreeMap::new(),
                body: (!heard.body.is_empty()).then(|| parsed(&heard.body)),
            },
            response: Response {
                status,
                headers: headers
                    .iter()
                    .filter(|(name, _)| kept(name))
                    .cloned()
                    .collect(),
                body: parsed(body),
            },
        }
    }

    /// Path and query without the parameter that is the credential.
    fn without_key(&self, rest: &str) -> String {
        let (Some(hidden), Some((path, query))) = (&self.hidden, rest.split_once('?')) else {
            return rest.to_owned();
        };
        let kept: Vec<&str> = query
            .split('&')
            .filter(|pair| pair.split('=').next() != Some(hidden.as_str()))
            .collect();
        if kept.is_empty() {
            return path.to_owned();
        }
        format!("{path}?{}", kept.join("&"))
    }
}

/// A body as fixtures write it.
fn parsed(body: &[u8]) -> Value {
    if body.is_empty() {
        return Value::Null;
    }
    serde_json::from_slice(body)
        .unwrap_or_else(|_| Value::String(String::from_utf8_lossy(body).into_owned()))
}

/// What somebody typed, as it is.
struct Typed(Arc<Authorization>);

impl Authorizer for Typed {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        let authorization = Arc::clone(&self.0);
        Box::pin(async { Ok(authorization) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Err(AuthorizeError::Dead("the provider refuses them".to_owned())) })
    }
}
