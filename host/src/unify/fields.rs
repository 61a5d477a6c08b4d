//! Defining custom fields and mapping them. Every change makes stored records be mapped again, in
//! the background and without the provider.

use serde_json::Value;

use super::{Error, Unify};
use crate::{
    model::{
        CustomField, CustomFieldId, CustomFieldMapping, DataType, LinkedUserId, MappingId,
        MappingRules, ObjectKind, ProjectId, Slug, Transform, Violation,
    },
    store::{self, NewCustomField},
};

/// Custom fields of one project.
const MAX_FIELDS: usize = 1_000;
/// Characters of a description.
const MAX_DESCRIPTION: usize = 1_000;

/// A custom field to be defined.
#[derive(Clone, Debug)]
pub struct FieldDraft {
    /// The object that gets it.
    pub kind: ObjectKind,
    /// Its name, not yet checked.
    pub slug: String,
    /// For people.
    pub description: String,
    /// What its values are.
    pub data_type: DataType,
    /// Its value where the provider has none.
    pub default: Option<Value>,
    /// Whether linked users may map it themselves, on the page of their connection.
    pub linked_users_map: bool,
}

/// What is to change in a definition; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct FieldChange {
    /// For people.
    pub description: Option<String>,
    /// What its values are.
    pub data_type: Option<DataType>,
    /// Its default; none within takes it away.
    pub default: Option<Option<Value>>,
    /// Whether linked users may map it themselves, on the page of their connection.
    pub linked_users_map: Option<bool>,
}

/// A mapping to be made.
#[derive(Clone, Debug)]
pub struct MappingDraft {
    /// The connector it is for.
    pub connector: Slug,
    /// The linked user it is for; all of the project's where there is none.
    pub linked_user: Option<LinkedUserId>,
    /// How the value is made.
    pub rules: MappingRules,
}

/// What is to change in a mapping; what is none stays.
#[derive(Clone, Debug, Default)]
pub struct MappingChange {
    /// Where the value comes from.
    pub remote_fields: Option<Vec<String>>,
    /// What is done with it.
    pub transforms: Option<Vec<Transform>>,
    /// Its default; none within takes it away.
    pub default: Option<Option<Value>>,
}

impl Unify {
    /// Defines a custom field.
    ///
    /// # Errors
    /// It is not valid, or the object has one of that slug.
    pub async fn define_field(
        &self,
        project: ProjectId,
        draft: FieldDraft,
    ) -> Result<CustomField, Error> {
        let slug = draft.slug.parse().map_err(|must| {
            invalid(
                "/slug",
                format!("{:?} is no slug: one {must}", shown(&draft.slug)),
            )
        })?;
        check_description(&draft.description)?;
        check_default(draft.data_type, draft.default.as_ref())?;
        if self.0.store.custom_fields(project).await?.len() >= MAX_FIELDS {
            return Err(Error::Conflict(format!(
                "this project has {MAX_FIELDS} custom fields, which is the most; delete one first"
            )));
        }
        let new = NewCustomField {
            kind: draft.kind,
            slug,
            description: draft.description,
            data_type: draft.data_type,
            default: draft.default,
            linked_users_map: draft.linked_users_map,
        };
        match self.0.store.create_custom_field(project, new).await {
            Err(store::Error::Conflict(_)) => Err(Error::Conflict(format!(
                "{} has a custom field {:?} already; `GET /custom_fields` shows it",
                draft.kind, draft.slug
            ))),
            done => Ok(done?),
        }
    }

    /// The custom field of that id.
    ///
    /// # Errors
    /// The project has none.
    pub async fn field(&self, project: ProjectId, id: CustomFieldId) -> Result<CustomField, Error> {
        let field = self.0.store.custom_field(project, id).await?;
        field.ok_or(Error::CustomFieldNotFound)
    }

