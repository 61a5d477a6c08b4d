//! What happens around every request.

use std::{
    any::Any,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::{Body, to_bytes},
    extract::{DefaultBodyLimit, MatchedPath, Request, State},
    http::{HeaderValue, Method, StatusCode, header},
    middleware::{Next, from_fn, from_fn_with_state},
    response::{IntoResponse as _, Response},
};
use tower_http::{
    catch_panic::CatchPanicLayer,
    cors::{AllowHeaders, Any as AnyValue, CorsLayer},
};
use tracing::{Instrument as _, error, info, info_span, warn};

use super::{
    Services,
    body::MAX_BODY,
    error::{Code, Error},
    idempotency::REPLAYED,
    limits::DOWNSTREAM,
    rate_limit::Counted,
};
use crate::{
    store::Outcome,
    telemetry::{METRICS, within_request},
};

/// Bodies up to so many bytes are read before a handler runs.
const SHORT_BODY: usize = 64 * 1024;
/// How long they may take to arrive.
const SHORT_BODY_LIMIT: Duration = Duration::from_secs(30);

const REQUEST_ID: &str = "x-request-id";

/// Puts the layers around the API's `routes`, the innermost first.
pub(super) fn around(
    routes: Router<Arc<Services>>,
    services: &Arc<Services>,
) -> Router<Arc<Services>> {
    // Open to every origin, as the wire contract has it: nothing here acts on cookies, a caller
    // has to know a key.
    let cors = CorsLayer::new()
        .allow_origin(AnyValue)
        .allow_methods(AnyValue)
        // Named one by one: `*` would leave `Authorization` out.
        .allow_headers(AllowHeaders::mirror_request())
        .expose_headers(
            [
                header::HeaderName::from_static(REQUEST_ID),
                header::LOCATION,
                header::RETRY_AFTER,
                REPLAYED,
                header::HeaderName::from_static("ratelimit-policy"),
                header::HeaderName::from_static("ratelimit"),
            ]
            .into_iter()
            .chain(DOWNSTREAM.map(header::HeaderName::from_static))
            .collect::<Vec<_>>(),
        );
    around_pages(routes, services).layer(cors)
}

/// The same for pages, which other origins have no business with: some act on cookies.
pub(super) fn around_pages(
    routes: Router<Arc<Services>>,
    services: &Arc<Services>,
) -> Router<Arc<Services>> {
    routes
        .layer(DefaultBodyLimit::max(MAX_BODY))
        .layer(CatchPanicLayer::custom(|panic: Box<dyn Any + Send>| {
            answer_panic(&*panic)
        }))
        .layer(from_fn(read_short_body))
        .layer(from_fn_with_state(Arc::clone(services), observe))
}

/// Reads a short body before anything is answered. An answer that overtakes the body, a 404 for
/// example, would make the server close the socket, on which many clients send their next request.
async fn read_short_body(request: Request, next: Next) -> Response {
    let length = request.headers().get(header::CONTENT_LENGTH);
    let length = length.and_then(|text| text.to_str().ok()?.parse::<usize>().ok());
    if !length.is_some_and(|length| (1..=SHORT_BODY).contains(&length)) {
        return next.run(request).await;
    }
    let (parts, body) = request.into_parts();
    // What is streamed has no limit of its own as a whole.
    let read = tokio::time::timeout(SHORT_BODY_LIMIT, to_bytes(body, SHORT_BODY));
    let Ok(read) = read.await else {
        let detail = "The body did not arrive in time.";
        return Error::new(Code::RequestTimeout, detail).into_response();
    };
    match read {
        Ok(bytes) => {
            next.run(Request::from_parts(parts, Body::from(bytes)))
                .await
        }
        Err(_) => {
            let detail = "The body broke off before its end.";
            Error::new(Code::InvalidBody, detail).into_response()
        }
    }
}

