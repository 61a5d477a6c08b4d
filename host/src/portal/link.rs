//! A connect link that is good, as an argument type.

use std::sync::Arc;

use axum::{
    extract::FromRequestParts,
    http::{HeaderValue, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use maud::{Markup, html};
use url::{Url, form_urlencoded};

use super::{
    Texts, branding,
    page::{self, Look},
};
use crate::{
    http::{self, Services},
    model::{
        ConnectLink, ConnectSettings, LinkState, LinkedUser, Manifest, Project, Scope, WebOrigin,
    },
    runtime::ConnectorVersion,
    vault::Vault,
    web::parts::{self, Tone},
};

/// A page of a connect link that is open, or was used and not yet expired. Any other link is
/// answered with a page that says what became of it.
#[derive(Clone, Debug)]
pub(crate) struct OpenLink {
    /// What the API uses.
    pub(crate) services: Arc<Services>,
    /// The link.
    pub(crate) link: ConnectLink,
    /// Its project.
    pub(crate) project: Project,
    /// Who connects.
    pub(crate) linked_user: LinkedUser,
    /// Where browsers may go, and how the page looks.
    pub(crate) settings: ConnectSettings,
    /// The page's words.
    pub(crate) texts: &'static Texts,
    token: String,
    /// The path of this page below the link's, and what stands behind its `?` but the language.
    here: String,
    query: String,
    /// Whether the language was chosen on the page: then its addresses keep it.
    chosen: bool,
}

impl FromRequestParts<Arc<Services>> for OpenLink {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        services: &Arc<Services>,
    ) -> Result<Self, Response> {
        let asked = Asked::of(parts);
        match Self::find(services, &asked).await {
            Ok(found) => found,
            Err(error) => {
                let mut response = page::sorry(asked.texts(None), error.code().status());
                response.extensions_mut().insert(error);
                Err(response)
            }
        }
    }
}

/// What the address and the browser say.
pub(super) struct Asked {
    token: String,
    here: String,
    query: String,
    language: Option<&'static Texts>,
    preferred: &'static Texts,
}

impl Asked {
    pub(super) fn of(parts: &Parts) -> Self {
        let mut path = parts.uri.path().splitn(4, '/').skip(2);
        let token = path.next().unwrap_or_default().to_owned();
        let here = path
            .next()
            .map(|rest| format!("/{rest}"))
            .unwrap_or_default();
        let mut language = None;
        let mut query = form_urlencoded::Serializer::new(String::new());
        let pairs = parts.uri.query().unwrap_or_default();
        for (key, value) in form_urlencoded::parse(pairs.as_bytes()) {
            match key.as_ref() {
                "lang" => language = Texts::find(&value),
                _ => drop(query.append_pair(&key, &value)),
            }
        }
        let accepted = parts.headers.get(header::ACCEPT_LANGUAGE);
        let accepted = accepted.and_then(|value| value.to_str().ok());
        Self {
            token,
            here,
            query: query.finish(),
            language,
            preferred: Texts::preferred(accepted.unwrap_or_default()),
        }
    }

    /// The words: what was chosen, else what the link says, else what the browser prefers.
    pub(super) fn texts(&self, link: Option<&ConnectLink>) -> &'static Texts {
        let of_link = link.and_then(|link| Texts::find(link.what.language.as_deref()?));
        self.language.or(of_link).unwrap_or(self.preferred)
    }
}

impl OpenLink {
    /// The link, or the page that says why not.
    async fn find(
        services: &Arc<Services>,
        asked: &Asked,
    ) -> Result<Result<Self, Response>, http::Error> {
        // Whose a link was that is unknown, nobody can say: so neither who may show the page of it.
        // Every page may. It holds no secret and nothing to press, is the same for everybody, and
        // tells what its own address answers to anybody; and an application whose link is long
        // forgotten has to be able to tell its customer so.
        let anywhere = ["*".to_owned()];
        let store = &services.store;
        let link = match Vault::parse_link_token(&asked.token) {
            Some(hash) => store.connect_link_by_token(&hash).await?,
            None => None,
        };
        let Some(link) = link else {
            return Ok(Err(page::closed(
                asked.texts(None),
                "unknown",
                None,
                None,
                &anywhere,
            )));
        };
        let texts = asked.texts(Some(&link));
        let project = store.project(link.project).await?;
        let linked_user = store
            .linked_user(link.project, link.what.linked_user)
            .await?;
        let Some((project, linked_user)) = project.zip(linked_user) else {
            return Ok(Err(page::closed(texts, "unknown", None, None, &anywhere)));
        };
        let settings = store.connect_settings(link.project).await?;
        let state = link.state(services.clock.now());
        if matches!(state, LinkState::Expired | LinkState::Revoked) {
            let brand = branding::name(&settings.branding, &project);
            let origins = origins(&settings);
            let mut back = link.what.return_url.clone();
            back = back.filter(|url| settings.allows(url));
            if let Some(url) = &mut back {
                url.query_pairs_mut().append_pair("status", state.as_str());
            }
            let page = page::closed(texts, state.as_str(), Some(brand), back.as_ref(), &origins);
            return Ok(Err(page));
        }
        Ok(Ok(Self {
            services: Arc::clone(services),
            link,
            project,
            linked_user,
            settings,
            texts,
            token: asked.token.clone(),
            here: asked.here.clone(),
            query: asked.query.clone(),
            chosen: asked.language.is_some(),
        }))
    }

