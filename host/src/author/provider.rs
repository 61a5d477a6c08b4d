//! A server on this machine in a provider's place: what a connector sends is heard, and a script
//! answers.

use std::{
    collections::BTreeMap,
    net::{Ipv4Addr, SocketAddr},
    sync::Arc,
};

use axum::{
    Router,
    body::Bytes,
    extract::{OriginalUri, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode},
    response::{IntoResponse as _, Response},
};
use tokio::{net::TcpListener, task::JoinHandle};

use super::Error;
use crate::egress::BoxFuture;

/// What answers.
pub(super) trait Script: Send + Sync + 'static {
    /// The answer to a request.
    fn answer(&self, heard: Heard) -> BoxFuture<'_, Answer>;
}

/// A request that arrived.
#[derive(Clone, Debug)]
pub(super) struct Heard {
    pub(super) method: String,
    /// The endpoint of the manifest that it was sent to.
    pub(super) endpoint: String,
    /// Path and query beneath the endpoint's base, with a slash in front where it is not empty.
    pub(super) rest: String,
    /// Names in lower case.
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// An answer to send.
#[derive(Clone, Debug, Default)]
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: Vec<(String, String)>,
    pub(super) body: Vec<u8>,
}

/// The running server; it ends with this.
pub(super) struct LocalProvider {
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Drop for LocalProvider {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl LocalProvider {
    /// Begins to listen on a free port of this machine.
    pub(super) async fn start(script: Arc<dyn Script>) -> Result<Self, Error> {
        let failed = |error: std::io::Error| Error::Sandbox(error.into());
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await;
        let listener = listener.map_err(failed)?;
        let address = listener.local_addr().map_err(failed)?;
        let router = Router::new().fallback(hear).with_state(script);
        let task = tokio::spawn(async move {
            if let Err(error) = axum::serve(listener, router).await {
                tracing::warn!(error = %error, "the server in the provider's place has stopped");
            }
        });
        Ok(Self { address, task })
    }

    /// What stands in the place of each endpoint's base.
    pub(super) fn endpoints<'a>(
        &self,
        names: impl Iterator<Item = &'a String>,
    ) -> BTreeMap<String, String> {
        let base = |name: &String| (name.clone(), format!("http://{}/{name}", self.address));
        names.map(base).collect()
    }
}

async fn hear(
    State(script): State<Arc<dyn Script>>,
    method: Method,
    OriginalUri(uri): OriginalUri,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let target = uri.path_and_query().map_or("/", |target| target.as_str());
    let target = target.strip_prefix('/').unwrap_or(target);
    let end = target.find(['/', '?']).unwrap_or(target.len());
    let (endpoint, rest) = target.split_at(end);
    let answer = script
        .answer(Heard {
            method: method.to_string(),
            endpoint: endpoint.to_owned(),
            rest: rest.to_owned(),
            headers: headers
                .iter()
                .map(|(name, value)| {
                    let value = String::from_utf8_lossy(value.as_bytes());
                    (name.as_str().to_owned(), value.into_owned())
                })
                .collect(),
            body: body.to_vec(),
        })
        .await;
    let status = StatusCode::from_u16(answer.status).unwrap_or(StatusCode::BAD_GATEWAY);
    let mut response = (status, answer.body).into_response();
    response.headers_mut().clear();
    for (name, value) in answer.headers {
        let name = HeaderName::from_bytes(name.as_bytes());
        if let (Ok(name), Ok(value)) = (name, HeaderValue::from_str(&value)) {
            response.headers_mut().append(name, value);
        }
    }
    response
}
