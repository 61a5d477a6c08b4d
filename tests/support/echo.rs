//! What a provider can do besides its records: say back what it was sent, serve and take large
//! bodies, ask to wait.

use std::{
    collections::BTreeMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU32, AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use axum::{
    Json, Router,
    body::{Body, Bytes, HttpBody, to_bytes},
    extract::{Path, Request, State},
    http::{StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::{any, get},
};
use serde_json::{Value, json};

/// The provider's other side. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Echo(Arc<Inner>);

#[derive(Debug, Default)]
struct Inner {
    limited: AtomicU32,
    asked: AtomicUsize,
    flowing: AtomicUsize,
}

impl Echo {
    /// `/v1/echo`, `/v1/limited`, `/v1/large/{bytes}`, `/v1/endless`, `/v1/take`, `/v1/away`.
    pub fn router(&self) -> Router {
        Router::new()
            .route("/v1/echo", any(echo))
            .route("/v1/echo/{*rest}", any(echo))
            .route("/v1/limited", any(limited))
            .route("/v1/large/{bytes}", get(large))
            .route("/v1/endless", get(endless))
            .route("/v1/take", any(take))
            .route("/v1/away", get(away))
            .with_state(self.clone())
    }

    /// The next so many requests to `/v1/limited` are answered 429 with `Retry-After: 1`.
    pub fn limit_next(&self, requests: u32) {
        self.0.limited.store(requests, Ordering::SeqCst);
    }

    /// How often `/v1/limited` was asked.
    pub fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    /// How many endless answers are being sent.
    pub fn flowing(&self) -> usize {
        self.0.flowing.load(Ordering::SeqCst)
    }
}

async fn echo(request: Request) -> Response {
    let (parts, body) = request.into_parts();
    let body = to_bytes(body, 10_000_000).await.unwrap_or_default();
    let headers: BTreeMap<&str, &str> = parts
        .headers
        .iter()
        .filter_map(|(name, value)| Some((name.as_str(), value.to_str().ok()?)))
        .collect();
    let said = json!({
        "method": parts.method.as_str(),
        "path": parts.uri.path(),
        "query": parts.uri.query(),
        "headers": headers,
        "body": body.to_vec(),
    });
    let own = [
        ("set-cookie", "session=provider"),
        ("x-ratelimit-limit", "100"),
        ("x-ratelimit-remaining", "41"),
        ("x-ratelimit-reset", "9"),
        ("x-page", "1"),
    ];
    (own, Json(said)).into_response()
}

async fn limited(State(echo): State<Echo>, body: Bytes) -> Response {
    echo.0.asked.fetch_add(1, Ordering::SeqCst);
    let left = &echo.0.limited;
    let less = |left: u32| left.checked_sub(1);
    if left
        .fetch_update(Ordering::SeqCst, Ordering::SeqCst, less)
        .is_ok()
    {
        let wait = [(header::RETRY_AFTER, "1")];
        return (StatusCode::TOO_MANY_REQUESTS, wait, "later").into_response();
    }
    let got: Value = serde_json::from_slice(&body).unwrap_or_default();
    (StatusCode::CREATED, Json(json!({ "got": got }))).into_response()
}

async fn large(Path(bytes): Path<u64>) -> Response {
    let body = Body::new(Zeros {
        left: bytes,
        watched: None,
    });
    let headers = [
        (header::CONTENT_TYPE, "application/zip".to_owned()),
        (header::CONTENT_LENGTH, bytes.to_string()),
    ];
    (headers, body).into_response()
}

async fn endless(State(echo): State<Echo>) -> Response {
    echo.0.flowing.fetch_add(1, Ordering::SeqCst);
    Body::new(Zeros {
        left: u64::MAX,
        watched: Some(echo),
    })
    .into_response()
}

/// Counts what it is sent without keeping it.
async fn take(request: Request) -> Json<Value> {
    let mut body = request.into_body();
    let (mut bytes, mut sum) = (0_u64, 0_u64);
    while let Some(Ok(frame)) =
        std::future::poll_fn(|context| Pin::new(&mut body).poll_frame(context)).await
    {
        if let Ok(data) = frame.into_data() {
            bytes += data.len() as u64;
            sum += data.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        }
    }
    Json(json!({ "bytes": bytes, "sum": sum }))
}

async fn away() -> Response {
    let elsewhere = [(header::LOCATION, "http://elsewhere.example/collect")];
    (StatusCode::FOUND, elsewhere).into_response()
}

struct Zeros {
    left: u64,
    watched: Option<Echo>,
}

impl HttpBody for Zeros {
    type Data = Bytes;
    type Error = std::convert::Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, Self::Error>>> {
        static PIECE: [u8; 64 * 1024] = [0; 64 * 1024];
        let length = usize::try_from(self.left)
            .unwrap_or(usize::MAX)
            .min(PIECE.len());
        if length == 0 {
            return Poll::Ready(None);
        }
        self.left -= length as u64;
        let piece = Bytes::from_static(&PIECE).slice(..length);
        Poll::Ready(Some(Ok(http_body::Frame::data(piece))))
    }
}

impl Drop for Zeros {
    fn drop(&mut self) {
        if let Some(echo) = &self.watched {
            echo.0.flowing.fetch_sub(1, Ordering::SeqCst);
        }
    }
}
