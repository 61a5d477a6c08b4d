//! Where calls go on that compute for long: threads of their own, which the system gives less time
//! than those that everybody waits for.
//!
//! A call begins on a worker of the server, since most are over in less than a change of threads
//! takes. One that has computed for a while is moved, as it is, and comes back when it waits for
//! something. Where calls of a connector were stopped lately, the next ones are moved at once.
//! Connectors take turns on the threads.

use std::{
    collections::{HashMap, VecDeque},
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

use super::{CallError, priority, share::Share};

/// Epochs of computing after which a call is moved.
const LONG: u64 = 4;
/// Epochs of computing after which a call makes way for the next connector's.
const SLICE: u64 = 2;

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
    waiting: Mutex<Waiting>,
    arrived: Condvar,
}

/// Calls that wait for a thread.
#[derive(Default)]
struct Waiting {
    /// Of each connector, by the place of its share in memory.
    calls: HashMap<usize, VecDeque<Job>>,
    /// The connectors, in the order of their turns.
    turns: VecDeque<usize>,
}

impl Waiting {
    fn add(&mut self, connector: usize, job: Job) {
        let calls = self.calls.entry(connector).or_default();
        if calls.is_empty() {
            self.turns.push_back(connector);
        }
        calls.push_back(job);
    }

    fn next(&mut self) -> Option<(usize, Job)> {
        let connector = self.turns.pop_front()?;
        let calls = self.calls.get_mut(&connector)?;
        let job = calls.pop_front()?;
        if calls.is_empty() {
            self.calls.remove(&connector);
        } else {
            self.turns.push_back(connector);
        }
        Some((connector, job))
    }
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
                    if let Err(error) = priority::make_way() {
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
            .wait_timeout_while(waiting, LOOK, |waiting| waiting.turns.is_empty())
            .unwrap_or_else(PoisonError::into_inner);
        let Some((connector, mut job)) = waiting.next() else {
            return;
        };
        drop(waiting);
        if job() {
            self.put(connector, job);
        }
    }

    fn put(&self, connector: usize, job: Job) {
        self.lock().add(connector, job);
        self.arrived.notify_one();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends a call, wherever it computes. `ticks` counts the epochs in which it did: it changes
    /// whenever the call stops only to let others have their turn.
    pub(super) async fn run<T: Send + 'static>(
        &self,
        mut work: Work<T>,
        share: &Arc<Share>,
        ticks: Arc<AtomicU64>,
        limit: Duration,
    ) -> Result<T, CallError> {
        let deadline = tokio::time::Instant::now() + limit + GRACE;
        // Whether there is something to compute, as far as is known: not while it waits.
        let mut computes = true;
        loop {
            let begun = std::future::poll_fn(|context| {
                if computes && share.is_suspected() {
                    return Poll::Ready(None);
                }
                // What it waits for wakes it, and then it computes.
                computes = true;
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
            let job = slices(work, Arc::clone(&ticks), back);
            self.put(Arc::as_ptr(share).addr(), job);
            // The call has its own deadline, and keeps it unless nobody has time for it. Then who
            // waits is told, and the call is dropped in its turn.
            match tokio::time::timeout_at(deadline, moved).await {
                Ok(Ok(Ended::Done(answer))) => return answer,
                Ok(Ok(Ended::Waits(same))) => (work, computes) = (same, false),
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connectors_take_turns() {
        let mut waiting = Waiting::default();
        for connector in [1, 1, 1, 2, 3, 2] {
            waiting.add(connector, Box::new(|| false));
        }
        let turns = std::iter::from_fn(|| waiting.next().map(|(connector, _)| connector));
        assert_eq!(turns.collect::<Vec<_>>(), [1, 2, 3, 1, 2, 1]);
        assert!(waiting.calls.is_empty());
    }

    #[tokio::test]
    async fn who_was_stopped_makes_way_from_the_beginning() {
        let lane = Lane::start().unwrap();
        let share = Share::of(4);
        let thread = async || {
            let work: Work<_> = Box::pin(async { Ok(thread::current().name().map(str::to_owned)) });
            let ticks = Arc::new(AtomicU64::new(0));
            lane.run(work, &share, ticks, Duration::from_secs(60)).await
        };
        assert_ne!(thread().await.unwrap().as_deref(), Some("long-calls"));
        // For ten seconds.
        for _ in 0..10 {
            share.suspect();
        }
        assert_eq!(thread().await.unwrap().as_deref(), Some("long-calls"));
    }
}
