//! Wrapped data keys, and the values that are sealed under them.
//!
//! A sealed value begins with a format and the id of its key, five bytes together: which values a
//! key sealed, and which are not yet under the newest, is seen without opening any.

use std::{fmt, time::Duration};

use super::{
    Error, Store,
    dialect::{Row, Sql, Value, values},
    lease::{self, clocked},
};
use crate::model::Timestamp;

/// A data key as it is stored.
#[derive(Clone, Debug)]
pub struct WrappedKey {
    /// Its place in the order of making, from 1.
    pub number: i64,
    /// What stands in front of values that it sealed.
    pub id: [u8; 4],
    /// Itself, encrypted.
    pub wrapped: Vec<u8>,
    /// The fingerprint of the key that it is encrypted with.
    pub wrapped_by: String,
    /// When it was made.
    pub created_at: Timestamp,
    /// Whether it is old enough for sealing: every server has read it by then.
    pub seals: bool,
}

/// What kinds of values are sealed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SealedKind {
    /// What a connection logs in with.
    Credential,
    /// A connection's token.
    ConnectionToken,
    /// What deliveries to an endpoint are signed with.
    WebhookSecret,
    /// The secret before the last rotation.
    PreviousWebhookSecret,
    /// What a provider signs its webhooks with.
    InboundSecret,
    /// A passed-through request that waits.
    PassthroughRequest,
    /// What came of one.
    PassthroughResult,
    /// What a project's own OAuth app proves itself with.
    OAuthApp,
}

/// One sealed value.
pub struct SealedValue {
    /// Where it is among those of its kind.
    pub place: SealedPlace,
    /// The project that its seal names.
    pub project: String,
    /// The connection, endpoint, request or app that its seal names.
    pub subject: String,
    /// Itself.
    pub sealed: Vec<u8>,
}

/// The key of a row with a sealed value.
#[derive(Clone, Debug)]
pub enum SealedPlace {
    /// In a table with numbers.
    Number(i64),
    /// In a table with names.
    Name(String),
}

struct Statements {
    count: &'static str,
    read: &'static str,
    write: &'static str,
}

/// How to find, read and replace the values of one column. `$from` gives the table with what the
/// seal names, `$key` its primary key.
macro_rules! statements {
    ($from:literal, key $key:literal, project $project:literal, subject $subject:literal,
     $column:literal, $table:literal . $own_key:literal = $own:literal) => {
        Statements {
            count: concat!(
                "SELECT substr(",
                $column,
                ", 2, 4), COUNT(*) FROM ",
                $from,
                " WHERE length(",
                $column,
                ") > 0 GROUP BY 1"
            ),
            read: concat!(
                "SELECT ",
                $key,
                ", ",
                $project,
                ", ",
                $subject,
                ", ",
                $column,
                " FROM ",
                $from,
                " WHERE ",
                $key,
                " > $1 AND length(",
                $column,
                ") > 0
                  AND substr(",
                $column,
                ", 1, 5) <> $2 ORDER BY 1 LIMIT $3"
            ),
            write: concat!(
                "UPDATE ",
                $table,
                " SET ",
                $own,
                " = $2 WHERE ",
                $own_key,
                " = $1 AND ",
                $own,
                " = $3"
            ),
        }
    };
}

impl SealedKind {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::Credential,
        Self::ConnectionToken,
        Self::WebhookSecret,
        Self::PreviousWebhookSecret,
        Self::InboundSecret,
        Self::PassthroughRequest,
        Self::PassthroughResult,
        Self::OAuthApp,
    ];

    const fn statements(self) -> Statements {
        match self {
            Self::Credential => statements!(
                "credential r JOIN connection c ON c.number = r.connection",
                key "r.connection", project "c.project", subject "c.id", "r.sealed",
                "credential"."connection" = "sealed"
            ),
            Self::ConnectionToken => statements!(
                "connection", key "number", project "project", subject "id", "sealed_token",
                "connection"."number" = "sealed_token"
            ),
            Self::WebhookSecret => statements!(
                "webhook_endpoint", key "number", project "project", subject "id",
                "sealed_secret", "webhook_endpoint"."number" = "sealed_secret"
            ),
            Self::PreviousWebhookSecret => statements!(
                "webhook_endpoint", key "number", project "project", subject "id",
                "sealed_previous", "webhook_endpoint"."number" = "sealed_previous"
            ),
            Self::InboundSecret => statements!(
                "inbound_secret r JOIN connection c ON c.number = r.connection",
                key "r.connection", project "c.project", subject "c.id", "r.sealed",
                "inbound_secret"."connection" = "sealed"
            ),
            Self::PassthroughRequest => statements!(
                "passthrough_retry", key "id", project "project", subject "id", "request",
                "passthrough_retry"."id" = "request"
            ),
            Self::PassthroughResult => statements!(
                "passthrough_retry", key "id", project "project", subject "id", "result",
                "passthrough_retry"."id" = "result"
            ),
            Self::OAuthApp => statements!(
                "oauth_app", key "number", project "project",
                subject "connector || '/' || scheme || '/' || environment", "sealed_secret",
                "oauth_app"."number" = "sealed_secret"
            ),
        }
    }

    /// Before the first row of its table.
    #[must_use]
    pub const fn start(self) -> SealedPlace {
        match self {
            Self::PassthroughRequest | Self::PassthroughResult => SealedPlace::Name(String::new()),
            _ => SealedPlace::Number(0),
        }
    }
}

