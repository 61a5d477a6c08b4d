//! What operators change about operators.

use secrecy::SecretString;
use serde_json::json;

use super::{
    Access, Error, SignedIn,
    links::{Link, checked_name},
    secret::Secret,
};
use crate::{
    model::{EmailAddress, OperatorId, OperatorSession, Role},
    store::{Amended, LinkPurpose, OperatorLink, OperatorRow},
};

impl Access {
    /// All operators.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operators(&self) -> Result<Vec<OperatorRow>, Error> {
        Ok(self.0.store.operators().await?)
    }

    /// One operator.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn operator(&self, id: OperatorId) -> Result<OperatorRow, Error> {
        self.0.store.operator(id).await?.ok_or(Error::Missing)
    }

    /// Invitations that nobody has accepted yet.
    ///
    /// # Errors
    /// The database failed.
    pub async fn invitations(&self) -> Result<Vec<OperatorLink>, Error> {
        Ok(self.0.store.invitations().await?)
    }

    /// Invites somebody: the link is for the inviter to pass on, since this server sends no mail.
    ///
    /// # Errors
    /// [`Error::Taken`].
    pub async fn invite(&self, by: &str, email: EmailAddress, role: Role) -> Result<Link, Error> {
        if self.0.store.operator_by_email(&email).await?.is_some() {
            return Err(Error::Taken);
        }
        let subject = email.to_string();
        let purpose = LinkPurpose::Invitation { email, role };
        let link = self.link(&purpose, by).await?;
        let details = json!({ "role": role.as_str() });
        self.note(by, "operator.invite", &subject, details).await?;
        Ok(link)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn withdraw(&self, by: &str, email: &EmailAddress) -> Result<(), Error> {
        if !self.0.store.withdraw_invitation(email).await? {
            return Err(Error::Missing);
        }
        let action = "operator.withdraw_invitation";
        self.note(by, action, email.as_str(), json!({})).await
    }

    /// A link for a new password, for an operator who forgot the old one.
    ///
    /// # Errors
    /// [`Error::Missing`].
    pub async fn password_link(&self, by: &str, id: OperatorId) -> Result<Link, Error> {
        let operator = self.operator(id).await?.operator;
        let email = operator.email.to_string();
        let link = self.link(&LinkPurpose::NewPassword(operator), by).await?;
        self.note(by, "operator.password_link", &email, json!({}))
            .await?;
        Ok(link)
    }

    /// Gives an operator another role.
    ///
    /// # Errors
    /// [`Error::LastOwner`], [`Error::Missing`].
    pub async fn set_role(&self, by: &str, id: OperatorId, role: Role) -> Result<(), Error> {
        let before = self.operator(id).await?.operator;
        done(self.0.store.set_operator_role(id, role).await?)?;
        let details = json!({ "from": before.role.as_str(), "to": role.as_str() });
        self.note(by, "operator.role", before.email.as_str(), details)
            .await
    }

    /// Removes an operator, who is signed out everywhere at once.
    ///
    /// # Errors
    /// [`Error::LastOwner`], [`Error::Missing`].
    pub async fn remove(&self, by: &str, id: OperatorId) -> Result<(), Error> {
        let before = self.operator(id).await?.operator;
        done(self.0.store.remove_operator(id).await?)?;
        let details = json!({ "id": id.to_string(), "role": before.role.as_str() });
        self.note(by, "operator.remove", before.email.as_str(), details)
            .await
    }

    /// The operator's sessions.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sessions(&self, of: OperatorId) -> Result<Vec<OperatorSession>, Error> {
        let end = self.0.options.session_end;
        Ok(self.0.store.operator_sessions(of, end).await?)
    }

    /// Another name for oneself.
    ///
    /// # Errors
    /// [`Error::Field`].
    pub async fn rename(&self, signed_in: &SignedIn, name: &str) -> Result<(), Error> {
        let name = checked_name(name)?;
        let operator = &signed_in.operator;
        self.0.store.rename_operator(operator.id, &name).await?;
        let details = json!({ "from": operator.name, "to": name });
        let email = operator.email.as_str();
        self.note(&operator.actor(), "operator.rename", email, details)
            .await
    }

    /// Another password for oneself, which ends all sessions, this browser's too: it gets a new
    /// one, the value of the header `Set-Cookie`, so that nobody stays in by a copy of its cookie.
    /// `current` is not asked for where there is none yet.
    ///
    /// # Errors
    /// [`Error::Field`] for a wrong current password, [`Error::Password`], [`Error::TooMany`].
    pub async fn change_password(
        &self,
        signed_in: &SignedIn,
        current: &SecretString,
        new: &SecretString,
    ) -> Result<SecretString, Error> {
        let operator = &signed_in.operator;
        let email = &operator.email;
        let found = self.0.store.operator_by_email(email).await?;
        let (_, hash) = found.ok_or(Error::Missing)?;
        if hash.is_some() {
            self.prove(operator, current, hash).await?;
        }
        let (passwords, entropy) = (&self.0.passwords, &*self.0.entropy);
        let hash = passwords.hash(new, email, entropy).await?;
        let store = &self.0.store;
        if !store.set_operator_password(operator.id, &hash).await? {
            return Err(Error::Missing);
        }
        let (secret, end) = (Secret::generate(entropy), self.0.options.session_end);
        let place = &signed_in.session.place;
        store
            .create_operator_session(secret.hash(), operator.id, place, end)
            .await?;
        let details = json!({ "with": "account page" });
        let subject = email.as_str();
        self.note(&operator.actor(), "operator.password", subject, details)
            .await?;
        Ok(self.0.cookies.session(&secret, end.absolute))
    }
}

fn done(amended: Amended) -> Result<(), Error> {
    match amended {
        Amended::Done => Ok(()),
        Amended::LastOwner => Err(Error::LastOwner),
        Amended::Missing => Err(Error::Missing),
    }
}
