//! What went wrong, as a page for people.

use axum::{
    http::StatusCode,
    response::{IntoResponse, Response},
};
use maud::{Markup, html};

use super::Page;
use crate::{http, model::SystemEntropy};

const HOME: (&str, &str) = ("/dashboard", "To the dashboard");

/// A page that says what happened, why, and what to do next.
#[derive(Debug)]
pub struct Error {
    status: StatusCode,
    title: String,
    detail: String,
    help: String,
    /// The address that the page leads to, and the words for it.
    way: (&'static str, &'static str),
    /// For the log.
    cause: Option<Box<http::Error>>,
}

impl Error {
    /// There is nothing at this address, or it is another's.
    #[must_use]
    pub fn not_found(detail: impl Into<String>) -> Self {
        let help = "Check the address, or go back and choose again: it may have been deleted.";
        Self::new(StatusCode::NOT_FOUND, "Not found", detail, help)
    }

    /// What was typed cannot be used.
    #[must_use]
    pub fn invalid(detail: impl Into<String>) -> Self {
        let help = "Go back, change it, and send it again. Nothing was saved.";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This cannot be used",
            detail,
            help,
        )
    }

    /// What stands in the address, such as a filter, cannot be used.
    #[must_use]
    pub fn bad_address(detail: impl Into<String>) -> Self {
        let help = "Check the address, or go back and choose again.";
        Self::new(
            StatusCode::UNPROCESSABLE_ENTITY,
            "This cannot be shown",
            detail,
            help,
        )
    }

    /// The person may not do that.
    #[must_use]
    pub fn forbidden(detail: impl Into<String>) -> Self {
        let help = "Ask an owner of this server for another role.";
        Self::new(StatusCode::FORBIDDEN, "Not allowed", detail, help)
    }

    /// With all its words.
    #[must_use]
    pub fn new(
        status: StatusCode,
        title: impl Into<String>,
        detail: impl Into<String>,
        help: impl Into<String>,
    ) -> Self {
        Self {
            status,
            title: title.into(),
            detail: detail.into(),
            help: help.into(),
            way: HOME,
            cause: None,
        }
    }

    /// Leads somewhere else than to the dashboard.
    #[must_use]
    pub const fn leading_to(mut self, href: &'static str, words: &'static str) -> Self {
        self.way = (href, words);
        self
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// What happened, for a message within a page.
    #[must_use]
    pub fn detail(&self) -> &str {
        &self.detail
    }

    fn body(&self) -> Markup {
        let (href, words) = self.way;
        html! {
            main.alone id="main" {
                article.card {
                    p.muted { "Error " (self.status.as_u16()) }
                    h1 { (self.title) }
                    p { (self.detail) }
                    @if !self.help.is_empty() { p.muted { (self.help) } }
                    p { a.button href=(href) { (words) } }
                }
            }
        }
    }
}

impl<E: Into<http::Error>> From<E> for Error {
    fn from(error: E) -> Self {
        let error = error.into();
        let code = error.code();
        Self {
            status: code.status(),
            title: code.title().to_owned(),
            detail: error.detail().to_owned(),
            help: code.help_on_pages().to_owned(),
            way: HOME,
            cause: Some(Box::new(error)),
        }
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let body = self.body();
        let page = Page::new(self.title).status(self.status).body(body);
        let mut response = page.render(&SystemEntropy);
        if let Some(cause) = self.cause {
            response.extensions_mut().insert(*cause);
        }
        response
    }
}
