//! The provider of `tests/fixtures/doors`: it knows one login of every scheme.

use std::sync::Arc;

use axum::{
    Json, Router,
    extract::State,
    http::{HeaderMap, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Value, json};
use tokio::{net::TcpListener, task::JoinHandle};

use crate::{Identity, api, server::Builder};

/// The key that it takes.
pub const KEY: &str = "key-that-opens";
/// The personal token that it takes.
pub const TOKEN: &str = "token-that-opens";
/// The key of a person who has two accounts.
pub const KEY_OF_TWO: &str = "key-that-opens-two";
/// The name that it takes.
pub const NAME: &str = "porter";
/// The password of that name.
pub const PASSWORD: &str = "password-that-opens";

/// A provider of its own for a test, whose tokens come from an [`Identity`].
#[derive(Debug)]
pub struct Doors {
    base_url: String,
    serving: JoinHandle<()>,
}

impl Doors {
    /// One that asks this server of identities about tokens.
    ///
    /// # Panics
    /// No port is free.
    pub async fn start(identity: &Identity) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await;
        let listener = listener.expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let router = Router::new()
            .route("/v1/accounts", get(accounts))
            .with_state(Arc::from(identity.base_url()));
        let serving = tokio::spawn(async move {
            let served = axum::serve(listener, router).await;
            served.expect("the provider serves");
        });
        Self {
            base_url: format!("http://{address}"),
            serving,
        }
    }

    /// Tells a server where this is and where its logins are made, and gives it the connector.
    #[must_use]
    pub fn known_to(&self, server: Builder, identity: &Identity) -> Builder {
        let server = server.endpoint("doors", "api", &self.base_url);
        identity.known_to(server, "doors").with("doors")
    }
}

impl Drop for Doors {
    fn drop(&mut self) {
        self.serving.abort();
    }
}

async fn accounts(State(identity): State<Arc<str>>, headers: HeaderMap) -> Response {
    let header = |name| headers.get(name).and_then(|value| value.to_str().ok());
    let one = json!([{ "id": "front", "name": "Front door" }]);
    let two =
        json!([{ "id": "front", "name": "Front door" }, { "id": "back", "name": "Back door" }]);
    let basic = format!("Basic {}", STANDARD.encode(format!("{NAME}:{PASSWORD}")));
    let authorization = header(header::AUTHORIZATION.as_str()).unwrap_or_default();
    let found = match (header("x-doors-key"), authorization.strip_prefix("Bearer ")) {
        (Some(KEY), _) | (_, Some(TOKEN)) => Some(one),
        (Some(KEY_OF_TWO), _) => Some(two),
        (_, Some(token)) if issued(&identity, token).await => Some(one),
        _ if authorization == basic => Some(one),
        _ => None,
    };
    match found {
        Some(accounts) => Json(accounts).into_response(),
        None => (StatusCode::UNAUTHORIZED, "knock again").into_response(),
    }
}

/// Whether the token is one that lives, of the server of identities.
async fn issued(identity: &str, token: &str) -> bool {
    let form = format!(
        "client_id=app&client_secret=app-secret&token={}",
        api::encode(token)
    );
    let answer = api::http()
        .post(format!("{identity}/token/introspection"))
        .header(header::CONTENT_TYPE, "application/x-www-form-urlencoded")
        .body(form)
        .send()
        .await
        .expect("the server of identities answers");
    let text = answer.text().await.unwrap_or_default();
    let told: Value = serde_json::from_str(&text).unwrap_or_default();
    told["active"] == true
}
