//! A run while it runs, as Server-Sent Events.

use std::{
    convert::Infallible,
    future::Future,
    pin::Pin,
    sync::Arc,
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
/// Looks without news after which a sign of life is sent.
const QUIET: u32 = 15;

pub(super) fn operation() -> Operation {
    Operation::get("/sync-runs/{id}/progress", progress)
        .id("watchSyncRun")
        .tag("Sync")
        .summary("A run while it runs, as Server-Sent Events.")
        .describe("`progress` comes at once and whenever something was counted, within about a second; `end` comes when the run is over, and ends the stream. The data of both is the run, as `GET /sync-runs/{id}` gives it. Whatever host works on the run, every host tells of it. A stream that breaks off is simply opened again.")
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
    let watch = Watch {
        services,
        project,
        run,
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

/// What is known of a run that somebody watches.
struct Watch {
    services: Arc<Services>,
    project: ProjectId,
    run: Run,
    first: bool,
    over: bool,
}

impl Watch {
    /// The next piece of the stream; none at its end, and when this server stops.
    async fn next(mut self) -> Option<(Bytes, Self)> {
        if self.over {
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
