//! What stands around every page of a connect link, and the pages for links that open nothing.

use std::sync::Arc;

use axum::{
    Router,
    extract::Request,
    http::{StatusCode, request::Parts},
    response::Response,
    routing::get,
};
use maud::{Markup, html};
use url::{Url, form_urlencoded};

use super::{OpenLink, Texts, branding, embed, link::Asked};
use crate::{
    http::Services,
    model::SystemEntropy,
    web::{
        Page,
        assets::{self, Asset},
    },
};

/// The looks of these pages, on top of those that all pages share.
const STYLE: &str = "\
.connect-head{display:flex;gap:.75rem;align-items:center;margin-bottom:1.5rem;font-weight:650}\
.connect-head img{max-height:40px;max-width:200px;object-fit:contain}\
.connect-foot{margin-top:2rem;padding-top:1rem;border-top:1px solid var(--line);display:flex;flex-wrap:wrap;gap:.5rem 1rem;justify-content:space-between;color:var(--muted);font-size:.87rem}\
.connect-foot ul{list-style:none;display:flex;gap:.9rem;margin:0;padding:0}\
.connect-foot a{display:inline-block;padding:.2rem 0}\
.tile{display:flex;gap:.9rem;align-items:flex-start;border-left:4px solid var(--tile,var(--line))}\
.tile p{margin:0;color:var(--muted);font-size:.92rem}\
.tile strong{display:block}\
.connector-head{display:flex;gap:.9rem;align-items:center;border-left:4px solid var(--tile,var(--line));padding-left:.9rem;margin-bottom:1.25rem}\
.connector-head p{margin:0;color:var(--muted)}\
.plain-list{list-style:none;margin:0 0 1rem;padding:0;display:grid;gap:.6rem}\
.may{padding-left:1.2rem;margin:0 0 .75rem}\
.may li{margin-bottom:.3rem}\
.accounts label{display:flex;gap:.6rem;align-items:flex-start;padding:.7rem .9rem;border:1px solid var(--line);border-radius:8px;margin-bottom:.5rem;cursor:pointer}\
.accounts label:has(:checked){border-color:var(--accent);background:var(--accent-soft)}\
";

pub(super) fn routes() -> Router<Arc<Services>> {
    Router::new().route("/connect/problem", get(problem))
}

/// What a page has besides its body.
#[derive(Debug, Default)]
pub(crate) struct Look {
    /// 200 where none is named.
    pub(crate) status: StatusCode,
    /// CSS of this page alone, made of checked values.
    pub(crate) style: String,
    /// More scripts.
    pub(crate) scripts: Vec<&'static Asset>,
}

/// A page of a link.
pub(super) fn shell(open: &OpenLink, look: Look, title: &str, body: &Markup) -> Response {
    let texts = open.texts;
    let brand = open.brand();
    let logo = open.settings.branding.logo.as_deref();
    let markup = html! {
        a.skip href="#main" { (texts.get("skip")) }
        div.alone.wide data-connect=(open.href("").split('?').next().unwrap_or_default())
            data-embed=(open.frame_ancestors().join(" ")) data-page=(open.page_name()) {
            header.connect-head {
                @if let Some(logo) = logo { img src=(logo) alt=""; }
                span { (brand) }
            }
            main id="main" {
                h1 { (title) }
                (body)
            }
            footer.connect-foot {
                @if open.link.what.return_url.is_some() && !open.is_used() {
                    a href=(open.href("/cancel")) { (texts.with("leave", &[("brand", brand)])) }
                }
                nav aria-label=(texts.get("language.choose")) {
                    ul {
                        @for (language, name) in Texts::languages() {
                            li {
                                a href=(open.href_in(language)) lang=(language) hreflang=(language)
                                    aria-current=[(language == texts.language).then_some("true")] { (name) }
                            }
                        }
                    }
                }
            }
        }
    };
    let styled = format!(
        "{STYLE}{}{}",
        branding::css(&open.settings.branding),
        look.style
    );
    let page_title = texts.with("page.title", &[("title", title), ("brand", brand)]);
    let page = Page::new(page_title).status(look.status).style(styled);
    let page = look.scripts.into_iter().fold(page, Page::script);
    let response = page
        .language(texts.language)
        .script(assets::PORTAL)
        .script(assets::EMBED)
        .frame_ancestors(open.frame_ancestors())
        .body(markup)
        .render(&*open.services.entropy);
    embed::for_isolated(response)
}

