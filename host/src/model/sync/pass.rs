//! Passes over everything of an object, which find out what the provider no longer has.

use super::words;
use crate::model::Timestamp;

/// Up to so many records a pass deletes without a look at the share that they are: of a handful,
/// one is a large share.
pub const UNGUARDED_DELETES: u64 = 10;

words! {
    /// How a pass stands.
    PassState {
        /// Pages are read.
        Reading = "reading",
        /// All of them were.
        Read = "read",
        /// What it missed is deleted.
        Deleting = "deleting",
        /// It would delete too much, and asks.
        Stopped = "stopped",
        /// Somebody said that what it missed stays.
        Keeping = "keeping",
    }
}

/// What a pass that would delete too much asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Question {
    /// How many records it did not see.
    pub missing: u64,
    /// Of how many that are stored.
    pub stored: u64,
    /// Since when somebody is asked.
    pub asked_at: Timestamp,
}

impl Question {
    /// Whether so many deletions are too many to be made unasked.
    #[must_use]
    pub fn is_due(missing: u64, stored: u64, guard_percent: u32) -> bool {
        let share = u128::from(missing) * 100;
        missing > UNGUARDED_DELETES && share > u128::from(guard_percent) * u128::from(stored)
    }

    /// A sentence for people.
    #[must_use]
    pub fn sentence(&self) -> String {
        let Self {
            missing, stored, ..
        } = self;
        format!(
            "the provider no longer shows {missing} of {stored} records, more than this sync may \
             delete unasked: nothing was deleted; POST …/confirm with {{\"delete\": true}} deletes \
             them, with {{\"delete\": false}} keeps them"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_is_too_large_from_a_number_on() {
        for (missing, stored, percent, asks) in [
            (10, 10, 30, false),
            (11, 11, 30, true),
            (11, 11, 100, false),
            (30, 100, 30, false),
            (31, 100, 30, true),
            (11, 1_000_000, 0, true),
            (u64::MAX, u64::MAX, 99, true),
        ] {
            let asked = Question::is_due(missing, stored, percent);
            assert_eq!(asked, asks, "{missing} of {stored} at {percent} %");
        }
    }
}
