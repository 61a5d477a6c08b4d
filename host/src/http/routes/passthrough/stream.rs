//! `/passthrough/raw/{path}`: bodies of any size, both ways, as they are.

use std::sync::Arc;

use axum::{
    body::{Body, HttpBody as _},
    extract::{Request, State},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header},
    response::Response,
};

use super::{FAILURES, count};
use crate::{
    egress::{Downstream, Flow},
    http::{
        Services,
        caller::Scoped,
        error::{Code, Error},
        limits::with_downstream,
        operation::{self, Operation},
    },
    unify::{StreamRequest, is_private},
};

const PATH: &str = "/passthrough/raw/{*path}";
const PREFIX: &str = "/passthrough/raw";
const DESCRIPTION: &str = "The body goes to the provider as it comes, and the provider's answer comes back as it is, with its status; nothing is held in between, so both may be large. Forwarded of the request: `Content-Type`, `Accept`, `Accept-Language`, `Range`, `Prefer`, `Idempotency-Key` and the `If-…` headers. The header `x-downstream-status` is there when the answer is the provider's, and not when this server refused. A redirect's target is in `x-downstream-location`. A 429 is handed on, not kept.";

/// Headers of the caller that mean something to the provider. All others, keys first of all, are
/// for this server.
const FORWARDED: [&str; 6] = [
    "accept",
    "accept-language",
    "content-type",
    "idempotency-key",
    "prefer",
    "range",
];

pub(super) fn operations() -> Vec<Operation> {
    let described = |operation: Operation, id, summary, takes: bool| {
        let operation = operation
            .id(id)
            .tag("Passthrough")
            .summary(summary)
            .describe(DESCRIPTION)
            .connection()
            .path::<String>(
                "path",
                "Beneath the connector's endpoint; may have slashes and a query.",
            )
            .gives_other(
                200,
                "*/*",
                "What the provider answered; its status may be any other too.",
            )
            .fails(FAILURES)
            .fails(&[Code::BodyTooLarge]);
        if takes {
            operation.body(operation::Body::bytes("*/*").optional())
        } else {
            operation
        }
    };
    vec![
        described(
            Operation::get(PATH, stream),
            "streamGet",
            "Stream an answer from the provider.",
            false,
        ),
        described(
            Operation::post(PATH, stream),
            "streamPost",
            "Stream a request to the provider.",
            true,
        ),
        described(
            Operation::put(PATH, stream),
            "streamPut",
            "Stream what replaces something at the provider.",
            true,
        ),
        described(
            Operation::patch(PATH, stream),
            "streamPatch",
            "Stream a change to the provider.",
            true,
        ),
        described(
            Operation::delete(PATH, stream),
            "streamDelete",
            "Delete at the provider.",
            true,
        ),
    ]
}

async fn stream(
    State(services): State<Arc<Services>>,
    Scoped(scope): Scoped,
    request: Request,
) -> Result<Response, Error> {
    let (parts, body) = request.into_parts();
    let path = parts.uri.path_and_query().map_or("", |path| path.as_str());
    let head = StreamRequest {
        method: parts.method.clone(),
        path: endpoint_named(path.strip_prefix(PREFIX).unwrap_or_default()),
        headers: forwarded(&parts.headers)?,
    };
    let body = (!body.is_end_stream()).then(|| Flow::new(body));
    let downstream = Downstream::default();
    let limits = services.stream_limits;
    let sent = services
        .unify
        .stream_through(&scope, head, body, &limits, &downstream)
        .await;
    let outcome = if sent.is_ok() { "streamed" } else { "refused" };
    count(scope.connection().connector.as_str(), outcome);
    let answer = sent?;
    let mut response = Response::new(Body::empty());
    let status = StatusCode::from_u16(answer.status);
    *response.status_mut() = status.map_err(|error| Error::internal(&error))?;
    let headers = response.headers_mut();
    returned(&answer.headers, headers, &parts.method);
    headers.insert("x-downstream-status", answer.status.into());
    *response.body_mut() = Body::new(answer.body);
    Ok(with_downstream(response, &downstream))
}

/// `{name}/…` names an endpoint; in a path its braces are escaped.
fn endpoint_named(path: &str) -> String {
    let lower = path.to_ascii_lowercase();
    match (lower.strip_prefix("/%7b"), path.get(4..)) {
        (Some(rest), Some(given)) => match rest
            .find("%7d")
            .and_then(|end| Some((given.get(..end)?, given.get(end + 3..)?)))
        {
            Some((name, rest)) => format!("{{{name}}}{rest}"),
            None => path.to_owned(),
        },
        _ => path.to_owned(),
    }
}

fn forwarded(headers: &HeaderMap) -> Result<Vec<(String, String)>, Error> {
    let wanted =
        |name: &HeaderName| FORWARDED.contains(&name.as_str()) || name.as_str().starts_with("if-");
    headers
        .iter()
        .filter(|(name, _)| wanted(name))
        .map(|(name, value)| match value.to_str() {
            Ok(value) => Ok((name.to_string(), value.to_owned())),
            Err(_) => {
                let detail = format!("The header {name} has characters that are not ASCII.");
                Err(Error::new(Code::ValidationFailed, detail))
            }
        })
        .collect()
}

/// The provider's headers, without those that would act on the caller in our name: it knows our
/// address and sends keys there.
fn returned(from: &HeaderMap, to: &mut HeaderMap, method: &Method) {
    for (name, value) in from {
        // The body's length is counted anew, but an answer to HEAD has no body to count.
        let is_length = name == header::CONTENT_LENGTH;
        let dropped = is_private(name)
            || (is_length && method != Method::HEAD)
            || name == header::WWW_AUTHENTICATE
            || name == header::CONTENT_SECURITY_POLICY
            || name == "x-request-id"
            || name.as_str().starts_with("access-control-")
            || name.as_str().starts_with("x-downstream-");
        if dropped {
            continue;
        }
        // Followed, it would carry the caller's key elsewhere.
        if name == header::LOCATION {
            to.insert("x-downstream-location", value.clone());
        } else {
            to.append(name, value.clone());
        }
    }
    // A page of the provider must not run as one of ours.
    to.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("default-src 'none'; sandbox"),
    );
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn endpoints_are_named_with_escaped_braces() {
        assert_eq!(endpoint_named("/v1/a%7Bb"), "/v1/a%7Bb");
        assert_eq!(endpoint_named("/%7Bfiles%7d/x?y=1"), "{files}/x?y=1");
        assert_eq!(endpoint_named("/%7Bfiles"), "/%7Bfiles");
    }

    #[test]
    fn an_answer_does_not_act_in_our_name() {
        let from: HeaderMap = [
            ("set-cookie", "a=b"),
            ("location", "https://elsewhere.example/"),
            ("access-control-allow-origin", "*"),
            ("www-authenticate", "Basic"),
            ("content-length", "3"),
            ("etag", "\"1\""),
        ]
        .into_iter()
        .map(|(name, value)| {
            (
                HeaderName::from_static(name),
                HeaderValue::from_static(value),
            )
        })
        .collect();
        let mut to = HeaderMap::new();
        returned(&from, &mut to, &Method::GET);
        assert_eq!(to["x-downstream-location"], "https://elsewhere.example/");
        assert_eq!(to["etag"], "\"1\"");
        assert_eq!(to.len(), 3, "{to:?}");
    }
}
