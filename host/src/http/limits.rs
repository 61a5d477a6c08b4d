//! What a provider says about its own limits, handed on.

use axum::{http::HeaderName, response::Response};

use crate::egress::{Downstream, DownstreamLimits};

/// The headers, in the order of [`DownstreamLimits`].
pub(super) const DOWNSTREAM: [&str; 3] = [
    "x-downstream-ratelimit-limit",
    "x-downstream-ratelimit-remaining",
    "x-downstream-ratelimit-reset",
];

/// Adds the headers to an answer, also to one that is an error.
pub(super) fn with_downstream(mut response: Response, downstream: &Downstream) -> Response {
    let Some(DownstreamLimits {
        limit,
        remaining,
        reset_seconds,
    }) = downstream.limits()
    else {
        return response;
    };
    for (name, value) in DOWNSTREAM
        .into_iter()
        .zip([limit, remaining, reset_seconds])
    {
        if let Some(value) = value {
            let name = HeaderName::from_static(name);
            response.headers_mut().insert(name, value.into());
        }
    }
    response
}
