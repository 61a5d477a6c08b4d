//! The API for callers within this process: the same routes, checks, limits and errors as for
//! those outside.

use std::sync::Arc;

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{FromRequestParts as _, Request},
    http::{HeaderValue, Method, header, request::Parts},
};
use serde_json::Value;
use tower::ServiceExt as _;

use super::{
    Services,
    caller::{Caller, key_text},
    error::{Code, Error},
    layers,
    rate_limit::Counted,
    routes,
};
use crate::model::{ConnectionId, Project, Scope};

/// The largest answer that is handed on.
const MAX_ANSWER: usize = 16 * 1024 * 1024;

/// The API without a network before it. Cheap to clone.
#[derive(Clone, Debug)]
pub struct Api {
    services: Arc<Services>,
    routes: Router,
}

/// Who asks: the key was checked, and the request counted.
#[derive(Clone, Debug)]
pub struct ApiCaller {
    /// The key's project.
    pub project: Project,
    key: HeaderValue,
    counted: Counted,
}

/// The connection that a request from within is about. Only this module makes one, from a scope
/// that was found in the caller's project.
#[derive(Clone, Debug)]
pub(super) struct Narrowed(pub(super) Scope);

/// A request to the API.
#[derive(Debug)]
pub struct ApiRequest {
    /// The method.
    pub method: Method,
    /// The path, with its query.
    pub path: String,
    /// The connection that it is about, in place of its token.
    pub connection: Option<ConnectionId>,
    /// The body.
    pub body: Option<Value>,
}

/// What the API answered.
#[derive(Debug)]
pub struct ApiAnswer {
    /// The status.
    pub status: u16,
    /// The body; null where there was none.
    pub body: Value,
}

impl Api {
    /// The API that `services` serve.
    #[must_use]
    pub fn new(services: &Arc<Services>) -> Self {
        Self {
            routes: layers::around(routes::all(|_| None), services)
                .with_state(Arc::clone(services)),
            services: Arc::clone(services),
        }
    }

    /// Who a request from outside is by. It counts as one request of the project, whatever it
    /// asks the API for.
    ///
    /// # Errors
    /// There is no good API key, or the project made too many requests.
    pub async fn caller(&self, parts: &mut Parts) -> Result<ApiCaller, Error> {
        let Caller { project } = Caller::from_request_parts(parts, &self.services).await?;
        let mut key = HeaderValue::from_str(key_text(&parts.headers)?)
            .map_err(|_| Error::new(Code::ApiKeyInvalid, "The API key is no text."))?;
        key.set_sensitive(true);
        let counted = parts.extensions.get::<Counted>().cloned();
        Ok(ApiCaller {
            project,
            key,
            counted: counted.unwrap_or_default(),
        })
    }

    /// Asks the API.
    ///
    /// # Errors
    /// The connection is not one of the caller's project, or the answer cannot be read. Whatever
    /// else goes wrong is an answer.
    pub async fn call(&self, caller: &ApiCaller, asked: ApiRequest) -> Result<ApiAnswer, Error> {
        let mut request = Request::builder()
            .method(asked.method)
            .uri(asked.path)
            .header("x-api-key", caller.key.clone());
        let body = match asked.body {
            Some(body) => {
                request = request.header(header::CONTENT_TYPE, "application/json");
                Body::from(body.to_string())
            }
            None => Body::empty(),
        };
        let mut request = request
            .body(body)
            .map_err(|_| Error::new(Code::InvalidParameter, "That makes no path."))?;
        request.extensions_mut().insert(caller.counted.clone());
        if let Some(id) = asked.connection {
            let scope = self
                .services
                .store
                .scope_by_id(caller.project.id, id)
                .await?;
            let scope = scope.ok_or_else(|| {
                let detail = format!("This project has no connection \"{id}\".");
                Error::new(Code::ConnectionNotFound, detail)
            })?;
            request.extensions_mut().insert(Narrowed(scope));
        }
        let answered = self.routes.clone().oneshot(request).await;
        let answer = answered.unwrap_or_else(|never| match never {});
        let status = answer.status().as_u16();
        let bytes = to_bytes(answer.into_body(), MAX_ANSWER).await;
        let bytes = bytes.map_err(|_| {
            let detail = "The answer is too large to be handed on; ask for less at once.";
            Error::new(Code::InvalidParameter, detail)
        })?;
        let body = match bytes.is_empty() {
            true => Value::Null,
            false => serde_json::from_slice(&bytes).map_err(|error| Error::internal(&error))?,
        };
        Ok(ApiAnswer { status, body })
    }
}
