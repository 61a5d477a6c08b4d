//! Browsers of operators that are signed in.

use std::time::Duration;

use super::{Error, Store, dialect::values, operator_accounts::operator, without_nulls};
use crate::model::{Digest, Operator, OperatorId, OperatorSession, Place, SessionId};

/// How exactly the last use is known: a page should not cost a write each time.
const EXACTNESS: Duration = Duration::from_secs(60);
/// What is kept of a text that a browser sent.
const LONGEST: usize = 300;

/// When a session ends by itself.
#[derive(Clone, Copy, Debug)]
pub struct SessionEnd {
    /// So long after its last use.
    pub idle: Duration,
    /// So long after the sign-in.
    pub absolute: Duration,
}

impl Store {
    /// Signs a browser in: from now on who knows what `hash` is of is this operator. Sessions that
    /// ended are cleared away on the occasion.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no such operator.
    pub async fn create_operator_session(
        &self,
        hash: Digest,
        id: OperatorId,
        place: &Place,
        end: SessionEnd,
    ) -> Result<SessionId, Error> {
        let (now, session) = (self.now(), SessionId::generate(self.entropy()));
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM operator_session WHERE used_at <= $1 OR created_at <= $2";
        tx.execute(sql, values![now.minus(end.idle), now.minus(end.absolute)])
            .await?;
        let sql = "UPDATE operator_account SET last_sign_in_at = $2 WHERE id = $1";
        if tx.execute(sql, values![id, now]).await? == 0 {
            return Err(Error::Missing("operator"));
        }
        let sql = "INSERT INTO operator_session
                       (id, hash, operator, created_at, used_at, address, agent)
                   VALUES ($1, $2, $3, $4, $4, $5, $6)";
        let values = values![
            session,
            &hash,
            id,
            now,
            kept(&place.address),
            kept(&place.agent)
        ];
        tx.execute(sql, values).await?;
        tx.commit().await?;
        Ok(session)
    }

    /// Whose session it is, which counts as a use of it; none where it ended.
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_operator_session(
        &self,
        hash: &Digest,
        place: &Place,
        end: SessionEnd,
    ) -> Result<Option<(OperatorSession, Operator)>, Error> {
        let now = self.now();
        let sql = "SELECT s.id, s.created_at, s.used_at, s.address, s.agent,
                          a.id, a.email, a.name, a.role
                   FROM operator_session s JOIN operator_account a ON a.id = s.operator
                   WHERE s.hash = $1 AND s.used_at > $2 AND s.created_at > $3";
        let values = values![hash, now.minus(end.idle), now.minus(end.absolute)];
        let Some(row) = self.database().read_one(sql, values).await? else {
            return Ok(None);
        };
        let (mut session, operator) = (session(&row)?, operator(&row, 5)?);
        if now.since(session.used_at) >= EXACTNESS {
            let sql = "UPDATE operator_session SET used_at = $2, address = $3, agent = $4
                       WHERE id = $1 AND used_at < $2";
            let values = values![session.id, now, kept(&place.address), kept(&place.agent)];
            self.database().write(sql, values).await?;
            session.used_at = now;
        }
        Ok(Some((session, operator)))
    }

    /// An operator's sessions that have not ended, the last used first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator_sessions(
        &self,
        id: OperatorId,
        end: SessionEnd,
    ) -> Result<Vec<OperatorSession>, Error> {
        let now = self.now();
        let sql = "SELECT id, created_at, used_at, address, agent FROM operator_session
                   WHERE operator = $1 AND used_at > $2 AND created_at > $3
                   ORDER BY used_at DESC, id";
        let values = values![id, now.minus(end.idle), now.minus(end.absolute)];
        let rows = self.database().read(sql, values).await?;
        rows.iter().map(session).collect()
    }

    /// Signs a browser out; false where the operator has no such session.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_operator_session(
        &self,
        id: OperatorId,
        session: SessionId,
    ) -> Result<bool, Error> {
        let sql = "DELETE FROM operator_session WHERE operator = $1 AND id = $2";
        Ok(self.database().write(sql, values![id, session]).await? > 0)
    }

    /// Signs all of an operator's browsers out but `kept`; how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_operator_sessions(
        &self,
        id: OperatorId,
        kept: Option<SessionId>,
    ) -> Result<u64, Error> {
        let sql = "DELETE FROM operator_session WHERE operator = $1 AND ($2 IS NULL OR id <> $2)";
        let values = values![id, kept.map(|id| id.to_string())];
        self.database().write(sql, values).await
    }
}

fn kept(text: &str) -> String {
    without_nulls(text).chars().take(LONGEST).collect()
}

fn session(row: &super::dialect::Row) -> Result<OperatorSession, Error> {
    Ok(OperatorSession {
        id: row.parsed(0)?,
        created_at: row.time(1)?,
        used_at: row.time(2)?,
        place: Place {
            address: row.text(3)?,
            agent: row.text(4)?,
        },
    })
}
