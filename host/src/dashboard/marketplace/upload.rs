//! Connectors from files that an owner sends. Between a look and the consent the file waits on
//! this server's disk.

use std::{
    io::{Read as _, Seek as _, Write as _},
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use axum::{
    Extension,
    body::{Bytes, to_bytes},
    extract::{Path, Request},
    http::{StatusCode, header},
    response::Response,
};
use maud::html;
use tokio::sync::Semaphore;

use super::offer;
use crate::{
    dashboard::{Desk, Section, multipart},
    market::{MAX_FILE, Offer},
    model::{Digest, Role},
    runtime,
    web::{
        self, Form, Page,
        parts::{self, Tone},
    },
};

pub(super) const HOME: &str = "/dashboard/install";
/// Where such a connector is said to come from.
const SOURCE: &str = "upload";
/// A form around the file is not long.
const MOST: usize = MAX_FILE + 16 * 1024;
/// How long a file waits.
const LIFE: Duration = Duration::from_secs(15 * 60);
/// How many files wait; the oldest goes.
const WAITING: usize = 8;
/// Files that are in memory at once: each is read whole.
const AT_ONCE: usize = 2;

/// Files that wait for consent.
#[derive(Debug)]
pub(super) struct Uploads {
    files: Mutex<Vec<Waiting>>,
    turns: Semaphore,
}

#[derive(Debug)]
struct Waiting {
    digest: Digest,
    at: Instant,
    /// Gone with its last handle.
    file: std::fs::File,
}

impl Default for Uploads {
    fn default() -> Self {
        Self {
            files: Mutex::default(),
            turns: Semaphore::new(AT_ONCE),
        }
    }
}

impl Uploads {
    fn keep(&self, digest: Digest, bytes: &[u8]) -> std::io::Result<()> {
        let mut file = tempfile::tempfile()?;
        file.write_all(bytes)?;
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|waiting| waiting.at.elapsed() < LIFE && waiting.digest != digest);
        if files.len() >= WAITING {
            files.remove(0);
        }
        let at = Instant::now();
        files.push(Waiting { digest, at, file });
        Ok(())
    }

    fn read(&self, digest: Digest) -> std::io::Result<Option<Vec<u8>>> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        files.retain(|waiting| waiting.at.elapsed() < LIFE);
        let found = files.iter_mut().find(|waiting| waiting.digest == digest);
        let Some(waiting) = found else {
            return Ok(None);
        };
        let mut bytes = Vec::new();
        waiting.file.rewind()?;
        waiting.file.read_to_end(&mut bytes)?;
        Ok(Some(bytes))
    }
}

pub(super) async fn form(desk: Desk) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    Ok(form_page(&desk, None))
}

fn form_page(desk: &Desk, wrong: Option<&str>) -> Response {
    let body = html! {
        p.muted { "Send the .wasm file of a connector. Nothing is installed before you have seen what it asks for and consented." }
        @if let Some(wrong) = wrong {
            (parts::alert(Tone::Bad, "This is no connector that can be installed", &html! { p { (wrong) } }))
        }
        form.form.card method="post" enctype="multipart/form-data" action=(HOME) {
            (parts::field("file", "File", &format!("A WebAssembly component with its manifest inside, at most {}.", parts::bytes(runtime::MAX_FILE)), None, &html! {
                input id="file" name="file" type="file" accept=".wasm,application/wasm" required aria-describedby="file-hint";
            }))
            button.button.primary type="submit" { "Look at it" }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("Install from a file").status(status);
    desk.page_with(page, Section::Marketplace, body)
}

pub(super) async fn take(
    desk: Desk,
    Extension(uploads): Extension<Arc<Uploads>>,
    request: Request,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let kind = request.headers().get(header::CONTENT_TYPE);
    let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    let kind = kind.to_owned();
    let _turn = uploads.turns.acquire().await;
    let Ok(body) = to_bytes(request.into_body(), MOST).await else {
        let most = parts::bytes(runtime::MAX_FILE);
        let wrong = format!("The file is larger than {most}, or did not arrive whole.");
        return Ok(form_page(&desk, Some(&wrong)));
    };
    let Some(range) = multipart::only_part(&kind, &body) else {
        return Ok(form_page(&desk, Some("The form holds no file.")));
    };
    let bytes: Bytes = body.slice(range);
    let offer = match Offer::read_aside(bytes.to_vec(), SOURCE.to_owned()).await {
        Ok(offer) => offer,
        Err(error) => return Ok(form_page(&desk, Some(&error.to_string()))),
    };
    let digest = offer.announced.digest;
    let keeper = Arc::clone(&uploads);
    aside(move || keeper.keep(digest, &bytes)).await?;
    let message = format!("{} was read. Nothing is installed yet.", offer.slug());
    Ok(desk.done(&message, &format!("{HOME}/{digest}")))
}

pub(super) async fn show(
    desk: Desk,
    Extension(uploads): Extension<Arc<Uploads>>,
    Path(digest): Path<String>,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let _turn = uploads.turns.acquire().await;
    let offer = waiting(&uploads, &digest).await?;
    offer::page(&desk, &offer, &action(&offer), None).await
}

pub(super) async fn install(
    desk: Desk,
    Extension(uploads): Extension<Arc<Uploads>>,
    Path(digest): Path<String>,
    Form(consent): Form<offer::Consent>,
) -> Result<Response, web::Error> {
    desk.may(Role::Owner)?;
    let _turn = uploads.turns.acquire().await;
    let offer = waiting(&uploads, &digest).await?;
    offer::install(&desk, &offer, &action(&offer), &consent).await
}

fn action(offer: &Offer) -> String {
    format!("{HOME}/{}/install", offer.announced.digest)
}

async fn waiting(uploads: &Arc<Uploads>, digest: &str) -> Result<Offer, web::Error> {
    let uploads = Arc::clone(uploads);
    let bytes = match Digest::parse(digest) {
        Some(digest) => aside(move || uploads.read(digest)).await?,
        None => None,
    };
    let bytes = bytes.ok_or_else(|| {
        web::Error::not_found(
            "The file does not wait on this server any more: files are kept for a quarter of an hour. Send it again.",
        )
    })?;
    Ok(Offer::read_aside(bytes, SOURCE.to_owned()).await?)
}

/// Works with files beside the threads that answer requests.
async fn aside<Done: Send + 'static>(
    work: impl FnOnce() -> std::io::Result<Done> + Send + 'static,
) -> Result<Done, web::Error> {
    let done = tokio::task::spawn_blocking(work).await;
    done.unwrap_or_else(|error| Err(std::io::Error::other(error)))
        .map_err(|error| failed(&error))
}

fn failed(error: &std::io::Error) -> web::Error {
    web::Error::new(
        StatusCode::INSUFFICIENT_STORAGE,
        "The file cannot be kept",
        format!("The server cannot write a temporary file: {error}."),
        "See to it that there is room in the server's folder for temporary files.",
    )
}