    /// Changes a definition.
    ///
    /// # Errors
    /// There is none, the change is not valid, or a mapping does not go with it.
    pub async fn change_field(
        &self,
        project: ProjectId,
        id: CustomFieldId,
        change: FieldChange,
    ) -> Result<CustomField, Error> {
        let mut field = self.field(project, id).await?;
        if let Some(description) = change.description {
            check_description(&description)?;
            field.description = description;
        }
        if let Some(data_type) = change.data_type {
            field.data_type = data_type;
            for mapping in self.0.store.mappings_of(project, id).await? {
                if let Some(problem) = mapping.rules.check(data_type).first() {
                    return Err(invalid(
                        "/data_type",
                        format!("does not go with the mapping {}: {problem}", mapping.id),
                    ));
                }
            }
        }
        if let Some(default) = change.default {
            field.default = default;
        }
        if let Some(linked_users_map) = change.linked_users_map {
            field.linked_users_map = linked_users_map;
        }
        check_default(field.data_type, field.default.as_ref())?;
        if !self.0.store.change_custom_field(&field).await? {
            return Err(Error::CustomFieldNotFound);
        }
        self.0.remaps.notify_one();
        self.field(project, id).await
    }

    /// Deletes a custom field with its mappings; its values leave the records.
    ///
    /// # Errors
    /// There is none.
    pub async fn delete_field(&self, project: ProjectId, id: CustomFieldId) -> Result<(), Error> {
        if !self.0.store.delete_custom_field(project, id).await? {
            return Err(Error::CustomFieldNotFound);
        }
        self.0.remaps.notify_one();
        Ok(())
    }

    /// Maps a custom field for a connector.
    ///
    /// # Errors
    /// There is no such field, linked user or connector, the mapping is not valid, or there is one
    /// already.
    pub async fn map_field(
        &self,
        project: ProjectId,
        id: CustomFieldId,
        draft: &MappingDraft,
    ) -> Result<CustomFieldMapping, Error> {
        let field = self.field(project, id).await?;
        self.check_connector(&draft.connector, field.kind)?;
        check_rules(&draft.rules, field.data_type)?;
        let created = self
            .0
            .store
            .create_mapping(
                project,
                id,
                &draft.connector,
                draft.linked_user,
                &draft.rules,
            )
            .await;
        let mapping = created.map_err(|error| match error {
            store::Error::Conflict(_) => Error::Conflict(format!(
                "the field {} is mapped for {} {} already; change that mapping",
                field.slug,
                draft.connector,
                match draft.linked_user {
                    Some(user) => format!("and the linked user {user}"),
                    None => "and all linked users".to_owned(),
                }
            )),
            store::Error::Missing(_) => {
                invalid("/linked_user_id", "is no linked user of this project")
            }
            other => other.into(),
        })?;
        self.0.remaps.notify_one();
        Ok(mapping)
    }

    /// Maps a custom field, in the place of the mapping that there may be.
    ///
    /// # Errors
    /// As [`Self::map_field`], but for the last.
    pub async fn put_mapping(
        &self,
        project: ProjectId,
        id: CustomFieldId,
        draft: &MappingDraft,
    ) -> Result<CustomFieldMapping, Error> {
        let conflict = match self.map_field(project, id, draft).await {
            Err(conflict @ Error::Conflict(_)) => conflict,
            done => return done,
        };
        let there = self.0.store.mappings_of(project, id).await?;
        let same = |one: &CustomFieldMapping| {
            one.connector == draft.connector && one.linked_user == draft.linked_user
        };
        let there = there.into_iter().find(same).ok_or(conflict)?;
        let change = MappingChange {
            remote_fields: Some(draft.rules.remote_fields.clone()),
            transforms: Some(draft.rules.transforms.clone()),
            default: Some(draft.rules.default.clone()),
        };
        self.change_mapping(project, id, there.id, change).await
    }

