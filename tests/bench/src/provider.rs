//! A provider whose pages are ready: it costs next to nothing, so that the sync is what is measured.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{RawQuery, State},
    http::header,
    response::{IntoResponse, Response},
    routing::get,
};
use bytes::Bytes;
use serde_json::{Value, json};
use tokio::net::TcpListener;

use crate::Result;

/// The pages of a list, as the demo provider words them.
pub(crate) struct Pages {
    bodies: Vec<Bytes>,
    /// How long each answer takes.
    wait: Duration,
}

impl Pages {
    pub(crate) fn new(people: &[Value], size: usize, wait: Duration) -> Result<Self> {
        let pages: Vec<_> = people.chunks(size).collect();
        let bodies = pages.iter().enumerate().map(|(index, page)| {
            let next = (index + 1 < pages.len()).then(|| (index + 1).to_string());
            let body = json!({ "items": page, "next_page_token": next });
            Ok(Bytes::from(serde_json::to_vec(&body)?))
        });
        Ok(Self {
            bodies: bodies.collect::<Result<_>>()?,
            wait,
        })
    }
}

/// Serves the pages until the process ends.
pub(crate) async fn serve(pages: Pages) -> Result<SocketAddr> {
    let router = Router::new()
        .route("/v1/people", get(people))
        .with_state(Arc::new(pages));
    let listener = TcpListener::bind("127.0.0.1:0").await?;
    let address = listener.local_addr()?;
    tokio::spawn(async move { axum::serve(listener, router).await });
    Ok(address)
}

async fn people(State(pages): State<Arc<Pages>>, RawQuery(query): RawQuery) -> Response {
    let query = query.unwrap_or_default();
    let token = query
        .split('&')
        .find_map(|pair| pair.strip_prefix("page_token="));
    if !pages.wait.is_zero() {
        tokio::time::sleep(pages.wait).await;
    }
    let page = token.map_or(Some(0), |token| token.parse().ok());
    match page.and_then(|page: usize| pages.bodies.get(page)) {
        Some(body) => ([(header::CONTENT_TYPE, "application/json")], body.clone()).into_response(),
        None => axum::http::StatusCode::NOT_FOUND.into_response(),
    }
}
