//! Settings of type password of a connection that is there: which it has, and new ones.

use std::collections::BTreeMap;

use secrecy::SecretString;
use tokio::time::{Instant, sleep};

use super::{
    Error, Vault,
    refresh::{LEASE, POLL},
};
use crate::{
    model::{Manifest, Scope, SettingType},
    store::RefreshLease,
};

impl Vault {
    /// The ids of the settings of type password that the connection has a value of.
    ///
    /// # Errors
    /// The database failed, or the credentials cannot be opened.
    pub async fn secret_settings(
        &self,
        scope: &Scope,
        manifest: &Manifest,
    ) -> Result<Vec<String>, Error> {
        let passwords = manifest
            .settings
            .iter()
            .filter(|setting| setting.kind == SettingType::Password);
        let mut ids: Vec<String> = passwords.map(|setting| setting.id.clone()).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        let Some(stored) = self.inner.store.credentials(scope).await? else {
            return Ok(Vec::new());
        };
        let id = scope.connection().id;
        let credentials = self.open_credentials(scope.project(), id, &stored.sealed)?;
        ids.retain(|id| credentials.get(id).is_some());
        Ok(ids)
    }

    /// Sets passwords, or takes them away where there is no value. Holds the lease that a refresh
    /// of the tokens holds, so that neither overwrites what the other stores.
    ///
    /// # Errors
    /// The database failed, the credentials cannot be opened, or a refresh takes too long.
    pub async fn change_secret_settings(
        &self,
        scope: &Scope,
        changes: &BTreeMap<String, Option<SecretString>>,
    ) -> Result<(), Error> {
        let store = &self.inner.store;
        let connection = scope.connection();
        let owner = self.random_name();
        let patience = Instant::now() + LEASE + POLL;
        loop {
            let Some(stored) = store.credentials(scope).await? else {
                return Err(crate::store::Error::Missing("connection").into());
            };
            let mut credentials =
                self.open_credentials(scope.project(), connection.id, &stored.sealed)?;
            let lease = store.lease_refresh(scope, stored.generation, &owner, LEASE);
            match lease.await? {
                RefreshLease::Acquired => {
                    for (id, value) in changes {
                        credentials.change(id, value.clone());
                    }
                    let sealed =
                        self.seal_credentials(scope.project(), connection.id, &credentials);
                    let (generation, expires_at) = (stored.generation, credentials.expires_at());
                    let kept = store
                        .store_refreshed(scope, generation, &owner, sealed, expires_at)
                        .await?;
                    if kept {
                        return Ok(());
                    }
                    // Somebody logged in again meanwhile: the passwords go into what is new.
                }
                RefreshLease::Superseded => {}
                RefreshLease::Busy => sleep(POLL).await,
            }
            if Instant::now() > patience {
                return Err(Error::Unavailable(
                    "the login of this connection is being renewed; try again in a minute"
                        .to_owned(),
                ));
            }
        }
    }
}
