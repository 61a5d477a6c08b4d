//! Keys of operators: for what concerns the whole server.

use super::{Error, Store, dialect::values};
use crate::model::{ApiKeyId, Digest};

impl Store {
    /// A new key of an operator, of which only the `hash` is kept.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_operator_key(
        &self,
        name: &str,
        hash: Digest,
        hint: &str,
    ) -> Result<ApiKeyId, Error> {
        let id = ApiKeyId::generate(self.entropy());
        let sql = "INSERT INTO operator_key (id, name, hash, hint, created_at)
                   VALUES ($1, $2, $3, $4, $5)";
        let values = values![id, name, &hash, hint, self.now()];
        self.database().write(sql, values).await?;
        Ok(id)
    }

    /// Whose hash it is; none for a revoked key.
    ///
    /// # Errors
    /// The database failed.
    pub async fn operator_key(&self, hash: &Digest) -> Result<Option<ApiKeyId>, Error> {
        let sql = "SELECT id FROM operator_key WHERE hash = $1 AND revoked_at IS NULL";
        let row = self.database().read_one(sql, values![hash]).await?;
        row.map(|row| row.parsed(0)).transpose()
    }

    /// Makes a key useless from now on; false where there is none, or it was revoked already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke_operator_key(&self, id: ApiKeyId) -> Result<bool, Error> {
        let sql = "UPDATE operator_key SET revoked_at = $2 WHERE id = $1 AND revoked_at IS NULL";
        let revoked = self.database().write(sql, values![id, self.now()]).await?;
        Ok(revoked > 0)
    }
}
