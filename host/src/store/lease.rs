//! Leases: who may work on a row, and until when.
//!
//! A claim sets `lease_until` and counts `fence` up by one. Whoever writes under a claim names its
//! fence: a process that was paused past the end of its lease finds another number there and can
//! write nothing. A lease that ran out while nobody wanted it is still good.
//!
//! The time of leases is the *database's*: hosts whose clocks disagree agree about it, and none
//! can take for over what another took for held. When something is due is a matter of the host's
//! own clock; at worst it is early or late by as much as that one is wrong.

use std::time::Duration;

/// A statement with the database's time in it: `clocked!("… lease_until > " now " …")`. Texts
/// that are made by macros go in brackets. The time is in milliseconds since 1970, and goes on
/// within a transaction.
macro_rules! clocked {
    (@sqlite now) => { "CAST(unixepoch('subsec') * 1000 AS INTEGER)" };
    (@postgres now) => { "CAST(extract(epoch FROM clock_timestamp()) * 1000 AS bigint)" };
    (@$database:ident [$text:expr]) => { $text };
    (@$database:ident $text:literal) => { $text };
    ($($piece:tt)+) => {
        $crate::store::dialect::Sql {
            sqlite: concat!($($crate::store::lease::clocked!(@sqlite $piece)),+),
            postgres: concat!($($crate::store::lease::clocked!(@postgres $piece)),+),
        }
    };
}
pub(super) use clocked;

/// As [`clocked`], taking the selected rows of a table for this transaction, and stepping over rows
/// that others have taken. With SQLite's one writer there are no others.
macro_rules! clocked_taking {
    ($table:literal: $($piece:tt)+) => {
        $crate::store::dialect::Sql {
            sqlite: concat!($($crate::store::lease::clocked!(@sqlite $piece)),+),
            postgres: concat!(
                $($crate::store::lease::clocked!(@postgres $piece),)+
                " FOR NO KEY UPDATE OF ", $table, " SKIP LOCKED"
            ),
        }
    };
}
pub(super) use clocked_taking;

/// What is added to the database's time.
pub(super) fn millis(lease: Duration) -> i64 {
    i64::try_from(lease.as_millis()).unwrap_or(i64::MAX / 4)
}
