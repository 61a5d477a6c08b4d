//! The description of the API: as a document, and as pages made of it in the browser.

use std::sync::{Arc, LazyLock};

use axum::{
    extract::{Path, State},
    http::{HeaderName, HeaderValue, header},
    response::{IntoResponse as _, Response},
};
use serde_json::{Map, Value};

use super::json_text;
use crate::http::{
    Services,
    error::{Code, Error},
    openapi,
    operation::Operation,
};

/// Files that the page loads, with their media types.
const FILES: &[(&str, &str, &[u8])] = &[
    (
        "swagger-ui-bundle.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/docs/swagger-ui-bundle.js"),
    ),
    (
        "swagger-ui.css",
        "text/css; charset=utf-8",
        include_bytes!("../../../assets/docs/swagger-ui.css"),
    ),
    (
        "start.js",
        "text/javascript; charset=utf-8",
        include_bytes!("../../../assets/docs/start.js"),
    ),
    (
        "LICENSE",
        "text/plain; charset=utf-8",
        include_bytes!("../../../assets/docs/LICENSE"),
    ),
];

const PAGE: &str = include_str!("../../../assets/docs/index.html");

/// Stands in the document for the server's address.
const SERVER: &str = "http://server.invalid";

/// The document's text before and after the server's address.
static DOCUMENT: LazyLock<(String, String)> = LazyLock::new(|| {
    let text = openapi::document(SERVER).to_string();
    let (before, after) = text
        .split_once(SERVER)
        .expect("the document names its server");
    (before.to_owned(), after.to_owned())
});

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/openapi.json", document)
            .id("getOpenApi")
            .tag("About")
            .summary("This document.")
            .open()
            .gives::<Map<String, Value>>(200, "An OpenAPI 3.1 document."),
        Operation::get("/docs", page)
            .id("getDocumentation")
            .tag("About")
            .summary("This document, for people.")
            .open()
            .gives_other(200, "text/html; charset=utf-8", "A page."),
        Operation::get("/docs/{file}", file)
            .id("getDocumentationFile")
            .tag("About")
            .summary("A file that the page for people loads.")
            .open()
            .path::<String>("file", "Its name.")
            .gives_other(200, "*/*", "The file.")
            .fails(&[Code::RouteNotFound]),
    ]
}

async fn document(State(services): State<Arc<Services>>) -> Response {
    let (before, after) = &*DOCUMENT;
    let server = services.public_url.as_str().trim_end_matches('/');
    json_text(format!("{before}{server}{after}"))
}

async fn page(State(services): State<Arc<Services>>) -> Response {
    // The page's own place, and where the document says that the API is.
    let api = services.public_url.origin().ascii_serialization();
    let policy = format!(
        "default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' {api}; base-uri 'none'; form-action 'none'; frame-ancestors 'none'"
    );
    let mut response = ([(header::CONTENT_TYPE, "text/html; charset=utf-8")], PAGE).into_response();
    let headers = response.headers_mut();
    if let Ok(policy) = HeaderValue::from_str(&policy) {
        headers.insert(header::CONTENT_SECURITY_POLICY, policy);
    }
    headers.insert(
        HeaderName::from_static("referrer-policy"),
        HeaderValue::from_static("no-referrer"),
    );
    response
}

async fn file(Path(name): Path<String>) -> Result<Response, Error> {
    let found = FILES.iter().find(|(file, ..)| *file == name);
    let (_, media_type, bytes) = found.ok_or_else(|| {
        let detail = "The documentation has no such file.";
        Error::new(Code::RouteNotFound, detail)
    })?;
    let headers = [
        (header::CONTENT_TYPE, *media_type),
        (header::CACHE_CONTROL, "public, max-age=3600"),
    ];
    Ok((headers, *bytes).into_response())
}

#[cfg(test)]
mod tests {
    use crate::model::Digest;

    use super::*;

    #[test]
    fn vendored_files_are_those_that_the_table_names() {
        let table = include_str!("../../../assets/docs/README.md");
        for (name, _, bytes) in FILES
            .iter()
            .filter(|(name, ..)| name.starts_with("swagger"))
        {
            let row = format!("| `{name}` | `{}` |", Digest::of(bytes));
            assert!(table.contains(&row), "{row}");
        }
    }
}
