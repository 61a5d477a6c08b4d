//! The audit log: written once, listed, removed when it is old.

use std::time::Duration;

use super::{
    Error, Store,
    dialect::{Row, Tx, values},
    without_nulls,
};
use crate::model::{AuditEntry, AuditId, AuditRow, ProjectId, Timestamp};

/// Rows that go in one transaction.
const BATCH: u32 = 1000;

/// Which entries are listed.
#[derive(Clone, Debug, Default)]
pub struct AuditFilter {
    /// Only those about this project; all of the server where there is none.
    pub project: Option<ProjectId>,
    /// Only those of this action, such as `connector.grant`.
    pub action: Option<String>,
    /// Only those about this subject.
    pub subject: Option<String>,
    /// Only those before this one.
    pub before: Option<AuditId>,
    /// At most so many.
    pub limit: u32,
}

impl Store {
    /// Writes an entry.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit(&self, entry: &AuditEntry) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        self.audit_in(&mut tx, entry).await?;
        tx.commit().await
    }

    /// Writes an entry together with what it tells of.
    pub(super) async fn audit_in(&self, tx: &mut Tx, entry: &AuditEntry) -> Result<(), Error> {
        let sql = "INSERT INTO audit_log (id, at, project, actor, action, subject, details)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = values![
            AuditId::generate(entry.at, self.entropy()).to_string(),
            entry.at,
            entry.project.map(|project| project.to_string()),
            without_nulls(&entry.actor),
            without_nulls(&entry.action),
            without_nulls(&entry.subject),
            without_nulls(&entry.details.to_string()),
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// Entries, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audit_log(&self, filter: &AuditFilter) -> Result<Vec<AuditRow>, Error> {
        const SQL: &str = "SELECT id, at, project, actor, action, subject, details
             FROM audit_log
             WHERE ($1 IS NULL OR project = $1) AND ($2 IS NULL OR action = $2)
               AND ($3 IS NULL OR subject = $3) AND ($4 IS NULL OR id < $4)
             ORDER BY id DESC LIMIT $5";
        let values = values![
            filter.project.map(|project| project.to_string()),
            filter.action.as_deref().map(without_nulls),
            filter.subject.as_deref().map(without_nulls),
            filter.before.map(|id| id.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        rows.iter().map(entry).collect()
    }

    /// The newest entries about a subject, whatever the project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn audited(&self, subject: &str, limit: u32) -> Result<Vec<AuditRow>, Error> {
        let sql = "SELECT id, at, project, actor, action, subject, details
             FROM audit_log WHERE subject = $1 ORDER BY id DESC LIMIT $2";
        let rows = self.database().read(sql, values![subject, limit]).await?;
        rows.iter().map(entry).collect()
    }

    /// Removes entries that were written before a moment; how many. It rests between
    /// transactions and may be dropped at any time.
    ///
    /// # Errors
    /// The database failed; what went before is gone.
    pub async fn prune_audit_log(&self, before: Timestamp, rest: Duration) -> Result<u64, Error> {
        const SQL: &str = "DELETE FROM audit_log WHERE id IN (
                SELECT id FROM audit_log WHERE at < $1 ORDER BY at LIMIT $2)";
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

fn entry(row: &Row) -> Result<AuditRow, Error> {
    let project = row.optional_text(2)?;
    let project = project.map(|text| {
        let parsed = text.parse::<ProjectId>();
        parsed.map_err(|_| Error::Corrupt(format!("{text:?} in column 2")))
    });
    Ok(AuditRow {
        id: row.parsed(0)?,
        entry: AuditEntry {
            at: row.time(1)?,
            project: project.transpose()?,
            actor: row.text(3)?,
            action: row.text(4)?,
            subject: row.text(5)?,
            details: row.parsed_by(6, |text| serde_json::from_str(text).ok())?,
        },
    })
}
