//! Who asks for a page, as argument types: a handler without one of these has nothing to show.

use std::{fmt, net::IpAddr, ops::Deref, sync::Arc, time::Duration};

use axum::{
    extract::{FromRequestParts, OriginalUri, RawPathParams},
    http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header, request::Parts},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::Markup;
use serde_json::Value;
use url::form_urlencoded::byte_serialize;

use super::{
    Desktop, Section,
    shell::{Frame, shell},
};
use crate::{
    access::{self, Access, SignedIn},
    http::{self, Peer, Services},
    model::{AuditEntry, Operator, Place, Project, ProjectId, Role},
    web::{self, Page},
};

/// The message of the last action, on its way to the next page.
const MESSAGE: &str = "jackfield-message";
const MESSAGE_LIFE: Duration = Duration::from_secs(60);
const LONGEST_MESSAGE: usize = 400;
/// The project that was looked at last.
const PROJECT: &str = "jackfield-project";
const PROJECT_LIFE: Duration = Duration::from_secs(365 * 24 * 3600);
/// Where people go who came for no page.
pub(super) const HOME: &str = "/dashboard";

/// Somebody in front of a page of this server, signed in or not.
#[derive(Debug)]
pub(super) struct Visitor {
    /// What the pages use.
    pub(super) desktop: Arc<Desktop>,
    /// From where.
    pub(super) place: Place,
    /// The header `Cookie`.
    pub(super) cookies: String,
}

/// An operator who is signed in.
pub(crate) struct Desk {
    /// What the API uses.
    pub(crate) services: Arc<Services>,
    /// Who it is.
    pub(crate) operator: Operator,
    /// What operators may change about operators.
    pub(super) access: Access,
    /// With the session.
    pub(super) signed_in: SignedIn,
    /// All projects; none for a part of a page.
    projects: Vec<Project>,
    project: Option<Project>,
    remembered: Option<ProjectId>,
    message: Option<String>,
    /// The address of the page, where it can be asked for again.
    here: Option<String>,
}

/// An operator who is signed in, and the project that the path names.
#[derive(Debug)]
pub(crate) struct ProjectDesk {
    desk: Desk,
    /// The project.
    pub(crate) project: Project,
}

impl fmt::Debug for Desk {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("Desk")
            .field("operator", &self.operator)
            .finish_non_exhaustive()
    }
}

impl Deref for ProjectDesk {
    type Target = Desk;
    fn deref(&self) -> &Desk {
        &self.desk
    }
}

impl Desk {
    /// Who it is for the audit log: `operator:<id>`.
    pub(crate) fn actor(&self) -> String {
        self.operator.actor()
    }

    /// What the operator does, for the audit log.
    pub(super) fn entry(
        &self,
        project: Option<ProjectId>,
        action: &str,
        subject: impl fmt::Display,
        details: Value,
    ) -> AuditEntry {
        AuditEntry {
            at: self.services.clock.now(),
            project,
            actor: self.actor(),
            action: action.to_owned(),
            subject: subject.to_string(),
            details,
        }
    }

    /// Whether the operator may do what takes this role.
    ///
    /// # Errors
    /// A page that says that it takes another role.
    pub(crate) fn may(&self, role: Role) -> Result<(), web::Error> {
        if self.operator.role >= role {
            return Ok(());
        }
        let article = if role == Role::Owner { "an" } else { "a" };
        Err(web::Error::forbidden(format!(
            "This takes {article} {role}, and you are signed in as {}, a {}.",
            self.operator.email, self.operator.role
        )))
    }

    /// Whether the operator may do what takes this role: for what a page offers.
    pub(crate) fn is(&self, role: Role) -> bool {
        self.operator.role >= role
    }

    /// The project of the path; else the one that was looked at last; else the first.
    pub(crate) fn last_project(&self) -> Option<&Project> {
        let known = |id: ProjectId| self.projects.iter().find(|project| project.id == id);
        let last = self
            .project
            .as_ref()
            .or_else(|| self.remembered.and_then(known));
        last.or_else(|| self.projects.first())
    }

    /// All projects.
    pub(crate) fn projects(&self) -> &[Project] {
        &self.projects
    }

    /// A whole page with the navigation around it.
    pub(crate) fn page(&self, section: Section, title: &str, body: Markup) -> Response {
        self.page_with(Page::new(title), section, body)
    }

