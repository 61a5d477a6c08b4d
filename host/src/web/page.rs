//! A whole HTML document, and the policy that it is sent with.

use axum::{
    http::{HeaderName, HeaderValue, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::assets::{self, Asset};
use crate::model::Entropy;

/// Settings of htmx: it evaluates nothing, adds no styles, and asks no other origin.
const HTMX_SETTINGS: &str = r#"{"allowEval":false,"includeIndicatorStyles":false,"selfRequestsOnly":true,"historyCacheSize":0}"#;

/// A document.
#[derive(Debug)]
pub struct Page {
    title: String,
    language: &'static str,
    status: StatusCode,
    style: String,
    scripts: Vec<&'static Asset>,
    frame_ancestors: Vec<String>,
    form_action: Vec<String>,
    body: Markup,
}

impl Page {
    /// With a title, which the browser shows in its tab.
    #[must_use]
    pub fn new(title: impl Into<String>) -> Self {
        Self {
            title: title.into(),
            language: "en",
            status: StatusCode::OK,
            style: String::new(),
            scripts: vec![assets::HTMX, assets::APP],
            frame_ancestors: Vec::new(),
            form_action: Vec::new(),
            body: Markup::default(),
        }
    }

    /// Its title.
    #[must_use]
    pub fn title(&self) -> &str {
        &self.title
    }

    /// The language of its texts (BCP 47).
    #[must_use]
    pub const fn language(mut self, language: &'static str) -> Self {
        self.language = language;
        self
    }

    /// The status of the answer.
    #[must_use]
    pub const fn status(mut self, status: StatusCode) -> Self {
        self.status = status;
        self
    }

    /// CSS for this page alone. It must be made of checked values: what is typed by people may
    /// not be in it as it is.
    #[must_use]
    pub fn style(mut self, css: impl Into<String>) -> Self {
        self.style = css.into();
        self
    }

    /// One more script.
    #[must_use]
    pub fn script(mut self, script: &'static Asset) -> Self {
        self.scripts.push(script);
        self
    }

    /// Origins whose pages may show this one in a frame; nobody's where this is not called.
    #[must_use]
    pub fn frame_ancestors(mut self, origins: Vec<String>) -> Self {
        self.frame_ancestors = origins;
        self
    }

    /// Origins to which a form's answer may lead besides this one.
    #[must_use]
    pub fn form_action(mut self, origins: Vec<String>) -> Self {
        self.form_action = origins;
        self
    }

    /// What stands in it.
    #[must_use]
    pub fn body(mut self, body: Markup) -> Self {
        self.body = body;
        self
    }

    /// The answer.
    #[must_use]
    pub fn render(self, entropy: &dyn Entropy) -> Response {
        let mut bytes = [0; 18];
        entropy.fill(&mut bytes);
        let nonce = URL_SAFE_NO_PAD.encode(bytes);
        let policy = self.policy(&nonce);
        let charts = self
            .scripts
            .iter()
            .any(|script| script.name == assets::UPLOT.name);
        let document = html! {
            (DOCTYPE)
            html lang=(self.language) {
                head {
                    meta charset="utf-8";
                    meta name="viewport" content="width=device-width, initial-scale=1";
                    meta name="color-scheme" content="light dark";
                    meta name="htmx-config" content=(HTMX_SETTINGS);
                    title { (self.title) }
                    link rel="icon" href=(assets::MARK.href()) type="image/svg+xml";
                    link rel="stylesheet" href=(assets::STYLES.href());
                    @if charts { link rel="stylesheet" href=(assets::UPLOT_STYLES.href()); }
                    @if !self.style.is_empty() {
                        style nonce=(nonce) { (PreEscaped(self.style.replace('<', ""))) }
                    }
                    @for script in &self.scripts {
                        script defer nonce=(nonce) src=(script.href()) {}
                    }
                }
                body { (self.body) }
            }
        };
        let mut response = html_of(document);
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        if let Ok(policy) = HeaderValue::from_str(&policy) {
            headers.insert(header::CONTENT_SECURITY_POLICY, policy);
        }
        for (name, value) in [
            // Others learn nothing. With "no-referrer" browsers would send `Origin: null` with our
            // own forms, and the check for forms of other sites could not tell them from those.
            (header::REFERRER_POLICY, "same-origin"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
            (
                HeaderName::from_static("permissions-policy"),
                "camera=(), microphone=(), geolocation=()",
            ),
        ] {
            headers.insert(name, HeaderValue::from_static(value));
        }
        if self.frame_ancestors.is_empty() {
            headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
        }
        response
    }

    fn policy(&self, nonce: &str) -> String {
        let ancestors = match self.frame_ancestors.as_slice() {
            [] => "'none'".to_owned(),
            origins => format!("'self' {}", origins.join(" ")),
        };
        let targets = self.form_action.iter().fold(String::new(), |mut all, one| {
            all.push(' ');
            all.push_str(one);
            all
        });
        format!(
            "default-src 'none'; script-src 'nonce-{nonce}'; style-src 'self' 'nonce-{nonce}'; \
             img-src 'self' data:; connect-src 'self'; form-action 'self'{targets}; \
             base-uri 'none'; frame-ancestors {ancestors}"
        )
    }
}

/// A piece of a page, for a part that loads or changes by itself.
#[must_use]
pub fn fragment(markup: Markup) -> Response {
    html_of(markup)
}

fn html_of(markup: Markup) -> Response {
    let kind = HeaderValue::from_static("text/html; charset=utf-8");
    ([(header::CONTENT_TYPE, kind)], markup.into_string()).into_response()
}
