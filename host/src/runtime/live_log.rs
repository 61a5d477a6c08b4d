//! The last lines that each connector logged, in the memory of this process: what a page follows.

use std::{
    collections::{BTreeMap, VecDeque},
    sync::{Mutex, PoisonError},
};

use crate::model::{Slug, Timestamp};

/// Lines that are kept of one connector.
const LINES: usize = 500;
/// Bytes that the texts of one connector's lines may have together.
const BYTES: usize = 256 * 1024;

/// How much a line matters, the least first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// For the author.
    Debug,
    /// All is well.
    Info,
    /// Something to look at.
    Warn,
    /// Something failed.
    Error,
}

impl LogLevel {
    /// All of them, the least first.
    pub const ALL: [Self; 4] = [Self::Debug, Self::Info, Self::Warn, Self::Error];

    /// `debug`, `info`, `warn` or `error`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Debug => "debug",
            Self::Info => "info",
            Self::Warn => "warn",
            Self::Error => "error",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|level| level.as_str() == text)
    }
}

/// A line that a connector logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LogLine {
    /// Its place among all lines of the connector since this process began, from 1.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// How much it matters.
    pub level: LogLevel,
    /// The id of the connection it is about; empty for a call without one.
    pub connection: String,
    /// What the connector said. Whoever shows it escapes it.
    pub text: String,
}

/// The lines of all connectors.
#[derive(Debug, Default)]
pub(super) struct LiveLog(Mutex<BTreeMap<Slug, Ring>>);

#[derive(Debug, Default)]
struct Ring {
    lines: VecDeque<LogLine>,
    bytes: usize,
    /// How many lines there ever were.
    count: u64,
}

impl LiveLog {
    pub(super) fn add(
        &self,
        slug: &Slug,
        at: Timestamp,
        level: LogLevel,
        connection: &str,
        text: &str,
    ) {
        let mut rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if !rings.contains_key(slug) {
            rings.insert(slug.clone(), Ring::default());
        }
        let Some(ring) = rings.get_mut(slug) else {
            return;
        };
        ring.count += 1;
        ring.bytes += text.len();
        ring.lines.push_back(LogLine {
            number: ring.count,
            at,
            level,
            connection: connection.to_owned(),
            text: text.to_owned(),
        });
        while ring.lines.len() > LINES || ring.bytes > BYTES {
            let Some(gone) = ring.lines.pop_front() else {
                break;
            };
            ring.bytes -= gone.text.len();
        }
    }

    /// The lines after the one numbered `after` that matter at least so much, oldest first.
    pub(super) fn lines(&self, slug: &Slug, after: u64, least: LogLevel) -> Vec<LogLine> {
        let rings = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let lines = rings.get(slug).map(|ring| ring.lines.iter());
        let wanted = |line: &&LogLine| line.number > after && line.level >= least;
        lines
            .into_iter()
            .flatten()
            .filter(wanted)
            .cloned()
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1);

    #[test]
    fn a_reader_follows_by_number_and_old_lines_go() {
        let log = LiveLog::default();
        let [demo, other]: [Slug; 2] = ["demo-crm", "other"].map(|slug| slug.parse().unwrap());
        assert!(log.lines(&demo, 0, LogLevel::Debug).is_empty());
        log.add(&demo, NOW, LogLevel::Info, "c", "first");
        log.add(&demo, NOW, LogLevel::Warn, "c", "second");
        log.add(&other, NOW, LogLevel::Error, "", "elsewhere");
        let lines = log.lines(&demo, 0, LogLevel::Debug);
        let texts: Vec<_> = lines.iter().map(|line| line.text.as_str()).collect();
        assert_eq!(texts, ["first", "second"]);
        assert_eq!(log.lines(&demo, 0, LogLevel::Warn), lines[1..]);
        assert_eq!(log.lines(&demo, 1, LogLevel::Debug), lines[1..]);
        assert!(log.lines(&demo, 2, LogLevel::Debug).is_empty());

        for _ in 0..LINES {
            log.add(&demo, NOW, LogLevel::Debug, "c", "more");
        }
        let kept = log.lines(&demo, 0, LogLevel::Debug);
        assert_eq!((kept.len(), kept[0].number), (LINES, 3));
        let long = "x".repeat(BYTES / 2 + 1);
        log.add(&demo, NOW, LogLevel::Debug, "c", &long);
        log.add(&demo, NOW, LogLevel::Debug, "c", &long);
        assert_eq!(log.lines(&demo, 0, LogLevel::Debug).len(), 1);
    }
}
