//! Custom fields: definitions, mappings with transforms, and looking before mapping.

mod body;
mod look;

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use uuid::Uuid;

use self::body::{
    Create, CreateMapping, FieldBody, MappingBody, Preview, PreviewBody, RemoteFieldBody, Update,
    UpdateMapping,
};
use super::json;
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::Operation,
        query::Query,
    },
    model::{
        CustomField, CustomFieldId, CustomFieldMapping, LinkedUserId, MappingId, MappingRules,
        ObjectKind, Violation,
    },
    unify::{FieldChange, FieldDraft, MappingChange, MappingDraft},
};

const TAG: &str = "Custom fields";

pub(super) fn operations() -> Vec<Operation> {
    let mut operations = vec![
        Operation::get("/custom_fields", list)
            .id("listCustomFields")
            .tag(TAG)
            .summary("The custom fields of the project.")
            .query::<String>("object", "Only those of this object, `crm.contact`.")
            .gives::<Vec<FieldBody>>(200, "The definitions, by object and slug."),
        Operation::post("/custom_fields", create)
            .id("createCustomField")
            .tag(TAG)
            .summary("Define a custom field.")
            .describe("Records have a value of it under `field_mappings` as soon as it is mapped for their connector.")
            .takes::<Create>()
            .gives::<FieldBody>(201, "The new definition.")
            .fails(&[Code::Conflict]),
        Operation::get("/custom_fields/{id}", get)
            .id("retrieveCustomField")
            .tag(TAG)
            .summary("One custom field.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .gives::<FieldBody>(200, "The definition.")
            .fails(&[Code::CustomFieldNotFound]),
        Operation::patch("/custom_fields/{id}", update)
            .id("updateCustomField")
            .tag(TAG)
            .summary("Change a custom field.")
            .describe("Stored records are mapped again in the background, without calls to the provider. The slug and the object stay.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .takes::<Update>()
            .gives::<FieldBody>(200, "The definition.")
            .fails(&[Code::CustomFieldNotFound]),
        Operation::delete("/custom_fields/{id}", delete)
            .id("deleteCustomField")
            .tag(TAG)
            .summary("Delete a custom field and its mappings.")
            .describe("Its values leave the stored records in the background; the provider keeps them.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .gives_nothing(204, "It is deleted.")
            .fails(&[Code::CustomFieldNotFound]),
        Operation::get("/custom_fields/{id}/mappings", mappings)
            .id("listCustomFieldMappings")
            .tag(TAG)
            .summary("The mappings of a custom field.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .gives::<Vec<MappingBody>>(200, "The mappings, oldest first.")
            .fails(&[Code::CustomFieldNotFound]),
        Operation::post("/custom_fields/{id}/mappings", create_mapping)
            .id("createCustomFieldMapping")
            .tag(TAG)
            .summary("Map a custom field for a connector.")
            .describe("For all linked users, or for one, which goes before. Stored records get their values in the background, without calls to the provider, each with an event `.updated`.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .takes::<CreateMapping>()
            .gives::<MappingBody>(201, "The new mapping.")
            .fails(&[Code::CustomFieldNotFound, Code::Conflict]),
        Operation::patch("/custom_fields/{id}/mappings/{mapping_id}", update_mapping)
            .id("updateCustomFieldMapping")
            .tag(TAG)
            .summary("Change a mapping.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .path::<Uuid>("mapping_id", "The mapping's `id`.")
            .takes::<UpdateMapping>()
            .gives::<MappingBody>(200, "The mapping.")
            .fails(&[Code::CustomFieldNotFound, Code::MappingNotFound]),
        Operation::delete("/custom_fields/{id}/mappings/{mapping_id}", delete_mapping)
            .id("deleteCustomFieldMapping")
            .tag(TAG)
            .summary("Delete a mapping.")
            .path::<Uuid>("id", "The custom field's `id`.")
            .path::<Uuid>("mapping_id", "The mapping's `id`.")
            .gives_nothing(204, "It is deleted.")
            .fails(&[Code::CustomFieldNotFound, Code::MappingNotFound]),
    ];
    operations.extend(look::operations());
    operations
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let kind = query.get("object").map(|name| {
        ObjectKind::parse(name).ok_or_else(|| {
            let detail = format!(
                "The parameter `object` is {:?}, but must be an object such as crm.contact.",
                name.chars().take(80).collect::<String>()
            );
            Error::new(Code::InvalidParameter, detail)
        })
    });
    let kind = kind.transpose()?;
    let mut fields = services.store.custom_fields(caller.project.id).await?;
    fields.retain(|field| kind.is_none_or(|kind| field.kind == kind));
    json(&fields.iter().map(FieldBody::from).collect::<Vec<_>>())
}

pub(super) async fn create(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Json(body): Json<Create>,
) -> Result<Response, Error> {
    let draft = FieldDraft {
        kind: kind("/object", &body.object)?,
        slug: body.slug,
        description: body.description.unwrap_or_default(),
        data_type: body.data_type,
        default: body.default,
        linked_users_map: body.linked_users_map,
    };
    let project = actor.project.id;
    let field = services.unify.define_field(project, draft).await?;
    defined(&services, &actor, &field).await?;
    Ok((StatusCode::CREATED, json(&FieldBody::from(&field))?).into_response())
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let id = field_id(&id)?;
    let field = services.unify.field(caller.project.id, id).await?;
    json(&FieldBody::from(&field))
}

pub(super) async fn update(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<Update>,
) -> Result<Response, Error> {
    let change = FieldChange {
        description: body.description,
        data_type: body.data_type,
        default: body.default,
        linked_users_map: body.linked_users_map,
    };
    let project = actor.project.id;
    let field = services
        .unify
        .change_field(project, field_id(&id)?, change)
        .await?;
    actor
        .audit(&services, "custom_field.change", field.id, field.audited())
        .await?;
    json(&FieldBody::from(&field))
}

pub(super) async fn delete(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
) -> Result<StatusCode, Error> {
    let project = actor.project.id;
    let field = services.unify.field(project, field_id(&id)?).await?;
    services.unify.delete_field(project, field.id).await?;
    actor
        .audit(&services, "custom_field.delete", field.id, field.audited())
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

pub(super) async fn mappings(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let field = services.unify.field(project, field_id(&id)?).await?;
    let mappings = services.store.mappings_of(project, field.id).await?;
    json(&mappings.iter().map(MappingBody::from).collect::<Vec<_>>())
}

pub(super) async fn create_mapping(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(id): Path<String>,
    Json(body): Json<CreateMapping>,
) -> Result<Response, Error> {
    let linked_user = body.linked_user_id.as_deref().map(|id| {
        id.parse::<LinkedUserId>()
            .map_err(|_| invalid("/linked_user_id", "is not the id of a linked user"))
    });
    let draft = MappingDraft {
        connector: body
            .connector
            .parse()
            .map_err(|_| invalid("/connector", "is not the slug of a connector"))?,
        linked_user: linked_user.transpose()?,
        rules: MappingRules {
            remote_fields: body.remote_fields,
            transforms: body.transforms,
            default: body.default,
        },
    };
    let project = actor.project.id;
    let mapping = services
        .unify
        .map_field(project, field_id(&id)?, &draft)
        .await?;
    mapped(&services, &actor, &mapping).await?;
    Ok((StatusCode::CREATED, json(&MappingBody::from(&mapping))?).into_response())
}

pub(super) async fn update_mapping(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((id, mapping)): Path<(String, String)>,
    Json(body): Json<UpdateMapping>,
) -> Result<Response, Error> {
    let change = MappingChange {
        remote_fields: body.remote_fields,
        transforms: body.transforms,
        default: body.default,
    };
    let (field, mapping) = (field_id(&id)?, mapping_id(&mapping)?);
    let unify = &services.unify;
    let mapping = unify
        .change_mapping(actor.project.id, field, mapping, change)
        .await?;
    mapped(&services, &actor, &mapping).await?;
    json(&MappingBody::from(&mapping))
}

pub(super) async fn delete_mapping(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path((id, mapping)): Path<(String, String)>,
) -> Result<StatusCode, Error> {
    let (field, mapping) = (field_id(&id)?, mapping_id(&mapping)?);
    let project = actor.project.id;
    services.unify.field(project, field).await?;
    services
        .unify
        .delete_mapping(project, field, mapping)
        .await?;
    let details = serde_json::json!({ "field": field });
    actor
        .audit(&services, "field_mapping.delete", mapping, details)
        .await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Writes into the audit log that a field was made.
pub(super) async fn defined(
    services: &Services,
    actor: &Actor,
    field: &CustomField,
) -> Result<(), Error> {
    let details = field.audited();
    actor
        .audit(services, "custom_field.create", field.id, details)
        .await
}

/// Writes into the audit log that a mapping is this now.
pub(super) async fn mapped(
    services: &Services,
    actor: &Actor,
    mapping: &CustomFieldMapping,
) -> Result<(), Error> {
    let details = mapping.audited();
    actor
        .audit(services, "field_mapping.set", mapping.id, details)
        .await
}

/// What is no id names nothing.
pub(super) fn field_id(text: &str) -> Result<CustomFieldId, Error> {
    text.parse().map_err(|_| {
        let detail = "The path does not have the id of a custom field.";
        Error::new(Code::CustomFieldNotFound, detail)
    })
}

fn mapping_id(text: &str) -> Result<MappingId, Error> {
    text.parse().map_err(|_| {
        let detail = "The path does not have the id of a mapping.";
        Error::new(Code::MappingNotFound, detail)
    })
}

/// An object by its name, from the field of the body at `path`.
fn kind(path: &str, name: &str) -> Result<ObjectKind, Error> {
    ObjectKind::parse(name).ok_or_else(|| {
        let name: String = name.chars().take(80).collect();
        invalid(
            path,
            format!("{name:?} is not an object such as crm.contact"),
        )
    })
}

/// The body is wrong at one place.
pub(super) fn invalid(path: &str, message: impl Into<String>) -> Error {
    let violation = Violation {
        path: path.to_owned(),
        message: message.into(),
    };
    let detail = format!("The body is not valid: {violation}.");
    Error::new(Code::ValidationFailed, detail).with_violations(vec![violation])
}
