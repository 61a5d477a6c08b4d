//! Custom fields as the wire contract has them: a definition and its mapping are one `attribute`.

use std::{collections::HashMap, sync::Arc};

use axum::{
    extract::State,
    http::StatusCode,
    response::{IntoResponse as _, Response},
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use uuid::Uuid;

use super::{
    custom_fields::{self, field_id, invalid},
    json,
};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Actor, Caller, Client},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{
        CustomField, CustomFieldId, CustomFieldMapping, DataType, FieldSlug, LinkedUserId,
        MappingRules, ObjectKind, ProjectId, RecordId, value_id,
    },
    store::CustomValues,
    unify::{self, FieldDraft, MappingDraft},
};

const TAG: &str = "Custom fields";
/// Values on a page of the two lists of values.
const MAX_VALUES: u32 = 200;

pub(super) fn operations() -> Vec<Operation> {
    let after = || {
        Parameter::query::<Uuid>(
            "after",
            "The `id_entity` of the last one on the page before.",
        )
    };
    let limit =
        || Parameter::query::<u32>("limit", "Records on a page, at most 200.").rule("minimum", 1);
    vec![
        Operation::post("/field_mappings/define", define)
            .id("definitions")
            .tag(TAG)
            .summary("Define a custom field.")
            .describe("`POST /custom_fields` does it with a default value.")
            .alias("/field_mappings/definitions")
            .takes::<Define>()
            .gives::<Attribute>(201, "The definition.")
            .fails(&[Code::Conflict]),
        Operation::post("/field_mappings/map", map)
            .id("map")
            .tag(TAG)
            .summary("Map a custom field for a connector, for one linked user or for all.")
            .describe("Takes the place of the mapping that there may be. `POST /custom_fields/{id}/mappings` does it with transforms.")
            .alias("/field_mappings/mappings")
            .takes::<Map>()
            .gives::<Attribute>(201, "The definition with the mapping.")
            .fails(&[Code::CustomFieldNotFound, Code::LinkedUserNotFound, Code::Conflict, Code::MappingNotFound]),
        Operation::post("/field_mappings", define_and_map)
            .id("defineCustomField")
            .tag(TAG)
            .summary("Define a custom field and map it.")
            .describe("A definition of the same name and type is used where there is one, so that a field can be mapped for several linked users.")
            .takes::<DefineAndMap>()
            .gives::<Attribute>(201, "The definition with the mapping.")
            .fails(&[Code::LinkedUserNotFound, Code::Conflict, Code::CustomFieldNotFound, Code::MappingNotFound]),
        Operation::get("/field_mappings/attributes", attributes)
            .id("getFieldMappings")
            .tag(TAG)
            .summary("The custom fields of the project, once for each mapping.")
            .gives::<Vec<Attribute>>(200, "The attributes."),
        Operation::get("/field_mappings/values", values)
            .id("getFieldMappingValues")
            .tag(TAG)
            .summary("Values of custom fields in the records of the project.")
            .parameter(after())
            .parameter(limit())
            .gives::<Vec<ValueBody>>(200, "The values of a page of records."),
        Operation::get("/field_mappings/entities", entities)
            .id("getFieldMappingsEntities")
            .tag(TAG)
            .summary("The records of the project that have custom fields.")
            .parameter(after())
            .parameter(limit())
            .gives::<Vec<Entity>>(200, "A page of records."),
    ]
}

/// A custom field; with a mapping where `status` is `mapped`.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Attribute")]
struct Attribute {
    /// The custom field's id: several attributes have it where it is mapped several times.
    #[schemars(with = "Uuid")]
    id_attribute: String,
    /// `defined` or `mapped`.
    status: &'static str,
    /// The object.
    #[schemars(example = &"crm.contact")]
    ressource_owner_type: &'static str,
    slug: String,
    description: String,
    /// Null for clients generated from the published contract where it is neither `string` nor
    /// `number`, which is all that they know.
    data_type: Option<DataType>,
    /// The provider's field.
    remote_id: Option<String>,
    /// The connector.
    source: Option<String>,
    /// Always null.
    id_entity: Option<()>,
    #[schemars(with = "Uuid")]
    id_project: String,
    /// Always `user`.
    scope: &'static str,
    /// The linked user; null where it is for all.
    #[schemars(with = "Option<Uuid>")]
    id_consumer: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
}