    /// The same where the document needs more than a title.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "markup is made for one page and used up by it"
    )]
    pub(crate) fn page_with(&self, page: Page, section: Section, body: Markup) -> Response {
        let project = self.last_project();
        let frame = Frame {
            person: &self.operator.name,
            project,
            projects: &self.projects,
            message: self.message.as_deref(),
            switch: self.is(Role::Developer).then(|| match &self.here {
                Some(here) => here.clone(),
                None => section.href(project.map(|project| project.id)),
            }),
        };
        let body = shell(&frame, section, page.title(), &body);
        let mut response = page.body(body).render(&*self.services.entropy);
        let cookies = self.access.cookies();
        if self.message.is_some() {
            set_cookie(&mut response, &cookies.clear(MESSAGE));
        }
        if let Some(project) = &self.project
            && self.remembered != Some(project.id)
        {
            set_cookie(
                &mut response,
                &cookies.set(PROJECT, project.id, PROJECT_LIFE),
            );
        }
        response
    }

    /// After a POST: the next page, which says what was done.
    pub(crate) fn done(&self, message: &str, href: &str) -> Response {
        let mut response = see_other(href);
        let message: String = message.chars().take(LONGEST_MESSAGE).collect();
        let value = URL_SAFE_NO_PAD.encode(message);
        let cookie = self.access.cookies().set(MESSAGE, value, MESSAGE_LIFE);
        set_cookie(&mut response, &cookie);
        response
    }
}

impl ProjectDesk {
    /// A path within the project: `.href("/runs")` is `/dashboard/<id>/runs`.
    pub(crate) fn href(&self, path: &str) -> String {
        format!("{HOME}/{}{path}", self.project.id)
    }

    /// Writes what the operator did into the audit log. Reading leaves no entry, and neither does a
    /// test of a connection.
    ///
    /// # Errors
    /// The database failed.
    pub(super) async fn audit(
        &self,
        action: &str,
        subject: impl fmt::Display,
        details: Value,
    ) -> Result<(), web::Error> {
        let entry = self.entry(Some(self.project.id), action, subject, details);
        Ok(self.services.store.audit(&entry).await?)
    }
}

impl FromRequestParts<Arc<Desktop>> for Visitor {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        desktop: &Arc<Desktop>,
    ) -> Result<Self, Response> {
        let headers = &parts.headers;
        let peer = parts.extensions.get::<Peer>();
        // Requests that did not come through our server are those of tests.
        let peer = peer.map_or_else(|| IpAddr::from([0, 0, 0, 0]), |peer| peer.0);
        let said = list(headers, &HeaderName::from_static("x-forwarded-for"), ",");
        let client = desktop.access.proxies().client(peer, Some(&said));
        Ok(Self {
            desktop: Arc::clone(desktop),
            place: Place {
                address: client.to_string(),
                agent: list(headers, &header::USER_AGENT, " "),
            },
            cookies: list(headers, &header::COOKIE, "; "),
        })
    }
}

impl FromRequestParts<Arc<Desktop>> for Desk {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        desktop: &Arc<Desktop>,
    ) -> Result<Self, Response> {
        let visitor = Visitor::from_request_parts(parts, desktop).await?;
        let access = desktop.access.clone();
        let signed_in = access.signed_in(&visitor.cookies, &visitor.place).await;
        let signed_in = signed_in.map_err(|error| web::Error::from(error).into_response())?;
        let Some(signed_in) = signed_in else {
            return Err(to_sign_in(parts).await);
        };
        let services = Arc::clone(&desktop.services);
        let projects = if is_fragment(&parts.headers) {
            Vec::new()
        } else {
            let projects = services.store.projects().await;
            projects.map_err(|error| web::Error::from(error).into_response())?
        };
        let here = match parts.method {
            Method::GET => Some(address_of(parts).await),
            _ => None,
        };
        let cookies = access.cookies();
        let remembered = cookies.find(&visitor.cookies, PROJECT);
        let message = cookies.find(&visitor.cookies, MESSAGE);
        Ok(Self {
            operator: signed_in.operator.clone(),
            remembered: remembered.and_then(|id| id.parse().ok()),
            message: message.and_then(read_message),
            project: None,
            here,
            services,
            access,
            signed_in,
            projects,
        })
    }
}

impl FromRequestParts<Arc<Desktop>> for ProjectDesk {
    type Rejection = Response;

    async fn from_request_parts(
        parts: &mut Parts,
        desktop: &Arc<Desktop>,
    ) -> Result<Self, Response> {
        let mut desk = Desk::from_request_parts(parts, desktop).await?;
        let failed = |error: web::Error| error.into_response();
        let unknown = || failed(web::Error::not_found("There is no such project."));
        let names = RawPathParams::from_request_parts(parts, desktop).await;
        let names = names.map_err(|_| {
            failed(web::Error::not_found(
                "This address cannot be read: a part of it is not UTF-8.",
            ))
        })?;
        let named = names.iter().find(|(name, _)| *name == "project");
        let id: Option<ProjectId> = named.and_then(|(_, text)| text.parse().ok());
        let id = id.ok_or_else(unknown)?;
        let project = desk.services.store.project(id).await;
        let project = project.map_err(|error| failed(error.into()))?;
        let project = project.ok_or_else(unknown)?;
        desk.project = Some(project.clone());
        Ok(Self { desk, project })
    }
}

impl From<access::Error> for web::Error {
    fn from(error: access::Error) -> Self {
        match error {
            access::Error::Store(error) => error.into(),
            access::Error::Missing => Self::not_found("There is no such operator."),
            access::Error::TooMany(_) | access::Error::Busy => Self::new(
                StatusCode::TOO_MANY_REQUESTS,
                "Please wait",
                sentence(&error),
                "",
            ),
            other => Self::invalid(sentence(&other)),
        }
    }
}

