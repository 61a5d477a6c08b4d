//! Requests over time: counted in memory, added to the database once a minute.

use std::{
    collections::BTreeMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{
    Error, Store,
    dialect::{Bulk, bulk, values},
};
use crate::model::{ProjectId, Timestamp};

const MINUTE: i64 = 60_000;
/// Rows that go in one transaction.
const BATCH: u32 = 1000;
/// The most parts that a time is divided into.
const MOST_BUCKETS: i64 = 10_000;

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// With what was asked for, or a redirect: a status below 400.
    Served,
    /// The caller was told what is wrong with the request: 4xx.
    Refused,
    /// Something failed here or at a provider: 5xx.
    Failed,
}

impl Outcome {
    const ALL: [Self; 3] = [Self::Served, Self::Refused, Self::Failed];

    /// From the status of the answer.
    #[must_use]
    pub const fn of(status: u16) -> Self {
        match status {
            ..400 => Self::Served,
            400..500 => Self::Refused,
            500.. => Self::Failed,
        }
    }

    const fn as_str(self) -> &'static str {
        match self {
            Self::Served => "2xx",
            Self::Refused => "4xx",
            Self::Failed => "5xx",
        }
    }
}

/// The requests of a stretch of time.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RequestBucket {
    /// When it begins.
    pub from: Timestamp,
    /// Answered with a status below 400.
    pub served: u64,
    /// Answered with 4xx.
    pub refused: u64,
    /// Answered with 5xx.
    pub failed: u64,
}

/// What was counted since it was last written down.
#[derive(Debug, Default)]
pub struct RequestTally(Mutex<Counts>);

type Counts = BTreeMap<(Option<ProjectId>, i64, Outcome), u64>;

impl RequestTally {
    /// Counts a request that was answered `at` that time; the project is the one whose key came
    /// with it.
    pub fn count(&self, project: Option<ProjectId>, at: Timestamp, outcome: Outcome) {
        let minute = at.as_millis().div_euclid(MINUTE) * MINUTE;
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        *counts.entry((project, minute, outcome)).or_default() += 1;
    }

    fn take(&self) -> Counts {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn give_back(&self, taken: Counts) {
        let mut counts = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        for (key, count) in taken {
            *counts.entry(key).or_default() += count;
        }
    }
}

impl Store {
    /// Adds what was counted since the last time; where that fails, it stays counted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_request_counts(&self, tally: &RequestTally) -> Result<(), Error> {
        const ADD: Bulk = bulk!(
            "INSERT INTO request_count (project, minute, class, count)",
            ["$1" "text", "$2" "bigint", "$3" "text", "$4" "bigint"],
            "ON CONFLICT (project, minute, class)
             DO UPDATE SET count = request_count.count + excluded.count"
        );
        let counts = tally.take();
        if counts.is_empty() {
            return Ok(());
        }
        let rows = counts.iter().map(|((project, minute, outcome), count)| {
            values![
                project.map(|id| id.to_string()).unwrap_or_default(),
                *minute,
                outcome.as_str(),
                i64::try_from(*count).unwrap_or(i64::MAX),
            ]
        });
        let rows = rows.collect();
        let write = async {
            let mut tx = self.begin().await?;
            tx.bulk(ADD, rows).await?;
            tx.commit().await
        };
        let written = write.await;
        if written.is_err() {
            tally.give_back(counts);
        }
        written
    }

    /// The requests of a project, or of the whole server, from one time until before another, in
    /// stretches of `bucket` (whole minutes, at least one) that begin at multiples of it; also
    /// those in which there were none. The last minute or so is not written down yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn request_counts(
        &self,
        project: Option<ProjectId>,
        from: Timestamp,
        to: Timestamp,
        bucket: Duration,
    ) -> Result<Vec<RequestBucket>, Error> {
        const SQL: &str = "SELECT minute - minute % $4, class, CAST(SUM(count) AS BIGINT)
             FROM request_count
             WHERE project = $1 AND minute >= $2 AND minute < $3
             GROUP BY minute - minute % $4, class";
        const ALL: &str = "SELECT minute - minute % $3, class, CAST(SUM(count) AS BIGINT)
             FROM request_count
             WHERE minute >= $1 AND minute < $2
             GROUP BY minute - minute % $3, class";
        let bucket = i64::try_from(bucket.as_millis()).unwrap_or(i64::MAX);
        let bucket = (bucket / MINUTE).max(1).saturating_mul(MINUTE);
        let first = from.as_millis().div_euclid(bucket) * bucket;
        let span = to.as_millis().saturating_sub(first).max(0);
        let number = (span / bucket + i64::from(span % bucket != 0)).min(MOST_BUCKETS);
        let end = first + number * bucket;
        let rows = match project {
            Some(project) => self
                .database()
                .read(SQL, values![project, first, end, bucket]),
            None => self.database().read(ALL, values![first, end, bucket]),
        };
        let mut found: BTreeMap<(i64, String), u64> = BTreeMap::new();
        for row in rows.await? {
            found.insert((row.int(0)?, row.text(1)?), row.number(2)?);
        }
        let count = |from: i64, outcome: Outcome| {
            let key = (from, outcome.as_str().to_owned());
            found.get(&key).copied().unwrap_or_default()
        };
        let buckets = (0..number).map(|index| {
            let from = first + index * bucket;
            let [served, refused, failed] = Outcome::ALL.map(|outcome| count(from, outcome));
            RequestBucket {
                from: Timestamp::from_millis(from),
                served,
                refused,
                failed,
            }
        });
        Ok(buckets.collect())
    }

    /// Removes counts of minutes before a moment; how many rows. It rests between transactions
    /// and may be dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_request_counts(
        &self,
        before: Timestamp,
        rest: Duration,
    ) -> Result<u64, Error> {
        const SQL: &str = "DELETE FROM request_count WHERE (project, minute, class) IN (
                SELECT project, minute, class FROM request_count WHERE minute < $1
                ORDER BY minute LIMIT $2)";
        let mut pruned = 0;
        loop {
            match self.database().write(SQL, values![before, BATCH]).await? {
                0 => return Ok(pruned),
                more => pruned += more,
            }
            tokio::time::sleep(rest).await;
        }
    }
}
