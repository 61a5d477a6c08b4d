//! Links for operators that work once: to set the server up, to join, to choose a new password.

use super::{
    Error, Store,
    dialect::{Row, Tx, values},
    operator_accounts::{NewOperator, operator, set_password_in},
    without_nulls,
};
use crate::model::{Digest, EmailAddress, Operator, OperatorId, Role, Timestamp};

/// What a link is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkPurpose {
    /// The first owner's account.
    SetUp,
    /// An account of somebody who was invited.
    Invitation {
        /// Of whom.
        email: EmailAddress,
        /// What the operator will be.
        role: Role,
    },
    /// A new password.
    NewPassword(Operator),
}

/// A link that nobody has used yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorLink {
    /// What it is for.
    pub purpose: LinkPurpose,
    /// Who made it, as in the audit log.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// Until when it works.
    pub expires_at: Timestamp,
}

impl Store {
    /// Keeps a link, of which only the hash of its token is stored. Those that ran out, and
    /// another invitation of the same person, are cleared away.
    ///
    /// # Errors
    /// The database failed.
    pub async fn put_operator_link(
        &self,
        hash: Digest,
        purpose: &LinkPurpose,
        created_by: &str,
        expires_at: Timestamp,
    ) -> Result<(), Error> {
        let (name, id, email, role) = match purpose {
            LinkPurpose::SetUp => ("set_up", None, None, None),
            LinkPurpose::Invitation { email, role } => (
                "invitation",
                None,
                Some(email.as_str()),
                Some(role.as_str()),
            ),
            LinkPurpose::NewPassword(operator) => ("new_password", Some(operator.id), None, None),
        };
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM operator_link
                   WHERE expires_at <= $1 OR (purpose = 'invitation' AND email = $2)";
        tx.execute(sql, values![self.now(), email]).await?;
        let sql = "INSERT INTO operator_link
                       (hash, purpose, operator, email, role, created_by, created_at, expires_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8)";
        let by = without_nulls(created_by);
        let values = values![&hash, name, id, email, role, by, self.now(), expires_at];
        tx.execute(sql, values).await?;
        tx.commit().await
    }

    /// What a link is for, without using it; none where it was used or ran out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator_link(&self, hash: &Digest) -> Result<Option<OperatorLink>, Error> {
        let sql = "SELECT l.purpose, l.email, l.role, l.created_by, l.created_at, l.expires_at,
                          a.id, a.email, a.name, a.role
                   FROM operator_link l LEFT JOIN operator_account a ON a.id = l.operator
                   WHERE l.hash = $1 AND l.expires_at > $2";
        let row = self
            .database()
            .read_one(sql, values![hash, self.now()])
            .await?;
        row.as_ref().map(link).transpose()
    }

    /// Invitations that nobody has accepted yet, newest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn invitations(&self) -> Result<Vec<OperatorLink>, Error> {
        let sql = "SELECT purpose, email, role, created_by, created_at, expires_at
                   FROM operator_link WHERE purpose = 'invitation' AND expires_at > $1
                   ORDER BY created_at DESC, email";
        let rows = self.database().read(sql, values![self.now()]).await?;
        rows.iter().map(link).collect()
    }

    /// Takes an invitation back; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn withdraw_invitation(&self, email: &EmailAddress) -> Result<bool, Error> {
        let sql = "DELETE FROM operator_link WHERE purpose = 'invitation' AND email = $1";
        Ok(self.database().write(sql, values![email.as_str()]).await? > 0)
    }

    /// Makes the first operator, and ends all links for it. None where the link does not work (any
    /// more), or there is an operator already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_set_up_link(
        &self,
        hash: &Digest,
        new: &NewOperator,
    ) -> Result<Option<Operator>, Error> {
        let mut tx = self.begin().await?;
        // All at once: of two with two links one finds none left.
        let sql = "DELETE FROM operator_link WHERE purpose = 'set_up' RETURNING hash, expires_at";
        let rows = tx.rows(sql, values![]).await?;
        let mut works = false;
        for row in &rows {
            works |= row.bytes(0)? == hash.as_bytes() && row.time(1)? > self.now();
        }
        let sql = "SELECT 1 FROM operator_account LIMIT 1";
        if !works || tx.row(sql, values![]).await?.is_some() {
            tx.rollback().await?;
            return Ok(None);
        }
        let operator = self.create_operator_in(&mut tx, new).await?;
        tx.commit().await?;
        Ok(Some(operator))
    }

    /// Makes the account of somebody who was invited, with a password's hash in PHC form. None
    /// where the link does not work (any more).
    ///
    /// # Errors
    /// [`Error::Conflict`] where the e-mail address has an account.
    pub async fn use_invitation(
        &self,
        hash: &Digest,
        name: &str,
        password: &str,
    ) -> Result<Option<Operator>, Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM operator_link WHERE hash = $1 AND purpose = 'invitation'
                   RETURNING email, role, expires_at";
        let Some(row) = tx.row(sql, values![hash]).await? else {
            return Ok(None);
        };
        if row.time(2)? <= self.now() {
            return Ok(None);
        }
        let new = NewOperator {
            email: row.parsed(0)?,
            name: name.to_owned(),
            role: row.parsed_by(1, Role::parse)?,
            password: Some(password.to_owned()),
            oidc_subject: None,
        };
        let operator = self.create_operator_in(&mut tx, &new).await?;
        tx.commit().await?;
        Ok(Some(operator))
    }

    /// Sets a password by its hash in PHC form, which ends all sessions of the operator. None
    /// where the link does not work (any more).
    ///
    /// # Errors
    /// The database failed.
    pub async fn use_password_link(
        &self,
        hash: &Digest,
        password: &str,
    ) -> Result<Option<Operator>, Error> {
        let mut tx = self.begin().await?;
        let sql = "DELETE FROM operator_link WHERE hash = $1 AND purpose = 'new_password'
                   RETURNING operator, expires_at";
        let Some(row) = tx.row(sql, values![hash]).await? else {
            return Ok(None);
        };
        let id: OperatorId = row.parsed(0)?;
        if row.time(1)? <= self.now() {
            return Ok(None);
        }
        let operator = account_in(&mut tx, id).await?;
        set_password_in(&mut tx, id, password).await?;
        tx.commit().await?;
        Ok(operator)
    }
}

async fn account_in(tx: &mut Tx, id: OperatorId) -> Result<Option<Operator>, Error> {
    let sql = "SELECT id, email, name, role FROM operator_account WHERE id = $1";
    let row = tx.row(sql, values![id]).await?;
    row.map(|row| operator(&row, 0)).transpose()
}

fn link(row: &Row) -> Result<OperatorLink, Error> {
    let purpose = match row.text(0)?.as_str() {
        "set_up" => LinkPurpose::SetUp,
        "invitation" => LinkPurpose::Invitation {
            email: row.parsed(1)?,
            role: row.parsed_by(2, Role::parse)?,
        },
        "new_password" => LinkPurpose::NewPassword(operator(row, 6)?),
        other => return Err(Error::Corrupt(format!("a link for {other:?}"))),
    };
    Ok(OperatorLink {
        purpose,
        created_by: row.text(3)?,
        created_at: row.time(4)?,
        expires_at: row.time(5)?,
    })
}
