//! A run while it runs, as Server-Sent Events.

use std::{
    collections::HashMap,
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::Duration,
};

use axum::{
    body::{Body, Bytes, HttpBody},
    extract::{Path, State},
    http::header,
    response::{IntoResponse as _, Response},
};
use http_body::Frame;
use uuid::Uuid;

use super::{body, by_id};
use crate::{
    http::{
        Services,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
    },
    model::{ProjectId, Run},
};

/// Time between two looks into the database, which any host may have written.
const LOOK: Duration = Duration::from_secs(1);
/// Looks after which a stream ends, ten minutes; who still watches opens it again.
const MOST_LOOKS: u32 = 600;
/// Streams that a project may have open. Each takes a connection, of which all share so many.
const MOST_OPEN: u32 = 16;
/// Looks without news after which a sign of life is sent.
const QUIET: u32 = 15;

pub(super) fn operation() -> Operation {
    Operation::get("/sync-runs/{id}/progress", progress)
        .id("watchSyncRun")
        .tag("Sync")
        .summary("A run while it runs, as Server-Sent Events.")
        .describe("`progress` comes at once and whenever something was counted, within about a second; `end` comes when the run is over, and ends the stream. The data of both is the run, as `GET /sync-runs/{id}` gives it. Whatever host works on the run, every host tells of it. A stream ends after ten minutes at the latest, and one that ends without `end`, or breaks off, is simply opened again. A project may have 16 of them open.")
        .path::<Uuid>("id", "The run's id.")
        .gives_other(200, "text/event-stream", "Events until the run is over.")
        .fails(&[Code::SyncRunNotFound])
}

async fn progress(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let run = by_id(&services, project, &id).await?;
    let place = services.watches.take(project).ok_or_else(|| {
        let detail = format!(
            "The project watches {MOST_OPEN} runs at the moment; close a stream, or ask `GET /sync-runs/{{id}}` now and then."
        );
        Error::new(Code::TooManyRequests, detail).with_retry_after(5)
    })?;
    let watch = Watch {
        services,
        project,
        run,
        _place: place,
        looks: 0,
        first: true,
        over: false,
    };
    let headers = [
        (header::CONTENT_TYPE, "text/event-stream"),
        (header::CACHE_CONTROL, "no-store"),
    ];
    let stream = Stream(Some(Box::pin(watch.next())));
    Ok((headers, Body::new(stream)).into_response())
}

/// How many streams each project has open.
#[derive(Clone, Debug, Default)]
pub struct Watches(Arc<Mutex<HashMap<ProjectId, u32>>>);

impl Watches {
    /// A place for one more stream; none where the project has no more.
    fn take(&self, project: ProjectId) -> Option<Place> {
        let mut open = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let streams = open.entry(project).or_insert(0);
        if *streams >= MOST_OPEN {
            return None;
        }
        *streams += 1;
        let all = self.clone();
        Some(Place { all, project })
    }
}

/// A stream's place, until it is dropped.
struct Place {
    all: Watches,
    project: ProjectId,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.all.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(streams) = open.get_mut(&self.project) {
            *streams -= 1;
            if *streams == 0 {
                open.remove(&self.project);
            }
        }
    }
}

/// What is known of a run that somebody watches.
struct Watch {
    services: Arc<Services>,
    project: ProjectId,
    run: Run,
    _place: Place,
    looks: u32,
    first: bool,
    over: bool,
}

impl Watch {
    /// The next piece of the stream; none at its end, and when this server stops.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.over || self.looks >= MOST_LOOKS {
            return None;
        }
        if std::mem::take(&mut self.first) {
            return self.event();
        }
        for _ in 0..QUIET {
            tokio::select! {
                () = self.services.stopping.cancelled() => return None,
                () = tokio::time::sleep(LOOK) => {}
            }
            self.looks += 1;
            match self.services.store.run(self.project, self.run.id).await {
                Ok(Some(run)) if run != self.run => {
                    self.run = run;
                    return self.event();
                }
                // A database that is away for a moment is no news.
                Ok(Some(_)) | Err(_) => {}
                Ok(None) => return None,
            }
        }
        Some((Bytes::from_static(b": still there\n\n"), self))
    }

    fn event(mut self) -> Option<(Bytes, Self)> {
        self.over = self.run.finished_at.is_some();
        let name = if self.over { "end" } else { "progress" };
        let shown = body(self.run.clone(), self.services.clock.now());
        let data = serde_json::to_string(&shown).ok()?;
        let text = format!("event: {name}\ndata: {data}\n\n");
        Some((Bytes::from(text), self))
    }
}

/// Pieces made one after the other, when they are asked for.
struct Stream(Option<Piece>);

type Piece = Pin<Box<dyn Future<Output = Option<(Bytes, Watch)>> + Send>>;

impl HttpBody for Stream {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        let Some(piece) = &mut self.0 else {
            return Poll::Ready(None);
        };
        match piece.as_mut().poll(context) {
            Poll::Pending => Poll::Pending,
            Poll::Ready(None) => {
                self.0 = None;
                Poll::Ready(None)
            }
            Poll::Ready(Some((bytes, watch))) => {
                self.0 = Some(Box::pin(watch.next()));
                Poll::Ready(Some(Ok(Frame::data(bytes))))
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn project(number: u32) -> ProjectId {
        let text = format!("00000000-0000-4000-8000-{number:012}");
        text.parse().expect("it is an id")
    }

    #[test]
    fn one_project_does_not_take_all_connections() {
        let watches = Watches::default();
        let (one, other) = (project(1), project(2));
        let mut places: Vec<_> = (0..MOST_OPEN).map(|_| watches.take(one)).collect();
        assert!(places.iter().all(Option::is_some));
        assert!(watches.take(one).is_none());
        assert!(watches.take(other).is_some());
        // Who goes makes room.
        places.pop();
        assert!(watches.take(one).is_some());
        drop(places);
        assert!(watches.0.lock().expect("nobody panics").is_empty());
    }
}
