//! New connections by a login in the browser.
//!
//! Nobody has to know an API key at the callback: the state is proof that this server started
//! the login for a project that did, and it works once. A login from a connect page can be
//! finished by the browser that began it only; one that an application began is bound to a browser
//! by that application.

use std::sync::Arc;

use axum::{
    extract::State,
    http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use secrecy::ExposeSecret as _;
use serde::Serialize;
use url::Url;

use super::{
    connect::{CONNECT_FAILURES, Target, browser_url},
    json,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Caller, Client},
        error::{Code, Error},
        operation::{Answer, Operation},
        query::Query,
    },
    unify::{LoggedIn, OAuthEnd, OAuthRequest},
    vault::LoginLink,
};

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/connections/oauth/start", start)
            .id("startOAuth")
            .tag("Connections")
            .summary("Begin a login in the end customer's browser.")
            .describe(
                "The login can be finished once, within ten minutes, by whatever browser comes \
                 back with its `state`. Your application has to bind it to the session of its \
                 user: start it in a request of a signed-in user only, give the address to that \
                 user's browser only, and take the connection for theirs only when the same \
                 session comes back to `return_url`. Connect links do this by themselves.",
            )
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
            .answer(
                Answer::empty(
                    303,
                    "Back to the connect page that began it, or to one that says what went wrong.",
                )
                .header("Location", "A page of this server."),
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
        link: None,
        redirect_uri: services.oauth_redirect_uri(),
    };
    let begun = services.unify.start_oauth(request).await?;
    let authorize_url = begun.address.to_string();
    Ok((StatusCode::CREATED, json(&Started { authorize_url })?).into_response())
}

/// `GET /connections/oauth/callback`: where the provider sends the browser back to.
///
/// A login of a connect link goes back to its page, whatever came of it. A browser that has no
/// connect page to go to is shown one that says what happened.
pub(super) async fn callback(
    State(services): State<Arc<Services>>,
    client: Client,
    headers: HeaderMap,
    query: Query,
) -> Result<Response, Error> {
    match finish(&services, &headers, &query).await {
        Err(error) if client.wants_html => {
            let mut url = services.connect_url("problem");
            url.query_pairs_mut()
                .append_pair("code", error.code().name());
            Ok(to_browser(StatusCode::SEE_OTHER, "", url.as_str()))
        }
        finished => finished,
    }
}

async fn finish(
    services: &Services,
    headers: &HeaderMap,
    query: &Query,
) -> Result<Response, Error> {
    let code = match (query.get("error"), query.get("code")) {
        (Some(error), _) => {
            let error: String = error.chars().take(100).collect();
            let why = query.get("error_description").unwrap_or_default();
            let why: String = why.chars().take(300).collect();
            Err(format!("{error:?}. {why}").trim_end().to_owned())
        }
        (None, Some(code)) => Ok(code),
        (None, None) => Ok(query.require("spapi_oauth_code")?),
    };
    let redirect_uri = services.oauth_redirect_uri();
    let ended = match (query.get("state"), &code) {
        (Some(state), _) => {
            let browser = services.login_secret(headers, state);
            let finished =
                services
                    .unify
                    .finish_oauth(state, browser.as_ref(), code, &redirect_uri);
            finished.await?
        }
        (None, Err(said)) => {
            let detail = format!("The provider ended the login with {said}");
            return Err(Error::new(Code::LoginRefused, detail));
        }
        (None, Ok(_)) => {
            return query
                .require("state")
                .map(|_| to_browser(StatusCode::OK, "", ""));
        }
    };
    if let Some(link) = &ended.link {
        let url = back_to_page(services, &ended, link);
        let mut response = to_browser(StatusCode::SEE_OTHER, "", url.as_str());
        let done = query
            .get("state")
            .and_then(|state| services.no_login_cookie(state));
        if let Some(cookie) = done {
            response.headers_mut().append(header::SET_COOKIE, cookie);
        }
        return Ok(response);
    }
    let LoggedIn::Connected(connected) = ended.outcome? else {
        return Err(Error::internal(&std::io::Error::other(
            "a login without a page asks for a choice",
        )));
    };
    Ok(match &connected.return_url {
        Some(url) => to_browser(StatusCode::FOUND, "", url.as_str()),
        None => to_browser(
            StatusCode::OK,
            "Connected. You can close this window and go back to the application.\n",
            "",
        ),
    })
}

/// The page of a connect link that shows what came of a login.
fn back_to_page(services: &Services, ended: &OAuthEnd, link: &LoginLink) -> Url {
    let mut url = services.connect_url(&link.token);
    url.set_query(
        Some(&link.query)
            .filter(|query| !query.is_empty())
            .map(String::as_str),
    );
    let outcome = match &ended.outcome {
        Ok(LoggedIn::Connected(_)) => vec!["connected"],
        Ok(LoggedIn::Choose(choice)) => vec!["accounts", choice.expose_secret()],
        Err(error) => {
            let problem = error.problem();
            let mut query = url.query_pairs_mut();
            query.append_pair("scheme", &ended.scheme);
            query.append_pair("problem", problem.name);
            if let Some(said) = &problem.said {
                let sealed = services.vault.say_in_link(link.id, said);
                query.append_pair("said", &sealed);
            }
            tracing::info!(connector = %ended.connector, %error, "a login on a connect page came to nothing");
            vec!["connectors", ended.connector.as_str()]
        }
    };
    if let Ok(mut path) = url.path_segments_mut() {
        path.extend(outcome);
    }
    url
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
