//! A client for registries that keep the OCI Distribution Specification 1.1: as much of it as
//! connectors need. A crate for it would bring a second HTTP client past `egress`; what is needed
//! are six requests.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use bytes::Bytes;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use url::{Host, Url};

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use super::{Error, Reference};
use crate::{
    egress::{Egress, HeaderMap, HeaderValue, Limits, Method, Request, Response, header},
    model::Digest,
};

const MANIFEST_TYPE: &str = "application/vnd.oci.image.manifest.v1+json";
/// The configuration of a WebAssembly artifact.
pub(super) const WASM_CONFIG: &str = "application/vnd.wasm.config.v0+json";
/// A WebAssembly file.
pub(super) const WASM_LAYER: &str = "application/wasm";
/// No configuration.
pub(super) const EMPTY_CONFIG: &str = "application/vnd.oci.empty.v1+json";
/// An index of connectors.
pub(super) const INDEX_LAYER: &str = "application/vnd.jackfield.index.v1+json";

const MIB: usize = 1024 * 1024;
/// The most bytes of a blob: more than a connector may have.
const MAX_BLOB: usize = 33 * MIB;
const MAX_MANIFEST: usize = 4 * MIB;
const TOTAL: Duration = Duration::from_secs(120);
/// How often a registry may send on to where it keeps its blobs.
const REDIRECTS: usize = 3;

/// How to log in at registries, by host and port.
#[derive(Clone, Debug, Default)]
pub struct Logins(pub BTreeMap<String, Login>);

/// How to log in at a registry.
#[derive(Clone, Debug)]
pub enum Login {
    /// User name and password.
    Basic(String, SecretString),
    /// A token that is sent as it is.
    Bearer(SecretString),
}

#[derive(Deserialize)]
struct DockerConfig {
    #[serde(default)]
    auths: BTreeMap<String, DockerAuth>,
}

#[derive(Deserialize)]
struct DockerAuth {
    #[serde(default)]
    auth: Option<String>,
}

impl Logins {
    /// Of the text that `docker login` writes.
    ///
    /// # Errors
    /// It is not of that form.
    pub fn from_docker(text: &[u8]) -> Result<Self, serde_json::Error> {
        let config: DockerConfig = serde_json::from_slice(text)?;
        let logins = config.auths.into_iter().filter_map(|(name, auth)| {
            let pair = STANDARD.decode(auth.auth?).ok()?;
            let pair = String::from_utf8(pair).ok()?;
            let (user, password) = pair.split_once(':')?;
            let host = name.trim_start_matches("https://").split('/').next()?;
            let password = SecretString::from(password);
            Some((host.to_owned(), Login::Basic(user.to_owned(), password)))
        });
        Ok(Self(logins.collect()))
    }
}

/// The client. Everything goes through the guarded way out.
#[derive(Clone)]
pub struct Registries {
    egress: Egress,
    logins: Arc<Logins>,
}

impl std::fmt::Debug for Registries {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Registries").finish_non_exhaustive()
    }
}

/// Something that was fetched: what was asked for, pinned, and its one layer.
#[derive(Clone, Debug)]
pub(super) struct Artifact {
    pub(super) pinned: Reference,
    pub(super) layer: Bytes,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Manifest {
    schema_version: u32,
    #[serde(default)]
    media_type: String,
    config: Descriptor,
    layers: Vec<Descriptor>,
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    annotations: BTreeMap<String, String>,
}

#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Descriptor {
    media_type: String,
    digest: String,
    size: u64,
}

#[derive(Deserialize)]
struct Tags {
    #[serde(default)]
    tags: Option<Vec<String>>,
}

#[derive(Deserialize)]
struct Token {
    #[serde(alias = "access_token")]
    token: String,
}

impl Registries {
    /// Through `egress`, with these logins.
    #[must_use]
    pub fn new(egress: Egress, logins: Logins) -> Self {
        Self {
            egress,
            logins: Arc::new(logins),
        }
    }

