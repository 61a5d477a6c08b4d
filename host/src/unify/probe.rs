//! Asking the provider whether a connection works.

use super::{Error, Unify};
use crate::{
    egress::Priority,
    model::Scope,
    runtime::{Account, CallContext},
};

impl Unify {
    /// Logs in with the stored credentials, as a new connection does, and gives the accounts that
    /// the provider names. Credentials that it refuses are marked as dead.
    ///
    /// # Errors
    /// The provider refuses the credentials, or it or the connector fails.
    pub async fn probe(&self, scope: &Scope) -> Result<Vec<Account>, Error> {
        let version = self.version(&scope.connection().connector)?;
        let context = CallContext {
            priority: Priority::Interactive,
            ..self.context(scope, &version)?
        };
        match version.authenticate(context).await {
            Ok(accounts) => Ok(accounts),
            Err(error) => Err(self.failed(scope, error).await),
        }
    }
}
