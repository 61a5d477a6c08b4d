//! Custom fields: definitions, their mappings, and what records hold of them.

use serde_json::Value as Json;

use super::{
    Error, Store,
    connections::{CONNECTION_COLUMNS, connection_columns, scope_from},
    dialect::{Row, values},
};
use crate::model::{
    CustomField, CustomFieldId, CustomFieldMapping, DataType, EffectiveMapping, EffectiveMappings,
    FieldSlug, LinkedUserId, MappingId, MappingRules, ObjectKind, ProjectId, RecordId, Scope, Slug,
    Timestamp,
};

/// What is known of a custom field before it is stored.
#[derive(Clone, Debug)]
pub struct NewCustomField {
    /// The object that gets it.
    pub kind: ObjectKind,
    /// Its name.
    pub slug: FieldSlug,
    /// For people.
    pub description: String,
    /// What its values are.
    pub data_type: DataType,
    /// Its value where the provider has none.
    pub default: Option<Json>,
    /// Whether linked users may map it themselves, on the page of their connection.
    pub linked_users_map: bool,
}

/// The values of a record's custom fields.
#[derive(Clone, Debug)]
pub struct CustomValues {
    /// The record.
    pub record: RecordId,
    /// A JSON object from slug to value.
    pub custom: String,
    /// When the record was seen first.
    pub created_at: Timestamp,
    /// When it was seen to change.
    pub modified_at: Timestamp,
}

macro_rules! field_columns {
    () => {
        "f.id, f.project, f.object, f.slug, f.description, f.data_type, f.default_value, \
         f.created_at, f.modified_at, f.linked_users_map"
    };
}

macro_rules! mapping_columns {
    () => {
        "m.id, m.field, m.connector, m.linked_user, m.rules, m.created_at, m.modified_at"
    };
}

