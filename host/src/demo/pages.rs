//! The pages for people. Plain HTML without scripts.

use std::collections::HashMap;

use axum::{
    extract::State,
    http::{HeaderMap, header::HOST},
    response::Html,
};
use url::Url;

use super::{
    API_KEY, CLIENT_ID, CLIENT_SECRET, Collection, Demo, NOTICE, logins::Scopes, resource::Kind,
};

/// `/`: what this is and how to use it.
pub(super) async fn welcome(State(demo): State<Demo>, headers: HeaderMap) -> Html<String> {
    let host = headers
        .get(HOST)
        .and_then(|host| host.to_str().ok())
        .unwrap_or("127.0.0.1");
    let base = escape(&format!("http://{host}"));
    let rows: String = Collection::ALL
        .into_iter()
        .map(|collection| {
            let fields: Vec<String> = collection.fields().iter().map(describe).collect();
            let verbs = if collection.is_writable() {
                "GET, POST, PATCH, DELETE"
            } else {
                "GET"
            };
            format!(
                "<tr><td><code>/v1/{collection}</code></td><td>{}</td><td>{verbs}</td><td>{}</td></tr>",
                demo.count(collection),
                fields.join(", ")
            )
        })
        .collect();
    let lifetime = demo.0.options.access_token_lifetime.as_secs();
    page(
        "Demo CRM",
        &format!(
            "<p>A small fake CRM that <code>jackfield dev</code> serves. People, companies and deals are \
             invented. All changes are forgotten when it stops.</p>\
             <h2>Log in</h2>\
             <p>With the key: send the header <code>X-Demo-Key: {API_KEY}</code>.</p>\
             <p>With OAuth 2 (code with PKCE, refresh tokens that can be used once, client credentials): \
             client id <code>{CLIENT_ID}</code>, client secret <code>{CLIENT_SECRET}</code>, \
             <code>{base}/oauth/authorize</code>, <code>{base}/oauth/token</code>, \
             <code>{base}/oauth/revoke</code>; scopes <code>crm.read</code> and <code>crm.write</code>. \
             An access token is good for {lifetime} seconds.</p>\
             <h2>Read and write</h2>\
             <pre>curl -H 'X-Demo-Key: {API_KEY}' '{base}/v1/people?page_size=2'</pre>\
             <table><tr><th>Path</th><th>Records</th><th>Verbs</th><th>Fields</th></tr>{rows}</table>\
             <p>Lists are ordered by <code>updated_on</code> and take <code>page_size</code> (at most 100), \
             <code>page_token</code> (the <code>next_page_token</code> of the page before) and \
             <code>updated_since</code>, with which they tell of deleted records too. A record's \
             <code>ETag</code> can be sent as <code>If-Match</code>, and a <code>POST</code> with an \
             <code>Idempotency-Key</code> makes one record however often it is sent. \
             <code>/v1/me</code> tells the account.</p>"
        ),
    )
}

/// The page where a person says yes or no.
pub(super) fn consent(
    parameters: &HashMap<String, String>,
    redirect_uri: &Url,
    scopes: Scopes,
) -> String {
    // Sorted, so that the same request makes the same page.
    let mut names: Vec<&String> = parameters.keys().collect();
    names.sort();
    let hidden: String = names
        .into_iter()
        .filter(|name| *name != "decision")
        .filter_map(|name| Some((name, parameters.get(name)?)))
        .map(|(name, value)| {
            format!(
                "<input type=\"hidden\" name=\"{}\" value=\"{}\">",
                escape(name),
                escape(value)
            )
        })
        .collect();
    let wish = match scopes {
        Scopes::Read => "read",
        Scopes::Write => "read and change",
    };
    page(
        "Connect to the demo CRM",
        &format!(
            "<p><b>{CLIENT_ID}</b> wants to {wish} the records of the demo account. You will be sent on to \
             <b>{}</b>.</p>\
             <form method=\"post\" action=\"/oauth/authorize\">{hidden}\
             <button name=\"decision\" value=\"allow\">Allow</button> \
             <button name=\"decision\" value=\"deny\">Deny</button></form>",
            escape(&redirect_uri.origin().ascii_serialization())
        ),
    )
    .0
}

/// The page for a request that cannot be sent back to whoever made it.
pub(super) fn refusal(message: &str) -> String {
    page(
        "This cannot be connected",
        &format!("<p>{}</p>", escape(message)),
    )
    .0
}

fn page(title: &str, body: &str) -> Html<String> {
    Html(format!(
        "<!doctype html><html lang=\"en\"><head><meta charset=\"utf-8\">\
         <meta name=\"viewport\" content=\"width=device-width\"><title>{title} ({NOTICE})</title><style>\
         body{{font:1rem/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#212529;\
         background:#fff}}\
         .notice{{background:#fff3bf;border:1px solid #866118;border-radius:.25rem;padding:.5rem 1rem}}\
         table{{border-collapse:collapse}}td,th{{border:1px solid #868e96;padding:.25rem .5rem;text-align:left;\
         vertical-align:top}}\
         pre{{background:#f1f3f5;padding:1rem;overflow:auto}}button{{font:inherit;padding:.5rem 1.5rem}}\
         </style></head><body><p class=\"notice\" role=\"note\">This is a <b>{NOTICE}</b>.</p>\
         <main><h1>{title}</h1>{body}</main></body></html>"
    ))
}

fn describe(field: &super::resource::Field) -> String {
    let kind = match field.kind {
        Kind::Text(_) => "text",
        Kind::Mail => "mail address",
        Kind::Whole => "whole number",
        Kind::Flag => "true or false",
        Kind::Day => "day",
        Kind::Reference(collection) => collection.as_str(),
        Kind::Address => "street, postcode, town, region, country",
        Kind::Extra => "anything plain",
    };
    let star = if field.required { "*" } else { "" };
    format!("<code>{}</code>{star} ({kind})", field.name)
}

fn escape(text: &str) -> String {
    text.replace('&', "&amp;")
        .replace('<', "&lt;")
        .replace('>', "&gt;")
        .replace('"', "&quot;")
        .replace('\'', "&#39;")
}
