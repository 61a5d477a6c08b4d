//! One execution of a sync.

use std::ops::AddAssign;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::words;

words! {
    /// Why a run was started.
    Trigger {
        /// The first one of a new connection, or of an object that its connector has learnt.
        Initial = "initial",
        /// The schedule said so.
        Schedule = "schedule",
        /// Somebody asked for it.
        Manual = "manual",
        /// The provider told of changes.
        Webhook = "webhook",
        /// The run before failed.
        Retry = "retry",
        /// Changes of our applications wait to be pushed.
        Change = "change",
        /// What an earlier run pushed is taken back.
        Undo = "undo",
    }
}

words! {
    /// How a run stands.
    RunStatus {
        /// It is at work, or waits for its next page.
        Running = "running",
        /// It read and wrote all there was.
        Completed = "completed",
        /// It stopped at an error; what it had committed stays.
        Failed = "failed",
        /// A guard stopped it; a person decides how it goes on.
        Stopped = "stopped",
        /// Somebody ended it.
        Cancelled = "cancelled",
        /// Its process ended in the middle, and it does not go on.
        Interrupted = "interrupted",
    }
}

words! {
    /// What kind of thing went wrong, for counting and for deciding what helps.
    ErrorClass {
        /// The provider no longer takes the credential.
        Auth = "auth",
        /// The credential is good, but not for this.
        Forbidden = "forbidden",
        /// The provider, or our budget for it, says later.
        RateLimited = "rate_limited",
        /// The provider failed (HTTP 5xx) or says that it is not available.
        Provider5xx = "provider_5xx",
        /// No answer came: name, connection, TLS, a body that broke off.
        Network = "network",
        /// No answer came in time.
        Timeout = "timeout",
        /// The provider refused the data.
        Invalid = "invalid",
        /// The connector failed: a trap, a limit, an error of its own.
        Connector = "connector",
        /// The connector answered something that the contract does not allow.
        Contract = "contract",
        /// Our database failed.
        Storage = "storage",
        /// A guard stopped it.
        Guard = "guard",
        /// Anything else.
        Other = "other",
    }
}

/// What a run, or one page of it, did. Records, unless said otherwise.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(default)]
pub struct RunCounts {
    /// Read from the provider.
    pub read: u64,
    /// New here.
    pub created: u64,
    /// Changed here.
    pub updated: u64,
    /// As they were.
    pub unchanged: u64,
    /// Marked as deleted here.
    pub deleted: u64,
    /// Could not be taken over or pushed.
    pub failed: u64,
    /// Changed on both sides in the same fields.
    pub conflicts: u64,
    /// Written to the provider.
    pub pushed: u64,
    /// HTTP requests to the provider.
    pub requests: u64,
    /// Bytes of bodies, in both directions.
    pub bytes: u64,
}

impl AddAssign for RunCounts {
    fn add_assign(&mut self, other: Self) {
        self.read += other.read;
        self.created += other.created;
        self.updated += other.updated;
        self.unchanged += other.unchanged;
        self.deleted += other.deleted;
        self.failed += other.failed;
        self.conflicts += other.conflicts;
        self.pushed += other.pushed;
        self.requests += other.requests;
        self.bytes += other.bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_word_is_the_same_in_text_and_in_json() {
        for class in ErrorClass::ALL {
            assert_eq!(ErrorClass::parse(class.as_str()), Some(*class));
            assert_eq!(
                serde_json::to_value(class).unwrap(),
                class.to_string().as_str()
            );
        }
        assert_eq!(Trigger::parse("Manual"), None);
    }
}
