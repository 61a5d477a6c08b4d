//! People who operate this server: their accounts.

use super::{
    Error, Store,
    dialect::{Row, Sql, Tx, values},
    without_nulls,
};
use crate::model::{EmailAddress, Operator, OperatorId, Role, Timestamp};

/// What an account begins with.
#[derive(Clone, Debug)]
pub struct NewOperator {
    /// What the operator signs in with.
    pub email: EmailAddress,
    /// What others call the operator.
    pub name: String,
    /// What the operator may do.
    pub role: Role,
    /// The password's hash in PHC form.
    pub password: Option<String>,
    /// Issuer and subject of the account that the operator signs in with elsewhere.
    pub oidc_subject: Option<String>,
}

/// An account as lists show it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OperatorRow {
    /// Whose it is.
    pub operator: Operator,
    /// When it was made.
    pub created_at: Timestamp,
    /// When the operator signed in last.
    pub last_sign_in_at: Option<Timestamp>,
    /// Whether the operator can sign in with a password.
    pub has_password: bool,
    /// Whether the operator has signed in elsewhere.
    pub has_subject: bool,
}

/// What became of a change of an account.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Amended {
    /// It is done.
    Done,
    /// Nothing changed: without this one nobody could manage operators any more.
    LastOwner,
    /// There is no such account.
    Missing,
}

impl Store {
    /// A new account.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the e-mail address, or the account elsewhere, has one.
    pub async fn create_operator(&self, new: &NewOperator) -> Result<Operator, Error> {
        let mut tx = self.begin().await?;
        let operator = self.create_operator_in(&mut tx, new).await?;
        tx.commit().await?;
        Ok(operator)
    }

    pub(super) async fn create_operator_in(
        &self,
        tx: &mut Tx,
        new: &NewOperator,
    ) -> Result<Operator, Error> {
        let operator = Operator {
            id: OperatorId::generate(self.entropy()),
            email: new.email.clone(),
            name: without_nulls(&new.name),
            role: new.role,
        };
        let sql = "INSERT INTO operator_account
                       (id, email, name, role, password, oidc_subject, created_at)
                   VALUES ($1, $2, $3, $4, $5, $6, $7)";
        let values = values![
            operator.id,
            operator.email.as_str(),
            operator.name.as_str(),
            operator.role.as_str(),
            new.password.as_deref(),
            new.oidc_subject.as_deref(),
            self.now(),
        ];
        let made = tx.execute(sql, values).await;
        made.map_err(|error| error.or_conflict("e-mail address"))?;
        let sql = "DELETE FROM removed_operator WHERE email = $1 OR oidc_subject = $2";
        let values = values![operator.email.as_str(), new.oidc_subject.as_deref()];
        tx.execute(sql, values).await?;
        Ok(operator)
    }

