//! New connections by a login in the browser.
//!
//! Nobody has to know an API key at the callback: the state is proof that this server started
//! the login for a project that did, and it works once.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::Serialize;

use super::{
    connect::{CONNECT_FAILURES, Target, browser_url},
    json,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::Caller,
        error::{Code, Error},
        operation::{Answer, Operation},
        query::Query,
    },
    unify::OAuthRequest,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/connections/oauth/start", start)
            .id("startOAuth")
            .tag("Connections")
            .summary("Begin a login in the end customer's browser.")
            .describe("The login can be finished once, within ten minutes.")
            .takes::<Target>()
            .gives::<Started>(201, "Where to send the browser.")
            .fails(CONNECT_FAILURES),
        Operation::get("/connections/oauth/callback", callback)
            .id("handleOAuthCallback")
            .tag("Connections")
            .summary("Where the provider sends the browser back to; not for programs.")
            .open()
            .query::<String>("state", "What this server gave the provider.")
            .query::<String>("code", "What the provider gave.")
            .query::<String>("spapi_oauth_code", "Amazon's name of `code`.")
            .query::<String>("error", "Why the provider ended the login.")
            .query::<String>("error_description", "The same for people.")
            .gives_other(200, "text/plain; charset=utf-8", "Connected.")
            .answer(
                Answer::empty(302, "Connected; to the `return_url` of the start.")
                    .header("Location", "The `return_url`."),
            )
            .fails(&[
                Code::StateInvalid,
                Code::LoginRefused,
                Code::StoreUnavailable,
            ])
            .fails(CONNECT_FAILURES),
    ]
}

/// A login that began.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "OAuthStart")]
struct Started {
    /// Where to send the end customer's browser.
    #[schemars(url)]
    authorize_url: String,
}

/// `POST /connections/oauth/start`: where to send the end customer's browser.
pub(super) async fn start(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Json(mut target): Json<Target>,
) -> Result<Response, Error> {
    let return_url = target.return_url.take();
    let return_url = return_url.as_deref().map(browser_url).transpose()?;
    let request = OAuthRequest {
        connect: target.resolve(&services, &caller.project).await?,
        return_url,
        redirect_uri: services.oauth_redirect_uri(),
    };
    let authorize_url = services.unify.start_oauth(request).await?.to_string();
    Ok((StatusCode::CREATED, json(&Started { authorize_url })?).into_response())
}

/// `GET /connections/oauth/callback`: where the provider sends the browser back to.
pub(super) async fn callback(
    State(services): State<Arc<Services>>,
    query: Query,
) -> Result<Response, Error> {
    if let Some(error) = query.get("error") {
        let error: String = error.chars().take(100).collect();
        let why = query.get("error_description").unwrap_or_default();
        let why: String = why.chars().take(300).collect();
        let detail = format!("The provider ended the login with {error:?}. {why}");
        return Err(Error::new(Code::LoginRefused, detail.trim_end()));
    }
    let state = query.require("state")?;
    let code = match query.get("code") {
        Some(code) => code,
        None => query.require("spapi_oauth_code")?,
    };
    let redirect_uri = services.oauth_redirect_uri();
    let connected = services
        .unify
        .finish_oauth(state, code, &redirect_uri)
        .await?;
    Ok(match &connected.return_url {
        Some(url) => to_browser(StatusCode::FOUND, "", url.as_str()),
        None => to_browser(
            StatusCode::OK,
            "Connected. You can close this window and go back to the application.\n",
            "",
        ),
    })
}

/// An answer for the end customer's browser, which must see no token: neither here nor, by the
/// referrer, at the next page (the address of this one has the code in it).
fn to_browser(status: StatusCode, text: &'static str, location: &str) -> Response {
    let mut response = (status, text).into_response();
    let headers = response.headers_mut();
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    if let Ok(location) = HeaderValue::from_str(location)
        && !location.is_empty()
    {
        headers.insert(header::LOCATION, location);
    }
    response
}