    /// Fetches the one layer of a type, and checks every sum on the way.
    pub(super) async fn pull(&self, from: &Reference, layer: &str) -> Result<Artifact, Error> {
        let name = match (from.digest, &from.tag) {
            (Some(digest), _) => format!("sha256:{digest}"),
            (None, Some(tag)) => tag.clone(),
            (None, None) => "latest".to_owned(),
        };
        let url = url_of(from, &format!("manifests/{name}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(header::ACCEPT, HeaderValue::from_static(MANIFEST_TYPE));
        let answer = self
            .ask(from, Method::GET, url, headers, None, "pull")
            .await?;
        expect(from, "the manifest", &answer, &[200])?;
        let digest = Digest::of(&answer.body);
        if from.digest.is_some_and(|wanted| wanted != digest) || answer.body.len() > MAX_MANIFEST {
            return Err(refused(
                from,
                "the manifest is not the one that was asked for",
            ));
        }
        let manifest: Manifest = serde_json::from_slice(&answer.body)
            .map_err(|error| refused(from, &format!("the manifest makes no sense: {error}")))?;
        let layers: Vec<&Descriptor> = manifest
            .layers
            .iter()
            .filter(|one| one.media_type == layer)
            .collect();
        let [wanted] = layers.as_slice() else {
            let count = layers.len();
            let what = format!("it has {count} layers of {layer}, and there must be one");
            return Err(refused(from, &what));
        };
        let sum = wanted
            .digest
            .strip_prefix("sha256:")
            .and_then(Digest::parse);
        let sum = sum.ok_or_else(|| refused(from, "a layer has no SHA-256"))?;
        let url = url_of(from, &format!("blobs/sha256:{sum}"))?;
        let blob = self
            .ask(from, Method::GET, url, HeaderMap::new(), None, "pull")
            .await?;
        let blob = self.follow(from, blob).await?;
        expect(from, "the layer", &blob, &[200])?;
        if Digest::of(&blob.body) != sum {
            return Err(refused(
                from,
                "the layer is not the one that the manifest names",
            ));
        }
        Ok(Artifact {
            pinned: from.pinned(digest),
            layer: blob.body,
        })
    }

    /// Puts an artifact of one layer under a tag; gives it pinned.
    pub(super) async fn push(
        &self,
        to: &Reference,
        config: (&str, Vec<u8>),
        layer: (&str, &[u8]),
        annotations: BTreeMap<String, String>,
    ) -> Result<Reference, Error> {
        let config = self.push_blob(to, config.0, Bytes::from(config.1)).await?;
        let layer = self
            .push_blob(to, layer.0, Bytes::copy_from_slice(layer.1))
            .await?;
        let manifest = Manifest {
            schema_version: 2,
            media_type: MANIFEST_TYPE.to_owned(),
            config,
            layers: vec![layer],
            annotations,
        };
        let manifest =
            serde_json::to_vec(&manifest).map_err(|error| refused(to, &error.to_string()))?;
        let digest = Digest::of(&manifest);
        let tag = to.tag.as_deref().unwrap_or("latest");
        let url = url_of(to, &format!("manifests/{tag}"))?;
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static(MANIFEST_TYPE),
        );
        let body = Some(Bytes::from(manifest));
        let answer = self
            .ask(to, Method::PUT, url, headers, body, "pull,push")
            .await?;
        expect(to, "the manifest", &answer, &[201])?;
        Ok(to.pinned(digest))
    }

    /// The tags of a repository; none where it does not exist.
    pub(super) async fn tags(&self, of: &Reference) -> Result<Vec<String>, Error> {
        let url = url_of(of, "tags/list?n=1000")?;
        let answer = self
            .ask(of, Method::GET, url, HeaderMap::new(), None, "pull")
            .await?;
        if answer.status == 404 {
            return Ok(Vec::new());
        }
        expect(of, "the list of tags", &answer, &[200])?;
        let tags: Tags = serde_json::from_slice(&answer.body)
            .map_err(|error| refused(of, &format!("the list of tags makes no sense: {error}")))?;
        Ok(tags.tags.unwrap_or_default())
    }

    async fn push_blob(
        &self,
        to: &Reference,
        kind: &str,
        bytes: Bytes,
    ) -> Result<Descriptor, Error> {
        let digest = Digest::of(&bytes);
        let descriptor = Descriptor {
            media_type: kind.to_owned(),
            digest: format!("sha256:{digest}"),
            size: bytes.len() as u64,
        };
        let url = url_of(to, &format!("blobs/sha256:{digest}"))?;
        let there = self
            .ask(to, Method::HEAD, url, HeaderMap::new(), None, "pull,push")
            .await?;
        if there.status == 200 {
            return Ok(descriptor);
        }
        let url = url_of(to, "blobs/uploads/")?;
        let begun = self
            .ask(
                to,
                Method::POST,
                url.clone(),
                HeaderMap::new(),
                None,
                "pull,push",
            )
            .await?;
        expect(to, "an upload", &begun, &[202])?;
        let mut place = location(&url, &begun)
            .ok_or_else(|| refused(to, "it does not say where an upload goes"))?;
        // Only ever to the registry itself: with its credentials, and with ours.
        if place.origin() != url.origin() {
            return Err(refused(to, "it wants an upload to go to another host"));
        }
        place
            .query_pairs_mut()
            .append_pair("digest", &descriptor.digest);
        let mut headers = HeaderMap::new();
        let kind = HeaderValue::from_static("application/octet-stream");
        headers.insert(header::CONTENT_TYPE, kind);
        let answer = self
            .ask(to, Method::PUT, place, headers, Some(bytes), "pull,push")
            .await?;
        expect(to, "an upload", &answer, &[201])?;
        Ok(descriptor)
    }

    /// Goes where a registry keeps its blobs, without its credentials.
    async fn follow(&self, from: &Reference, mut answer: Response) -> Result<Response, Error> {
        let mut base = url_of(from, "")?;
        for _ in 0..REDIRECTS {
            if !matches!(answer.status, 301 | 302 | 303 | 307 | 308) {
                return Ok(answer);
            }
            let place = location(&base, &answer)
                .filter(|place| from.plain || place.scheme() == "https")
                .ok_or_else(|| refused(from, "it sends to nowhere that may be gone to"))?;
            base = place.clone();
            answer = self
                .send(from, Method::GET, place, HeaderMap::new(), None)
                .await?;
        }
        Ok(answer)
    }

    /// Sends a request, and once more with a login where the registry wants one.
    async fn ask(
        &self,
        about: &Reference,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Bytes>,
        actions: &str,
    ) -> Result<Response, Error> {
        let answer = self
            .send(
                about,
                method.clone(),
                url.clone(),
                headers.clone(),
                body.clone(),
            )
            .await?;
        if answer.status != 401 {
            return Ok(answer);
        }
        let Some(credential) = self.log_in(about, &answer, actions).await? else {
            return Ok(answer);
        };
        let mut headers = headers;
        headers.insert(header::AUTHORIZATION, credential);
        self.send(about, method, url, headers, body).await
    }

    /// What the challenge of an answer asks for; none where there is nothing to give.
    async fn log_in(
        &self,
        about: &Reference,
        answer: &Response,
        actions: &str,
    ) -> Result<Option<HeaderValue>, Error> {
        // Where nothing is encrypted no login is sent: an index may name any registry so.
        let login = self.logins.0.get(&about.registry);
        let login = login
            .filter(|_| !about.plain || url_of(about, "").is_ok_and(|url| is_this_machine(&url)));
        let challenge = answer.headers.get(header::WWW_AUTHENTICATE);
        let challenge = challenge
            .and_then(|value| value.to_str().ok())
            .unwrap_or_default();
        let basic = |login: &Login| match login {
            Login::Basic(user, password) => {
                let pair = format!("{user}:{}", password.expose_secret());
                secret_header(&format!("Basic {}", STANDARD.encode(pair)))
            }
            Login::Bearer(token) => secret_header(&format!("Bearer {}", token.expose_secret())),
        };
        let Some(rest) = strip_word(challenge, "bearer") else {
            return Ok(login.and_then(basic));
        };
        if let Some(login @ Login::Bearer(_)) = login {
            return Ok(basic(login));
        }
        let parameters = parameters(rest);
        let realm = parameters
            .get("realm")
            .and_then(|realm| Url::parse(realm).ok());
        let mut realm = realm
            .filter(|realm| realm.scheme() == "https" || about.plain)
            .ok_or_else(|| refused(about, "it does not say where to log in"))?;
        if let Some(service) = parameters.get("service") {
            realm.query_pairs_mut().append_pair("service", service);
        }
        let scope = format!("repository:{}:{actions}", about.repository);
        realm.query_pairs_mut().append_pair("scope", &scope);
        let mut headers = HeaderMap::new();
        let is_safe = realm.scheme() == "https" || is_this_machine(&realm);
        if let Some(credential) = login.filter(|_| is_safe).and_then(basic) {
            headers.insert(header::AUTHORIZATION, credential);
        }
        let answer = self.send(about, Method::GET, realm, headers, None).await?;
        expect(about, "a token", &answer, &[200])?;
        let token: Token = serde_json::from_slice(&answer.body)
            .map_err(|_| refused(about, "its token makes no sense"))?;
        Ok(secret_header(&format!("Bearer {}", token.token)))
    }

    async fn send(
        &self,
        about: &Reference,
        method: Method,
        url: Url,
        headers: HeaderMap,
        body: Option<Bytes>,
    ) -> Result<Response, Error> {
        let request = Request {
            method,
            url,
            headers,
            body,
        };
        let limits = Limits {
            total: TOTAL,
            max_request_bytes: MAX_BLOB,
            max_response_bytes: MAX_BLOB,
        };
        let answer = self.egress.send(request, &limits).await;
        answer.map_err(|error| refused(about, &error.to_string()))
    }
}

fn url_of(reference: &Reference, rest: &str) -> Result<Url, Error> {
    let scheme = if reference.plain { "http" } else { "https" };
    let (registry, repository) = (&reference.registry, &reference.repository);
    let text = format!("{scheme}://{registry}/v2/{repository}/{rest}");
    Url::parse(&text).map_err(|error| refused(reference, &error.to_string()))
}

fn expect(about: &Reference, what: &str, answer: &Response, statuses: &[u16]) -> Result<(), Error> {
    if statuses.contains(&answer.status) {
        return Ok(());
    }
    let status = answer.status;
    let hint = match status {
        401 | 403 => "; give a login in marketplace.registries or marketplace.docker_config",
        404 => "; it is not there",
        _ => "",
    };
    let text = String::from_utf8_lossy(&answer.body);
    let text: String = text
        .chars()
        .take(200)
        .filter(|letter| !letter.is_control())
        .collect();
    Err(refused(
        about,
        &format!("{what}: it answers {status}{hint} {text}"),
    ))
}

fn refused(about: &Reference, what: &str) -> Error {
    Error::Registry {
        registry: about.registry.clone(),
        repository: about.repository.clone(),
        what: what.trim_end().to_owned(),
    }
}

fn location(base: &Url, answer: &Response) -> Option<Url> {
    let location = answer.headers.get(header::LOCATION)?.to_str().ok()?;
    base.join(location).ok()
}

fn secret_header(text: &str) -> Option<HeaderValue> {
    let mut value = HeaderValue::from_str(text).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// What follows a word, whatever its case.
fn strip_word<'text>(text: &'text str, word: &str) -> Option<&'text str> {
    let (first, rest) = text.split_once(' ')?;
    first.eq_ignore_ascii_case(word).then_some(rest)
}