    /// All accounts, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, Error> {
        let sql = "SELECT id, email, name, role, created_at, last_sign_in_at,
                          password IS NOT NULL, oidc_subject IS NOT NULL
                   FROM operator_account ORDER BY created_at, id";
        let rows = self.database().read(sql, values![]).await?;
        rows.iter().map(listed).collect()
    }

    /// Whether anybody can operate this server.
    ///
    /// # Errors
    /// The database failed.
    pub async fn has_operators(&self) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM operator_account LIMIT 1";
        Ok(self.database().read_one(sql, values![]).await?.is_some())
    }

    /// The account of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator(&self, id: OperatorId) -> Result<Option<OperatorRow>, Error> {
        let sql = "SELECT id, email, name, role, created_at, last_sign_in_at,
                          password IS NOT NULL, oidc_subject IS NOT NULL
                   FROM operator_account WHERE id = $1";
        let row = self.database().read_one(sql, values![id]).await?;
        row.as_ref().map(listed).transpose()
    }

    /// The account of that e-mail address, with the password's hash where it has one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator_by_email(
        &self,
        email: &EmailAddress,
    ) -> Result<Option<(Operator, Option<String>)>, Error> {
        let sql = "SELECT id, email, name, role, password FROM operator_account WHERE email = $1";
        let row = self
            .database()
            .read_one(sql, values![email.as_str()])
            .await?;
        row.map(|row| Ok((operator(&row, 0)?, row.optional_text(4)?)))
            .transpose()
    }

    /// The account that somebody elsewhere has here.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator_by_subject(&self, subject: &str) -> Result<Option<Operator>, Error> {
        let sql = "SELECT id, email, name, role FROM operator_account WHERE oidc_subject = $1";
        let row = self.database().read_one(sql, values![subject]).await?;
        row.map(|row| operator(&row, 0)).transpose()
    }

    /// Remembers who an operator is elsewhere; false where it is known to be somebody else.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another operator is that one.
    pub async fn set_operator_subject(&self, id: OperatorId, subject: &str) -> Result<bool, Error> {
        let sql = "UPDATE operator_account SET oidc_subject = $2
                   WHERE id = $1 AND (oidc_subject IS NULL OR oidc_subject = $2)";
        let written = self.database().write(sql, values![id, subject]).await;
        Ok(written.map_err(|error| error.or_conflict("account"))? > 0)
    }

    /// Another name; false where there is no such account.
    ///
    /// # Errors
    /// The database failed.
    pub async fn rename_operator(&self, id: OperatorId, name: &str) -> Result<bool, Error> {
        let sql = "UPDATE operator_account SET name = $2 WHERE id = $1";
        let values = values![id, without_nulls(name)];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Another password, by its hash in PHC form. All sessions end, and links for a new password
    /// work no more. False where there is no such account.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_operator_password(
        &self,
        id: OperatorId,
        password: &str,
    ) -> Result<bool, Error> {
        let mut tx = self.begin().await?;
        let set = set_password_in(&mut tx, id, password).await?;
        tx.commit().await?;
        Ok(set)
    }

    /// Another role.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_operator_role(&self, id: OperatorId, role: Role) -> Result<Amended, Error> {
        let mut tx = self.begin().await?;
        if role != Role::Owner && is_last_owner(&mut tx, id).await? {
            return Ok(Amended::LastOwner);
        }
        let sql = "UPDATE operator_account SET role = $2 WHERE id = $1";
        amend(tx, sql, values![id, role.as_str()]).await
    }

    /// Removes an account with its sessions and links. Whose it was is remembered, until there is
    /// an account of theirs again: see [`Self::was_removed`].
    ///
    /// # Errors
    /// The database failed.
    pub async fn remove_operator(&self, id: OperatorId) -> Result<Amended, Error> {
        let mut tx = self.begin().await?;
        if is_last_owner(&mut tx, id).await? {
            return Ok(Amended::LastOwner);
        }
        let sql = "INSERT INTO removed_operator (email, oidc_subject, removed_at)
                   SELECT email, oidc_subject, $2 FROM operator_account WHERE id = $1
                   ON CONFLICT (email) DO UPDATE
                   SET oidc_subject = excluded.oidc_subject, removed_at = excluded.removed_at";
        tx.execute(sql, values![id, self.now()]).await?;
        let sql = "DELETE FROM operator_account WHERE id = $1";
        amend(tx, sql, values![id]).await
    }

    /// Whether somebody with this address here, or this account elsewhere, had an account that was
    /// removed.
    ///
    /// # Errors
    /// The database failed.
    pub async fn was_removed(&self, email: &EmailAddress, subject: &str) -> Result<bool, Error> {
        let sql = "SELECT 1 FROM removed_operator WHERE email = $1 OR oidc_subject = $2";
        let values = values![email.as_str(), subject];
        Ok(self.database().read_one(sql, values).await?.is_some())
    }
}

/// Sets a password and ends all sessions and what waits for a new password.
pub(super) async fn set_password_in(
    tx: &mut Tx,
    id: OperatorId,
    password: &str,
) -> Result<bool, Error> {
    let sql = "UPDATE operator_account SET password = $2 WHERE id = $1";
    if tx.execute(sql, values![id, password]).await? == 0 {
        return Ok(false);
    }
    let sql = "DELETE FROM operator_session WHERE operator = $1";
    tx.execute(sql, values![id]).await?;
    let sql = "DELETE FROM operator_link WHERE operator = $1";
    tx.execute(sql, values![id]).await?;
    Ok(true)
}

async fn amend(
    mut tx: Tx,
    sql: &'static str,
    values: Vec<super::dialect::Value>,
) -> Result<Amended, Error> {
    let written = tx.execute(sql, values).await?;
    tx.commit().await?;
    Ok(match written {
        0 => Amended::Missing,
        _ => Amended::Done,
    })
}

/// Takes all owners, so that of two who demote each other one comes too late.
async fn is_last_owner(tx: &mut Tx, id: OperatorId) -> Result<bool, Error> {
    const OWNERS: Sql = Sql {
        sqlite: "SELECT id FROM operator_account WHERE role = 'owner' ORDER BY id",
        postgres: "SELECT id FROM operator_account WHERE role = 'owner' ORDER BY id FOR UPDATE",
    };
    let owners = tx.rows(OWNERS, values![]).await?;
    let owners: Vec<OperatorId> = owners
        .iter()
        .map(|row| row.parsed(0))
        .collect::<Result<_, _>>()?;
    Ok(owners == [id])
}

/// An operator from four columns, the first of which is `first`.
pub(super) fn operator(row: &Row, first: usize) -> Result<Operator, Error> {
    Ok(Operator {
        id: row.parsed(first)?,
        email: row.parsed(first + 1)?,
        name: row.text(first + 2)?,
        role: row.parsed_by(first + 3, Role::parse)?,
    })
}

fn listed(row: &Row) -> Result<OperatorRow, Error> {
    Ok(OperatorRow {
        operator: operator(row, 0)?,
        created_at: row.time(4)?,
        last_sign_in_at: row.optional_time(5)?,
        has_password: row.bool(6)?,
        has_subject: row.bool(7)?,
    })
}
