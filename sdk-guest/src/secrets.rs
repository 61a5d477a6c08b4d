//! Secrets are used by name and never read.
//!
//! A name is a field of the connection's credentials that `[permissions] secrets` of the manifest lists. To send
//! one in a header, see [`Request::header_parts`](crate::http::Request::header_parts).

use serde::Serialize;

use crate::bindings::jackfield::connector::secrets::SecretError;
use crate::{Failure, host};

/// The names that this connection may use.
pub fn names() -> Vec<String> {
    host::secret_names()
}

/// HMAC-SHA-256 of the data under the secret's bytes.
///
/// # Errors
/// `unexpected` where the manifest does not list the secret, `unauthorized` where the connection has none.
pub fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, Failure> {
    host::hmac_sha256(secret, data).map_err(|error| failure(secret, error))
}

/// A compact JWS over the claims. Algorithms: `HS256`, `RS256`, `ES256`.
///
/// # Errors
/// `unexpected` where the manifest does not list the secret or the secret does not fit the algorithm,
/// `unauthorized` where the connection has none.
pub fn sign_jwt(secret: &str, algorithm: &str, claims: &impl Serialize) -> Result<String, Failure> {
    let claims = serde_json::to_string(claims).map_err(Failure::unexpected)?;
    host::sign_jwt(secret, algorithm, &claims).map_err(|error| failure(secret, error))
}

fn failure(secret: &str, error: SecretError) -> Failure {
    match error {
        SecretError::Denied => {
            Failure::Unexpected(format!("the secret {secret} may not be used this way"))
        }
        SecretError::Missing => {
            Failure::Unauthorized(format!("the connection has no secret {secret}"))
        }
    }
}