impl From<&SealedPlace> for Value {
    fn from(place: &SealedPlace) -> Self {
        match place {
            SealedPlace::Number(number) => (*number).into(),
            SealedPlace::Name(name) => name.clone().into(),
        }
    }
}

impl fmt::Debug for SealedValue {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_struct("SealedValue")
            .field("place", &self.place)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// All data keys, the oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn data_keys(&self) -> Result<Vec<WrappedKey>, Error> {
        const READ: Sql = clocked!(
            "SELECT number, id, wrapped, wrapped_by, created_at,
                    seals_from <= " now "
             FROM data_key ORDER BY number"
        );
        let rows = self.database().read(READ, values![]).await?;
        let read = rows.iter().map(|row| {
            Ok(WrappedKey {
                number: row.int(0)?,
                id: four(&row.bytes(1)?)?,
                wrapped: row.bytes(2)?,
                wrapped_by: row.text(3)?,
                created_at: row.time(4)?,
                seals: row.bool(5)?,
            })
        });
        read.collect()
    }

    /// Adds a data key, which seals from `after` from now on by the database's clock; false where
    /// somebody else took its number.
    ///
    /// # Errors
    /// The database failed.
    pub async fn add_data_key(&self, key: &WrappedKey, after: Duration) -> Result<bool, Error> {
        const ADD: Sql = clocked!(
            "INSERT INTO data_key (number, id, wrapped, wrapped_by, created_at, seals_from)
             VALUES ($1, $2, $3, $4, $5, " now " + $6) ON CONFLICT DO NOTHING"
        );
        let values = values![
            key.number,
            key.id.to_vec(),
            key.wrapped.clone(),
            key.wrapped_by.as_str(),
            key.created_at,
            lease::millis(after)
        ];
        Ok(self.database().write(ADD, values).await? > 0)
    }

    /// Forgets a data key, unless a value is sealed under it or it is the newest; how many values
    /// there are: with none, it is gone.
    ///
    /// # Errors
    /// The database failed.
    pub async fn drop_data_key(&self, key: &WrappedKey) -> Result<u64, Error> {
        let used = self.sealed_under().await?;
        let used = used.iter().filter(|(id, _)| *id == key.id);
        let values = used.map(|(_, count)| count).sum();
        if values == 0 {
            let sql = "DELETE FROM data_key WHERE number = $1
                       AND number < (SELECT MAX(number) FROM data_key)";
            self.database().write(sql, values![key.number]).await?;
        }
        Ok(values)
    }

    /// How many values each key sealed, by what stands in front of them. Logins that are under way
    /// count: they end within ten minutes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sealed_under(&self) -> Result<Vec<([u8; 4], u64)>, Error> {
        let mut found: Vec<([u8; 4], u64)> = Vec::new();
        let mut add = |rows: Vec<Row>| {
            for row in rows {
                let (id, count) = (four(&row.bytes(0)?)?, row.int(1)?.unsigned_abs());
                match found.iter_mut().find(|(known, _)| *known == id) {
                    Some((_, sum)) => *sum += count,
                    None => found.push((id, count)),
                }
            }
            Ok::<_, Error>(())
        };
        for kind in SealedKind::ALL {
            add(self
                .database()
                .read(kind.statements().count, values![])
                .await?)?;
        }
        for logins in [
            "SELECT substr(sealed, 2, 4), COUNT(*) FROM oauth_state
             WHERE expires_at > $1 GROUP BY 1",
            "SELECT substr(sealed, 2, 4), COUNT(*) FROM pending_login
             WHERE expires_at > $1 GROUP BY 1",
        ] {
            add(self.database().read(logins, values![self.now()]).await?)?;
        }
        Ok(found)
    }

    /// The next values of a kind after a place that do not begin with `header`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sealed_values(
        &self,
        kind: SealedKind,
        after: &SealedPlace,
        header: &[u8],
        most: u32,
    ) -> Result<Vec<SealedValue>, Error> {
        let values = values![after, header.to_vec(), most];
        let rows = self.database().read(kind.statements().read, values).await?;
        let read = rows.iter().map(|row| {
            Ok(SealedValue {
                place: match after {
                    SealedPlace::Number(_) => SealedPlace::Number(row.int(0)?),
                    SealedPlace::Name(_) => SealedPlace::Name(row.text(0)?),
                },
                project: row.text(1)?,
                subject: row.text(2)?,
                sealed: row.bytes(3)?,
            })
        });
        read.collect()
    }

    /// Puts sealed values in place of those that were read; one that changed since then stays as
    /// it is. All in one transaction; how many were replaced.
    ///
    /// # Errors
    /// The database failed.
    pub async fn reseal(
        &self,
        kind: SealedKind,
        replaced: &[(SealedValue, Vec<u8>)],
    ) -> Result<u64, Error> {
        let mut tx = self.begin().await?;
        let mut count = 0;
        for (old, new) in replaced {
            let values = values![&old.place, new.clone(), old.sealed.clone()];
            count += tx.execute(kind.statements().write, values).await?;
        }
        tx.commit().await?;
        Ok(count)
    }
}

fn four(bytes: &[u8]) -> Result<[u8; 4], Error> {
    bytes
        .try_into()
        .map_err(|_| Error::Corrupt("a sealed value is shorter than its header".into()))
}