/// The text of an error as a sentence.
pub(super) fn sentence(error: &access::Error) -> String {
    http::capitalised(&error.to_string())
}

/// A redirect after which the browser reads.
pub(super) fn see_other(href: &str) -> Response {
    let mut response = StatusCode::SEE_OTHER.into_response();
    let target = HeaderValue::from_str(href);
    let target = target.unwrap_or(HeaderValue::from_static(HOME));
    response.headers_mut().insert(header::LOCATION, target);
    response
}

/// Adds a cookie to an answer.
pub(super) fn set_cookie(response: &mut Response, cookie: &str) {
    if let Ok(value) = HeaderValue::from_str(cookie) {
        response.headers_mut().append(header::SET_COOKIE, value);
    }
}

/// A place to go on at after signing in. Only pages of operators: whatever else stands there was
/// put there by somebody who wants people to end up elsewhere.
pub(super) fn next_page(asked: Option<&str>) -> &str {
    let Some(asked) = asked else { return HOME };
    let rest = asked.strip_prefix(HOME);
    let whole = rest.is_some_and(|rest| rest.is_empty() || rest.starts_with(['/', '?']));
    let visible = asked
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    // Browsers take `..` for the folder above, also where its points are encoded.
    let path = asked.split(['?', '#']).next().unwrap_or_default();
    let path = path.to_ascii_lowercase().replace("%2e", ".");
    let stays = path
        .split('/')
        .skip(1)
        .all(|part| !matches!(part, "" | "." | ".."));
    if whole && visible && stays {
        asked
    } else {
        HOME
    }
}

/// Nobody is signed in: to the sign-in page, and back here afterwards.
async fn to_sign_in(parts: &mut Parts) -> Response {
    if is_fragment(&parts.headers) {
        // A page that has been open for long: the whole of it goes.
        let current = parts.headers.get("hx-current-url");
        let current = current.and_then(|url| url::Url::parse(url.to_str().ok()?).ok());
        let page = current.map_or_else(
            || HOME.to_owned(),
            |url| url[url::Position::BeforePath..url::Position::AfterQuery].to_owned(),
        );
        let mut response = StatusCode::UNAUTHORIZED.into_response();
        if let Ok(target) = HeaderValue::from_str(&sign_in_href(&page)) {
            response.headers_mut().insert("hx-redirect", target);
        }
        return response;
    }
    // What was sent is lost; the page that it was sent from is not known.
    let page = match parts.method {
        Method::GET | Method::HEAD => address_of(parts).await,
        _ => HOME.to_owned(),
    };
    see_other(&sign_in_href(&page))
}

/// Path and query of what is asked for.
async fn address_of(parts: &mut Parts) -> String {
    let uri = OriginalUri::from_request_parts(parts, &()).await;
    let uri = uri.map_or_else(|never| match never {}, |OriginalUri(uri)| uri);
    uri.path_and_query()
        .map_or_else(|| HOME.to_owned(), ToString::to_string)
}

fn sign_in_href(page: &str) -> String {
    match next_page(Some(page)) {
        HOME => "/sign-in".to_owned(),
        page => {
            let page: String = byte_serialize(page.as_bytes()).collect();
            format!("/sign-in?next={page}")
        }
    }
}

/// Whether htmx asks for a part of a page.
fn is_fragment(headers: &HeaderMap) -> bool {
    headers.contains_key("hx-request") && !headers.contains_key("hx-boosted")
}

/// All lines of a header as one text.
fn list(headers: &HeaderMap, name: &HeaderName, separator: &str) -> String {
    let values = headers.get_all(name).iter();
    let values: Vec<&str> = values.filter_map(|value| value.to_str().ok()).collect();
    values.join(separator)
}

fn read_message(text: &str) -> Option<String> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let text = String::from_utf8(bytes).ok()?;
    (!text.is_empty()).then_some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_goes_on_at_pages_of_operators_only() {
        for good in [
            "/dashboard",
            "/dashboard/connectors?after=x",
            "/dashboard?x=y",
        ] {
            assert_eq!(next_page(Some(good)), good);
        }
        for bad in [
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/dashboard\\..\\evil",
            "/dashboard.evil.example",
            "/dashboardx",
            "/dashboard/../connect/x",
            "/dashboard/%2E%2e/connect/x",
            "/dashboard/x/.%2e/../connect/x?y",
            "/dashboard/..//evil.example",
            "/connect/x",
            "/dashboard/\r\nset-cookie: a=b",
            "",
        ] {
            assert_eq!(next_page(Some(bad)), HOME, "{bad}");
        }
        assert_eq!(next_page(None), HOME);
        assert_eq!(
            sign_in_href("/dashboard/x?a=b&c"),
            "/sign-in?next=%2Fdashboard%2Fx%3Fa%3Db%26c"
        );
    }
}
