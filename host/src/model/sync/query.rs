//! Questions for what changed, to providers that give only so many answers to one.

use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// How far a question has come.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Query {
    /// From when on changes are asked for, in milliseconds.
    since: i64,
    /// How many records came.
    read: u64,
    /// The latest change among them, in milliseconds.
    last: Option<i64>,
    /// Whether they came in the order of their changes.
    ordered: bool,
    /// Whether a page was read.
    asked: bool,
}

/// What follows the last page of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NextQuery {
    /// Nothing: that was all.
    Nothing,
    /// The rest: the same question from the last change on.
    Rest(Query),
    /// There is more, and no way to ask for it: everything has to be read.
    Everything,
}

impl Query {
    /// For what changed since then.
    #[must_use]
    pub const fn since(since: Timestamp) -> Self {
        Self {
            since: since.as_millis(),
            read: 0,
            last: None,
            ordered: true,
            asked: false,
        }
    }

    /// From when on changes are asked for.
    #[must_use]
    pub const fn from(&self) -> Timestamp {
        Timestamp::from_millis(self.since)
    }

    /// Whether it is to be asked yet.
    #[must_use]
    pub const fn is_new(&self) -> bool {
        !self.asked
    }

    /// A page came, with these times of change.
    pub fn page(&mut self, changes: impl IntoIterator<Item = Option<Timestamp>>) {
        self.asked = true;
        for change in changes {
            self.read += 1;
            let Some(change) = change.map(Timestamp::as_millis) else {
                self.ordered = false;
                continue;
            };
            self.ordered &= self.last.is_none_or(|last| last <= change);
            self.last = self.last.max(Some(change));
        }
    }

    /// What follows, with at most `cap` answers to a question and times in steps of so many
    /// seconds.
    #[must_use]
    pub fn next(&self, cap: u32, granularity: Option<u32>) -> NextQuery {
        if self.read < u64::from(cap) {
            return NextQuery::Nothing;
        }
        let last = self.last.filter(|_| self.ordered);
        let from = last.map(|last| rounded(Timestamp::from_millis(last), granularity));
        match from {
            Some(from) if from.as_millis() > self.since => NextQuery::Rest(Self::since(from)),
            _ => NextQuery::Everything,
        }
    }
}

/// A time, rounded down to steps of so many seconds.
#[must_use]
pub fn rounded(time: Timestamp, granularity: Option<u32>) -> Timestamp {
    let step = i64::from(granularity.unwrap_or(0)) * 1000;
    match time.as_millis().checked_rem_euclid(step) {
        Some(rest) => Timestamp::from_millis(time.as_millis() - rest),
        None => time,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_millis(seconds * 1000)
    }

    fn after(times: &[i64]) -> Query {
        let mut query = Query::since(at(100));
        query.page(times.iter().map(|time| Some(at(*time))));
        query
    }

    #[test]
    fn below_the_cap_it_was_all() {
        assert_eq!(after(&[]).next(3, None), NextQuery::Nothing);
        assert_eq!(after(&[103, 101]).next(3, None), NextQuery::Nothing);
    }

    #[test]
    fn at_the_cap_the_rest_begins_with_the_last_change() {
        let query = after(&[101, 101, 103]);
        assert_eq!(query.next(3, None), NextQuery::Rest(Query::since(at(103))));
    }

    #[test]
    fn where_the_rest_cannot_be_asked_for_everything_is_read() {
        // Out of order, or nothing but the time that was asked for.
        assert_eq!(after(&[101, 103, 102]).next(3, None), NextQuery::Everything);
        assert_eq!(after(&[100, 100, 100]).next(3, None), NextQuery::Everything);
        assert_eq!(
            after(&[101, 102, 103]).next(3, Some(60)),
            NextQuery::Everything
        );
        let mut unknown = after(&[101, 102]);
        unknown.page([None]);
        assert_eq!(unknown.next(3, None), NextQuery::Everything);
    }

    #[test]
    fn times_are_rounded_down() {
        assert_eq!(rounded(at(119), Some(60)), at(60));
        assert_eq!(rounded(at(120), Some(60)), at(120));
        assert_eq!(rounded(at(-1), Some(60)), at(-60));
        assert_eq!(rounded(at(119), None), at(119));
    }
}
