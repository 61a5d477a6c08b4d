//! Projects, their API keys and their linked users.

use super::{
    Error, Store,
    dialect::{Row, values},
};
use crate::model::{
    ApiKeyId, AuditEntry, Digest, Environment, LinkedUser, LinkedUserId, Project, ProjectId,
};

impl Store {
    /// A new project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn create_project(
        &self,
        name: &str,
        environment: Environment,
    ) -> Result<Project, Error> {
        let project = Project {
            id: ProjectId::generate(self.entropy()),
            name: name.to_owned(),
            environment,
            created_at: self.now(),
        };
        let sql = "INSERT INTO project (id, name, environment, created_at) VALUES ($1, $2, $3, $4)";
        self.database()
            .write(
                sql,
                values![project.id, name, environment.as_str(), project.created_at],
            )
            .await?;
        Ok(project)
    }

    /// All projects, oldest first: for the operator, never for a caller of the API.
    ///
    /// # Errors
    /// The database failed.
    pub async fn projects(&self) -> Result<Vec<Project>, Error> {
        let sql = "SELECT id, name, environment, created_at FROM project ORDER BY created_at, id";
        let rows = self.database().read(sql, values![]).await?;
        rows.iter().map(|row| project(row, 0)).collect()
    }

    /// The project of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn project(&self, id: ProjectId) -> Result<Option<Project>, Error> {
        let sql = "SELECT id, name, environment, created_at FROM project WHERE id = $1";
        let row = self.database().read_one(sql, values![id]).await?;
        row.map(|row| project(&row, 0)).transpose()
    }

    /// Another name and environment for a project, with the entry of the audit log; false where
    /// there is none. Connections keep the environment that they were made in.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_project(
        &self,
        id: ProjectId,
        name: &str,
        environment: Environment,
        entry: &AuditEntry,
    ) -> Result<bool, Error> {
        let sql = "UPDATE project SET name = $2, environment = $3 WHERE id = $1";
        let mut tx = self.begin().await?;
        let values = values![id, name, environment.as_str()];
        let changed = tx.execute(sql, values).await? > 0;
        if changed {
            self.audit_in(&mut tx, entry).await?;
        }
        tx.commit().await?;
        Ok(changed)
    }

    /// A new API key, of which only the `hash` is kept. `hint` is shown in lists.
    ///
    /// # Errors
    /// [`Error::Missing`] where there is no such project.
    pub async fn create_api_key(
        &self,
        project: ProjectId,
        name: &str,
        hash: Digest,
        hint: &str,
    ) -> Result<ApiKeyId, Error> {
        let id = ApiKeyId::generate(self.entropy());
        let sql = "INSERT INTO api_key (id, project, name, hash, hint, created_at)
                   SELECT $1, id, $3, $4, $5, $6 FROM project WHERE id = $2";
        let written = self
            .database()
            .write(
                sql,
                values![
                    id,
                    project,
                    super::without_nulls(name),
                    &hash,
                    hint,
                    self.now()
                ],
            )
            .await?;
        if written == 0 {
            Err(Error::Missing("project"))
        } else {
            Ok(id)
        }
    }

    /// The project that an API key opens; none for a revoked key. The one look-up that starts
    /// from no project: it is how a caller gets to one.
    ///
    /// # Errors
    /// The database failed.
    pub async fn project_by_api_key(
        &self,
        hash: &Digest,
    ) -> Result<Option<(ApiKeyId, Project)>, Error> {
        let sql = "SELECT k.id, p.id, p.name, p.environment, p.created_at
                   FROM api_key k JOIN project p ON p.id = k.project
                   WHERE k.hash = $1 AND k.revoked_at IS NULL";
        let row = self.database().read_one(sql, values![hash]).await?;
        row.map(|row| Ok((row.parsed(0)?, project(&row, 1)?)))
            .transpose()
    }

    /// Makes a key useless from now on; false where the project has no such key, or it was
    /// revoked already.
    ///
    /// # Errors
    /// The database failed.
    pub async fn revoke_api_key(&self, project: ProjectId, id: ApiKeyId) -> Result<bool, Error> {
        let sql = "UPDATE api_key SET revoked_at = $3
                   WHERE project = $1 AND id = $2 AND revoked_at IS NULL";
        Ok(self
            .database()
            .write(sql, values![project, id, self.now()])
            .await?
            > 0)
    }

    /// A new linked user.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the project has this `origin_id`; [`Error::Missing`] where there
    /// is no such project.
    pub async fn create_linked_user(
        &self,
        project: ProjectId,
        origin_id: &str,
        alias: &str,
    ) -> Result<LinkedUser, Error> {
        let user = LinkedUser {
            id: LinkedUserId::generate(self.entropy()),
            project,
            origin_id: origin_id.to_owned(),
            alias: alias.to_owned(),
            created_at: self.now(),
        };
        let sql = "INSERT INTO linked_user (id, project, origin_id, alias, created_at)
                   SELECT $1, id, $3, $4, $5 FROM project WHERE id = $2";
        let written = self
            .database()
            .write(
                sql,
                values![user.id, project, origin_id, alias, user.created_at],
            )
            .await
            .map_err(|error| error.or_conflict("origin_id"))?;
        if written == 0 {
            Err(Error::Missing("project"))
        } else {
            Ok(user)
        }
    }

    /// The linked user of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn linked_user(
        &self,
        project: ProjectId,
        id: LinkedUserId,
    ) -> Result<Option<LinkedUser>, Error> {
        let sql = "SELECT id, project, origin_id, alias, created_at FROM linked_user
                   WHERE project = $1 AND id = $2";
        let row = self.database().read_one(sql, values![project, id]).await?;
        row.as_ref().map(linked_user).transpose()
    }

    /// The linked user that the integrator calls `origin_id`.
    ///
    /// # Errors
    /// The database failed.
    pub async fn linked_user_by_origin(
        &self,
        project: ProjectId,
        origin_id: &str,
    ) -> Result<Option<LinkedUser>, Error> {
        let sql = "SELECT id, project, origin_id, alias, created_at FROM linked_user
                   WHERE project = $1 AND origin_id = $2";
        let row = self
            .database()
            .read_one(sql, values![project, origin_id])
            .await?;
        row.as_ref().map(linked_user).transpose()
    }

    /// All linked users of a project, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn linked_users(&self, project: ProjectId) -> Result<Vec<LinkedUser>, Error> {
        let sql = "SELECT id, project, origin_id, alias, created_at FROM linked_user
                   WHERE project = $1 ORDER BY created_at, id";
        self.database()
            .read(sql, values![project])
            .await?
            .iter()
            .map(linked_user)
            .collect()
    }
}

/// A project from four columns, the first of which is `first`.
fn project(row: &Row, first: usize) -> Result<Project, Error> {
    Ok(Project {
        id: row.parsed(first)?,
        name: row.text(first + 1)?,
        environment: row.parsed_by(first + 2, Environment::parse)?,
        created_at: row.time(first + 3)?,
    })
}

fn linked_user(row: &Row) -> Result<LinkedUser, Error> {
    Ok(LinkedUser {
        id: row.parsed(0)?,
        project: row.parsed(1)?,
        origin_id: row.text(2)?,
        alias: row.text(3)?,
        created_at: row.time(4)?,
    })
}