/// Gives the request its id and its time limit, writes the body of an error, one line of log,
/// and the numbers.
async fn observe(
    State(services): State<Arc<Services>>,
    mut request: Request,
    next: Next,
) -> Response {
    // A request from within was counted when it came from outside.
    let before = request.extensions().get::<Counted>().cloned();
    let is_first = before.is_none();
    let counted = before.unwrap_or_default();
    request.extensions_mut().insert(counted.clone());
    let started = Instant::now();
    let request_id = sane_id(&request).unwrap_or_else(|| new_id(&services));
    let method = method_label(request.method());
    let path = request.uri().path().to_owned();
    let route = request
        .extensions()
        .get::<MatchedPath>()
        .map_or("unmatched", MatchedPath::as_str)
        .to_owned();
    let span = info_span!("request", id = %request_id);
    // What is streamed has a time in which something must move instead.
    let limit = if route.starts_with("/passthrough/raw/") {
        Duration::MAX
    } else {
        services.request_timeout
    };
    let work = within_request(&request_id, next.run(request).instrument(span));
    let answer = tokio::time::timeout(limit, work).await;
    let mut response = answer.unwrap_or_else(|_| {
        let detail = format!("The request took longer than {} s.", limit.as_secs());
        Error::new(Code::RequestTimeout, detail).into_response()
    });
    let mut failure = response.extensions_mut().remove::<Error>();
    let is_page = is_html(&response);
    // The protocol of `/mcp` has words of its own for what is wrong.
    let is_ours = !is_page && route != "/mcp";
    if failure.is_none() && response.status() == StatusCode::BAD_REQUEST && is_ours {
        // The library refused a path before a handler saw it.
        let detail = "The path cannot be read: its parts must be UTF-8, and ids must be ids.";
        failure = Some(Error::new(Code::InvalidParameter, detail));
    }
    if let Some(failure) = &failure
        && !is_page
    {
        let headers = std::mem::take(response.headers_mut());
        response = failure.render(&path, &request_id, services.clock.now());
        for (name, value) in &headers {
            if name != header::CONTENT_LENGTH {
                let slot = response.headers_mut().entry(name.clone());
                slot.or_insert_with(|| value.clone());
            }
        }
    }
    let headers = response.headers_mut();
    counted.write(headers);
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    // Everything is the caller's own; no proxy may keep it.
    headers
        .entry(header::CACHE_CONTROL)
        .or_insert(HeaderValue::from_static("no-store"));
    if let Ok(value) = HeaderValue::from_str(&request_id) {
        headers.insert(REQUEST_ID, value);
    }
    let status = response.status();
    if is_first {
        let outcome = Outcome::of(status.as_u16());
        let now = services.clock.now();
        services.requests.count(counted.project(), now, outcome);
    }
    let time = started.elapsed();
    METRICS
        .http_requests
        .add([method, &route, status.as_str()], 1);
    METRICS.http_seconds.observe([&route], time);
    log(
        method,
        &route,
        status,
        time.as_millis(),
        &request_id,
        failure.as_ref(),
    );
    response
}

/// A page has its own words for what went wrong; only the log takes the error from here.
fn is_html(response: &Response) -> bool {
    let kind = response.headers().get(header::CONTENT_TYPE);
    kind.is_some_and(|kind| kind.as_bytes().starts_with(b"text/html"))
}

fn log(
    method: &str,
    route: &str,
    status: StatusCode,
    ms: u128,
    request_id: &str,
    failure: Option<&Error>,
) {
    let status = status.as_u16();
    match failure {
        None => info!(method, route, status, ms, request_id, "answered"),
        Some(failure) => {
            let code = failure.code().name();
            let reason = failure.for_log();
            match failure.code() {
                Code::Internal | Code::StoreUnavailable => {
                    error!(
                        method,
                        route, status, ms, request_id, code, reason, "failed"
                    );
                }
                _ if status >= 500 => {
                    warn!(
                        method,
                        route, status, ms, request_id, code, reason, "failed"
                    );
                }
                _ => info!(
                    method,
                    route, status, ms, request_id, code, reason, "refused"
                ),
            }
        }
    }
}

fn answer_panic(panic: &(dyn Any + Send)) -> Response {
    let text = panic
        .downcast_ref::<String>()
        .map(String::as_str)
        .or_else(|| panic.downcast_ref::<&str>().copied())
        .unwrap_or("no message");
    let detail = "Something in this server failed; the request's id finds it in the log.";
    Error::new(Code::Internal, detail)
        .caused_by_text(format!("panic: {text}"))
        .into_response()
}

/// The caller's own id, if it is one that can stand in a log.
fn sane_id(request: &Request) -> Option<String> {
    let id = request.headers().get(REQUEST_ID)?.to_str().ok()?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.');
    let sane = (1..=128).contains(&id.len()) && id.bytes().all(good);
    sane.then(|| id.to_owned())
}

fn new_id(services: &Services) -> String {
    use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
    let mut bytes = [0; 15];
    services.entropy.fill(&mut bytes);
    URL_SAFE_NO_PAD.encode(bytes)
}

/// Of a closed set, since it labels numbers.
fn method_label(method: &Method) -> &'static str {
    match *method {
        Method::GET => "GET",
        Method::POST => "POST",
        Method::PUT => "PUT",
        Method::PATCH => "PATCH",
        Method::DELETE => "DELETE",
        Method::HEAD => "HEAD",
        Method::OPTIONS => "OPTIONS",
        _ => "OTHER",
    }
}

#[cfg(test)]
mod tests {
    use axum::body::Body;

    use super::*;

    #[test]
    fn only_ids_that_cannot_forge_a_log_are_taken_over() {
        let with = |id: &str| {
            let request = Request::builder().header(REQUEST_ID, id);
            sane_id(&request.body(Body::empty()).unwrap())
        };
        assert_eq!(with("a-b_c.1"), Some("a-b_c.1".into()));
        assert_eq!(with("a b"), None);
        assert_eq!(with(""), None);
        assert_eq!(with(&"a".repeat(129)), None);
    }
}
