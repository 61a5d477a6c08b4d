//! Logins that reach several accounts, sealed while somebody chooses one.

use std::{collections::BTreeMap, time::Duration};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{SecretString, zeroize::Zeroizing};
use serde::{Deserialize, Serialize};

use super::{Credentials, Error, Vault, token};
use crate::model::{Account, ConnectLink, ConnectLinkId, Digest, Environment, Slug};

/// How long a choice may take.
const CHOICE_LIFE: Duration = Duration::from_secs(600);

/// A login that waits for the choice of an account.
#[derive(Clone, Debug)]
pub struct PendingLogin {
    /// The connector.
    pub connector: Slug,
    /// For which vertical.
    pub vertical: String,
    /// The name of the scheme in the manifest.
    pub scheme: String,
    /// The provider's environment.
    pub environment: Environment,
    /// Variables and settings, those of type password taken out.
    pub settings: BTreeMap<String, String>,
    /// The accounts that it reaches.
    pub accounts: Vec<Account>,
    /// What was typed or obtained.
    pub credentials: Credentials,
}

#[derive(Serialize, Deserialize)]
struct Kept {
    connector: Slug,
    vertical: String,
    scheme: String,
    environment: Environment,
    settings: BTreeMap<String, String>,
    accounts: Vec<Account>,
    credentials: String,
}

impl Drop for Kept {
    fn drop(&mut self) {
        secrecy::zeroize::Zeroize::zeroize(&mut self.credentials);
    }
}

impl Vault {
    /// Keeps a login of a link for ten minutes. What it gives names the login to whoever chooses.
    ///
    /// # Errors
    /// The database failed.
    pub async fn keep_login(
        &self,
        link: &ConnectLink,
        login: &PendingLogin,
    ) -> Result<SecretString, Error> {
        let (choice, hash, _) = token::generate(token::CHOICE, &*self.inner.entropy);
        let credentials = login.credentials.to_json();
        let kept = Kept {
            connector: login.connector.clone(),
            vertical: login.vertical.clone(),
            scheme: login.scheme.clone(),
            environment: login.environment,
            settings: login.settings.clone(),
            accounts: login.accounts.clone(),
            credentials: String::from_utf8_lossy(&credentials).into_owned(),
        };
        let json = Zeroizing::new(serde_json::to_vec(&kept).expect("texts are always JSON"));
        let sealed = self.seal(&context(link, &hash).each_ref().map(String::as_str), &json);
        let expires_at = self.inner.clock.now().plus(CHOICE_LIFE);
        self.inner
            .store
            .put_pending_login(&hash, link.project, link.id, sealed, expires_at)
            .await?;
        Ok(choice)
    }

    /// A login of a link that was kept; none where there is none, or its time is over.
    ///
    /// # Errors
    /// The database failed, or what is there does not open.
    pub async fn kept_login(
        &self,
        link: &ConnectLink,
        choice: &str,
    ) -> Result<Option<PendingLogin>, Error> {
        let Some(hash) = token::parse(token::CHOICE, choice) else {
            return Ok(None);
        };
        let store = &self.inner.store;
        let Some(sealed) = store.pending_login(link.project, link.id, &hash).await? else {
            return Ok(None);
        };
        let json = self.open(
            &context(link, &hash).each_ref().map(String::as_str),
            &sealed,
        )?;
        let mut kept: Kept = serde_json::from_slice(&json)
            .map_err(|_| Error::Sealed("its content is not what was put in"))?;
        Ok(Some(PendingLogin {
            credentials: Credentials::from_json(kept.credentials.as_bytes())?,
            connector: kept.connector.clone(),
            vertical: std::mem::take(&mut kept.vertical),
            scheme: std::mem::take(&mut kept.scheme),
            environment: kept.environment,
            settings: std::mem::take(&mut kept.settings),
            accounts: std::mem::take(&mut kept.accounts),
        }))
    }

    /// A provider's words about a login, for an address of the link's pages: sealed, since whatever
    /// stands in an address may have been put there by somebody else.
    #[must_use]
    pub fn say_in_link(&self, link: ConnectLinkId, said: &str) -> String {
        let sealed = self.seal(&["login_said", &link.to_string()], said.as_bytes());
        URL_SAFE_NO_PAD.encode(sealed)
    }

    /// The words again; none where this server did not write them for this link.
    #[must_use]
    pub fn said_in_link(&self, link: ConnectLinkId, sealed: &str) -> Option<String> {
        let sealed = URL_SAFE_NO_PAD.decode(sealed).ok()?;
        let said = self
            .open(&["login_said", &link.to_string()], &sealed)
            .ok()?;
        String::from_utf8(said.to_vec()).ok()
    }
}

fn context(link: &ConnectLink, hash: &Digest) -> [String; 4] {
    [
        "pending_login".to_owned(),
        link.project.to_string(),
        link.id.to_string(),
        hash.to_string(),
    ]
}
