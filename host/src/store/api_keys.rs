//! API keys as the operator sees them, and when each was used last.

use std::{
    collections::HashMap,
    sync::{Mutex, PoisonError},
    time::Duration,
};

use super::{Error, Store, dialect::values};
use crate::model::{ApiKeyId, Digest, ProjectId, Timestamp};

/// A use within this time after one that was written is not written.
const EVERY: Duration = Duration::from_secs(60);

/// What this process wrote last, by the hash of the key. Only keys that open a project get here.
pub(super) type Uses = Mutex<HashMap<Digest, Timestamp>>;

/// An API key, of which only a hint is known.
#[derive(Clone, Debug)]
pub struct ApiKeyRow {
    /// Its id.
    pub id: ApiKeyId,
    /// As whoever made it called it.
    pub name: String,
    /// Its beginning and end.
    pub hint: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was used last, to the minute; none where it never was.
    pub last_used_at: Option<Timestamp>,
    /// Since when it is useless.
    pub revoked_at: Option<Timestamp>,
}

impl Store {
    /// The keys of a project: those that work first, the newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn api_keys(&self, project: ProjectId) -> Result<Vec<ApiKeyRow>, Error> {
        let sql = "SELECT id, name, hint, created_at, last_used_at, revoked_at FROM api_key
                   WHERE project = $1
                   ORDER BY CASE WHEN revoked_at IS NULL THEN 0 ELSE 1 END, created_at DESC, id
                   LIMIT 500";
        let rows = self.database().read(sql, values![project]).await?;
        let read = rows.iter().map(|row| {
            Ok(ApiKeyRow {
                id: row.parsed(0)?,
                name: row.text(1)?,
                hint: row.text(2)?,
                created_at: row.time(3)?,
                last_used_at: row.optional_time(4)?,
                revoked_at: row.optional_time(5)?,
            })
        });
        read.collect()
    }

    /// Notes that a good key was used: one write a minute and process at most.
    ///
    /// # Errors
    /// The database failed.
    pub async fn api_key_used(&self, hash: &Digest) -> Result<(), Error> {
        let now = self.now();
        {
            let uses = self.inner.key_uses.lock();
            let mut uses = uses.unwrap_or_else(PoisonError::into_inner);
            if uses.get(hash).is_some_and(|last| last.plus(EVERY) > now) {
                return Ok(());
            }
            uses.insert(*hash, now);
        }
        let sql = "UPDATE api_key SET last_used_at = $2
                   WHERE hash = $1 AND (last_used_at IS NULL OR last_used_at < $2)";
        self.database().write(sql, values![hash, now]).await?;
        Ok(())
    }
}
