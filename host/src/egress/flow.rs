//! Bodies that flow through instead of being held: requests and answers of any size.
//!
//! Nothing is read before somebody takes it, so a slow reader slows the writer and no more than a
//! few pieces are ever in memory.

use std::{
    fmt,
    pin::Pin,
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use http_body::{Body, Frame, SizeHint};
use memchr::memmem::Finder;
use tokio::{sync::mpsc, time::Instant};

use super::{Error, HeaderMap, MASK};

/// What a body that flows may cost.
#[derive(Clone, Copy, Debug)]
pub struct StreamLimits {
    /// How long nothing may move, in either direction.
    pub idle: Duration,
    /// Bytes of the request's body, and of the answer's after decompression.
    pub max_bytes: u64,
}

/// An answer whose body is still on its way.
pub struct StreamedResponse {
    /// The status.
    pub status: u16,
    /// Headers, as they came.
    pub headers: HeaderMap,
    /// The body. Dropping it ends the exchange with the provider.
    pub body: Flow,
}

impl fmt::Debug for StreamedResponse {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("StreamedResponse")
            .field("status", &self.status)
            .finish_non_exhaustive()
    }
}

/// Why a body broke off.
pub type FlowError = Box<dyn std::error::Error + Send + Sync>;
type Inner = Pin<Box<dyn Body<Data = Bytes, Error = FlowError> + Send>>;

/// A body that flows: read it as what it implements.
///
/// The mutex is never contended; it makes the type `Sync`, which the client asks for.
pub struct Flow(Mutex<Inner>);

impl Flow {
    /// Of any body.
    #[must_use]
    pub fn new<B>(body: B) -> Self
    where
        B: Body<Data = Bytes> + Send + 'static,
        B::Error: Into<FlowError>,
    {
        Self(Mutex::new(Box::pin(Plain(Box::pin(body)))))
    }

    /// Its length, where it is known from the start.
    #[must_use]
    pub fn length(&self) -> Option<u64> {
        self.size_hint().exact()
    }

    /// The same with each occurrence of these overwritten by the mask, its length unchanged.
    pub(super) fn masked(self, finders: Vec<Finder<'static>>) -> Self {
        if finders.is_empty() {
            return self;
        }
        Self(Mutex::new(Box::pin(Masked {
            inner: self,
            finders,
            held: BytesMut::new(),
            ended: false,
        })))
    }
}

impl fmt::Debug for Flow {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Flow").finish_non_exhaustive()
    }
}

type Piece = Poll<Option<Result<Frame<Bytes>, FlowError>>>;

impl Body for Flow {
    type Data = Bytes;
    type Error = FlowError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Piece {
        let inner = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        inner.as_mut().poll_frame(context)
    }

    fn is_end_stream(&self) -> bool {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        let inner = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        inner.size_hint()
    }
}

/// A body with its errors in a box.
struct Plain<B>(Pin<Box<B>>);

impl<B> Body for Plain<B>
where
    B: Body<Data = Bytes>,
    B::Error: Into<FlowError>,
{
    type Data = Bytes;
    type Error = FlowError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Piece {
        let frame = ready!(self.0.as_mut().poll_frame(context));
        Poll::Ready(frame.map(|frame| frame.map_err(Into::into)))
    }

    fn is_end_stream(&self) -> bool {
        self.0.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.0.size_hint()
    }
}

/// When something last moved.
pub(super) struct Activity {
    start: Instant,
    milliseconds: AtomicU64,
}

impl Activity {
    pub(super) fn new() -> Arc<Self> {
        Arc::new(Self {
            start: Instant::now(),
            milliseconds: AtomicU64::new(0),
        })
    }

    fn touch(&self) {
        let passed = u64::try_from(self.start.elapsed().as_millis()).unwrap_or(u64::MAX);
        self.milliseconds.store(passed, Ordering::Relaxed);
    }