impl Store {
    /// Defines a custom field.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the object has one of that slug in this project.
    pub async fn create_custom_field(
        &self,
        project: ProjectId,
        new: NewCustomField,
    ) -> Result<CustomField, Error> {
        let now = self.now();
        let field = CustomField {
            id: CustomFieldId::generate(self.entropy()),
            project,
            kind: new.kind,
            slug: new.slug,
            description: super::without_nulls(&new.description),
            data_type: new.data_type,
            default: new.default,
            linked_users_map: new.linked_users_map,
            created_at: now,
            modified_at: now,
        };
        let sql = "INSERT INTO custom_field
                   (id, project, object, slug, description, data_type, default_value,
                    created_at, modified_at, linked_users_map)
                   VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8, $9)";
        let values = values![
            field.id,
            project,
            self.object(field.kind),
            field.slug.as_str(),
            field.description.as_str(),
            field.data_type.as_str(),
            field.default.as_ref().map(Json::to_string),
            now,
            field.linked_users_map,
        ];
        let written = self.database().write(sql, values).await;
        written.map_err(|error| error.or_conflict("slug"))?;
        Ok(field)
    }

    /// All custom fields of a project, by object and slug.
    ///
    /// # Errors
    /// The database failed.
    pub async fn custom_fields(&self, project: ProjectId) -> Result<Vec<CustomField>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            field_columns!(),
            " FROM custom_field f WHERE f.project = $1 ORDER BY f.object, f.slug"
        );
        let rows = self.database().read(SQL, values![project]).await?;
        let fields: Result<Vec<_>, _> = rows.iter().map(|row| self.field_from(row)).collect();
        Ok(fields?.into_iter().flatten().collect())
    }

    /// The custom field of that id.
    ///
    /// # Errors
    /// The database failed.
    pub async fn custom_field(
        &self,
        project: ProjectId,
        id: CustomFieldId,
    ) -> Result<Option<CustomField>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            field_columns!(),
            " FROM custom_field f WHERE f.project = $1 AND f.id = $2"
        );
        let row = self.database().read_one(SQL, values![project, id]).await?;
        Ok(match row {
            Some(row) => self.field_from(&row)?,
            None => None,
        })
    }

    /// Writes a changed definition: description, type, default, and who maps it. False where there is none any
    /// more.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_custom_field(&self, field: &CustomField) -> Result<bool, Error> {
        let sql = "UPDATE custom_field
                   SET description = $3, data_type = $4, default_value = $5, modified_at = $6,
                       linked_users_map = $7
                   WHERE project = $1 AND id = $2";
        let values = values![
            field.project,
            field.id,
            super::without_nulls(&field.description),
            field.data_type.as_str(),
            field.default.as_ref().map(Json::to_string),
            self.now(),
            field.linked_users_map,
        ];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Deletes a definition with its mappings; false where there is none.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete_custom_field(
        &self,
        project: ProjectId,
        id: CustomFieldId,
    ) -> Result<bool, Error> {
        let sql = "DELETE FROM custom_field WHERE project = $1 AND id = $2";
        Ok(self.database().write(sql, values![project, id]).await? > 0)
    }

    /// Maps a custom field.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is mapped for this connector and linked user;
    /// [`Error::Missing`] where the project has no such field or linked user.
    pub async fn create_mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        connector: &Slug,
        linked_user: Option<LinkedUserId>,
        rules: &MappingRules,
    ) -> Result<CustomFieldMapping, Error> {
        let now = self.now();
        let mapping = CustomFieldMapping {
            id: MappingId::generate(self.entropy()),
            field,
            connector: connector.clone(),
            linked_user,
            rules: rules.clone(),
            created_at: now,
            modified_at: now,
        };
        let sql = "INSERT INTO custom_field_mapping
                   (id, field, connector, linked_user, rules, created_at, modified_at)
                   SELECT $1, f.id, $4, $5, $6, $7, $7 FROM custom_field f
                   WHERE f.project = $2 AND f.id = $3 AND ($5 IS NULL OR EXISTS
                       (SELECT 1 FROM linked_user u WHERE u.project = $2 AND u.id = $5))";
        let values = values![
            mapping.id,
            project,
            field,
            connector,
            linked_user,
            rules_text(rules)?,
            now,
        ];
        let written = self.database().write(sql, values).await;
        if written.map_err(|error| error.or_conflict("mapping"))? == 0 {
            return Err(Error::Missing("custom field or linked user"));
        }
        Ok(mapping)
    }

    /// All mappings of a project, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mappings(&self, project: ProjectId) -> Result<Vec<CustomFieldMapping>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            mapping_columns!(),
            " FROM custom_field f JOIN custom_field_mapping m ON m.field = f.id
              WHERE f.project = $1 ORDER BY m.created_at, m.id"
        );
        let rows = self.database().read(SQL, values![project]).await?;
        rows.iter().map(mapping_from).collect()
    }

    /// The mappings of one custom field, oldest first.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mappings_of(
        &self,
        project: ProjectId,
        field: CustomFieldId,
    ) -> Result<Vec<CustomFieldMapping>, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            mapping_columns!(),
            " FROM custom_field f JOIN custom_field_mapping m ON m.field = f.id
              WHERE f.project = $1 AND f.id = $2 ORDER BY m.created_at, m.id"
        );
        let rows = self.database().read(SQL, values![project, field]).await?;
        rows.iter().map(mapping_from).collect()
    }

    /// Writes other rules into a mapping; false where the field has no such mapping.
    ///
    /// # Errors
    /// The database failed.
    pub async fn change_mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        id: MappingId,
        rules: &MappingRules,
    ) -> Result<bool, Error> {
        let sql = "UPDATE custom_field_mapping SET rules = $4, modified_at = $5
                   WHERE id = $3 AND field IN
                       (SELECT f.id FROM custom_field f WHERE f.project = $1 AND f.id = $2)";
        let values = values![project, field, id, rules_text(rules)?, self.now()];
        Ok(self.database().write(sql, values).await? > 0)
    }

    /// Deletes a mapping; false where the field has no such mapping.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delete_mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        id: MappingId,
    ) -> Result<bool, Error> {
        let sql = "DELETE FROM custom_field_mapping WHERE id = $3 AND field IN
                       (SELECT f.id FROM custom_field f WHERE f.project = $1 AND f.id = $2)";
        Ok(self
            .database()
            .write(sql, values![project, field, id])
            .await?
            > 0)
    }

    /// The mappings that hold for an object of a connection: those of its linked user before those
    /// of the project.
    ///
    /// # Errors
    /// The database failed.
    pub async fn effective_mappings(
        &self,
        scope: &Scope,
        kind: ObjectKind,
    ) -> Result<EffectiveMappings, Error> {
        const SQL: &str = concat!(
            "SELECT ",
            field_columns!(),
            ", m.rules FROM custom_field f JOIN custom_field_mapping m ON m.field = f.id
              WHERE f.project = $1 AND f.object = $2 AND m.connector = $3
                AND (m.linked_user IS NULL OR m.linked_user = $4)
              ORDER BY f.slug, CASE WHEN m.linked_user IS NULL THEN 1 ELSE 0 END"
        );
        let connection = scope.connection();
        let values = values![
            scope.project(),
            self.object(kind),
            &connection.connector,
            connection.linked_user,
        ];
        let rows = self.database().read(SQL, values).await?;
        let mut found: Vec<EffectiveMapping> = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(field) = self.field_from(row)?
                && found.last().is_none_or(|last| last.slug != field.slug)
            {
                found.push(EffectiveMapping::of(&field, &rules_from(row, 10)?));
            }
        }
        Ok(EffectiveMappings::new(found))
    }

    /// The objects of a project's connections that have custom fields mapped, in the order of
    /// their records' ids.
    ///
    /// # Errors
    /// The database failed.
    pub async fn mapped_objects(
        &self,
        project: ProjectId,
    ) -> Result<Vec<(Scope, ObjectKind)>, Error> {
        const SQL: &str = concat!(
            "SELECT DISTINCT ",
            connection_columns!(),
            ", f.object FROM connection c JOIN custom_field f ON f.project = c.project
                JOIN custom_field_mapping m ON m.field = f.id AND m.connector = c.connector
              WHERE c.project = $1 AND c.deleted_at IS NULL
                AND (m.linked_user IS NULL OR m.linked_user = c.linked_user)"
        );
        let rows = self.database().read(SQL, values![project]).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            if let Some(kind) = self.kind(row.number(CONNECTION_COLUMNS)?) {
                found.push((scope_from(row)?, kind));
            }
        }
        found.sort_by_key(|(scope, kind)| (scope.connection().number, self.object(*kind)));
        Ok(found)
    }

    /// The custom values of an object's records, by the id of the record, from the one after
    /// `after`; records without any are left out.
    ///
    /// # Errors
    /// The database failed.
    pub async fn custom_values(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        after: Option<RecordId>,
        limit: u32,
    ) -> Result<Vec<CustomValues>, Error> {
        let sql = "SELECT id, custom, created_at, modified_at FROM record
                   WHERE id > $1 AND id < $2 AND connection = $3 AND object = $4
                     AND deleted_at IS NULL AND custom <> '{}'
                   ORDER BY id LIMIT $5";
        let number = scope.connection().number;
        let object = self.object(kind);
        // The ids of an object begin with its two numbers.
        let mut prefix = [number.to_be_bytes().as_slice(), &object.to_be_bytes()].concat();
        let first = prefix.clone();
        prefix.resize(17, 0xff);
        let from = match after {
            Some(id) => first.max(id.as_bytes().to_vec()),
            None => first,
        };
        let values = values![from, prefix, number, object, limit];
        let rows = self.database().read(sql, values).await?;
        rows.iter()
            .map(|row| {
                Ok(CustomValues {
                    record: row.record_id(0)?,
                    custom: row.text(1)?,
                    created_at: row.time(2)?,
                    modified_at: row.time(3)?,
                })
            })
            .collect()
    }

    /// Reads [`field_columns`]; none where this program does not know the object (any more).
    fn field_from(&self, row: &Row) -> Result<Option<CustomField>, Error> {
        let Some(kind) = self.kind(row.number(2)?) else {
            return Ok(None);
        };
        let default = row.optional_text(6)?;
        let default = default.map(|text| serde_json::from_str(&text)).transpose();
        Ok(Some(CustomField {
            id: row.parsed(0)?,
            project: row.parsed(1)?,
            kind,
            slug: row.parsed(3)?,
            description: row.text(4)?,
            data_type: row.parsed_by(5, DataType::parse)?,
            default: default.map_err(|error| Error::Corrupt(error.to_string()))?,
            created_at: row.time(7)?,
            modified_at: row.time(8)?,
            linked_users_map: row.bool(9)?,
        }))
    }
}

/// Reads [`mapping_columns`].
fn mapping_from(row: &Row) -> Result<CustomFieldMapping, Error> {
    let linked_user = row.optional_text(3)?;
    let linked_user = linked_user.map(|id| id.parse()).transpose();
    Ok(CustomFieldMapping {
        id: row.parsed(0)?,
        field: row.parsed(1)?,
        connector: row.parsed(2)?,
        linked_user: linked_user.map_err(|_| Error::Corrupt("the id of a linked user".into()))?,
        rules: rules_from(row, 4)?,
        created_at: row.time(5)?,
        modified_at: row.time(6)?,
    })
}

fn rules_from(row: &Row, column: usize) -> Result<MappingRules, Error> {
    serde_json::from_str(&row.text(column)?)
        .map_err(|error| Error::Corrupt(format!("the rules of a mapping: {error}")))
}

fn rules_text(rules: &MappingRules) -> Result<String, Error> {
    serde_json::to_string(rules).map_err(|error| Error::Corrupt(error.to_string()))
}
