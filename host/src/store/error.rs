//! What can go wrong between us and a database.

use std::fmt;

/// Why a method of [`super::Store`] failed. No text here holds a value that was to be stored.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database does not answer, or not in time. Trying again later may work.
    #[error("the database is not available")]
    Unavailable(#[source] Cause),
    /// The disk is full. Reading still works.
    #[error("the database has no space left on its disk")]
    Full(#[source] Cause),
    /// Something with this name exists already: `origin_id`, `account`.
    #[error("{0} is taken already")]
    Conflict(&'static str),
    /// What the new thing is to belong to is not there: `project`, `linked user`, `connection`.
    #[error("there is no such {0}")]
    Missing(&'static str),
    /// Somebody else took the lease, or the connection is gone. Nothing was written.
    #[error("the lease on this sync was lost; nothing was written")]
    LeaseLost,
    /// A text that neither database can be trusted to keep.
    #[error("a text holds the character U+0000, which databases do not keep")]
    NullCharacter,
    /// The schema could not be brought up to date.
    #[error("{0}")]
    Migration(String),
    /// The address or the database itself cannot be used. The text says what to do.
    #[error("{0}")]
    Unsuitable(String),
    /// The database holds something that this program cannot have written.
    #[error("the database holds something unexpected: {0}")]
    Corrupt(String),
    /// A statement failed for a reason that is ours.
    #[error("a statement was refused by the database")]
    Refused(#[source] Cause),
}

/// What the database or its driver said. Its message only: details may quote values.
#[derive(Clone, PartialEq, Eq)]
pub struct Cause(String);

impl fmt::Display for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl fmt::Debug for Cause {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{:?}", self.0)
    }
}

impl std::error::Error for Cause {}

impl Error {
    /// Names what a unique index protects.
    pub(super) fn or_conflict(self, what: &'static str) -> Self {
        match self {
            Self::Conflict(_) => Self::Conflict(what),
            other => other,
        }
    }
}

impl From<sqlx::Error> for Error {
    fn from(error: sqlx::Error) -> Self {
        let cause = Cause(error.to_string());
        match error {
            sqlx::Error::Database(answer) => {
                if answer.is_unique_violation() {
                    return Self::Conflict("a value that must be unique");
                }
                if answer.is_foreign_key_violation() {
                    return Self::Missing("parent");
                }
                match judge(&answer.code().unwrap_or_default()) {
                    Verdict::Full => Self::Full(cause),
                    Verdict::Unavailable => Self::Unavailable(cause),
                    Verdict::Corrupt => Self::Corrupt(cause.0),
                    Verdict::Refused => Self::Refused(cause),
                }
            }
            sqlx::Error::Io(_)
            | sqlx::Error::Tls(_)
            | sqlx::Error::Protocol(_)
            | sqlx::Error::PoolTimedOut
            | sqlx::Error::PoolClosed
            | sqlx::Error::WorkerCrashed
            | sqlx::Error::BeginFailed => Self::Unavailable(cause),
            sqlx::Error::ColumnDecode { .. }
            | sqlx::Error::Decode(_)
            | sqlx::Error::ColumnIndexOutOfBounds { .. } => Self::Corrupt(cause.0),
            _ => Self::Refused(cause),
        }
    }
}

#[derive(Debug, PartialEq, Eq)]
enum Verdict {
    Full,
    Unavailable,
    Corrupt,
    Refused,
}

/// By the code that came with the answer: five characters from PostgreSQL (SQLSTATE), a number
/// from SQLite whose low byte is the primary result code.
fn judge(code: &str) -> Verdict {
    if code.len() == 5 {
        return match code {
            "53100" => Verdict::Full,
            // Serialisation failure, deadlock, cancelled by a timeout, read-only stand-by, and a
            // transaction that was left open for too long: its process was stopped.
            "40001" | "40P01" | "57014" | "25006" | "25P03" => Verdict::Unavailable,
            "XX001" | "XX002" => Verdict::Corrupt,
            _ => match code.get(..2) {
                Some("08" | "53" | "55" | "57" | "58") => Verdict::Unavailable,
                _ => Verdict::Refused,
            },
        };
    }
    match code.parse::<u32>().map(|code| code & 0xff) {
        Ok(13) => Verdict::Full,
        // Busy, locked, read-only, interrupted, input or output failed, cannot open.
        Ok(5 | 6 | 8 | 9 | 10 | 14) => Verdict::Unavailable,
        Ok(11 | 26) => Verdict::Corrupt,
        _ => Verdict::Refused,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_of_both_databases_are_told_apart() {
        for (code, verdict) in [
            ("13", Verdict::Full),
            ("53100", Verdict::Full),
            ("5", Verdict::Unavailable),
            ("517", Verdict::Unavailable),
            ("778", Verdict::Unavailable),
            ("57P01", Verdict::Unavailable),
            ("25P03", Verdict::Unavailable),
            ("40P01", Verdict::Unavailable),
            ("11", Verdict::Corrupt),
            ("26", Verdict::Corrupt),
            ("1", Verdict::Refused),
            ("42601", Verdict::Refused),
            ("", Verdict::Refused),
        ] {
            assert_eq!(judge(code), verdict, "{code}");
        }
    }
}
