//! Requests to a provider's token endpoint (RFC 6749 §3.2) and revocation endpoint (RFC 7009).
//!
//! Providers differ in what they add and leave out, so answers are read leniently: what counts is
//! whether there is an access token.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::{Map, Value};
use url::{Url, form_urlencoded};

use super::AppSource;
use crate::{
    egress::{self, Egress, HeaderMap, HeaderValue, Limits, Masks, Method, Request, header},
    model::{ClientAuthentication, ExchangeReason, Timestamp},
};

/// How long a token endpoint may take. The lease on a refresh lasts longer.
pub(super) const LIMITS: Limits = Limits {
    total: Duration::from_secs(20),
    max_request_bytes: 256 * 1024,
    max_response_bytes: 1024 * 1024,
};

/// An expiry beyond this is a provider's way of saying never.
const LONGEST_LIFE: Duration = Duration::from_secs(10 * 365 * 24 * 3600);

/// Who asks, and where.
pub(super) struct Client {
    pub(super) token_url: Url,
    pub(super) id: String,
    /// None for a public client.
    pub(super) secret: Option<SecretString>,
    /// Where its id and secret are set.
    pub(super) source: AppSource,
    pub(super) authentication: ClientAuthentication,
    /// Added to every token request.
    pub(super) parameters: BTreeMap<String, String>,
}

/// What is exchanged for tokens.
pub(super) enum Grant<'a> {
    Code {
        code: &'a SecretString,
        redirect_uri: &'a Url,
        verifier: Option<&'a SecretString>,
    },
    Refresh(&'a SecretString),
    ClientCredentials {
        scope: &'a str,
    },
}

/// What came back.
pub(super) struct Tokens {
    pub(super) access_token: SecretString,
    /// None where the old one stays valid, or there never was one.
    pub(super) refresh_token: Option<SecretString>,
    pub(super) expires_at: Option<Timestamp>,
}

/// Why nothing came back. The texts hold no secret.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The provider does not take the code, the refresh token or the grant: asking again with the
    /// same is useless.
    Rejected(String),
    /// The provider does not know the client, or its secret is wrong.
    Client(String),
    /// It may work later.
    Unavailable(String),
}

impl Client {
    /// Asks for tokens. `now` is when the life of the new ones begins; `reason` is what the request
    /// is written down under.
    pub(super) async fn tokens(
        &self,
        egress: &Egress,
        grant: &Grant<'_>,
        now: Timestamp,
        reason: Option<&ExchangeReason>,
    ) -> Result<Tokens, Failure> {
        let mut form: Vec<(&str, &str)> = Vec::new();
        // Everything secret in the request, so that an answer that quotes it can be shown.
        let mut quoted = Masks::default();
        match grant {
            Grant::Code {
                code,
                redirect_uri,
                verifier,
            } => {
                form.push(("grant_type", "authorization_code"));
                form.push(("code", code.expose_secret()));
                form.push(("redirect_uri", redirect_uri.as_str()));
                quoted.add(code.expose_secret());
                if let Some(verifier) = verifier {
                    form.push(("code_verifier", verifier.expose_secret()));
                    quoted.add(verifier.expose_secret());
                }
            }
            Grant::Refresh(token) => {
                form.push(("grant_type", "refresh_token"));
                form.push(("refresh_token", token.expose_secret()));
                quoted.add(token.expose_secret());
            }
            Grant::ClientCredentials { scope } => {
                form.push(("grant_type", "client_credentials"));
                if !scope.is_empty() {
                    form.push(("scope", scope));
                }
            }
        }
        let parameters = self.parameters.iter();
        form.extend(parameters.map(|(name, value)| (name.as_str(), value.as_str())));
        if let Some(secret) = &self.secret {
            quoted.add(secret.expose_secret());
        }
        let request = self.request(self.token_url.clone(), form)?;
        let answer = egress
            .send_discreetly(request, &LIMITS, reason, now)
            .await
            .map_err(|error| unanswered(&error))?;
        read(answer.status, &answer.body, now).map_err(|failure| match failure {
            Failure::Rejected(text) => Failure::Rejected(quoted.text(&text)),
            Failure::Client(text) => Failure::Client(quoted.text(&text)),
            Failure::Unavailable(text) => Failure::Unavailable(quoted.text(&text)),
        })
    }

    /// Tells the provider that a token is not needed any more.
    pub(super) async fn revoke(
        &self,
        egress: &Egress,
        url: Url,
        token: &SecretString,
        hint: &str,
    ) -> Result<(), Failure> {
        let form = vec![("token", token.expose_secret()), ("token_type_hint", hint)];
        let request = self.request(url, form)?;
        let answer = egress
            .send(request, &LIMITS)
            .await
            .map_err(|error| unanswered(&error))?;
        match answer.status {
            200..300 => Ok(()),
            status => Err(Failure::Unavailable(format!(
                "the provider answered the revocation with status {status}"
            ))),
        }
    }

