//! The review queue: records of which both sides changed the same fields, until somebody decides.

use std::collections::BTreeMap;

use serde_json::json;

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Row, Tx, values},
};
use crate::model::{
    Conflict, ConflictId, ConflictState, ObjectKind, ProjectId, QueuedChange, Scope, Timestamp,
};

/// Which conflicts are listed.
#[derive(Clone, Debug, Default)]
pub struct ConflictFilter {
    /// Only those of this connection.
    pub connection: Option<u32>,
    /// Only those of this object.
    pub kind: Option<ObjectKind>,
    /// Only those that stand so.
    pub state: Option<ConflictState>,
    /// Only those found before this one.
    pub before: Option<ConflictId>,
    /// At most so many.
    pub limit: u32,
}

macro_rules! select_conflicts {
    ($rest:literal) => {
        concat!(
            "SELECT ",
            connection_columns!(),
            ", f.id, f.change, f.object, f.record, f.fields, f.state, f.decisions, f.resolved_by,
              f.created_at, f.updated_at, f.resolved_at
             FROM conflict f JOIN connection c ON c.number = f.connection ",
            $rest
        )
    };
}

impl Store {
    /// A conflict of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn conflict(
        &self,
        project: ProjectId,
        id: ConflictId,
    ) -> Result<Option<(Scope, Conflict)>, Error> {
        const SQL: &str = select_conflicts!("WHERE f.project = $1 AND f.id = $2");
        let values = values![project, id.to_string()];
        let row = self.database().read_one(SQL, values).await?;
        row.map_or(Ok(None), |row| self.conflict_from(&row))
    }

    /// Conflicts of a project, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn conflicts(
        &self,
        project: ProjectId,
        filter: &ConflictFilter,
    ) -> Result<Vec<(Scope, Conflict)>, Error> {
        const SQL: &str = select_conflicts!(
            "WHERE f.project = $1 AND ($2 IS NULL OR f.connection = $2)
               AND ($3 IS NULL OR f.object = $3) AND ($4 IS NULL OR f.state = $4)
               AND ($5 IS NULL OR f.id < $5)
             ORDER BY f.id DESC LIMIT $6"
        );
        let values = values![
            project,
            filter.connection.map(i64::from),
            filter.kind.map(|kind| i64::from(self.object(kind))),
            filter.state.map(ConflictState::as_str),
            filter.before.map(|id| id.to_string()),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        let found = rows
            .iter()
            .filter_map(|row| self.conflict_from(row).transpose());
        found.collect()
    }

    /// Makes the review queue say what a change has in conflict: a new row, what is known now, or
    /// that nothing is left. Whoever decided has written so before.
    pub(super) async fn note_conflict(
        &self,
        tx: &mut Tx,
        change: &QueuedChange,
        now: Timestamp,
    ) -> Result<(), Error> {
        let conflicts = &change.pending.conflicts;
        let id = change.id.to_string();
        if conflicts.is_empty() {
            let sql = "UPDATE conflict SET state = 'resolved', updated_at = $2, resolved_at = $2
                       WHERE change = $1 AND state = 'open'";
            return tx.execute(sql, values![id, now]).await.map(drop);
        }
        let fields =
            serde_json::to_string(conflicts).map_err(|error| Error::Corrupt(error.to_string()))?;
        let sql = "UPDATE conflict SET fields = $3, updated_at = $2
                   WHERE change = $1 AND state = 'open'";
        let values = values![id.as_str(), now, fields.as_str()];
        if tx.execute(sql, values).await? > 0 {
            return Ok(());
        }
        let sql = "INSERT INTO conflict (id, change, project, connection, object, record, fields,
                       state, created_at, updated_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, 'open', $8, $8)";
        let values = values![
            ConflictId::generate(now, self.entropy()).to_string(),
            id,
            change.project,
            change.connection.number,
            self.object(change.kind),
            change.record,
            fields,
            now,
        ];
        tx.execute(sql, values).await.map(drop)
    }

    /// Reads [`select_conflicts`]; none where this version does not know the object.
    fn conflict_from(&self, row: &Row) -> Result<Option<(Scope, Conflict)>, Error> {
        const FIRST: usize = CONNECTION_COLUMNS;
        let Some(kind) = self.kind(row.number(FIRST + 2)?) else {
            return Ok(None);
        };
        let scope = scope_from(row)?;
        let json = |text: &str| serde_json::from_str(text).ok();
        let decisions = row.optional_text(FIRST + 6)?;
        let conflict = Conflict {
            id: row.parsed(FIRST)?,
            change: row.parsed(FIRST + 1)?,
            connection: scope.connection().clone(),
            kind,
            record: row.record_id(FIRST + 3)?,
            fields: row.parsed_by(FIRST + 4, |text| serde_json::from_str(text).ok())?,
            state: row.parsed_by(FIRST + 5, ConflictState::parse)?,
            decisions: decisions.as_deref().and_then(json),
            resolved_by: row.optional_text(FIRST + 7)?,
            created_at: row.time(FIRST + 8)?,
            updated_at: row.time(FIRST + 9)?,
            resolved_at: row.optional_time(FIRST + 10)?,
        };
        Ok(Some((scope, conflict)))
    }
}

/// What was decided, as it is kept.
pub(super) fn decided(
    before: Option<serde_json::Value>,
    decisions: &BTreeMap<String, crate::model::Decision>,
) -> String {
    let mut known = match before {
        Some(serde_json::Value::Object(known)) => known,
        _ => serde_json::Map::new(),
    };
    for (field, decision) in decisions {
        let decision = match decision {
            crate::model::Decision::Ours => json!("ours"),
            crate::model::Decision::Theirs => json!("theirs"),
            crate::model::Decision::Value(value) => json!({ "value": value }),
        };
        known.insert(field.clone(), decision);
    }
    serde_json::Value::Object(known).to_string()
}

impl Store {
    /// A person decides fields of an open conflict. What is decided for our side is queued to be
    /// pushed; what is decided for the provider's is stored, with its event. None where it is not
    /// open, or is not the project's.
    ///
    /// # Errors
    /// The database failed.
    pub async fn resolve_conflict(
        &self,
        project: ProjectId,
        id: ConflictId,
        decisions: &BTreeMap<String, crate::model::Decision>,
        by: &str,
    ) -> Result<Option<Conflict>, Error> {
        let Some((scope, conflict)) = self.conflict(project, id).await? else {
            return Ok(None);
        };
        let resolved = self
            .resolve_change(&scope, &conflict, decisions, by)
            .await?;
        if !resolved {
            return Ok(None);
        }
        Ok(self
            .conflict(project, id)
            .await?
            .map(|(_, conflict)| conflict))
    }

    /// Writes what was decided of a conflict; false where it is not open any more.
    pub(super) async fn note_decisions(
        &self,
        tx: &mut Tx,
        id: ConflictId,
        decisions: &BTreeMap<String, crate::model::Decision>,
        by: &str,
        now: Timestamp,
    ) -> Result<bool, Error> {
        let sql = "SELECT decisions FROM conflict WHERE id = $1 AND state = 'open'";
        let Some(row) = tx.row(sql, values![id.to_string()]).await? else {
            return Ok(false);
        };
        let before = row.optional_text(0)?;
        let before = before.and_then(|text| serde_json::from_str(&text).ok());
        let sql = "UPDATE conflict SET decisions = $2, resolved_by = $3, updated_at = $4
                   WHERE id = $1";
        let values = values![id.to_string(), decided(before, decisions), by, now];
        tx.execute(sql, values).await?;
        Ok(true)
    }
}
