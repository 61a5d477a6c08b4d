//! Links that work once, and the one of `jackfield dev`.

use std::sync::Arc;

use secrecy::{ExposeSecret as _, SecretString};
use serde_json::json;
use url::Url;

use super::{Access, Error, Inner, LINK_LIFE, NewSession, secret::Secret};
use crate::{
    model::{Clock, EmailAddress, Entropy, Operator, Place, Role},
    store::{LinkPurpose, NewOperator, OperatorLink, Store},
};

/// Who the developer is in `jackfield dev`.
const DEVELOPER: &str = "dev@localhost";

/// A link that nobody but its reader knows.
#[derive(Debug)]
pub struct Link(SecretString);

impl Link {
    /// The whole address.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }
}

/// What an owner's account begins with.
#[derive(Debug)]
pub struct FirstOwner {
    /// What the operator signs in with.
    pub email: EmailAddress,
    /// What others call the operator.
    pub name: String,
    /// The password.
    pub password: SecretString,
}

/// Makes a link that works once.
///
/// # Errors
/// The database failed.
pub async fn make_link(
    store: &Store,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    public_url: &Url,
    purpose: &LinkPurpose,
    by: &str,
) -> Result<Link, Error> {
    let secret = Secret::generate(entropy);
    let expires_at = clock.now().plus(LINK_LIFE);
    store
        .put_operator_link(secret.hash(), purpose, by, expires_at)
        .await?;
    let path = match purpose {
        LinkPurpose::SetUp => "set-up",
        LinkPurpose::Invitation { .. } => "invitation",
        LinkPurpose::NewPassword(_) => "new-password",
    };
    Ok(address(public_url, path, &secret))
}

fn address(public_url: &Url, path: &str, secret: &Secret) -> Link {
    let mut url = public_url.clone();
    url.set_query(None);
    if let Ok(mut segments) = url.path_segments_mut() {
        segments.pop_if_empty().extend([path, secret.text()]);
    }
    Link(SecretString::from(String::from(url)))
}

impl Access {
    /// A link for the first owner, where there is no operator yet: whoever can read this server's
    /// log or run its program may set it up, and nobody else who reaches its port.
    ///
    /// # Errors
    /// The database failed.
    pub async fn set_up_link(&self) -> Result<Option<Link>, Error> {
        if self.0.store.has_operators().await? {
            return Ok(None);
        }
        self.link(&LinkPurpose::SetUp, "host").await.map(Some)
    }

    pub(super) async fn link(&self, purpose: &LinkPurpose, by: &str) -> Result<Link, Error> {
        let inner = &self.0;
        let (clock, entropy) = (&*inner.clock, &*inner.entropy);
        let url = &inner.options.public_url;
        make_link(&inner.store, clock, entropy, url, purpose, by).await
    }

