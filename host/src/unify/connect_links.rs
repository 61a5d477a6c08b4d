//! Connect links: made where what they are for makes sense.

use std::time::Duration;

use secrecy::SecretString;

use super::{Error, Unify};
use crate::model::{
    ConnectLink, ConnectionId, LANGUAGES, LINK_LIFE, LONGEST_LINK_LIFE, NewConnectLink, ProjectId,
};

/// A link that somebody asks for.
#[derive(Debug)]
pub struct LinkDraft {
    /// What it is for.
    pub what: NewConnectLink,
    /// How long it works; an hour where nothing is said.
    pub life: Option<Duration>,
}

impl Unify {
    /// Makes a connect link; its token, which nobody can learn later.
    ///
    /// A link that logs a connection in again is for that one's linked user and connector.
    ///
    /// # Errors
    /// [`Error::Link`] for the first thing that makes no sense.
    pub async fn create_link(
        &self,
        project: ProjectId,
        draft: LinkDraft,
    ) -> Result<(ConnectLink, SecretString), Error> {
        let wrong = |field, message: String| Error::Link { field, message };
        let LinkDraft { mut what, life } = draft;
        let life = life.unwrap_or(LINK_LIFE);
        if life.is_zero() || life > LONGEST_LINK_LIFE {
            let most = LONGEST_LINK_LIFE.as_secs();
            let message = format!("a link works for 1 to {most} seconds, which is 7 days");
            return Err(wrong("expires_in_seconds", message));
        }
        if let Some(language) = &what.language
            && !LANGUAGES.contains(&language.as_str())
        {
            let message = format!("the connect page speaks {}", LANGUAGES.join(", "));
            return Err(wrong("language", message));
        }
        if let Some(id) = what.connection {
            self.reconnects(project, id, &mut what).await?;
        }
        for connector in &what.connectors {
            let version = self.version(connector)?;
            let verticals = version.manifest().verticals();
            if let Some(vertical) = what.vertical.as_deref()
                && !verticals.contains(&vertical)
            {
                let message = format!("{connector} serves {}", verticals.join(", "));
                return Err(wrong("vertical", message));
            }
        }
        if let Some(url) = &what.return_url {
            let settings = self.0.store.connect_settings(project).await?;
            if !settings.allows(url) {
                let message = format!(
                    "{} is not among the allowed origins of this project; `PUT /connect/settings` changes them",
                    url.origin().ascii_serialization()
                );
                return Err(wrong("return_url", message));
            }
        }
        let (token, hash) = self.0.vault.new_link_token();
        let expires_at = self.0.clock.now().plus(life);
        let link = self
            .0
            .store
            .create_connect_link(project, what, hash, expires_at)
            .await?;
        Ok((link, token))
    }

    /// The link is for a connection that is there, and for nothing else.
    async fn reconnects(
        &self,
        project: ProjectId,
        id: ConnectionId,
        what: &mut NewConnectLink,
    ) -> Result<(), Error> {
        let wrong = |message: String| Error::Link {
            field: "connection_id",
            message,
        };
        let scope = self.0.store.scope_by_id(project, id).await?;
        let scope = scope.ok_or_else(|| wrong(format!("there is no connection {id}")))?;
        let connection = scope.connection();
        if connection.linked_user != what.linked_user {
            return Err(wrong("the connection is another linked user's".to_owned()));
        }
        if !(what.connectors.is_empty() || what.connectors.contains(&connection.connector)) {
            let message = format!("the connection is one at {}", connection.connector);
            return Err(wrong(message));
        }
        what.connectors = vec![connection.connector.clone()];
        what.vertical = Some(connection.vertical.clone());
        Ok(())
    }
}