/// `name="value"` with commas between them.
fn parameters(text: &str) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let mut rest = text;
    while let Some((name, after)) = rest.split_once('=') {
        let name = name.trim_matches([' ', ',']).to_ascii_lowercase();
        let (value, after) = match after.strip_prefix('"') {
            Some(quoted) => quoted.split_once('"').unwrap_or((quoted, "")),
            None => after.split_once(',').unwrap_or((after, "")),
        };
        all.insert(name, value.to_owned());
        rest = after;
    }
    all
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost",
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges_are_read() {
        let text = "Bearer realm=\"https://auth.example/token\",service=\"registry\", scope=\"repository:a/b:pull,push\"";
        let rest = strip_word(text, "bearer").unwrap();
        let read = parameters(rest);
        assert_eq!(read["realm"], "https://auth.example/token");
        assert_eq!(read["service"], "registry");
        assert_eq!(read["scope"], "repository:a/b:pull,push");
        assert!(strip_word("Basic realm=x", "bearer").is_none());
        assert!(parameters("").is_empty());
    }

    #[tokio::test]
    async fn a_login_is_sent_where_nobody_listens() {
        let login = || Login::Basic("me".to_owned(), "secret".into());
        let names = ["registry.example:5000", "127.0.0.1:5000"];
        let logins = names.map(|name| (name.to_owned(), login()));
        let egress = Egress::new(crate::egress::Policy::default()).unwrap();
        let client = Registries::new(egress, Logins(logins.into()));
        let mut answer = Response {
            status: 401,
            headers: HeaderMap::new(),
            body: Bytes::new(),
        };
        let challenge = HeaderValue::from_static("Basic realm=x");
        answer.headers.insert(header::WWW_AUTHENTICATE, challenge);
        for (place, expected) in [
            ("oci://registry.example:5000/a", true),
            ("oci+http://registry.example:5000/a", false),
            ("oci+http://127.0.0.1:5000/a", true),
        ] {
            let place: Reference = place.parse().unwrap();
            let sent = client.log_in(&place, &answer, "pull").await.unwrap();
            assert_eq!(sent.is_some(), expected, "{place}");
        }
    }
}