    fn request<'a>(
        &'a self,
        url: Url,
        mut form: Vec<(&'a str, &'a str)>,
    ) -> Result<Request, Failure> {
        let mut headers = HeaderMap::new();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("application/x-www-form-urlencoded"),
        );
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        match (&self.secret, self.authentication) {
            (Some(secret), ClientAuthentication::Basic) => {
                // Both halves are form-encoded first (RFC 6749 §2.3.1).
                let encode = |text: &str| {
                    form_urlencoded::byte_serialize(text.as_bytes()).collect::<String>()
                };
                let pair = format!("{}:{}", encode(&self.id), encode(secret.expose_secret()));
                let mut value = HeaderValue::from_str(&format!("Basic {}", STANDARD.encode(pair)))
                    .expect("base64 can stand in a header");
                value.set_sensitive(true);
                headers.insert(header::AUTHORIZATION, value);
            }
            (secret, _) => {
                form.push(("client_id", &self.id));
                if let Some(secret) = secret {
                    form.push(("client_secret", secret.expose_secret()));
                }
            }
        }
        if !matches!(url.scheme(), "http" | "https") {
            return Err(Failure::Unavailable(format!(
                "the provider's token address {url} does not start with https://"
            )));
        }
        let mut body = form_urlencoded::Serializer::new(String::new());
        body.extend_pairs(form);
        Ok(Request {
            method: Method::POST,
            url,
            headers,
            body: Some(body.finish().into()),
        })
    }
}

fn unanswered(error: &egress::Error) -> Failure {
    Failure::Unavailable(format!("the provider could not be asked: {error}"))
}

fn read(status: u16, body: &[u8], now: Timestamp) -> Result<Tokens, Failure> {
    let fields: Map<String, Value> = serde_json::from_slice(body).unwrap_or_default();
    let text = |name: &str| {
        let text = fields.get(name).and_then(Value::as_str);
        text.filter(|text| !text.is_empty())
    };
    // Some providers answer errors with status 200.
    if matches!(status, 200..300)
        && let Some(access_token) = text("access_token")
    {
        let life = fields.get("expires_in").and_then(|value| match value {
            Value::Number(number) => {
                let seconds = number.as_f64()?.min(LONGEST_LIFE.as_secs_f64());
                Some(Duration::try_from_secs_f64(seconds).ok()?.as_secs())
            }
            Value::String(digits) => digits.trim().parse().ok(),
            _ => None,
        });
        return Ok(Tokens {
            access_token: access_token.into(),
            refresh_token: text("refresh_token").map(SecretString::from),
            expires_at: life.map(|life| now.plus(Duration::from_secs(life).min(LONGEST_LIFE))),
        });
    }
    let code = text("error").or_else(|| text("status")).unwrap_or_default();
    let detail = text("error_description").or_else(|| text("message"));
    let said = match (code, detail) {
        ("", None) => format!("status {status}"),
        (code, None) => format!("{code} (status {status})"),
        ("", Some(detail)) => format!("{detail} (status {status})"),
        (code, Some(detail)) => format!("{code}: {detail} (status {status})"),
    };
    let said: String = said
        .chars()
        .map(|character| {
            if character.is_control() {
                ' '
            } else {
                character
            }
        })
        .take(300)
        .collect();
    Err(match (status, code) {
        (_, "temporarily_unavailable" | "server_error" | "slow_down") => {
            Failure::Unavailable(format!("the provider is not available: {said}"))
        }
        (_, "invalid_client" | "unauthorized_client") => {
            Failure::Client(format!("the provider does not accept the client: {said}"))
        }
        (400 | 401, _) | (200..300 | 403, _) if status != 403 || text("error").is_some() => {
            Failure::Rejected(format!("the provider refused: {said}"))
        }
        _ => Failure::Unavailable(format!("the provider gave no token: {said}")),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, body: &str) -> Failure {
        match read(status, body.as_bytes(), Timestamp::from_millis(0)) {
            Ok(_) => panic!("{body} was taken for tokens"),
            Err(failure) => failure,
        }
    }

    #[test]
    fn expiries_come_in_many_forms() {
        for (expires_in, expected) in [
            ("3600", Some(3_600_000)),
            ("\"3600\"", Some(3_600_000)),
            ("3600.9", Some(3_600_000)),
            ("-1", None),
            ("null", None),
            ("\"soon\"", None),
            ("99999999999999999999", Some(315_360_000_000)),
        ] {
            let body = format!(r#"{{"access_token":"a","expires_in":{expires_in}}}"#);
            let tokens = read(200, body.as_bytes(), Timestamp::from_millis(0))
                .unwrap_or_else(|failure| panic!("{expires_in}: {failure:?}"));
            assert_eq!(
                tokens.expires_at.map(Timestamp::as_millis),
                expected,
                "{expires_in}"
            );
        }
    }

    #[test]
    fn failures_are_told_apart() {
        for (status, body) in [
            (400, r#"{"error":"invalid_grant"}"#),
            (
                401,
                r#"{"error":"invalid_grant","error_description":"revoked"}"#,
            ),
            (
                400,
                r#"{"status":"BAD_REFRESH_TOKEN","message":"unknown refresh token"}"#,
            ),
            (401, "<html>no</html>"),
            (403, r#"{"error":"access_denied"}"#),
            (200, r#"{"error":"bad_verification_code"}"#),
        ] {
            assert!(
                matches!(failure(status, body), Failure::Rejected(_)),
                "{status} {body}"
            );
        }
        for (status, body) in [
            (500, "oops"),
            (503, r#"{"error":"invalid_grant"}"#),
            (429, ""),
            (404, "not here"),
            (403, "<html>blocked</html>"),
            (302, ""),
            (400, r#"{"error":"temporarily_unavailable"}"#),
        ] {
            assert!(
                matches!(failure(status, body), Failure::Unavailable(_)),
                "{status} {body}"
            );
        }
        assert!(matches!(
            failure(401, r#"{"error":"invalid_client"}"#),
            Failure::Client(_)
        ));
        assert_eq!(
            failure(
                400,
                "{\"error\":\"invalid_grant\",\"error_description\":\"a\\u001bb\"}"
            ),
            Failure::Rejected("the provider refused: invalid_grant: a b (status 400)".to_owned())
        );
    }
}
