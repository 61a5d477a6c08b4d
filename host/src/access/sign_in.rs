//! Signing in and out.

use std::time::Duration;

use secrecy::SecretString;
use serde_json::json;

use super::{Access, Error, NewSession, SignedIn, place::network_of};
use crate::{
    model::{EmailAddress, Operator, Place, SessionId},
    store::{Attempt, AttemptRule, AttemptSubject},
};

/// Guesses at one account: five, then waits of half a minute, a minute, … up to a quarter of an
/// hour. That is about a hundred guesses a day for whoever has the whole Internet to ask from.
const ACCOUNT: AttemptRule = AttemptRule {
    free: 5,
    first_wait: Duration::from_secs(30),
    longest_wait: Duration::from_secs(900),
    forget_after: Duration::from_secs(24 * 3600),
};
/// Guesses from one address, at whatever accounts. More, since a whole office may be behind it.
const ADDRESS: AttemptRule = AttemptRule {
    free: 20,
    first_wait: Duration::from_secs(30),
    longest_wait: Duration::from_secs(3600),
    forget_after: Duration::from_secs(3600),
};

impl Access {
    /// Signs a browser in by e-mail address and password.
    ///
    /// # Errors
    /// [`Error::Credentials`], [`Error::TooMany`], [`Error::Busy`], or the database failed.
    pub async fn sign_in(
        &self,
        email: &str,
        password: &SecretString,
        place: &Place,
    ) -> Result<NewSession, Error> {
        // What is no address cannot have an account; whoever tries waits as long.
        let email: Option<EmailAddress> = email.parse().ok();
        let mut subjects = Vec::new();
        if let Some(email) = &email {
            subjects.push((AttemptSubject::Account(email.clone()), ACCOUNT));
        }
        let network = network_of(&place.address);
        subjects.push((AttemptSubject::Address(network), ADDRESS));
        let attempt = self.attempt(&subjects).await?;
        let found = match &email {
            Some(email) => self.0.store.operator_by_email(email).await?,
            None => None,
        };
        let (operator, hash) = found.map_or((None, None), |(one, hash)| (Some(one), hash));
        let right = self.0.passwords.verify(password, hash).await?;
        match operator {
            Some(operator) if right => {
                self.0.store.end_attempt(&attempt).await?;
                self.begin_session(operator, place, "password").await
            }
            known => {
                // What was typed is not written down where it is nobody's address: people type
                // passwords into the wrong field.
                let subject = known
                    .as_ref()
                    .map_or("unknown", |known| known.email.as_str());
                let details = json!({ "address": place.address });
                self.note("anonymous", "operator.sign_in_failed", subject, details)
                    .await?;
                Err(Error::Credentials)
            }
        }
    }

    /// Whether somebody who is signed in knows the password: whoever sits at an open browser could
    /// change it otherwise. Guesses count as those at the door do.
    pub(super) async fn prove(
        &self,
        operator: &Operator,
        password: &SecretString,
        hash: Option<String>,
    ) -> Result<(), Error> {
        let subjects = [(AttemptSubject::Account(operator.email.clone()), ACCOUNT)];
        let attempt = self.attempt(&subjects).await?;
        if !self.0.passwords.verify(password, hash).await? {
            let text = "this is not the password that you have now".to_owned();
            return Err(Error::Field("current", text));
        }
        Ok(self.0.store.end_attempt(&attempt).await?)
    }

    async fn attempt(&self, subjects: &[(AttemptSubject, AttemptRule)]) -> Result<Attempt, Error> {
        let begun = self.0.store.begin_attempt(subjects).await?;
        begun.map_err(|until| Error::TooMany(until.since(self.0.clock.now())))
    }

    /// Ends this session.
    ///
    /// # Errors
    /// The database failed.
    pub async fn sign_out(&self, signed_in: &SignedIn) -> Result<(), Error> {
        self.end_session(signed_in, signed_in.session.id).await
    }

    /// Ends one of the operator's sessions, if it is one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_session(&self, by: &SignedIn, session: SessionId) -> Result<(), Error> {
        let operator = &by.operator;
        let store = &self.0.store;
        if store.end_operator_session(operator.id, session).await? {
            let details = json!({ "session": session.to_string() });
            let email = operator.email.as_str();
            self.note(&operator.actor(), "operator.sign_out", email, details)
                .await?;
        }
        Ok(())
    }

    /// Ends all of the operator's sessions but this one; how many.
    ///
    /// # Errors
    /// The database failed.
    pub async fn end_other_sessions(&self, by: &SignedIn) -> Result<u64, Error> {
        let operator = &by.operator;
        let store = &self.0.store;
        let kept = Some(by.session.id);
        let ended = store.end_operator_sessions(operator.id, kept).await?;
        let details = json!({ "sessions": ended });
        let email = operator.email.as_str();
        self.note(&operator.actor(), "operator.sign_out", email, details)
            .await?;
        Ok(ended)
    }
}
