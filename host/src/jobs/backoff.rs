//! How long to wait after a failure.

use std::time::Duration;

use crate::{model::Entropy, unify::Error};

/// A wait that doubles with each attempt, up to a longest one.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// The longest wait after the first failure.
    pub(super) first: Duration,
    /// The longest of all.
    pub(super) longest: Duration,
}

impl Backoff {
    /// The wait after attempt number `attempt`, counted from 1. Never shorter than the provider
    /// asks for; otherwise any time up to the doubled one, so that many that failed together do
    /// not come back together.
    pub(super) fn wait(self, attempt: u32, error: &Error, entropy: &dyn Entropy) -> Duration {
        let mut bytes = [0; 8];
        entropy.fill(&mut bytes);
        let share = |most: Duration| {
            let millis = u64::try_from(most.as_millis()).unwrap_or(u64::MAX).max(1);
            Duration::from_millis(u64::from_be_bytes(bytes) % millis)
        };
        if let Some(asked) = error.wait() {
            let asked = asked.max(Duration::from_secs(1));
            return asked.saturating_add(share(asked / 10));
        }
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1).min(12));
        let most = self.first.saturating_mul(doubled).min(self.longest);
        share(most) + Duration::from_millis(100)
    }
}