/// The page of a link that opens nothing: `state` is `unknown`, `expired` or `revoked`. Pages of
/// `origins` may show it in a frame, and are told why there is nothing else. `back` is where the
/// link's integrator wants its customers back.
pub(super) fn closed(
    texts: &'static Texts,
    state: &str,
    brand: Option<&str>,
    back: Option<&Url>,
    origins: &[String],
) -> Response {
    let status = match state {
        "unknown" => StatusCode::NOT_FOUND,
        _ => StatusCode::GONE,
    };
    let key = format!("closed.{state}.title");
    let title = texts.get(&key);
    let whom = brand.unwrap_or_else(|| texts.get("closed.sender"));
    let detail = texts.with(&format!("closed.{state}.detail"), &[("brand", whom)]);
    let body = html! {
        p { (detail) }
        @if let Some(back) = back {
            p {
                a.button.primary data-embed-close href=(back) {
                    (texts.with("connected.go_on", &[("brand", whom)]))
                }
            }
        }
        (embed::closed(state))
    };
    alone(texts, status, title, &body, origins)
}

/// The page of an address that is no link's. Every page may show it: see `OpenLink`.
pub(super) fn unknown(parts: &Parts) -> Response {
    let texts = Asked::of(parts).texts(None);
    closed(texts, "unknown", None, None, &["*".to_owned()])
}

/// The page where something of ours failed before the link was found.
pub(super) fn sorry(texts: &'static Texts, status: StatusCode) -> Response {
    let body = html! { p { (texts.get("sorry.detail")) } };
    alone(texts, status, texts.get("sorry.heading"), &body, &[])
}

/// `GET /connect/problem?code=`: where a login ends whose link is not known any more.
async fn problem(request: Request) -> Response {
    let (parts, _) = request.into_parts();
    let texts = Asked::of(&parts).texts(None);
    let query = parts.uri.query().unwrap_or_default();
    let code = form_urlencoded::parse(query.as_bytes()).find(|(key, _)| key == "code");
    let key = match code.as_ref().map(|(_, value)| value.as_ref()) {
        Some("state_invalid" | "invalid_parameter") => "problem.state",
        Some("login_refused") => "problem.denied",
        Some("credentials_refused") => "problem.refused",
        Some("provider_unavailable") => "problem.unavailable",
        Some("rate_limited") => "problem.rate_limited",
        Some("oauth_app_missing") => "problem.not_configured",
        _ => "problem.server",
    };
    let sentence = texts.with(
        key,
        &[
            ("connector", texts.get("provider")),
            ("brand", texts.get("closed.sender")),
        ],
    );
    let body = html! {
        p { (sentence) }
        p { (texts.get("problem.go_back")) }
        p { a.button.primary data-back-to-connect href="#main" hidden { (texts.get("back")) } }
    };
    alone(
        texts,
        StatusCode::BAD_REQUEST,
        texts.get("problem.heading"),
        &body,
        &[],
    )
}

fn alone(
    texts: &'static Texts,
    status: StatusCode,
    title: &str,
    body: &Markup,
    origins: &[String],
) -> Response {
    let markup = html! {
        main.alone id="main" data-embed=(origins.join(" ")) data-page="closed" {
            article.card {
                h1 { (title) }
                (body)
            }
        }
    };
    let response = Page::new(title)
        .language(texts.language)
        .status(status)
        .script(assets::PORTAL)
        .script(assets::EMBED)
        .frame_ancestors(origins.to_vec())
        .body(markup)
        .render(&SystemEntropy);
    embed::for_isolated(response)
}
