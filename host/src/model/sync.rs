//! What a sync is told to do, and what its runs did.

mod config;
mod failure;
mod pass;
mod query;
mod run;
mod run_error;
mod schedule;
mod trigger;
mod usage;

pub use config::{ConflictPolicy, Direction, SyncConfig, SyncConfigError};
pub use failure::{FailedRecord, SyncFailure};
pub use pass::{PassState, Question, UNGUARDED_DELETES};
pub use query::{NextQuery, Query, rounded};
pub use run::{Estimate, EstimateSource, Run, RunCounts, RunDirection, RunEnd, RunStatus};
pub use run_error::{ErrorClass, RunError};
pub use schedule::{Schedule, ScheduleError};
pub use trigger::Trigger;
pub use usage::{RunBy, Usage, Used};

/// Enums whose variants have one word each, in the database, on the wire and in the log.
macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $word:literal),* $(,)? }) => {
        $(#[$doc])*
        #[derive(
            Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord,
            serde::Serialize, serde::Deserialize, schemars::JsonSchema,
        )]
        pub enum $name {
            $($(#[$variant_doc])* #[serde(rename = $word)] $variant),*
        }

        impl $name {
            /// All of them, in the order of their declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its word.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $word),* }
            }

            /// The one with this word.
            #[must_use]
            pub fn parse(word: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|one| one.as_str() == word)
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str(self.as_str())
            }
        }
    };
}
pub(crate) use words;
