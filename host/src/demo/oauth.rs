//! `/oauth`: OAuth 2 with a page where a person says yes or no. PKCE is required.

use std::collections::HashMap;

use axum::{
    Form, Json, Router,
    extract::{Query, State},
    http::{
        HeaderMap, StatusCode,
        header::{AUTHORIZATION, CACHE_CONTROL},
    },
    response::{Html, IntoResponse, Redirect, Response},
    routing::{get, post},
};
use base64::{Engine as _, engine::general_purpose::STANDARD};
use serde_json::{Map, json};
use url::Url;

use super::{
    CLIENT_ID, CLIENT_SECRET, Demo,
    logins::{Issued, Mint, Scopes},
    pages,
};

type Parameters = HashMap<String, String>;

pub(super) fn router() -> Router<Demo> {
    Router::new()
        .route("/authorize", get(ask).post(decide))
        .route("/token", post(token))
        .route("/revoke", post(revoke))
}

async fn ask(Query(parameters): Query<Parameters>) -> Response {
    match Asked::parse(&parameters) {
        Ok(asked) => Html(pages::consent(
            &parameters,
            &asked.redirect_uri,
            asked.scopes,
        ))
        .into_response(),
        Err(refusal) => refusal.into_response(),
    }
}

async fn decide(State(demo): State<Demo>, Form(parameters): Form<Parameters>) -> Response {
    let asked = match Asked::parse(&parameters) {
        Ok(asked) => asked,
        Err(refusal) => return refusal.into_response(),
    };
    if value(&parameters, "decision") != "allow" {
        let denied = ("access_denied", "the person said no");
        return refused(asked.redirect_uri, &parameters, denied).into_response();
    }
    let code = demo.logins().allow(
        demo.mint(),
        value(&parameters, "redirect_uri"),
        value(&parameters, "code_challenge"),
        asked.scopes,
    );
    redirect(asked.redirect_uri, &parameters, &[("code", &code)]).into_response()
}

async fn token(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Form(parameters): Form<Parameters>,
) -> Response {
    if !is_our_client(&headers, &parameters) {
        return failed(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "the client id or the client secret is wrong",
        );
    }
    let part = |name| value(&parameters, name);
    let issued = match part("grant_type") {
        "authorization_code" => demo.logins().exchange(
            demo.mint(),
            part("code"),
            part("redirect_uri"),
            part("code_verifier"),
        ),
        "refresh_token" => demo.logins().refresh(demo.mint(), part("refresh_token")),
        "client_credentials" => match Scopes::parse(part("scope")) {
            Some(scopes) => Ok(demo.logins().client(demo.mint(), scopes)),
            None => return failed(StatusCode::BAD_REQUEST, "invalid_scope", UNKNOWN_SCOPE),
        },
        _ => {
            return failed(
                StatusCode::BAD_REQUEST,
                "unsupported_grant_type",
                "use authorization_code, refresh_token or client_credentials",
            );
        }
    };
    match issued {
        Ok(issued) => ([(CACHE_CONTROL, "no-store")], issued).into_response(),
        Err(reason) => failed(StatusCode::BAD_REQUEST, "invalid_grant", reason),
    }
}

async fn revoke(
    State(demo): State<Demo>,
    headers: HeaderMap,
    Form(parameters): Form<Parameters>,
) -> Response {
    if !is_our_client(&headers, &parameters) {
        return failed(
            StatusCode::UNAUTHORIZED,
            "invalid_client",
            "the client id or the client secret is wrong",
        );
    }
    demo.logins().revoke(value(&parameters, "token"));
    StatusCode::OK.into_response()
}

const UNKNOWN_SCOPE: &str = "the scopes are crm.read and crm.write";

/// A good request for consent.
struct Asked {
    redirect_uri: Url,
    scopes: Scopes,
}

impl Asked {
    /// What is wrong with the client or its address is told to the person; all else is the
    /// client's business.
    fn parse(parameters: &Parameters) -> Result<Self, Box<Response>> {
        let part = |name| value(parameters, name);
        let redirect_uri = Url::parse(part("redirect_uri"))
            .ok()
            .filter(|url| matches!(url.scheme(), "http" | "https"));
        let (CLIENT_ID, Some(redirect_uri)) = (part("client_id"), redirect_uri) else {
            let page = pages::refusal("The client_id is unknown, or the redirect_uri is no URL.");
            return Err(Box::new(
                (StatusCode::BAD_REQUEST, Html(page)).into_response(),
            ));
        };
        let challenged = (part("code_challenge_method"), part("code_challenge").len());
        let problem = match (part("response_type"), challenged) {
            ("code", ("S256", 43)) => None,
            ("code", _) => Some(("invalid_request", "PKCE with S256 is required")),
            _ => Some(("unsupported_response_type", "use code")),
        };
        let scopes = Scopes::parse(part("scope"));
        match (problem, scopes) {
            (None, Some(scopes)) => Ok(Self {
                redirect_uri,
                scopes,
            }),
            (problem, _) => {
                let problem = problem.unwrap_or(("invalid_scope", UNKNOWN_SCOPE));
                let back = refused(redirect_uri, parameters, problem);
                Err(Box::new(back.into_response()))
            }
        }
    }
}

fn refused(to: Url, parameters: &Parameters, (error, description): (&str, &str)) -> Redirect {
    let answer = [("error", error), ("error_description", description)];
    redirect(to, parameters, &answer)
}

fn redirect(mut to: Url, parameters: &Parameters, answer: &[(&str, &str)]) -> Redirect {
    to.query_pairs_mut().extend_pairs(answer);
    if let Some(state) = parameters.get("state") {
        to.query_pairs_mut().append_pair("state", state);
    }
    Redirect::to(to.as_str())
}

fn value<'a>(parameters: &'a Parameters, name: &str) -> &'a str {
    parameters.get(name).map_or("", String::as_str)
}

/// Whether the client names itself rightly, in the body or with HTTP basic.
fn is_our_client(headers: &HeaderMap, parameters: &Parameters) -> bool {
    let basic = headers
        .get(AUTHORIZATION)
        .and_then(|value| value.as_bytes().strip_prefix(b"Basic "))
        .and_then(|encoded| STANDARD.decode(encoded).ok());
    match basic {
        Some(pair) => pair == format!("{CLIENT_ID}:{CLIENT_SECRET}").as_bytes(),
        None => {
            value(parameters, "client_id") == CLIENT_ID
                && value(parameters, "client_secret") == CLIENT_SECRET
        }
    }
}

fn failed(status: StatusCode, error: &str, description: &str) -> Response {
    let body = json!({ "error": error, "error_description": description });
    (status, [(CACHE_CONTROL, "no-store")], Json(body)).into_response()
}

impl Demo {
    fn mint(&self) -> Mint<'_> {
        let options = &self.0.options;
        Mint {
            now: options.clock.now(),
            entropy: options.entropy.as_ref(),
            lifetime: options.access_token_lifetime,
        }
    }
}

impl IntoResponse for Issued {
    fn into_response(self) -> Response {
        let mut body = Map::new();
        body.insert("access_token".into(), self.access_token.into());
        body.insert("token_type".into(), "Bearer".into());
        body.insert("expires_in".into(), self.lifetime.as_secs().into());
        body.insert("scope".into(), self.scopes.to_string().into());
        if let Some(refresh_token) = self.refresh_token {
            body.insert("refresh_token".into(), refresh_token.into());
        }
        Json(body).into_response()
    }
}