impl Attribute {
    fn new(field: &CustomField, mapping: Option<&CustomFieldMapping>, client: Client) -> Self {
        let known = matches!(field.data_type, DataType::String | DataType::Number);
        let modified_at = mapping.map_or(field.modified_at, |mapping| {
            mapping.modified_at.max(field.modified_at)
        });
        Self {
            id_attribute: field.id.to_string(),
            status: if mapping.is_some() {
                "mapped"
            } else {
                "defined"
            },
            ressource_owner_type: field.kind.name(),
            slug: field.slug.to_string(),
            description: field.description.clone(),
            data_type: Some(field.data_type).filter(|_| known || !client.is_generated),
            remote_id: mapping.and_then(|mapping| mapping.rules.remote_fields.first().cloned()),
            source: mapping.map(|mapping| mapping.connector.to_string()),
            id_entity: None,
            id_project: field.project.to_string(),
            scope: "user",
            id_consumer: mapping
                .and_then(|mapping| mapping.linked_user)
                .map(|id| id.to_string()),
            created_at: field.created_at.to_string(),
            modified_at: modified_at.to_string(),
        }
    }
}

/// A value of a custom field.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AttributeValue")]
struct ValueBody {
    #[schemars(with = "Uuid")]
    id_value: String,
    data: Value,
    /// The record.
    #[schemars(with = "Uuid")]
    id_entity: String,
    /// The custom field.
    #[schemars(with = "Uuid")]
    id_attribute: String,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
}

/// A record with custom fields.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "AttributeEntity")]
struct Entity {
    /// The record.
    #[schemars(with = "Uuid")]
    id_entity: String,
    /// The record.
    #[schemars(with = "Uuid")]
    ressource_owner_id: String,
    /// Its object.
    ressource_owner_type: &'static str,
    #[schemars(extend("format" = "date-time"))]
    created_at: String,
    #[schemars(extend("format" = "date-time"))]
    modified_at: String,
}

/// The type of a custom field as the contract says it: `text` is `string`.
#[derive(Clone, Copy, Deserialize, JsonSchema)]
#[serde(rename_all = "lowercase")]
#[schemars(rename = "AttributeType")]
enum ContractType {
    String,
    Text,
    Number,
    Boolean,
    Date,
    Datetime,
    List,
    Object,
}

impl From<ContractType> for DataType {
    fn from(data_type: ContractType) -> Self {
        match data_type {
            ContractType::String | ContractType::Text => Self::String,
            ContractType::Number => Self::Number,
            ContractType::Boolean => Self::Boolean,
            ContractType::Date => Self::Date,
            ContractType::Datetime => Self::Datetime,
            ContractType::List => Self::List,
            ContractType::Object => Self::Object,
        }
    }
}

/// A new custom field.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AttributeDefine")]
pub(super) struct Define {
    /// The object, `crm.contact`; one of `crm` without its vertical, `contact`.
    #[schemars(example = &"contact")]
    object_type_owner: String,
    /// Its slug.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,62}$"), example = &"favourite_dish")]
    name: String,
    #[serde(default)]
    #[schemars(length(max = 1000))]
    description: Option<String>,
    /// `string` where there is none.
    #[serde(default)]
    data_type: Option<ContractType>,
}

/// A mapping of a custom field.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AttributeMap")]
pub(super) struct Map {
    /// The custom field.
    #[serde(rename = "attributeId")]
    #[schemars(with = "Uuid")]
    attribute_id: String,
    /// The provider's field.
    #[schemars(length(min = 1, max = 512), example = &"speaks")]
    source_custom_field_id: String,
    /// The connector.
    #[schemars(example = &"demo-crm")]
    source_provider: String,
    /// The linked user, by our id or your own; all where there is none.
    #[serde(default)]
    linked_user_id: Option<String>,
}