    /// Defines a custom field, where there is none of that name and type, and maps it.
    ///
    /// # Errors
    /// As for [`Self::define_field`] and [`Self::put_mapping`]; nothing is defined where the
    /// mapping is not valid.
    pub async fn define_and_map(
        &self,
        project: ProjectId,
        field: FieldDraft,
        draft: &MappingDraft,
    ) -> Result<(CustomField, CustomFieldMapping), Error> {
        self.check_connector(&draft.connector, field.kind)?;
        check_rules(&draft.rules, field.data_type)?;
        let known = self.0.store.custom_fields(project).await?;
        let same = |one: &CustomField| one.kind == field.kind && one.slug.as_str() == field.slug;
        let field = match known.into_iter().find(same) {
            Some(known) if known.data_type == field.data_type => known,
            Some(known) => {
                return Err(Error::Conflict(format!(
                    "{} has a custom field {:?} already, of the type {}",
                    field.kind, field.slug, known.data_type
                )));
            }
            None => self.define_field(project, field).await?,
        };
        let mapping = self.put_mapping(project, field.id, draft).await?;
        Ok((field, mapping))
    }

    /// The mapping of that id.
    ///
    /// # Errors
    /// The field has none.
    pub async fn mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        id: MappingId,
    ) -> Result<CustomFieldMapping, Error> {
        let mappings = self.0.store.mappings_of(project, field).await?;
        let found = mappings.into_iter().find(|mapping| mapping.id == id);
        found.ok_or(Error::MappingNotFound)
    }

    /// Changes a mapping.
    ///
    /// # Errors
    /// There is none, or the change is not valid.
    pub async fn change_mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        id: MappingId,
        change: MappingChange,
    ) -> Result<CustomFieldMapping, Error> {
        let definition = self.field(project, field).await?;
        let mut mapping = self.mapping(project, field, id).await?;
        let rules = &mut mapping.rules;
        if let Some(remote_fields) = change.remote_fields {
            rules.remote_fields = remote_fields;
        }
        if let Some(transforms) = change.transforms {
            rules.transforms = transforms;
        }
        if let Some(default) = change.default {
            rules.default = default;
        }
        check_rules(rules, definition.data_type)?;
        let store = &self.0.store;
        if !store.change_mapping(project, field, id, rules).await? {
            return Err(Error::MappingNotFound);
        }
        self.0.remaps.notify_one();
        self.mapping(project, field, id).await
    }

    /// Deletes a mapping; its values leave the records.
    ///
    /// # Errors
    /// There is none.
    pub async fn delete_mapping(
        &self,
        project: ProjectId,
        field: CustomFieldId,
        id: MappingId,
    ) -> Result<(), Error> {
        if !self.0.store.delete_mapping(project, field, id).await? {
            return Err(Error::MappingNotFound);
        }
        self.0.remaps.notify_one();
        Ok(())
    }

    /// A connector that was never loaded, or does not know the object, is a slip of the pen.
    fn check_connector(&self, connector: &Slug, kind: ObjectKind) -> Result<(), Error> {
        if self.0.runtime.status(connector).is_none() {
            return Err(invalid(
                "/connector",
                format!(
                    "{connector:?} is no connector of this server; `GET /connectors` lists them"
                ),
            ));
        }
        match self.0.runtime.active(connector) {
            Some(version) if version.manifest().object(kind).is_none() => Err(invalid(
                "/connector",
                format!("{connector:?} does not serve {kind}"),
            )),
            _ => Ok(()),
        }
    }
}

pub(super) fn check_rules(rules: &MappingRules, data_type: DataType) -> Result<(), Error> {
    match rules.check(data_type) {
        problems if problems.is_empty() => Ok(()),
        problems => Err(Error::Invalid(problems)),
    }
}

fn check_description(description: &str) -> Result<(), Error> {
    if description.chars().count() > MAX_DESCRIPTION {
        let message = format!("may have {MAX_DESCRIPTION} characters");
        return Err(invalid("/description", message));
    }
    Ok(())
}

fn check_default(data_type: DataType, default: Option<&Value>) -> Result<(), Error> {
    default
        .map_or(Ok(()), |default| data_type.check(default))
        .map_err(|message| invalid("/default", message))
}

fn invalid(path: &str, message: impl Into<String>) -> Error {
    Error::Invalid(vec![Violation {
        path: path.to_owned(),
        message: message.into(),
    }])
}

fn shown(text: &str) -> String {
    text.chars().take(80).collect()
}
