//! Writes that are to be done once, however often they are asked for.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Row, Sql, values},
    lease::{self, clocked},
};
use crate::model::{Digest, EventId, ProjectId, Scope};

/// How long a key is remembered.
pub const REMEMBERED: Duration = Duration::from_secs(24 * 3600);

/// Whose key it is: keys of one connection mean nothing to another.
#[derive(Clone, Debug)]
pub struct KeyOwner {
    project: ProjectId,
    connection: u32,
}

impl KeyOwner {
    /// For requests about a connection.
    #[must_use]
    pub fn connection(scope: &Scope) -> Self {
        Self {
            project: scope.project(),
            connection: scope.connection().number,
        }
    }

    /// For requests about the project itself.
    #[must_use]
    pub const fn project(project: ProjectId) -> Self {
        Self {
            project,
            connection: 0,
        }
    }
}

/// The right to do the work of a key, until its time is over.
#[derive(Clone, Debug)]
pub struct KeyClaim {
    owner: KeyOwner,
    hash: Digest,
    attempt: i64,
    /// What to tell the provider: the same at every attempt.
    pub provider_key: String,
}

/// What is known of a key.
#[derive(Clone, Debug)]
pub enum KeyState {
    /// Nothing, or an attempt that came to no end: do the work.
    Claimed(KeyClaim),
    /// The work is done; this is what was kept of the answer.
    Answered(String),
    /// Another attempt is at work.
    Busy,
    /// The key was used for another request.
    Other,
}

impl Store {
    /// Claims a key for `lease`. Also forgets keys that are older than [`REMEMBERED`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn claim_key(
        &self,
        owner: KeyOwner,
        key: &str,
        fingerprint: &Digest,
        lease: Duration,
    ) -> Result<KeyState, Error> {
        const FORGET: Sql = clocked!(
            "DELETE FROM idempotency
             WHERE created_at <= $1 AND (claimed_until IS NULL OR claimed_until <= " now ")"
        );
        const CLAIM: Sql = clocked!(
            "INSERT INTO idempotency (project, connection, hash, fingerprint, provider_key,
                 attempt, claimed_until, created_at)
             VALUES ($1, $2, $3, $4, $5, 1, " now " + $6, $7)
             ON CONFLICT (project, connection, hash) DO UPDATE
             SET attempt = idempotency.attempt + 1, claimed_until = excluded.claimed_until
             WHERE idempotency.fingerprint = excluded.fingerprint
               AND idempotency.answer IS NULL
               AND (idempotency.claimed_until IS NULL OR idempotency.claimed_until <= " now ")
             RETURNING provider_key, attempt"
        );
        let now = self.now();
        let hash = Digest::of(key);
        let mut tx = self.begin().await?;
        // Who still works on an old key keeps it.
        tx.execute(FORGET, values![now.minus(REMEMBERED)]).await?;
        let provider_key = EventId::generate(self.entropy()).to_string();
        let (project, connection) = (owner.project, owner.connection);
        let values = values![
            project,
            connection,
            &hash,
            fingerprint,
            provider_key,
            lease::millis(lease),
            now
        ];
        let state = match tx.row(CLAIM, values).await? {
            Some(row) => KeyState::Claimed(KeyClaim {
                owner,
                hash,
                provider_key: row.text(0)?,
                attempt: row.int(1)?,
            }),
            None => {
                let sql = "SELECT fingerprint, answer FROM idempotency
                           WHERE project = $1 AND connection = $2 AND hash = $3";
                let row = tx.row(sql, values![project, connection, &hash]).await?;
                row.map_or(Ok(KeyState::Busy), |row| taken(&row, fingerprint))?
            }
        };
        tx.commit().await?;
        Ok(state)
    }

    /// Keeps the answer for whoever asks again. Nothing happens where the claim's time was over
    /// and another attempt began.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep_answer(&self, claim: &KeyClaim, answer: &str) -> Result<(), Error> {
        let sql = "UPDATE idempotency SET answer = $5, claimed_until = NULL
                   WHERE project = $1 AND connection = $2 AND hash = $3 AND attempt = $4";
        let owner = &claim.owner;
        let values = values![
            owner.project,
            owner.connection,
            &claim.hash,
            claim.attempt,
            answer
        ];
        self.database().write(sql, values).await.map(drop)
    }

    /// Gives a key back without an answer, so that the next attempt does the work again, with the
    /// same key for the provider. With `forget`, as if it had never been used.
    ///
    /// # Errors
    /// The database failed.
    pub async fn release_key(&self, claim: &KeyClaim, forget: bool) -> Result<(), Error> {
        let owner = &claim.owner;
        let values = values![owner.project, owner.connection, &claim.hash, claim.attempt];
        // A first attempt that came to nothing leaves nothing; a later one leaves what the first
        // may have told the provider.
        let sql = if forget && claim.attempt == 1 {
            "DELETE FROM idempotency
             WHERE project = $1 AND connection = $2 AND hash = $3 AND attempt = $4"
        } else {
            "UPDATE idempotency SET claimed_until = NULL
             WHERE project = $1 AND connection = $2 AND hash = $3 AND attempt = $4"
        };
        self.database().write(sql, values).await.map(drop)
    }
}

fn taken(row: &Row, fingerprint: &Digest) -> Result<KeyState, Error> {
    if row.bytes(0)? != fingerprint.as_bytes() {
        return Ok(KeyState::Other);
    }
    Ok(row
        .optional_text(1)?
        .map_or(KeyState::Busy, KeyState::Answered))
}