/// A new custom field and its mapping.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "AttributeDefineAndMap")]
pub(super) struct DefineAndMap {
    /// The object, `crm.contact`; one of `crm` without its vertical, `contact`.
    #[schemars(example = &"contact")]
    object_type_owner: String,
    /// Its slug.
    #[schemars(regex(pattern = r"^[a-z][a-z0-9_]{0,62}$"), example = &"favourite_dish")]
    name: String,
    #[serde(default)]
    #[schemars(length(max = 1000))]
    description: Option<String>,
    /// `string` where there is none.
    #[serde(default)]
    data_type: Option<ContractType>,
    /// The provider's field.
    #[schemars(length(min = 1, max = 512), example = &"speaks")]
    source_custom_field_id: String,
    /// The connector.
    #[schemars(example = &"demo-crm")]
    source_provider: String,
    /// The linked user, by our id or your own; all where there is none.
    #[serde(default)]
    linked_user_id: Option<String>,
}

pub(super) async fn define(
    State(services): State<Arc<Services>>,
    actor: Actor,
    client: Client,
    Json(body): Json<Define>,
) -> Result<Response, Error> {
    let draft = draft(
        &body.object_type_owner,
        body.name,
        body.description,
        body.data_type,
    )?;
    let project = actor.project.id;
    let defined = services.unify.define_field(project, draft).await;
    let field = defined.map_err(contract)?;
    custom_fields::defined(&services, &actor, &field).await?;
    created(&Attribute::new(&field, None, client))
}

pub(super) async fn map(
    State(services): State<Arc<Services>>,
    actor: Actor,
    client: Client,
    Json(body): Json<Map>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let field = field_id(&body.attribute_id)?;
    let field = services.unify.field(project, field).await?;
    let draft = mapping(
        &services,
        project,
        body.source_custom_field_id,
        &body.source_provider,
        body.linked_user_id.as_deref(),
    )
    .await?;
    let mapped = services.unify.put_mapping(project, field.id, &draft).await;
    let mapped = mapped.map_err(contract)?;
    custom_fields::mapped(&services, &actor, &mapped).await?;
    created(&Attribute::new(&field, Some(&mapped), client))
}

pub(super) async fn define_and_map(
    State(services): State<Arc<Services>>,
    actor: Actor,
    client: Client,
    Json(body): Json<DefineAndMap>,
) -> Result<Response, Error> {
    let project = actor.project.id;
    let field = draft(
        &body.object_type_owner,
        body.name,
        body.description,
        body.data_type,
    )?;
    let draft = mapping(
        &services,
        project,
        body.source_custom_field_id,
        &body.source_provider,
        body.linked_user_id.as_deref(),
    )
    .await?;
    let unify = &services.unify;
    let (field, mapped) = unify
        .define_and_map(project, field, &draft)
        .await
        .map_err(contract)?;
    custom_fields::defined(&services, &actor, &field).await?;
    custom_fields::mapped(&services, &actor, &mapped).await?;
    created(&Attribute::new(&field, Some(&mapped), client))
}

pub(super) async fn attributes(
    State(services): State<Arc<Services>>,
    caller: Caller,
    client: Client,
) -> Result<Response, Error> {
    let project = caller.project.id;
    let fields = services.store.custom_fields(project).await?;
    let mut mappings: HashMap<CustomFieldId, Vec<CustomFieldMapping>> = HashMap::new();
    for mapping in services.store.mappings(project).await? {
        mappings.entry(mapping.field).or_default().push(mapping);
    }
    let mut attributes = Vec::with_capacity(fields.len());
    for field in &fields {
        match mappings.get(&field.id) {
            Some(mappings) => {
                let of = |mapping| Attribute::new(field, Some(mapping), client);
                attributes.extend(mappings.iter().map(of));
            }
            None => attributes.push(Attribute::new(field, None, client)),
        }
    }
    json(&attributes)
}

pub(super) async fn values(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let fields = services.store.custom_fields(caller.project.id).await?;
    let ids: HashMap<(ObjectKind, &FieldSlug), CustomFieldId> = fields
        .iter()
        .map(|field| ((field.kind, &field.slug), field.id))
        .collect();
    let mut bodies = Vec::new();
    for (kind, record) in page(&services, caller.project.id, &query).await? {
        let custom: serde_json::Map<String, Value> =
            serde_json::from_str(&record.custom).map_err(|error| Error::internal(&error))?;
        for (slug, data) in custom {
            // A field that was deleted just now has values until records are mapped again.
            let slug: Option<FieldSlug> = slug.parse().ok();
            let Some(id) = slug.and_then(|slug| ids.get(&(kind, &slug)).copied()) else {
                continue;
            };
            bodies.push(ValueBody {
                id_value: value_id(record.record, id),
                data,
                id_entity: record.record.to_string(),
                id_attribute: id.to_string(),
                created_at: record.created_at.to_string(),
                modified_at: record.modified_at.to_string(),
            });
        }
    }
    json(&bodies)
}

