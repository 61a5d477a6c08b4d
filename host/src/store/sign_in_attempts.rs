//! Attempts to sign in and to log in, counted for all hosts: who guesses has to wait.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Tx, values},
};
use crate::model::{ConnectLinkId, EmailAddress, Timestamp};

/// How long a count is kept after the last attempt.
const KEPT: Duration = Duration::from_secs(24 * 3600);

/// What attempts are counted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptSubject {
    /// An account, whether or not there is one.
    Account(EmailAddress),
    /// A client's address, or the network it is in.
    Address(String),
    /// A connect link, whose holder tries credentials of a provider.
    Link(ConnectLinkId),
}

impl AttemptSubject {
    fn key(&self) -> String {
        match self {
            Self::Account(email) => format!("account:{email}"),
            Self::Address(address) => format!("address:{}", super::without_nulls(address)),
            Self::Link(id) => format!("link:{id}"),
        }
    }
}

/// How many attempts there are, and what comes after.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AttemptRule {
    /// Attempts without a wait.
    pub free: u32,
    /// The wait after the last of them; it doubles with each further one.
    pub first_wait: Duration,
    /// The longest wait.
    pub longest_wait: Duration,
    /// So long after the last attempt all is forgotten.
    pub forget_after: Duration,
}

impl AttemptRule {
    /// Until when nobody may try after so many attempts.
    fn blocked_until(&self, attempts: i64, now: Timestamp) -> Timestamp {
        let Ok(over) = u32::try_from(attempts - i64::from(self.free)) else {
            return Timestamp::from_millis(0);
        };
        let factor = 1_u32.checked_shl(over).unwrap_or(u32::MAX);
        now.plus(
            self.first_wait
                .saturating_mul(factor)
                .min(self.longest_wait),
        )
    }
}

/// An attempt that was counted, and is taken back where it succeeds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    at: Timestamp,
    /// Each with its rule, and with when it was tried before.
    subjects: Vec<(AttemptSubject, AttemptRule, Timestamp)>,
}

impl Store {
    /// Counts an attempt before it is made, so that a thousand at once are not one. Where it
    /// may not be made: the moment from which on the next may, and then nothing is counted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn begin_attempt(
        &self,
        subjects: &[(AttemptSubject, AttemptRule)],
    ) -> Result<Result<Attempt, Timestamp>, Error> {
        const TAKE: &str = "INSERT INTO sign_in_attempt (subject, attempts, last_at, blocked_until)
            VALUES ($1, 0, $2, 0)
            ON CONFLICT (subject) DO UPDATE SET subject = excluded.subject
            RETURNING attempts, last_at, blocked_until";
        const SET: &str = "UPDATE sign_in_attempt
            SET attempts = $2, last_at = $3, blocked_until = $4 WHERE subject = $1";
        let now = self.now();
        let mut tx = self.begin().await?;
        let mut blocked: Option<Timestamp> = None;
        let mut begun = Vec::new();
        for (subject, rule) in subjects {
            let key = subject.key();
            let row = tx.row(TAKE, values![key.as_str(), now]).await?;
            let row = row.ok_or(Error::Missing("attempt"))?;
            let (attempts, last, until) = (row.int(0)?, row.time(1)?, row.time(2)?);
            if until > now {
                blocked = blocked.max(Some(until));
                continue;
            }
            let forgotten = now.since(last) > rule.forget_after;
            let attempts = if forgotten {
                1
            } else {
                attempts.saturating_add(1)
            };
            let until = rule.blocked_until(attempts, now);
            tx.execute(SET, values![key, attempts, now, until]).await?;
            begun.push((subject.clone(), *rule, last));
        }
        if let Some(until) = blocked {
            tx.rollback().await?;
            return Ok(Err(until));
        }
        tx.commit().await?;
        let subjects = begun;
        Ok(Ok(Attempt { at: now, subjects }))
    }

    /// The attempt succeeded: the account or link is as new, and an address is as it was before.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_attempt(&self, attempt: &Attempt) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        for (subject, rule, before) in &attempt.subjects {
            match subject {
                AttemptSubject::Account(_) | AttemptSubject::Link(_) => {
                    let sql = "DELETE FROM sign_in_attempt WHERE subject = $1";
                    tx.execute(sql, values![subject.key()]).await?;
                }
                // Who has one account must not be able to guess at others for ever: wrong attempts
                // stay. It could begin, so nothing was blocked before it.
                AttemptSubject::Address(_) => {
                    let sql = "UPDATE sign_in_attempt
                               SET attempts = attempts - 1,
                                   blocked_until = CASE WHEN attempts <= $2 OR last_at = $3 THEN 0
                                                        ELSE blocked_until END,
                                   last_at = CASE WHEN last_at = $3 THEN $4 ELSE last_at END
                               WHERE subject = $1 AND attempts > 0";
                    let values = values![subject.key(), rule.free, attempt.at, *before];
                    tx.execute(sql, values).await?;
                }
            }
        }
        tx.commit().await
    }
}

/// Attempts after which nobody has to wait any longer; how many. No attempt does this by itself:
/// it holds rows, and would wait for others'.
pub(super) async fn forget_old(tx: &mut Tx, now: Timestamp) -> Result<u64, Error> {
    let sql = "DELETE FROM sign_in_attempt WHERE last_at < $1";
    tx.execute(sql, values![now.minus(KEPT)]).await
}
