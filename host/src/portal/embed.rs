//! Files for other people's pages: what opens a connect link as an overlay there.

use std::sync::Arc;

use axum::{
    Router,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
    routing::get,
};
use maud::{Markup, html};
use serde_json::json;

use crate::{http::Services, model::Digest};

const SCRIPT: &str = include_str!("../../assets/connect.js");
const TYPES: &str = include_str!("../../assets/connect.d.ts");

pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new()
        .route("/connect.js", get(script))
        .route("/connect.d.ts", get(types))
}

/// Pages that are isolated show only what says that it may be shown, and asks the same of what it
/// loads itself.
pub(super) fn for_isolated(mut response: Response) -> Response {
    for (name, value) in [
        ("cross-origin-embedder-policy", "require-corp"),
        ("cross-origin-resource-policy", "cross-origin"),
    ] {
        let name = HeaderName::from_static(name);
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

/// What a page of a link that does not serve tells the one that shows it in a frame: why.
pub(super) fn closed(reason: &str) -> Markup {
    let event = json!({ "type": "closed", "reason": reason });
    html! { span data-embed-event=(event) hidden {} }
}

async fn script(headers: HeaderMap) -> Response {
    file(&headers, SCRIPT, "text/javascript; charset=utf-8")
}

async fn types(headers: HeaderMap) -> Response {
    file(&headers, TYPES, "text/plain; charset=utf-8")
}

/// A file that pages of any origin may load, also those that are isolated. Its address stays the
/// same with each version of this program, so it is asked for again after an hour.
fn file(headers: &HeaderMap, text: &'static str, kind: &'static str) -> Response {
    let etag = format!("\"{}\"", Digest::of(text).short());
    let known = headers.get(header::IF_NONE_MATCH);
    let is_known = known.and_then(|known| known.to_str().ok()) == Some(etag.as_str());
    let mut response = if is_known {
        StatusCode::NOT_MODIFIED.into_response()
    } else {
        text.into_response()
    };
    let answer = response.headers_mut();
    for (name, value) in [
        (header::CONTENT_TYPE, kind),
        (header::CACHE_CONTROL, "public, max-age=3600"),
        (header::ACCESS_CONTROL_ALLOW_ORIGIN, "*"),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "cross-origin",
        ),
    ] {
        answer.insert(name, HeaderValue::from_static(value));
    }
    if let Ok(etag) = HeaderValue::from_str(&etag) {
        answer.insert(header::ETAG, etag);
    }
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_script_is_small_and_loads_nothing() {
        assert!(SCRIPT.len() <= 10 * 1024, "{} bytes", SCRIPT.len());
        for word in ["import ", "fetch(", "innerHTML", "eval(", "XMLHttpRequest"] {
            assert!(!SCRIPT.contains(word), "{word}");
        }
    }

    #[test]
    fn what_is_known_is_not_sent_again() {
        let first = file(&HeaderMap::new(), SCRIPT, "text/javascript");
        assert_eq!(first.status(), StatusCode::OK);
        let mut headers = HeaderMap::new();
        let etag = first.headers()[header::ETAG].clone();
        headers.insert(header::IF_NONE_MATCH, etag);
        let again = file(&headers, SCRIPT, "text/javascript");
        assert_eq!(again.status(), StatusCode::NOT_MODIFIED);
        assert_eq!(again.headers()[header::ACCESS_CONTROL_ALLOW_ORIGIN], "*");
        let other = file(&headers, TYPES, "text/plain");
        assert_eq!(other.status(), StatusCode::OK);
    }
}