pub(super) async fn entities(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let page = page(&services, caller.project.id, &query).await?;
    let bodies: Vec<Entity> = page
        .iter()
        .map(|(kind, record)| Entity {
            id_entity: record.record.to_string(),
            ressource_owner_id: record.record.to_string(),
            ressource_owner_type: kind.name(),
            created_at: record.created_at.to_string(),
            modified_at: record.modified_at.to_string(),
        })
        .collect();
    json(&bodies)
}

/// A page of the project's records with custom values, by id.
async fn page(
    services: &Services,
    project: ProjectId,
    query: &Query,
) -> Result<Vec<(ObjectKind, CustomValues)>, Error> {
    let after = query.given("after")?.map(|text| {
        text.parse::<RecordId>().map_err(|_| {
            let detail = "The parameter `after` is not the id of a record.";
            Error::new(Code::InvalidParameter, detail)
        })
    });
    let after = after.transpose()?;
    let limit = query.count("limit", 50)?.min(MAX_VALUES);
    let mut found = Vec::new();
    for (scope, kind) in services.store.mapped_objects(project).await? {
        let wanted = limit - u32::try_from(found.len()).unwrap_or(limit).min(limit);
        if wanted == 0 {
            break;
        }
        let store = &services.store;
        let records = store.custom_values(&scope, kind, after, wanted).await?;
        found.extend(records.into_iter().map(|record| (kind, record)));
    }
    Ok(found)
}

fn draft(
    object: &str,
    name: String,
    description: Option<String>,
    data_type: Option<ContractType>,
) -> Result<FieldDraft, Error> {
    let kind = if object.contains('.') {
        ObjectKind::parse(object)
    } else {
        ObjectKind::parse(&format!("crm.{object}"))
    };
    let kind = kind.ok_or_else(|| {
        let object: String = object.chars().take(80).collect();
        let message = format!("{object:?} is no object such as contact or crm.contact");
        invalid("/object_type_owner", message)
    })?;
    Ok(FieldDraft {
        kind,
        slug: name,
        description: description.unwrap_or_default(),
        data_type: data_type.map_or(DataType::String, Into::into),
        default: None,
        linked_users_map: false,
    })
}

async fn mapping(
    services: &Services,
    project: ProjectId,
    remote_field: String,
    connector: &str,
    linked_user: Option<&str>,
) -> Result<MappingDraft, Error> {
    let connector = connector.parse();
    Ok(MappingDraft {
        connector: connector
            .map_err(|_| invalid("/source_provider", "is not the slug of a connector"))?,
        linked_user: match linked_user.filter(|id| !id.is_empty()) {
            Some(id) => Some(linked_user_id(services, project, id).await?),
            None => None,
        },
        rules: MappingRules {
            remote_fields: vec![remote_field],
            transforms: Vec::new(),
            default: None,
        },
    })
}

async fn linked_user_id(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<LinkedUserId, Error> {
    let store = &services.store;
    if let Ok(id) = id.parse()
        && let Some(user) = store.linked_user(project, id).await?
    {
        return Ok(user.id);
    }
    let user = store.linked_user_by_origin(project, id).await?;
    user.map(|user| user.id).ok_or_else(|| {
        let id: String = id.chars().take(80).collect();
        let detail = format!("This project has no linked user {id:?}.");
        Error::new(Code::LinkedUserNotFound, detail)
    })
}

/// Paths of violations as the contract calls the fields.
fn contract(error: unify::Error) -> Error {
    let unify::Error::Invalid(mut violations) = error else {
        return error.into();
    };
    for violation in &mut violations {
        let name = match violation.path.as_str() {
            "/slug" => "/name",
            "/connector" => "/source_provider",
            path if path.starts_with("/remote_fields") => "/source_custom_field_id",
            _ => continue,
        };
        name.clone_into(&mut violation.path);
    }
    unify::Error::Invalid(violations).into()
}

fn created(attribute: &Attribute) -> Result<Response, Error> {
    Ok((StatusCode::CREATED, json(attribute)?).into_response())
}
