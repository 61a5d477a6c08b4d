//! Exchanges whose bodies flow.

use std::time::Duration;

use bytes::Bytes;
use tokio::{
    sync::mpsc,
    time::{Instant, timeout},
};

use super::{
    Authorization, Egress, Error, Exchange, Request, Witness, check_answer_headers, failure,
    flow::{Activity, Flow, Incoming, Outgoing, StreamLimits, StreamedResponse},
    header::{self, HeaderValue},
};
use crate::model::Timestamp;

impl Egress {
    /// Sends a request whose body flows, and gives the answer as soon as its headers are there.
    /// All checks of [`Self::send`] hold; instead of a time for the whole there is one in which
    /// something has to move. `authorization` is put on at the last moment, and what the answer
    /// repeats of it is masked.
    ///
    /// `witness` is on whose behalf, and when, it is written down.
    ///
    /// Dropping the future or the answer's body ends the exchange.
    ///
    /// # Errors
    /// As for [`Self::send`]. What happens later ends the answer's body with an error.
    pub async fn send_streaming(
        &self,
        mut request: Request,
        authorization: &Authorization,
        body: Option<Flow>,
        limits: &StreamLimits,
        witness: Option<(Witness<'_>, Timestamp)>,
    ) -> Result<StreamedResponse, Error> {
        let exchange = Exchange::begin(&request);
        let start = Instant::now();
        let begun = witness.and_then(|(witness, at)| self.begin(witness, &request, at, 1));
        authorization.apply(&mut request);
        let opened = self.open(request, body, limits).await;
        if let Some(begun) = begun {
            let answer = opened.as_ref().map(|(_, answer)| answer);
            let head = answer.map(|answer| (answer.status().as_u16(), answer.headers()));
            self.end_flowing(&begun, head, authorization);
        }
        match opened {
            Ok((host, answer)) => {
                let mut answer = flowing(host, answer, exchange, start, limits);
                let masks = authorization.masks();
                masks.headers(&mut answer.headers);
                answer.body = masks.flow(answer.body);
                Ok(answer)
            }
            Err(error) => {
                exchange.end(start.elapsed(), None, 0, Some(&error)).log();
                Err(error)
            }
        }
    }

    async fn open(
        &self,
        request: Request,
        body: Option<Flow>,
        limits: &StreamLimits,
    ) -> Result<(String, reqwest::Response), Error> {
        let (host, mut outgoing) = self.outgoing(request, 0)?;
        // Lengths and ranges are those of the bytes that the provider has.
        outgoing = outgoing.header(
            header::ACCEPT_ENCODING,
            HeaderValue::from_static("identity"),
        );
        let activity = Activity::new();
        if let Some(body) = body {
            if body.length().is_some_and(|bytes| bytes > limits.max_bytes) {
                return Err(Error::BodyTooLarge(limits.max_bytes));
            }
            outgoing = outgoing.body(reqwest::Body::wrap(Outgoing {
                inner: body,
                activity: std::sync::Arc::clone(&activity),
                max_bytes: limits.max_bytes,
                sent: 0,
            }));
        }
        let answer = tokio::select! {
            answer = outgoing.send() => answer.map_err(|error| failure(&host, &error))?,
            () = activity.stops(limits.idle) => return Err(Error::Timeout),
        };
        check_answer_headers(&host, answer.headers())?;
        if answer
            .content_length()
            .is_some_and(|bytes| bytes > limits.max_bytes)
        {
            return Err(Error::TooLarge(limits.max_bytes));
        }
        Ok((host, answer))
    }
}

fn flowing(
    host: String,
    mut answer: reqwest::Response,
    exchange: Exchange,
    start: Instant,
    limits: &StreamLimits,
) -> StreamedResponse {
    let status = answer.status().as_u16();
    let headers = std::mem::take(answer.headers_mut());
    let (sender, pieces) = mpsc::channel(1);
    let length = answer.content_length();
    let limits = *limits;
    tokio::spawn(async move {
        let mut bytes = 0;
        let ended = hand_over(&host, &mut answer, &sender, &limits, &mut bytes).await;
        let seen = usize::try_from(bytes).unwrap_or(usize::MAX);
        let error = ended.as_ref().err();
        exchange
            .end(start.elapsed(), Some(status), seen, error)
            .log();
        if let Err(error) = ended {
            // Without it the body would seem whole. Where nobody reads any more, nobody is told.
            drop(timeout(limits.idle, sender.send(Err(error))).await);
        }
    });
    StreamedResponse {
        status,
        headers,
        body: Flow::new(Incoming { pieces, length }),
    }
}

/// Reads a piece when the one before was taken; ends when the reader is gone.
async fn hand_over(
    host: &str,
    answer: &mut reqwest::Response,
    sender: &mpsc::Sender<Result<Bytes, Error>>,
    limits: &StreamLimits,
    bytes: &mut u64,
) -> Result<(), Error> {
    let StreamLimits { idle, max_bytes } = *limits;
    loop {
        let piece = tokio::select! {
            () = sender.closed() => return Ok(()),
            piece = within(idle, answer.chunk()) => piece?,
        };
        let Some(piece) = piece.map_err(|error| failure(host, &error))? else {
            return Ok(());
        };
        *bytes += piece.len() as u64;
        if *bytes > max_bytes {
            return Err(Error::TooLarge(max_bytes));
        }
        if within(idle, sender.send(Ok(piece))).await?.is_err() {
            return Ok(());
        }
    }
}

async fn within<T>(idle: Duration, future: impl Future<Output = T>) -> Result<T, Error> {
    timeout(idle, future).await.map_err(|_| Error::Timeout)
}
