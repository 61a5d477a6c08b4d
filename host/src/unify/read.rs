//! Reads: from the database, or through to the provider where that is asked for.

use super::{Error, Interactive, Unify};
use crate::model::{ObjectKind, Page, PageRequest, Record, RecordId, Scope};

impl Unify {
    /// A page of stored records.
    ///
    /// # Errors
    /// The connector does not serve the object, or the database fails.
    pub async fn list(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        request: &PageRequest,
    ) -> Result<Page<Record>, Error> {
        self.readable(scope, kind)?;
        Ok(self.0.store.list_records(scope, kind, request).await?)
    }

    /// One record: as it is stored, or with `how.live` as the provider has it now.
    ///
    /// # Errors
    /// There is none, the connector does not serve the object, or the database fails; with
    /// `how.live` also whatever the provider and the connector fail with.
    pub async fn get(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        how: &Interactive,
    ) -> Result<Record, Error> {
        if how.live {
            return self.read_through(scope, kind, id, how).await;
        }
        self.stored(scope, kind, id, how.remote_data).await
    }

    pub(super) async fn stored(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        id: RecordId,
        remote_data: bool,
    ) -> Result<Record, Error> {
        self.readable(scope, kind)?;
        let record = self.0.store.record(scope, kind, id, remote_data).await?;
        record.ok_or(Error::RecordNotFound)
    }

    /// What is stored can be read while the connector is away: only a connector that is there and
    /// does not know the object is an error.
    fn readable(&self, scope: &Scope, kind: ObjectKind) -> Result<(), Error> {
        match self.0.runtime.active(&scope.connection().connector) {
            Some(version) => Self::supported(&version, kind).map(drop),
            None => Ok(()),
        }
    }
}