    /// Whether somebody has to set this server up first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn needs_set_up(&self) -> Result<bool, Error> {
        Ok(!self.0.store.has_operators().await?)
    }

    /// What a link is for, without using it.
    ///
    /// # Errors
    /// [`Error::Link`] where it does not work.
    pub async fn look_at_link(&self, token: &str) -> Result<OperatorLink, Error> {
        let hash = Secret::parse(token).ok_or(Error::Link)?;
        self.0.store.operator_link(&hash).await?.ok_or(Error::Link)
    }

    /// Makes the first owner and signs the browser in.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Password`], [`Error::Field`].
    pub async fn set_up(
        &self,
        token: &str,
        first: FirstOwner,
        place: &Place,
    ) -> Result<NewSession, Error> {
        let hash = Secret::parse(token).ok_or(Error::Link)?;
        // Before a password is hashed: that costs, and anybody can ask.
        if self.look_at_link(token).await?.purpose != LinkPurpose::SetUp {
            return Err(Error::Link);
        }
        let name = checked_name(&first.name)?;
        let (passwords, entropy) = (&self.0.passwords, &*self.0.entropy);
        let password = passwords
            .hash(&first.password, &first.email, entropy)
            .await?;
        let new = NewOperator {
            email: first.email,
            name,
            role: Role::Owner,
            password: Some(password),
            oidc_subject: None,
        };
        let operator = self.0.store.use_set_up_link(&hash, &new).await?;
        let operator = operator.ok_or(Error::Link)?;
        self.note_creation(&operator.actor(), &operator, "set-up")
            .await?;
        self.begin_session(operator, place, "set-up link").await
    }

    /// Makes the account of somebody who was invited, and signs the browser in.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Password`], [`Error::Field`], [`Error::Taken`].
    pub async fn accept_invitation(
        &self,
        token: &str,
        name: &str,
        password: &SecretString,
        place: &Place,
    ) -> Result<NewSession, Error> {
        let hash = Secret::parse(token).ok_or(Error::Link)?;
        let LinkPurpose::Invitation { email, .. } = self.look_at_link(token).await?.purpose else {
            return Err(Error::Link);
        };
        let name = checked_name(name)?;
        let (passwords, entropy) = (&self.0.passwords, &*self.0.entropy);
        let password = passwords.hash(password, &email, entropy).await?;
        let operator = self.0.store.use_invitation(&hash, &name, &password).await;
        let operator = operator.map_err(taken)?.ok_or(Error::Link)?;
        self.note_creation(&operator.actor(), &operator, "invitation")
            .await?;
        self.begin_session(operator, place, "invitation").await
    }

    /// Sets a new password, which ends all sessions, and signs the browser in.
    ///
    /// # Errors
    /// [`Error::Link`], [`Error::Password`].
    pub async fn use_password_link(
        &self,
        token: &str,
        password: &SecretString,
        place: &Place,
    ) -> Result<NewSession, Error> {
        let hash = Secret::parse(token).ok_or(Error::Link)?;
        let LinkPurpose::NewPassword(operator) = self.look_at_link(token).await?.purpose else {
            return Err(Error::Link);
        };
        let (passwords, entropy) = (&self.0.passwords, &*self.0.entropy);
        let password = passwords.hash(password, &operator.email, entropy).await?;
        let operator = self.0.store.use_password_link(&hash, &password).await?;
        let operator = operator.ok_or(Error::Link)?;
        let details = json!({ "with": "link", "address": place.address });
        let email = operator.email.as_str();
        self.note(&operator.actor(), "operator.password", email, details)
            .await?;
        self.begin_session(operator, place, "link").await
    }

    /// For `jackfield dev`: an owner without a password, and an address that signs a browser in as
    /// that one as long as this process runs.
    ///
    /// # Errors
    /// The database failed.
    pub async fn for_development(self) -> Result<(Self, Link), Error> {
        let email: EmailAddress = DEVELOPER
            .parse()
            .map_err(|_| Error::Field("email", DEVELOPER.to_owned()))?;
        if self.0.store.operator_by_email(&email).await?.is_none() {
            let new = NewOperator {
                email,
                name: "Developer".to_owned(),
                role: Role::Owner,
                password: None,
                oidc_subject: None,
            };
            let operator = self.0.store.create_operator(&new).await.map_err(taken)?;
            self.note_creation("cli", &operator, "dev").await?;
        }
        let secret = Secret::generate(&*self.0.entropy);
        let link = address(&self.0.options.public_url, "sign-in", &secret);
        let inner = &self.0;
        let access = Self(Arc::new(Inner {
            store: inner.store.clone(),
            clock: Arc::clone(&inner.clock),
            entropy: Arc::clone(&inner.entropy),
            options: inner.options.clone(),
            cookies: inner.cookies,
            passwords: inner.passwords.clone(),
            oidc: inner.oidc.clone(),
            development: Some(secret.hash()),
        }));
        Ok((access, link))
    }

    /// Signs the developer's browser in.
    ///
    /// # Errors
    /// [`Error::Link`] where this is no development server, or the link is another run's.
    pub async fn sign_developer_in(&self, token: &str, place: &Place) -> Result<NewSession, Error> {
        let hash = Secret::parse(token).ok_or(Error::Link)?;
        if self.0.development != Some(hash) {
            return Err(Error::Link);
        }
        let email: EmailAddress = DEVELOPER.parse().map_err(|_| Error::Link)?;
        let found = self.0.store.operator_by_email(&email).await?;
        let (operator, _) = found.ok_or(Error::Link)?;
        self.begin_session(operator, place, "development link")
            .await
    }

    pub(super) async fn note_creation(
        &self,
        by: &str,
        operator: &Operator,
        way: &str,
    ) -> Result<(), Error> {
        let details = json!({ "role": operator.role.as_str(), "with": way });
        self.note(by, "operator.create", operator.email.as_str(), details)
            .await
    }
}

/// A name that can be shown.
pub(super) fn checked_name(name: &str) -> Result<String, Error> {
    let name = name.trim();
    let problem = match name.chars().count() {
        0 => "the name is missing",
        101.. => "the name may have at most 100 characters",
        _ if name.contains(char::is_control) => "the name has a character that cannot be shown",
        _ => return Ok(name.to_owned()),
    };
    Err(Error::Field("name", problem.to_owned()))
}

pub(super) fn taken(error: crate::store::Error) -> Error {
    match error {
        crate::store::Error::Conflict(_) => Error::Taken,
        other => other.into(),
    }
}