    /// Ends when nothing has moved for `idle`.
    pub(super) async fn stops(&self, idle: Duration) {
        loop {
            let last = Duration::from_millis(self.milliseconds.load(Ordering::Relaxed));
            let end = self.start + last + idle;
            if end <= Instant::now() {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

/// A request's body that is counted on its way out.
pub(super) struct Outgoing {
    pub(super) inner: Flow,
    pub(super) activity: Arc<Activity>,
    pub(super) max_bytes: u64,
    pub(super) sent: u64,
}

/// The request's body went over the cap: the cap.
#[derive(Debug, thiserror::Error)]
#[error("the request's body has more than {0} bytes")]
pub(super) struct OverCap(pub(super) u64);

impl Body for Outgoing {
    type Data = Bytes;
    type Error = FlowError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Piece {
        let frame = ready!(Pin::new(&mut self.inner).poll_frame(context));
        let Some(Ok(frame)) = frame else {
            return Poll::Ready(frame);
        };
        self.activity.touch();
        // Trailers are between the caller and us.
        let Ok(data) = frame.into_data() else {
            return Poll::Ready(None);
        };
        self.sent = self.sent.saturating_add(data.len() as u64);
        if self.sent > self.max_bytes {
            return Poll::Ready(Some(Err(Box::new(OverCap(self.max_bytes)))));
        }
        Poll::Ready(Some(Ok(Frame::data(data))))
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.inner.size_hint()
    }
}

/// An answer's body, handed over piece by piece by the task that reads it.
pub(super) struct Incoming {
    pub(super) pieces: mpsc::Receiver<Result<Bytes, Error>>,
    pub(super) length: Option<u64>,
}

impl Body for Incoming {
    type Data = Bytes;
    type Error = FlowError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Piece {
        let piece = ready!(self.pieces.poll_recv(context));
        Poll::Ready(piece.map(|piece| Ok(Frame::data(piece?))))
    }

    fn size_hint(&self) -> SizeHint {
        self.length
            .map_or_else(SizeHint::default, SizeHint::with_exact)
    }
}

/// A body in which secrets are overwritten, also where two pieces meet within one.
struct Masked {
    inner: Flow,
    finders: Vec<Finder<'static>>,
    /// What may be the beginning of a secret.
    held: BytesMut,
    ended: bool,
}

impl Body for Masked {
    type Data = Bytes;
    type Error = FlowError;

    fn poll_frame(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Piece {
        while !self.ended {
            match ready!(Pin::new(&mut self.inner).poll_frame(context)) {
                Some(Ok(frame)) => {
                    let Ok(data) = frame.into_data() else {
                        continue;
                    };
                    let this = &mut *self;
                    this.held.extend_from_slice(&data);
                    let begun = longest_beginning(&this.held, &this.finders);
                    let ready = this.held.len() - begun;
                    // What begins later may yet turn out to be something longer.
                    overwrite(&mut this.held, &this.finders, ready);
                    if ready > 0 {
                        let piece = this.held.split_to(ready).freeze();
                        return Poll::Ready(Some(Ok(Frame::data(piece))));
                    }
                }
                Some(Err(error)) => return Poll::Ready(Some(Err(error))),
                None => self.ended = true,
            }
        }
        if self.held.is_empty() {
            return Poll::Ready(None);
        }
        let this = &mut *self;
        let end = this.held.len();
        overwrite(&mut this.held, &this.finders, end);
        let rest = std::mem::take(&mut this.held).freeze();
        Poll::Ready(Some(Ok(Frame::data(rest))))
    }

    fn size_hint(&self) -> SizeHint {
        // Asked once, before anything is held.
        self.inner.size_hint()
    }
}

/// Overwrites every occurrence that begins before `end`, the longer ones first.
fn overwrite(bytes: &mut [u8], finders: &[Finder<'_>], end: usize) {
    for finder in finders {
        let mut from = 0;
        while let Some(found) = bytes.get(from..).and_then(|rest| finder.find(rest)) {
            let start = from + found;
            if start >= end {
                break;
            }
            from = start + finder.needle().len();
            let Some(secret) = bytes.get_mut(start..from) else {
                break;
            };
            secret.fill(b'*');
            if let Some(front) = secret.get_mut(..MASK.len()) {
                front.copy_from_slice(MASK.as_bytes());
            }
        }
    }
}

/// How many bytes at the end are the beginning of one of them.
fn longest_beginning(bytes: &[u8], finders: &[Finder<'_>]) -> usize {
    let beginning = |finder: &Finder<'_>| {
        let most = finder.needle().len().saturating_sub(1).min(bytes.len());
        (1..=most).rev().find(|length| {
            finder
                .needle()
                .get(..*length)
                .is_some_and(|head| bytes.ends_with(head))
        })
    };
    finders.iter().filter_map(beginning).max().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use std::collections::VecDeque;

    use super::*;

    struct Pieces(VecDeque<&'static str>);

    impl Body for Pieces {
        type Data = Bytes;
        type Error = FlowError;

        fn poll_frame(mut self: Pin<&mut Self>, _: &mut Context<'_>) -> Piece {
            let piece = self.0.pop_front();
            Poll::Ready(piece.map(|piece| Ok(Frame::data(Bytes::from_static(piece.as_bytes())))))
        }
    }

    async fn read(mut flow: Flow) -> String {
        let mut bytes = Vec::new();
        while let Some(frame) =
            std::future::poll_fn(|context| Pin::new(&mut flow).poll_frame(context)).await
        {
            bytes.extend(frame.unwrap().into_data().unwrap());
        }
        String::from_utf8(bytes).unwrap()
    }

    fn masked(pieces: Vec<&'static str>, secrets: &[&'static str]) -> Flow {
        let finders = secrets
            .iter()
            .map(|secret| Finder::new(secret).into_owned());
        let mut finders: Vec<_> = finders.collect();
        finders.sort_by_key(|finder| std::cmp::Reverse(finder.needle().len()));
        Flow::new(Pieces(VecDeque::from(pieces))).masked(finders)
    }

    #[tokio::test]
    async fn secrets_are_masked_wherever_pieces_meet() {
        let secrets = ["canary-one", "canary-one-and-a-half", "canary-8"];
        let text = "a canary-one b canary-one-and-a-half canary-8 canary-one-and canary-on";
        let expected = "a [redacted] b [redacted]*********** ******** [redacted]-and canary-on";
        assert_eq!(text.len(), expected.len());
        for cut in 0..text.len() {
            let (first, second) = text.split_at(cut);
            let flow = masked(vec![first, second], &secrets);
            assert_eq!(read(flow).await, expected, "{cut}");
        }
        let letters = text.split_inclusive("").collect();
        assert_eq!(read(masked(letters, &secrets)).await, expected);
    }
}
