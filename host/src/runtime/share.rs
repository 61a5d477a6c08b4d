//! What one connector may take of what all have together.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use tokio::sync::Semaphore;

/// For how long a connector is under suspicion after a call of it was stopped.
const SUSPICION: Duration = Duration::from_secs(1);
/// The longest that many stops add up to.
const LONGEST: Duration = Duration::from_secs(10);

/// A connector's share.
pub(super) struct Share {
    /// Calls of it that may run at the same time.
    pub(super) instances: Arc<Semaphore>,
    began: Instant,
    /// Until when it is under suspicion: milliseconds after `began`.
    suspected_until: AtomicU64,
}

impl Share {
    /// Of `instances` that all connectors may have together: the rest is for the others.
    pub(super) fn of(instances: u32) -> Arc<Self> {
        Arc::new(Self {
            instances: Arc::new(Semaphore::new((instances as usize * 3 / 4).max(1))),
            began: Instant::now(),
            suspected_until: AtomicU64::new(0),
        })
    }

    /// A call was stopped: it crashed, or went over a limit.
    pub(super) fn suspect(&self) {
        self.suspect_at(self.began.elapsed());
    }

    /// Whether calls were stopped lately. The next ones then make way for others from their
    /// beginning: a crash or a limit takes no time to reach, and to reach it again and again
    /// would take all there is.
    pub(super) fn is_suspected(&self) -> bool {
        self.is_suspected_at(self.began.elapsed())
    }

    fn suspect_at(&self, now: Duration) {
        let now = millis(now);
        let order = Ordering::Relaxed;
        self.suspected_until.update(order, order, |until| {
            let longer = until.max(now) + millis(SUSPICION);
            longer.min(now + millis(LONGEST))
        });
    }

    fn is_suspected_at(&self, now: Duration) -> bool {
        self.suspected_until.load(Ordering::Relaxed) > millis(now)
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX / 4)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn suspicion_grows_with_stops_and_ends() {
        let share = Share::of(4);
        let at = Duration::from_millis;
        assert!(!share.is_suspected_at(at(0)));
        share.suspect_at(at(500));
        assert!(share.is_suspected_at(at(1_499)));
        assert!(!share.is_suspected_at(at(1_500)));
        for _ in 0..100 {
            share.suspect_at(at(2_000));
        }
        assert!(share.is_suspected_at(at(11_999)));
        assert!(!share.is_suspected_at(at(12_000)));
    }
}
