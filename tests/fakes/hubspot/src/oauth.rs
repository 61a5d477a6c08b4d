//! The login: `/oauth/authorize` and `/oauth/v1/token`.

use axum::Json;
use axum::extract::{Form, Query, State as Extract};
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use serde_json::{Value, json};
use url::Url;

use crate::error::Failure;
use crate::server::Shared;
use crate::state::{Code, lock};

#[derive(Deserialize)]
pub(crate) struct AuthorizeQuery {
    client_id: String,
    redirect_uri: String,
    #[serde(default)]
    scope: String,
    state: Option<String>,
}

/// Grants at once, where HubSpot would ask a person, and redirects back.
pub(crate) async fn authorize(
    Extract(state): Extract<Shared>,
    Query(query): Query<AuthorizeQuery>,
) -> Result<Response, Failure> {
    let mut state = lock(&state);
    if query.client_id != state.options.client_id {
        return Err(Failure::oauth(
            "BAD_CLIENT_ID",
            "missing or unknown client id",
        ));
    }
    if !query.scope.split(' ').any(|scope| scope == "oauth") {
        return Err(Failure::oauth("BAD_SCOPES", "the scope oauth is required"));
    }
    let Ok(mut target) = Url::parse(&query.redirect_uri) else {
        return Err(Failure::oauth(
            "BAD_REDIRECT_URI",
            "missing or invalid redirect uri",
        ));
    };
    let code = state.new_secret("code");
    target.query_pairs_mut().append_pair("code", &code);
    if let Some(value) = &query.state {
        target.query_pairs_mut().append_pair("state", value);
    }
    state.codes.insert(
        code,
        Code {
            redirect_uri: query.redirect_uri,
        },
    );
    Ok((StatusCode::FOUND, [(header::LOCATION, target.to_string())]).into_response())
}

#[derive(Deserialize)]
pub(crate) struct TokenForm {
    grant_type: String,
    client_id: Option<String>,
    client_secret: Option<String>,
    redirect_uri: Option<String>,
    code: Option<String>,
    refresh_token: Option<String>,
}

/// A code is good once. A refresh token stays the same for ever: HubSpot does
/// not rotate it.
pub(crate) async fn token(
    Extract(state): Extract<Shared>,
    Form(form): Form<TokenForm>,
) -> Result<Json<Value>, Failure> {
    let mut state = lock(&state);
    if form.client_id.as_deref() != Some(&state.options.client_id) {
        return Err(Failure::oauth(
            "BAD_CLIENT_ID",
            "missing or unknown client id",
        ));
    }
    if form.client_secret.as_deref() != Some(&state.options.client_secret) {
        return Err(Failure::oauth(
            "BAD_CLIENT_SECRET",
            "missing or invalid client secret",
        ));
    }
    let refresh_token = match form.grant_type.as_str() {
        "authorization_code" => {
            let Some(code) = form
                .code
                .as_deref()
                .and_then(|code| state.codes.remove(code))
            else {
                return Err(Failure::oauth(
                    "BAD_AUTH_CODE",
                    "missing or unknown auth code",
                ));
            };
            if form.redirect_uri.as_deref() != Some(&code.redirect_uri) {
                return Err(Failure::oauth(
                    "MISMATCH_REDIRECT_URI_AUTH_CODE",
                    "redirect uri does not match",
                ));
            }
            let token = state.new_secret("refresh");
            state.refresh_tokens.insert(token.clone());
            token
        }
        "refresh_token" => match form.refresh_token {
            Some(token) if state.refresh_tokens.contains(&token) => token,
            _ => {
                return Err(Failure::oauth(
                    "BAD_REFRESH_TOKEN",
                    "missing or unknown refresh token",
                ));
            }
        },
        _ => {
            return Err(Failure::oauth(
                "BAD_GRANT_TYPE",
                "missing or unknown grant type",
            ));
        }
    };
    let access_token = state.new_access_token();
    Ok(Json(json!({
        "token_type": "bearer",
        "access_token": access_token,
        "refresh_token": refresh_token,
        "expires_in": state.options.access_token_life.as_secs(),
    })))
}
