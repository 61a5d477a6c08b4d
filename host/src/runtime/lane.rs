//! Where calls go on that compute for long: threads of their own, which the system gives less time
//! than those that everybody waits for.
//!
//! A call begins on a worker of the server, since most are over in less than a change of threads
//! takes. One that has computed for a while is moved, as it is, and comes back when it waits for
//! something.

use std::{
    collections::VecDeque,
    future::Future,
    io,
    pin::Pin,
    sync::{
        Arc, Condvar, Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    task::{Context, Poll, Waker},
    thread,
    time::Duration,
};

use tokio::sync::oneshot;

use super::CallError;

/// Epochs of computing after which a call is moved.
const LONG: u64 = 4;
/// Epochs after which it makes way for the next one.
const SLICE: u64 = 10;
/// How much less than others the threads may compute when there is not enough for all.
#[cfg(unix)]
const NICENESS: i32 = 10;

/// What a call that is over its deadline has to say so itself.
const GRACE: Duration = Duration::from_millis(50);
/// How often a thread without work looks whether it is still needed.
const LOOK: Duration = Duration::from_secs(1);

/// A call on its way.
pub(super) type Work<T> = Pin<Box<dyn Future<Output = Result<T, CallError>> + Send>>;
/// Computes for one slice; answers whether there is more to do.
type Job = Box<dyn FnMut() -> bool + Send>;

/// The threads, and who waits for them.
#[derive(Default)]
pub(super) struct Lane {
    waiting: Mutex<VecDeque<Job>>,
    arrived: Condvar,
}

impl Lane {
    /// Starts a thread for each processor. They end with the process.
    pub(super) fn start() -> io::Result<Arc<Self>> {
        let lane = Arc::new(Self::default());
        let threads = thread::available_parallelism().map_or(1, usize::from);
        for _ in 0..threads {
            let lane = Arc::downgrade(&lane);
            thread::Builder::new()
                .name("long-calls".to_owned())
                .spawn(move || {
                    #[cfg(unix)]
                    if let Err(error) = rustix::process::nice(NICENESS) {
                        tracing::warn!(error = %error, "calls that compute for long cannot be given less time than others");
                    }
                    while let Some(lane) = lane.upgrade() {
                        lane.work();
                    }
                })?;
        }
        Ok(lane)
    }

    fn work(&self) {
        let waiting = self.lock();
        let (mut waiting, _) = self
            .arrived
            .wait_timeout_while(waiting, LOOK, |waiting| waiting.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let Some(mut job) = waiting.pop_front() else {
            return;
        };
        drop(waiting);
        if job() {
            self.put(job);
        }
    }

    fn put(&self, job: Job) {
        self.lock().push_back(job);
        self.arrived.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, VecDeque<Job>> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a call, wherever it computes. `ticks` counts the epochs in which it did: it changes
    /// whenever the call stops only to let others have their turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        mut work: Work<T>,
        ticks: Arc<AtomicU64>,
        limit: Duration,
    ) -> Result<T, CallError> {
        let deadline = tokio::time::Instant::now() + limit + GRACE;
        loop {
            let begun = std::future::poll_fn(|context| {
                let before = ticks.load(Ordering::Relaxed);
                match work.as_mut().poll(context) {
                    Poll::Ready(answer) => Poll::Ready(Some(answer)),
                    Poll::Pending => {
                        let now = ticks.load(Ordering::Relaxed);
                        if now > before && now >= LONG {
                            Poll::Ready(None)
                        } else {
                            Poll::Pending
                        }
                    }
                }
            });
            if let Some(answer) = begun.await {
                return answer;
            }
            let (back, moved) = oneshot::channel();
            self.put(slices(work, Arc::clone(&ticks), back));
            // The call has its own deadline, and keeps it unless nobody has time for it. Then who
            // waits is told, and the call is dropped in its turn.
            match tokio::time::timeout_at(deadline, moved).await {
                Ok(Ok(Ended::Done(answer))) => return answer,
                Ok(Ok(Ended::Waits(same))) => work = same,
                Ok(Err(_)) => return Err(CallError::Trap("the host failed".to_owned())),
                Err(_) => return Err(CallError::Deadline(limit)),
            }
        }
    }
}

/// How a call left the lane.
enum Ended<T> {
    Done(Result<T, CallError>),
    /// It waits for something, which wakes the worker that it came from.
    Waits(Work<T>),
}

fn slices<T: Send + 'static>(
    work: Work<T>,
    ticks: Arc<AtomicU64>,
    back: oneshot::Sender<Ended<T>>,
) -> Job {
    let server = tokio::runtime::Handle::current();
    let mut held = Some((work, back));
    Box::new(move || {
        // What the host does for the guest meanwhile belongs to the server's runtime.
        let _server = server.enter();
        let Some((mut work, back)) = held.take() else {
            return false;
        };
        let until = ticks.load(Ordering::Relaxed) + SLICE;
        loop {
            if back.is_closed() {
                return false;
            }
            let before = ticks.load(Ordering::Relaxed);
            let polled = work.as_mut().poll(&mut Context::from_waker(Waker::noop()));
            let now = ticks.load(Ordering::Relaxed);
            let ended = match polled {
                Poll::Ready(answer) => Ended::Done(answer),
                Poll::Pending if now == before => Ended::Waits(work),
                Poll::Pending if now < until => continue,
                Poll::Pending => {
                    held = Some((work, back));
                    return true;
                }
            };
            // Nobody is there any more: then nobody misses it.
            drop(back.send(ended));
            return false;
        }
    })
}
