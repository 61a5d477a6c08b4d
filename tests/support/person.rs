//! Somebody at a browser without windows: it keeps cookies, fills in forms, and follows nothing.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
};

use reqwest::{Method, header};
use url::{Url, form_urlencoded};

use crate::{Answer, Server, api::http};

/// The password of people in tests.
pub const PASSWORD: &str = "correct horse battery staple";

/// A person with cookies.
#[derive(Debug)]
pub struct Person {
    base: String,
    cookies: Mutex<BTreeMap<String, String>>,
}

impl Person {
    /// Somebody whom the server does not know.
    #[must_use]
    pub fn at(server: &Server) -> Self {
        Self {
            base: server.base_url().to_owned(),
            cookies: Mutex::default(),
        }
    }

    /// Somebody whom the server at this address does not know.
    ///
    /// # Panics
    /// It is no address.
    #[must_use]
    pub fn with_base(url: &str) -> Self {
        let url = Url::parse(url).expect("an address");
        Self {
            base: url.origin().ascii_serialization(),
            cookies: Mutex::default(),
        }
    }

    /// The first owner of a server, `owner@example.com`, signed in.
    ///
    /// # Panics
    /// The server has operators already.
    pub async fn owner_of(server: &Server) -> Self {
        let link = server.command_line(&["operator", "setup-link"]);
        let link = Url::parse(link.trim()).expect("it prints a link");
        let owner = Self::at(server);
        let fields = [
            ("name", "Olga Owner"),
            ("email", "owner@example.com"),
            ("password", PASSWORD),
        ];
        let answer = owner.post(link.path(), &fields).await;
        assert_eq!(answer.status, 303, "{}", answer.text);
        owner
    }

    /// Signs in with [`PASSWORD`].
    pub async fn sign_in(&self, email: &str) -> Answer {
        self.sign_in_with(email, PASSWORD).await
    }

    /// Signs in.
    pub async fn sign_in_with(&self, email: &str, password: &str) -> Answer {
        let fields = [("email", email), ("password", password)];
        self.post("/sign-in", &fields).await
    }

    /// The same cookies at another server.
    #[must_use]
    pub fn with_cookies_at(&self, server: &Server) -> Self {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        Self {
            base: server.base_url().to_owned(),
            cookies: Mutex::new(cookies.clone()),
        }
    }

    /// `GET` of a path, or of a whole address.
    pub async fn get(&self, path: &str) -> Answer {
        self.send(Method::GET, path, None, &[]).await
    }

    /// `POST` of a form, as a page of the same server does it.
    pub async fn post(&self, path: &str, fields: &[(&str, &str)]) -> Answer {
        let headers = [("sec-fetch-site", "same-origin")];
        self.send(Method::POST, path, Some(fields), &headers).await
    }

    /// A page that is there.
    ///
    /// # Panics
    /// It is not.
    pub async fn page(&self, path: &str) -> String {
        let answer = self.get(path).await;
        assert_eq!(answer.status, 200, "{path}: {}", answer.text);
        assert!(!answer.text.contains(" style="), "{}", answer.text);
        answer.text
    }

    /// A form that is taken; where the browser goes next.
    ///
    /// # Panics
    /// It is not taken.
    pub async fn done(&self, path: &str, fields: &[(&str, &str)]) -> String {
        self.post(path, fields).await.leads_to().to_owned()
    }

    /// A file in a browser's form.
    pub async fn upload(&self, path: &str, bytes: &[u8]) -> Answer {
        let head = "--edge\r\nContent-Disposition: form-data; name=\"file\"; filename=\"a.wasm\"\r\nContent-Type: application/wasm\r\n\r\n";
        let body = [head.as_bytes(), bytes, b"\r\n--edge--\r\n"].concat();
        let headers = [("sec-fetch-site", "same-origin")];
        let body = Some(("multipart/form-data; boundary=edge", body));
        self.request(Method::POST, path, body, &headers).await
    }

    /// Somebody with a role, `<role>@example.com`, invited by this owner.
    ///
    /// # Panics
    /// This is no owner, or the role is none.
    pub async fn invite(&self, server: &Server, role: &str) -> Self {
        let email = format!("{role}@example.com");
        let fields = [("email", email.as_str()), ("role", role)];
        let page = self.post("/dashboard/operators/invite", &fields).await;
        let (_, rest) = page
            .text
            .split_once("/invitation/")
            .unwrap_or_else(|| panic!("{} {}", page.status, page.text));
        let is_end = |one: char| !one.is_ascii_alphanumeric() && !matches!(one, '-' | '_');
        let token = rest.split(is_end).next().unwrap_or_default();
        let invited = Self::at(server);
        let fields = [("name", role), ("email", &email), ("password", PASSWORD)];
        invited.done(&format!("/invitation/{token}"), &fields).await;
        invited
    }

    /// A request with headers of its own.
    ///
    /// # Panics
    /// No answer comes.
    pub async fn send(
        &self,
        method: Method,
        path: &str,
        fields: Option<&[(&str, &str)]>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let body = fields.map(|fields| {
            let mut form = form_urlencoded::Serializer::new(String::new());
            let form = form.extend_pairs(fields).finish();
            ("application/x-www-form-urlencoded", form.into_bytes())
        });
        self.request(method, path, body, headers).await
    }

    async fn request(
        &self,
        method: Method,
        path: &str,
        body: Option<(&str, Vec<u8>)>,
        headers: &[(&str, &str)],
    ) -> Answer {
        let url = if path.starts_with('/') {
            format!("{}{path}", self.base)
        } else {
            path.to_owned()
        };
        let mut request = http()
            .request(method.clone(), &url)
            .header("accept", "text/html");
        let cookies = self.cookie_header();
        if !cookies.is_empty() {
            request = request.header(header::COOKIE, cookies);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if let Some((kind, body)) = body {
            request = request.header(header::CONTENT_TYPE, kind).body(body);
        }
        let response = request.send().await.expect("an answer comes");
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        for cookie in headers.get_all(header::SET_COOKIE) {
            self.keep(cookie.to_str().expect("cookies are text"));
        }
        Answer {
            request: format!("{method} {path}"),
            status,
            headers,
            text: response.text().await.expect("pages are text"),
        }
    }

    /// What the browser sends as `Cookie`.
    pub fn cookie_header(&self) -> String {
        let cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        let pairs = cookies
            .iter()
            .map(|(name, value)| format!("{name}={value}"));
        pairs.collect::<Vec<_>>().join("; ")
    }

    fn keep(&self, cookie: &str) {
        let mut parts = cookie.split(';').map(str::trim);
        let pair = parts.next().and_then(|pair| pair.split_once('='));
        let (name, value) = pair.expect("a cookie has a name");
        let gone = parts.any(|part| part.eq_ignore_ascii_case("max-age=0"));
        let mut cookies = self.cookies.lock().unwrap_or_else(PoisonError::into_inner);
        if gone || value.is_empty() {
            cookies.remove(name);
        } else {
            cookies.insert(name.to_owned(), value.to_owned());
        }
    }
}

impl Answer {
    /// Where it sends the browser.
    ///
    /// # Panics
    /// Nowhere.
    pub fn leads_to(&self) -> &str {
        let location = self.headers.get(header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok());
        location.unwrap_or_else(|| panic!("{}: {} {}", self.request, self.status, self.text))
    }
}
