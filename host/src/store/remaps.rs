//! What is needed to unify stored documents again: whose they are, the documents, and the results.

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::values,
    pages::{advance, event},
};
use crate::model::{Digest, ObjectKind, Record, RecordId, Scope, Slug};

/// What another version of a connector made of a stored document.
#[derive(Clone, Debug)]
pub struct Remap {
    /// The record.
    pub id: RecordId,
    /// The provider's document that was unified: where another one is stored by now, a sync was
    /// faster and nothing is written.
    pub remote: String,
    /// The unified object.
    pub unified: String,
    /// Values of custom fields.
    pub custom: String,
}

impl Store {
    /// Writes down what unifies an object of a connection: a connector version, and a revision of
    /// the mappings of custom fields. `first` leaves what is there: at the beginning of a sync,
    /// older documents may still wait to be unified again.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mark_unified(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        mark: &str,
        first: bool,
    ) -> Result<(), Error> {
        let sql = "UPDATE sync_state SET unified_by = $3
                   WHERE connection = $1 AND object = $2 AND (unified_by IS NULL OR NOT $4)";
        let number = scope.connection().number;
        let values = values![number, self.object(kind), mark, first];
        self.database().write(sql, values).await?;
        Ok(())
    }

    /// The objects of all connections of a connector that are perhaps to be unified again, each
    /// with the mark that it has, whatever the project: this is the server's own work. Those are
    /// all whose mark is not `digest`, and all that custom fields are mapped for, whose mark says
    /// more than the version.
    ///
    /// # Errors
    /// The database failed.
    pub async fn unified_by_others(
        &self,
        connector: &Slug,
        digest: &str,
    ) -> Result<Vec<(Scope, ObjectKind, String)>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", s.object, s.unified_by FROM connection c JOIN sync_state s ON s.connection = c.number
             WHERE c.connector = $1 AND c.deleted_at IS NULL AND s.unified_by IS NOT NULL
               AND (s.unified_by <> $2 OR EXISTS
                   (SELECT 1 FROM custom_field f JOIN custom_field_mapping m ON m.field = f.id
                    WHERE f.project = c.project AND f.object = s.object AND m.connector = $1
                      AND (m.linked_user IS NULL OR m.linked_user = c.linked_user)))
             ORDER BY c.number, s.position"
        );
        let rows = self
            .database()
            .read(SQL, values![connector.as_str(), digest])
            .await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(kind) = self.kind(row.number(CONNECTION_COLUMNS)?) {
                found.push((scope_from(row)?, kind, row.text(CONNECTION_COLUMNS + 1)?));
            }
        }
        Ok(found)
    }

    /// Stored documents of a provider, by the id of their record, from the one after `after`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn remote_documents(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<(RecordId, String)>, Error> {
        // Ids of one object at one connection lie side by side: the primary key is the index, and
        // the upper bound keeps the last page from reading on into what others have.
        let sql = "SELECT id, remote FROM record
                   WHERE id > $1 AND id < $5 AND connection = $2 AND object = $3
                     AND deleted_at IS NULL
                   ORDER BY id LIMIT $4";
        let number = scope.connection().number;
        let object = self.object(kind);
        // The ids of an object begin with its two numbers.
        let mut prefix = [number.to_be_bytes().as_slice(), &object.to_be_bytes()].concat();
        let from = after.map_or_else(|| prefix.clone(), |id| id.as_bytes().to_vec());
        prefix.resize(17, 0xff);
        let values = values![from, number, object, limit, prefix];
        let rows = self.database().read(sql, values).await?;
        rows.iter()
            .map(|row| Ok((row.record_id(0)?, row.text(1)?)))
            .collect()
    }

    /// Writes what another version of the connector made of stored documents, with an event for
    /// each record that an application sees differently now. All or nothing. Answers how many
    /// those are.
    ///
    /// # Errors
    /// [`Error::Missing`] where the connection was deleted.
    pub async fn apply_remaps(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        remaps: &[Remap],
    ) -> Result<u64, Error> {
        let sql = "UPDATE record SET unified = $2, custom = $3, hash = $4, modified_at = $5
                   WHERE id = $1 AND connection = $7 AND object = $8 AND remote = $6
                     AND hash <> $4 AND deleted_at IS NULL
                   RETURNING remote_id, created_at";
        let mut tx = self.begin().await?;
        let now = advance(&mut tx, scope, self.now())
            .await?
            .ok_or(Error::Missing("connection"))?;
        let replaced = self.reconcile_remaps(&mut tx, scope, kind, remaps).await?;
        let mut events = Vec::new();
        for remap in remaps {
            let known = (&remap.unified, &remap.custom);
            let (unified, custom) = replaced
                .get(&remap.id)
                .map_or(known, |(unified, custom)| (unified, custom));
            let hash = Digest::of_all(&[unified.as_bytes(), custom.as_bytes()]);
            let values = values![
                remap.id,
                unified.as_str(),
                custom.as_str(),
                &hash,
                now,
                remap.remote.as_str(),
                scope.connection().number,
                self.object(kind),
            ];
            if let Some(row) = tx.row(sql, values).await? {
                let record = Record {
                    id: remap.id,
                    remote_id: row.text(0)?,
                    unified: unified.clone(),
                    remote: None,
                    custom: custom.clone(),
                    remote_version: None,
                    created_at: row.time(1)?,
                    modified_at: now,
                    deleted_at: None,
                };
                events.push(event(kind, "updated", &record));
            }
        }
        let changed = events.len() as u64;
        self.write_events(&mut tx, scope, events, now).await?;
        tx.commit().await?;
        Ok(changed)
    }
}
