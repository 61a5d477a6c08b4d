//! Connections and linked users as people look through them: filtered, a page at a time.

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Row, values},
};
use crate::model::{
    Connection, ConnectionStatus, LinkedUser, LinkedUserId, ProjectId, Scope, Slug, Timestamp,
};

/// Which connections of a project.
#[derive(Clone, Debug, Default)]
pub struct ConnectionFilter {
    /// Only those of this connector.
    pub connector: Option<Slug>,
    /// Only those that stand so.
    pub status: Option<ConnectionStatus>,
    /// Only those of this linked user.
    pub linked_user: Option<LinkedUserId>,
    /// Only those whose account, linked user or id has this in it, however it is written.
    pub text: Option<String>,
    /// Only those made before the one of this number.
    pub before: Option<u32>,
    /// At most so many.
    pub limit: u32,
}

/// A connection with what people want to know beside it.
#[derive(Clone, Debug)]
pub struct ConnectionRow {
    /// Itself.
    pub connection: Connection,
    /// Whose it is.
    pub linked_user: LinkedUser,
    /// When its access token ends, where the provider says so.
    pub token_expires_at: Option<Timestamp>,
    /// When a sync of it ended last.
    pub synced_at: Option<Timestamp>,
    /// How many of its syncs failed the last time.
    pub failing: u32,
}

/// A linked user, and how many connections there are of it.
#[derive(Clone, Debug)]
pub struct LinkedUserRow {
    /// Itself.
    pub linked_user: LinkedUser,
    /// Its connections.
    pub connections: u32,
    /// Those of them that need a new login.
    pub broken: u32,
}

impl Store {
    /// Connections of a project, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connection_page(
        &self,
        project: ProjectId,
        filter: &ConnectionFilter,
    ) -> Result<Vec<ConnectionRow>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            connection_columns!(),
            ", u.origin_id, u.alias, u.created_at, r.expires_at,
               (SELECT MAX(s.last_finished_at) FROM sync_state s WHERE s.connection = c.number),
               (SELECT COUNT(*) FROM sync_state s
                WHERE s.connection = c.number AND s.last_error IS NOT NULL)
             FROM connection c JOIN linked_user u ON u.id = c.linked_user
             LEFT JOIN credential r ON r.connection = c.number
             WHERE c.project = $1 AND c.deleted_at IS NULL AND c.number < $2
               AND (CAST($3 AS TEXT) IS NULL OR c.connector = $3)
               AND (CAST($4 AS TEXT) IS NULL OR c.status = $4)
               AND (CAST($5 AS TEXT) IS NULL OR c.linked_user = $5)
               AND (CAST($6 AS TEXT) IS NULL
                    OR LOWER(COALESCE(c.account_name, '')) LIKE $6 ESCAPE '\\'
                    OR LOWER(COALESCE(c.account, '')) LIKE $6 ESCAPE '\\'
                    OR LOWER(u.origin_id) LIKE $6 ESCAPE '\\'
                    OR LOWER(u.alias) LIKE $6 ESCAPE '\\'
                    OR c.id LIKE $6 ESCAPE '\\')
             ORDER BY c.number DESC LIMIT $7"
        );
        let values = values![
            project,
            filter.before.map_or(i64::MAX, i64::from),
            filter.connector.as_ref().map(ToString::to_string),
            filter.status.map(ConnectionStatus::as_str),
            filter.linked_user.map(|id| id.to_string()),
            filter.text.as_deref().map(contains),
            filter.limit,
        ];
        let rows = self.database().read(SQL, values).await?;
        let read = |row: &Row| {
            let connection = scope_from(row)?.connection().clone();
            Ok(ConnectionRow {
                linked_user: LinkedUser {
                    id: connection.linked_user,
                    project,
                    origin_id: row.text(CONNECTION_COLUMNS)?,
                    alias: row.text(CONNECTION_COLUMNS + 1)?,
                    created_at: row.time(CONNECTION_COLUMNS + 2)?,
                },
                token_expires_at: row.optional_time(CONNECTION_COLUMNS + 3)?,
                synced_at: row.optional_time(CONNECTION_COLUMNS + 4)?,
                failing: row.number(CONNECTION_COLUMNS + 5)?,
                connection,
            })
        };
        rows.iter().map(read).collect()
    }

    /// Linked users of a project, newest first: those whose own id or alias has `text` in it, from
    /// the one after `after`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn linked_user_page(
        &self,
        project: ProjectId,
        text: Option<&str>,
        after: Option<(Timestamp, LinkedUserId)>,
        limit: u32,
    ) -> Result<Vec<LinkedUserRow>, Error> {
        const SQL: &str = "SELECT u.id, u.origin_id, u.alias, u.created_at,
                (SELECT COUNT(*) FROM connection c
                 WHERE c.linked_user = u.id AND c.deleted_at IS NULL),
                (SELECT COUNT(*) FROM connection c
                 WHERE c.linked_user = u.id AND c.deleted_at IS NULL AND c.status <> $6)
            FROM linked_user u
            WHERE u.project = $1
              AND (u.created_at < $2 OR (u.created_at = $2 AND u.id < $3))
              AND (CAST($4 AS TEXT) IS NULL OR LOWER(u.origin_id) LIKE $4 ESCAPE '\\'
                   OR LOWER(u.alias) LIKE $4 ESCAPE '\\' OR u.id LIKE $4 ESCAPE '\\')
            ORDER BY u.created_at DESC, u.id DESC LIMIT $5";
        let (at, id) = after.map_or((i64::MAX, String::new()), |(at, id)| {
            (at.as_millis(), id.to_string())
        });
        let values = values![
            project,
            at,
            id,
            text.map(contains),
            limit,
            ConnectionStatus::Valid.as_str(),
        ];
        let rows = self.database().read(SQL, values).await?;
        let read = |row: &Row| {
            Ok(LinkedUserRow {
                linked_user: LinkedUser {
                    id: row.parsed(0)?,
                    project,
                    origin_id: row.text(1)?,
                    alias: row.text(2)?,
                    created_at: row.time(3)?,
                },
                connections: row.number(4)?,
                broken: row.number(5)?,
            })
        };
        rows.iter().map(read).collect()
    }

    /// The sealed token of a connection; none once it is deleted.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sealed_token(&self, scope: &Scope) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT sealed_token FROM connection
                   WHERE number = $1 AND project = $2 AND deleted_at IS NULL";
        let values = values![scope.connection().number, scope.project()];
        let row = self.database().read_one(sql, values).await?;
        row.map(|row| row.bytes(0)).transpose()
    }
}

/// A pattern for what has this text in it.
fn contains(text: &str) -> String {
    format!("%{}%", escaped(&text.to_lowercase()))
}

/// A text that stands for itself in a pattern.
pub(super) fn escaped(text: &str) -> String {
    let mut pattern = String::with_capacity(text.len());
    for character in text.chars().filter(|one| *one != '\0') {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern
}
