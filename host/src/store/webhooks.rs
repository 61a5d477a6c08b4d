//! Where projects want their events delivered.

use super::{
    Error, Store,
    dialect::{NEWEST_EVENT, Row, TAKE_FAN_OUT, values},
};
use crate::model::{
    EventPattern, NewWebhook, ProjectId, SealedSecret, Timestamp, Webhook, WebhookChange, WebhookId,
};

/// The columns that [`webhook_from`] reads.
macro_rules! webhook_columns {
    () => {
        "w.id, w.number, w.project, w.url, w.description, w.scopes, w.active, w.disabled_reason, \
         w.disabled_at, w.failing_since, w.sealed_secret, w.sealed_previous, w.previous_until, \
         w.created_at, w.updated_at"
    };
}
pub(super) use webhook_columns;

impl Store {
    /// Stores an endpoint. It gets the events that are written from now on.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no such project.
    pub async fn create_webhook(
        &self,
        project: ProjectId,
        new: NewWebhook,
    ) -> Result<Webhook, Error> {
        const SQL: &str = "INSERT INTO webhook_endpoint (id, project, url, description, scopes,
                active, sealed_secret, after_seq, created_at, updated_at)
            SELECT $1, id, $3, $4, $5, TRUE, $6, $7, $8, $8 FROM project WHERE id = $2
            RETURNING id";
        let mut tx = self.begin().await?;
        // Whoever hands out events waits: he must not pass by events that this one is to get.
        tx.row(TAKE_FAN_OUT, values![]).await?;
        let newest = tx.row(NEWEST_EVENT, values![]).await?;
        let newest = newest.map_or(Ok(0), |row| row.int(0))?;
        let values = values![
            new.id,
            project,
            new.url,
            new.description,
            scopes_text(&new.scopes),
            new.sealed_secret,
            newest,
            self.now(),
        ];
        tx.row(SQL, values)
            .await?
            .ok_or(Error::Missing("project"))?;
        tx.commit().await?;
        let made = self.webhook(project, new.id).await?;
        made.ok_or(Error::Missing("webhook endpoint"))
    }

    /// The endpoints of a project, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn webhooks(&self, project: ProjectId) -> Result<Vec<Webhook>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhook_endpoint w WHERE w.project = $1 AND w.deleted_at IS NULL
              ORDER BY w.created_at, w.number"
        );
        let rows = self.database().read(SQL, values![project]).await?;
        rows.iter().map(webhook_from).collect()
    }

    /// One endpoint of a project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn webhook(
        &self,
        project: ProjectId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            webhook_columns!(),
            " FROM webhook_endpoint w
              WHERE w.project = $1 AND w.id = $2 AND w.deleted_at IS NULL"
        );
        let row = self.database().read_one(SQL, values![project, id]).await?;
        row.as_ref().map(webhook_from).transpose()
    }

    /// Changes an endpoint; how it is then, or none where there is no such endpoint. One that is
    /// made active forgets why it was disabled.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_webhook(
        &self,
        project: ProjectId,
        id: WebhookId,
        change: WebhookChange,
    ) -> Result<Option<Webhook>, Error> {
        const SQL: &str = "UPDATE webhook_endpoint
            SET url = COALESCE($3, url), description = COALESCE($4, description),
                scopes = COALESCE($5, scopes), active = COALESCE($6, active), updated_at = $7
            WHERE project = $1 AND id = $2 AND deleted_at IS NULL";
        const REVIVE: &str = "UPDATE webhook_endpoint
            SET disabled_reason = NULL, disabled_at = NULL, failing_since = NULL
            WHERE project = $1 AND id = $2 AND deleted_at IS NULL";
        let mut tx = self.begin().await?;
        // Nobody hands out events meanwhile by how it was.
        tx.row(TAKE_FAN_OUT, values![]).await?;
        let values = values![
            project,
            id,
            change.url,
            change.description,
            change.scopes.as_deref().map(scopes_text),
            change.active,
            self.now(),
        ];
        if tx.execute(SQL, values).await? == 0 {
            return Ok(None);
        }
        if change.active == Some(true) {
            tx.execute(REVIVE, values![project, id]).await?;
        }
        tx.commit().await?;
        self.webhook(project, id).await
    }

    /// Makes a secret the one that signs; the one before signs too until `previous_until`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn rotate_webhook(
        &self,
        project: ProjectId,
        id: WebhookId,
        sealed: Vec<u8>,
        previous_until: Timestamp,
    ) -> Result<Option<Webhook>, Error> {
        let sql = "UPDATE webhook_endpoint
                   SET sealed_previous = sealed_secret, previous_until = $4, sealed_secret = $3,
                       updated_at = $5
                   WHERE project = $1 AND id = $2 AND deleted_at IS NULL";
        let values = values![project, id, sealed, previous_until, self.now()];
        if self.database().write(sql, values).await? == 0 {
            return Ok(None);
        }
        self.webhook(project, id).await
    }

    /// Deletes an endpoint and its secrets; how it was. Its deliveries go with time.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete_webhook(
        &self,
        project: ProjectId,
        id: WebhookId,
    ) -> Result<Option<Webhook>, Error> {
        let Some(webhook) = self.webhook(project, id).await? else {
            return Ok(None);
        };
        let nothing: Vec<u8> = Vec::new();
        let sql = "UPDATE webhook_endpoint
                   SET deleted_at = $3, active = FALSE, sealed_secret = $4, sealed_previous = NULL,
                       previous_until = NULL
                   WHERE project = $1 AND id = $2 AND deleted_at IS NULL";
        let values = values![project, id, self.now(), nothing];
        let deleted = self.database().write(sql, values).await? > 0;
        Ok(deleted.then_some(webhook))
    }
}

/// Reads [`webhook_columns`] from the start of a row.
pub(super) fn webhook_from(row: &Row) -> Result<Webhook, Error> {
    Ok(Webhook {
        id: row.parsed(0)?,
        number: row.number(1)?,
        project: row.parsed(2)?,
        url: row.text(3)?,
        description: row.text(4)?,
        scopes: scopes_from(&row.text(5)?),
        active: row.bool(6)?,
        disabled_reason: row.optional_text(7)?,
        disabled_at: row.optional_time(8)?,
        failing_since: row.optional_time(9)?,
        secret: SealedSecret {
            current: row.bytes(10)?,
            previous: row.optional_bytes(11)?,
            previous_until: row.optional_time(12)?,
        },
        created_at: row.time(13)?,
        updated_at: row.time(14)?,
    })
}

fn scopes_text(scopes: &[EventPattern]) -> String {
    let texts: Vec<_> = scopes.iter().map(EventPattern::as_str).collect();
    texts.join(" ")
}

/// Patterns of objects that this version does not know (any more) match nothing: left out.
pub(super) fn scopes_from(text: &str) -> Vec<EventPattern> {
    let patterns = text.split_ascii_whitespace();
    patterns.filter_map(|text| text.parse().ok()).collect()
}
