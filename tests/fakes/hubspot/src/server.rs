//! Routes, the thread they run on, and what happens before a handler.

use std::net::SocketAddr;
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use axum::Router;
use axum::extract::{Request, State as Extract};
use axum::http::header;
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post, put};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

use crate::error::Failure;
use crate::state::{Seen, State, lock};
use crate::{account, associations, oauth, objects, search};

pub(crate) type Shared = Arc<Mutex<State>>;

/// Serves on a thread of its own until `stopped` resolves.
pub(crate) fn spawn(state: Shared, stopped: oneshot::Receiver<()>) -> (SocketAddr, JoinHandle<()>) {
    let listener = std::net::TcpListener::bind(("127.0.0.1", 0)).expect("a free port on 127.0.0.1");
    listener
        .set_nonblocking(true)
        .expect("a socket can be made non-blocking");
    let address = listener
        .local_addr()
        .expect("a bound socket has an address");
    let thread = std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .expect("a runtime");
        runtime.block_on(async move {
            let listener = TcpListener::from_std(listener).expect("the runtime has I/O");
            let serve = axum::serve(listener, router(state));
            tokio::select! {
                result = serve => result.expect("serving does not end by itself"),
                _ = stopped => (),
            }
        });
    });
    (address, thread)
}

pub(crate) fn router(state: Shared) -> Router {
    let api = Router::new()
        .route(
            "/crm/v3/objects/{object}",
            get(objects::list).post(objects::create),
        )
        .route("/crm/v3/objects/{object}/search", post(search::search))
        .route(
            "/crm/v3/objects/{object}/batch/read",
            post(objects::batch_read),
        )
        .route(
            "/crm/v3/objects/{object}/{id}",
            get(objects::read)
                .patch(objects::update)
                .delete(objects::archive),
        )
        .route(
            "/crm/v4/associations/{from}/{to}/batch/read",
            post(associations::batch_read),
        )
        .route(
            "/crm/v4/objects/{from}/{id}/associations/default/{to}/{to_id}",
            put(associations::associate_default),
        )
        .route(
            "/crm/v4/objects/{from}/{id}/associations/{to}/{to_id}",
            put(associations::associate).delete(associations::dissociate),
        )
        .route("/crm/v3/owners", get(account::owners))
        .route("/crm/v3/owners/", get(account::owners))
        .route("/crm/v3/owners/{id}", get(account::owner))
        .route("/crm/v3/pipelines/{object}", get(account::pipelines))
        .route("/crm/v3/properties/{object}", get(account::properties))
        .route("/account-info/v3/details", get(account::details))
        .layer(middleware::from_fn_with_state(Arc::clone(&state), guard));
    Router::new()
        .route("/oauth/authorize", get(oauth::authorize))
        .route("/oauth/v1/token", post(oauth::token))
        .merge(api)
        .layer(middleware::from_fn_with_state(Arc::clone(&state), count))
        .with_state(state)
}

async fn count(Extract(state): Extract<Shared>, request: Request, next: Next) -> Response {
    let seen = Seen {
        method: request.method().to_string(),
        path: request.uri().path().to_owned(),
        query: request.uri().query().unwrap_or_default().to_owned(),
    };
    lock(&state).seen.push(seen);
    next.run(request).await
}

/// Failures on demand, then the token.
async fn guard(Extract(state): Extract<Shared>, request: Request, next: Next) -> Response {
    let refusal = {
        let token = request
            .headers()
            .get(header::AUTHORIZATION)
            .and_then(|value| value.to_str().ok())
            .and_then(|value| value.strip_prefix("Bearer "));
        let mut state = lock(&state);
        match state.planned_failure() {
            Some(failure) => Some(failure),
            None => state.check_token(token).err(),
        }
    };
    match refusal {
        Some(failure) => failure.into_response(),
        None => next.run(request).await,
    }
}

/// A path that the fake does not serve, for handlers that see it first.
pub(crate) fn unknown_object(object: &str) -> Failure {
    Failure::validation(&format!("Unable to infer object type from: {object}"))
}