    /// What the page calls the integrator.
    pub(crate) fn brand(&self) -> &str {
        branding::name(&self.settings.branding, &self.project)
    }

    /// The token, for what goes back to this page later.
    pub(super) fn token(&self) -> &str {
        &self.token
    }

    /// `lang=de`, where somebody chose so.
    pub(super) fn language_query(&self) -> String {
        match self.chosen {
            true => format!("lang={}", self.texts.language),
            false => String::new(),
        }
    }

    /// The address of a page of this link: `/connectors/x` of `/connect/{token}/connectors/x`.
    pub(crate) fn href(&self, path: &str) -> String {
        self.href_with(path, &[])
    }

    /// The same with a query.
    pub(crate) fn href_with(&self, path: &str, pairs: &[(&str, &str)]) -> String {
        let mut query = form_urlencoded::Serializer::new(self.language_query());
        let query = query.extend_pairs(pairs).finish();
        let mark = if query.is_empty() { "" } else { "?" };
        format!("/connect/{}{path}{mark}{query}", self.token)
    }

    /// What this page is called where others show it: `list`, `login`, `connection` …
    pub(super) fn page_name(&self) -> &str {
        let mut path = self.here.split('/').skip(1);
        match (path.next(), path.nth(1)) {
            (None | Some(""), _) => "list",
            (Some("connectors" | "oauth"), _) => "login",
            (Some("connections"), None) => "connection",
            (Some("connections"), Some(part)) => part,
            (Some(name), _) => name,
        }
    }

    /// The address of this page in another language.
    pub(super) fn href_in(&self, language: &str) -> String {
        let mut query = form_urlencoded::Serializer::new(self.query.clone());
        let query = query.append_pair("lang", language).finish();
        format!("/connect/{}{}?{query}", self.token, self.here)
    }

    /// A page of this link with the integrator's looks; `body` stands below the heading.
    pub(crate) fn page(&self, title: &str, body: &Markup) -> Response {
        self.page_with(Look::default(), title, body)
    }

    /// The same with another status, more style, more scripts.
    pub(crate) fn page_with(&self, look: Look, title: &str, body: &Markup) -> Response {
        page::shell(self, look, title, body)
    }

    /// The way to another page, after something was sent.
    #[expect(clippy::unused_self, reason = "a page of a link leads on")]
    pub(crate) fn to(&self, href: &str) -> Response {
        to(href)
    }

    /// The answer, or a page that says that something of ours failed; why is in the log.
    pub(crate) fn show(&self, made: Result<Response, http::Error>) -> Response {
        made.unwrap_or_else(|error| {
            let body = html! {
                (parts::alert(Tone::Bad, self.texts.get("sorry.title"), &html! {
                    p { (self.texts.get("sorry.detail")) }
                }))
                p { a.button href=(self.href("")) { (self.texts.get("back")) } }
            };
            let look = Look {
                status: error.code().status(),
                ..Look::default()
            };
            let mut response = self.page_with(look, self.texts.get("sorry.heading"), &body);
            response.extensions_mut().insert(error);
            response
        })
    }

    /// The origins that may show the pages in a frame.
    pub(super) fn frame_ancestors(&self) -> Vec<String> {
        origins(&self.settings)
    }

    /// The connectors that it is for, by name.
    pub(crate) fn connectors(&self) -> Vec<Arc<ConnectorVersion>> {
        let mut all = self.services.runtime.all_active();
        all.retain(|version| self.allows(version.manifest()));
        all.sort_by_key(|version| version.manifest().name.to_lowercase());
        all
    }

    /// One of them.
    pub(crate) fn connector(&self, slug: &str) -> Option<Arc<ConnectorVersion>> {
        let version = self.services.runtime.active(&slug.parse().ok()?)?;
        self.allows(version.manifest()).then_some(version)
    }

    fn allows(&self, manifest: &Manifest) -> bool {
        let vertical = self.link.what.vertical.as_deref();
        self.link.allows(&manifest.slug)
            && vertical.is_none_or(|vertical| manifest.verticals().contains(&vertical))
    }

    /// The connection that it made, or is to log in again.
    ///
    /// # Errors
    /// The database failed.
    pub(crate) async fn connection(&self) -> Result<Option<Scope>, http::Error> {
        let Some(id) = self.link.what.connection else {
            return Ok(None);
        };
        let scope = self.services.store.scope_by_id(self.project.id, id).await?;
        Ok(scope.filter(|scope| scope.connection().linked_user == self.linked_user.id))
    }

    /// Where the integrator wants its customers back, as far as the project allows it still.
    pub(super) fn return_url(&self) -> Option<&Url> {
        let url = self.link.what.return_url.as_ref();
        url.filter(|url| self.settings.allows(url))
    }

    /// Whether it was used: then it is for its connection only.
    pub(crate) fn is_used(&self) -> bool {
        self.link.is_used(self.services.clock.now())
    }
}

fn origins(settings: &ConnectSettings) -> Vec<String> {
    let origins = settings.allowed_origins.iter().map(WebOrigin::as_str);
    origins.map(ToOwned::to_owned).collect()
}

/// 303.
pub(super) fn to(href: &str) -> Response {
    let location = HeaderValue::from_str(href).unwrap_or(HeaderValue::from_static("/"));
    let headers = [
        (header::LOCATION, location),
        (
            header::REFERRER_POLICY,
            HeaderValue::from_static("no-referrer"),
        ),
        (header::CACHE_CONTROL, HeaderValue::from_static("no-store")),
    ];
    (StatusCode::SEE_OTHER, headers).into_response()
}
