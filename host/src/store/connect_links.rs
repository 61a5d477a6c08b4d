//! Connect links, what projects say of their connect pages, and logins that wait for a choice.

use super::{
    Error, Store,
    dialect::{Row, values},
};
use crate::model::{
    Branding, Color, ConnectLink, ConnectLinkId, ConnectSettings, ConnectionId, Digest, LINK_TAKEN,
    NewConnectLink, ProjectId, Timestamp, WebOrigin,
};

/// The columns that [`link`] reads.
macro_rules! link_columns {
    () => {
        "id, project, linked_user, connectors, vertical, return_url, language, connection, email, \
         created_at, expires_at, used_at, revoked_at"
    };
}

/// A link while a login with it is stored.
#[derive(Clone, Copy, Debug)]
#[must_use = "what came of the login has to be said"]
pub struct TakenLink {
    project: ProjectId,
    id: ConnectLinkId,
    at: Timestamp,
    /// When it was used before.
    before: Option<Timestamp>,
}

impl Store {
    /// What a project says of its connect pages.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connect_settings(&self, project: ProjectId) -> Result<ConnectSettings, Error> {
        let sql = "SELECT allowed_origins, brand_name, logo, primary_color
                   FROM connect_settings WHERE project = $1";
        let row = self.database().read_one(sql, values![project]).await?;
        let Some(row) = row else {
            return Ok(ConnectSettings::default());
        };
        let origins: Vec<String> = row.parsed_by(0, |text| serde_json::from_str(text).ok())?;
        let origins = origins.iter().map(|text| WebOrigin::parse(text));
        let color = row.optional_text(3)?;
        Ok(ConnectSettings {
            // What an older version took and this one does not is not allowed.
            allowed_origins: origins.filter_map(Result::ok).collect(),
            branding: Branding {
                name: row.optional_text(1)?,
                logo: row.optional_text(2)?,
                primary_color: color.and_then(|text| Color::parse(&text).ok()),
            },
        })
    }

    /// Replaces what a project says of its connect pages.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no such project.
    pub async fn set_connect_settings(
        &self,
        project: ProjectId,
        settings: &ConnectSettings,
    ) -> Result<(), Error> {
        let sql = "INSERT INTO connect_settings
                       (project, allowed_origins, brand_name, logo, primary_color)
                   SELECT id, $2, $3, $4, $5 FROM project WHERE id = $1
                   ON CONFLICT (project) DO UPDATE
                   SET allowed_origins = excluded.allowed_origins,
                       brand_name = excluded.brand_name, logo = excluded.logo,
                       primary_color = excluded.primary_color";
        let origins = settings.allowed_origins.iter().map(WebOrigin::as_str);
        let origins = serde_json::to_string(&origins.collect::<Vec<_>>())
            .expect("a list of texts is always JSON");
        let branding = &settings.branding;
        let values = values![
            project,
            origins,
            branding.name.as_deref(),
            branding.logo.as_deref(),
            branding.primary_color.map(|color| color.to_string()),
        ];
        match self.database().write(sql, values).await? {
            0 => Err(Error::Missing("project")),
            _ => Ok(()),
        }
    }

    /// A new link, of whose token only the `hash` is kept.
    ///
    /// # Errors
    /// [`Error::Missing`] where the project has no such linked user.
    pub async fn create_connect_link(
        &self,
        project: ProjectId,
        what: NewConnectLink,
        hash: Digest,
        expires_at: Timestamp,
    ) -> Result<ConnectLink, Error> {
        let sql = "INSERT INTO connect_link (id, project, linked_user, hash, connectors, vertical,
                       return_url, language, connection, email, created_at, expires_at)
                   SELECT $1, project, id, $4, $5, $6, $7, $8, $9, $10, $11, $12
                   FROM linked_user WHERE project = $2 AND id = $3";
        let now = self.now();
        let link = ConnectLink {
            id: ConnectLinkId::generate(now, self.entropy()),
            project,
            what,
            created_at: now,
            expires_at,
            used_at: None,
            revoked_at: None,
        };
        let what = &link.what;
        let values = values![
            link.id,
            project,
            what.linked_user,
            &hash,
            serde_json::to_string(&what.connectors).expect("a list of texts is always JSON"),
            what.vertical.as_deref(),
            what.return_url.as_ref().map(ToString::to_string),
            what.language.as_deref(),
            what.connection.map(|id| id.to_string()),
            what.email.as_deref().map(super::without_nulls),
            now,
            expires_at,
        ];
        match self.database().write(sql, values).await? {
            0 => Err(Error::Missing("linked user")),
            _ => Ok(link),
        }
    }

    /// The link whose token has this hash, in whatever state. It starts from no project: it is how
    /// an end customer gets to one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connect_link_by_token(&self, hash: &Digest) -> Result<Option<ConnectLink>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            link_columns!(),
            " FROM connect_link WHERE hash = $1"
        );
        let row = self.database().read_one(SQL, values![hash]).await?;
        row.as_ref().map(link).transpose()
    }

    /// The link of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connect_link(
        &self,
        project: ProjectId,
        id: ConnectLinkId,
    ) -> Result<Option<ConnectLink>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            link_columns!(),
            " FROM connect_link WHERE project = $1 AND id = $2"
        );
        let row = self.database().read_one(SQL, values![project, id]).await?;
        row.as_ref().map(link).transpose()
    }

    /// The links of a project, newest first, at most `most` of those before `before`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connect_links(
        &self,
        project: ProjectId,
        before: Option<ConnectLinkId>,
        most: u32,
    ) -> Result<Vec<ConnectLink>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            link_columns!(),
            " FROM connect_link
              WHERE project = $1 AND ($2 IS NULL OR id < $2) ORDER BY id DESC LIMIT $3"
        );
        let values = values![project, before.map(|id| id.to_string()), most];
        let rows = self.database().read(SQL, values).await?;
        rows.iter().map(link).collect()
    }

    /// Takes a link back; false where the project has no such link, or it was taken back already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke_connect_link(
        &self,
        project: ProjectId,
        id: ConnectLinkId,
    ) -> Result<bool, Error> {
        let sql = "UPDATE connect_link SET revoked_at = $3
                   WHERE project = $1 AND id = $2 AND revoked_at IS NULL";
        let values = values![project, id, self.now()];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Takes a link for a login: of two who log in with it, one gets it. None where its time is
    /// over, it was taken back, or it was used for another connection than `again`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn take_connect_link(
        &self,
        project: ProjectId,
        id: ConnectLinkId,
        again: Option<ConnectionId>,
    ) -> Result<Option<TakenLink>, Error> {
        let mut tx = self.begin().await?;
        let sql = "SELECT used_at FROM connect_link WHERE project = $1 AND id = $2";
        let Some(row) = tx.row(sql, values![project, id]).await? else {
            return Ok(None);
        };
        let before = row.optional_time(0)?;
        let at = self.now();
        let sql = "UPDATE connect_link SET used_at = $3
                   WHERE project = $1 AND id = $2 AND revoked_at IS NULL AND expires_at > $3
                     AND used_at IS NOT DISTINCT FROM $5
                     AND (used_at IS NULL OR connection = $4
                          OR (connection IS NULL AND used_at <= $6))";
        let again = again.map(|id| id.to_string());
        let lost = at.minus(LINK_TAKEN);
        let values = values![project, id, at, again, before, lost];
        let taken = tx.execute(sql, values).await? > 0;
        tx.commit().await?;
        Ok(taken.then_some(TakenLink {
            project,
            id,
            at,
            before,
        }))
    }

    /// Says what came of a login with a link that was taken: the connection, or, where the login
    /// came to nothing, that the link is as it was.
    ///
    /// # Errors
    /// The database failed.
    pub async fn settle_connect_link(
        &self,
        taken: TakenLink,
        made: Option<ConnectionId>,
    ) -> Result<(), Error> {
        let TakenLink { project, id, .. } = taken;
        let (sql, values) = match made {
            Some(made) => (
                "UPDATE connect_link SET connection = $3 WHERE project = $1 AND id = $2",
                values![project, id, made],
            ),
            None => (
                "UPDATE connect_link SET used_at = $4
                 WHERE project = $1 AND id = $2 AND used_at = $3",
                values![project, id, taken.at, taken.before],
            ),
        };
        self.database().write(sql, values).await.map(drop)
    }

    /// Keeps a login while somebody chooses one of its accounts. Those that ran out are cleared
    /// away on the occasion.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_pending_login(
        &self,
        hash: &Digest,
        project: ProjectId,
        link: ConnectLinkId,
        sealed: Vec<u8>,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM pending_login WHERE expires_at <= $1";
        tx.execute(sql, values![self.now()]).await?;
        let sql = "INSERT INTO pending_login (hash, project, link, sealed, expires_at)
                   VALUES ($1, $2, $3, $4, $5)";
        let values = values![hash, project, link, sealed, expires_at];
        tx.execute(sql, values).await?;
        tx.commit().await
    }

    /// A login of a link that waits for a choice; none where it ran out or was finished.
    ///
    /// # Errors
    /// The database failed.
    pub async fn pending_login(
        &self,
        project: ProjectId,
        link: ConnectLinkId,
        hash: &Digest,
    ) -> Result<Option<Vec<u8>>, Error> {
        let sql = "SELECT sealed FROM pending_login
                   WHERE project = $1 AND link = $2 AND hash = $3 AND expires_at > $4";
        let values = values![project, link, hash, self.now()];
        let row = self.database().read_one(sql, values).await?;
        row.map(|row| row.bytes(0)).transpose()
    }

    /// Forgets all logins of a link that wait for a choice.
    ///
    /// # Errors
    /// The database failed.
    pub async fn forget_pending_logins(
        &self,
        project: ProjectId,
        link: ConnectLinkId,
    ) -> Result<(), Error> {
        let sql = "DELETE FROM pending_login WHERE project = $1 AND link = $2";
        self.database()
            .write(sql, values![project, link])
            .await
            .map(drop)
    }
}

fn link(row: &Row) -> Result<ConnectLink, Error> {
    Ok(ConnectLink {
        id: row.parsed(0)?,
        project: row.parsed(1)?,
        what: NewConnectLink {
            linked_user: row.parsed(2)?,
            connectors: row.parsed_by(3, |text| serde_json::from_str(text).ok())?,
            vertical: row.optional_text(4)?,
            return_url: optional(row, 5)?,
            language: row.optional_text(6)?,
            connection: optional(row, 7)?,
            email: row.optional_text(8)?,
        },
        created_at: row.time(9)?,
        expires_at: row.time(10)?,
        used_at: row.optional_time(11)?,
        revoked_at: row.optional_time(12)?,
    })
}

fn optional<T: std::str::FromStr>(row: &Row, column: usize) -> Result<Option<T>, Error> {
    match row.optional_text(column)? {
        Some(_) => row.parsed(column).map(Some),
        None => Ok(None),
    }
}
