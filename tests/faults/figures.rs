//! What came of a test, in figures.

use std::time::Duration;

use jackfield::model::{Entropy as _, SystemEntropy};
use jackfield_tests::{Backend, variable};

/// How often the long variants kill; none in the short ones.
pub(crate) fn kills() -> Option<u32> {
    variable("JACKFIELD_TEST_KILLS")?.parse().ok()
}

/// A line of the table that `just faults` prints.
#[derive(Debug, Default)]
pub(crate) struct Figures {
    /// How often a process was killed.
    pub(crate) kills: u32,
    /// Records that were compared.
    pub(crate) records: usize,
    /// Writes of ours that had to reach the provider.
    pub(crate) edits: usize,
    /// Events that had to reach the receiver.
    pub(crate) events: usize,
    /// Of all these, those that did not.
    pub(crate) lost: usize,
    /// Those that did twice, where that may not be.
    pub(crate) doubled: usize,
    /// Deliveries that were made again, as they may be.
    pub(crate) redelivered: usize,
    /// From a start, or from the end of a lease, until pages were read again.
    pub(crate) recoveries: Vec<Duration>,
}

impl Figures {
    /// Prints the line.
    pub(crate) fn print(&mut self, name: &str, backend: Backend) {
        self.recoveries.sort_unstable();
        let share = |percent: usize| {
            let last = self.recoveries.len().saturating_sub(1);
            let millis = self.recoveries.get((last * percent).div_ceil(100));
            millis.map_or(0, Duration::as_millis)
        };
        println!(
            "| {name} | {backend:?} | {} kills | {} records | {} edits | {} events | {} lost | {} doubled | {} delivered again | recovery p50 {} ms, p99 {} ms |",
            self.kills,
            self.records,
            self.edits,
            self.events,
            self.lost,
            self.doubled,
            self.redelivered,
            share(50),
            share(99),
        );
    }
}

/// Chance that can be repeated: `JACKFIELD_TEST_SEED` has what a failed test printed.
#[derive(Debug)]
pub(crate) struct Dice(u64);

impl Dice {
    /// With a new seed, which is printed.
    pub(crate) fn new() -> Self {
        let seed = variable("JACKFIELD_TEST_SEED").and_then(|text| text.parse().ok());
        let seed = seed.unwrap_or_else(|| {
            let mut bytes = [0; 8];
            SystemEntropy.fill(&mut bytes);
            u64::from_be_bytes(bytes)
        });
        println!("JACKFIELD_TEST_SEED={seed}");
        Self(seed | 1)
    }

    /// From `least` to `most`.
    pub(crate) fn between(&mut self, least: u64, most: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        least + self.0 % (most - least + 1)
    }
}
