//! Looking before mapping: a preview, and the fields that a provider has.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use uuid::Uuid;

use super::{Preview, PreviewBody, RemoteFieldBody, TAG, body::PreviewedBody, invalid, kind};
use crate::{
    http::{
        Services,
        body::Json,
        caller::{Caller, Scoped},
        error::{Code, Error},
        operation::Operation,
        query::Query,
        routes::json,
    },
    model::{ConnectionId, MappingRules, ObjectKind, RecordId},
};

/// Records of a preview.
const MAX_RECORDS: usize = 5;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/custom_fields/preview", preview)
            .id("previewCustomField")
            .tag(TAG)
            .summary("What a mapping would make of stored records.")
            .describe("Nothing is stored and the provider is not called. Warnings say why a value is null or the default although the provider has one.")
            .connection()
            .takes::<Preview>()
            .gives::<PreviewBody>(200, "The records, with the values before and after.")
            .fails(&[
                Code::RecordNotFound,
                Code::Unsupported,
                Code::ConnectorUnavailable,
                Code::ConnectorFailed,
                Code::ConnectorTimeout,
                Code::Busy,
            ]),
        Operation::get("/connections/{id}/remote_fields", remote_fields)
            .id("listRemoteFields")
            .tag(TAG)
            .summary("The fields that the provider of a connection has for an object.")
            .describe("As the connector finds them at the provider. Where it cannot look, the places in the stored documents, as JSON Pointers: these can be mapped too, but not written.")
            .path::<Uuid>("id", "The connection's id.")
            .require_query::<String>("object", "The object, `crm.contact`.")
            .gives::<Vec<RemoteFieldBody>>(200, "The fields, with a few values of each.")
            .fails(&[
                Code::ConnectionNotFound,
                Code::Unsupported,
                Code::NeedsReconnect,
                Code::RateLimited,
                Code::ProviderForbidden,
                Code::ProviderRefused,
                Code::ProviderConflict,
                Code::ProviderFailed,
                Code::ProviderUnavailable,
                Code::ConnectorFailed,
                Code::ConnectorUnavailable,
                Code::ConnectorTimeout,
                Code::RecordNotFound,
                Code::Busy,
            ]),
    ]
}

async fn preview(
    State(services): State<Arc<Services>>,
    Scoped(scope): Scoped,
    Json(body): Json<Preview>,
) -> Result<Response, Error> {
    let records = body.record_ids.unwrap_or_default();
    if records.len() > MAX_RECORDS {
        let message = format!("may have {MAX_RECORDS} ids");
        return Err(invalid("/record_ids", message));
    }
    let ids = records.iter().enumerate().map(|(index, id)| {
        id.parse::<RecordId>()
            .map_err(|_| invalid(&format!("/record_ids/{index}"), "is not the id of a record"))
    });
    let ids: Vec<RecordId> = ids.collect::<Result<_, _>>()?;
    let rules = MappingRules {
        remote_fields: body.remote_fields,
        transforms: body.transforms,
        default: body.default,
    };
    let previewed = services
        .unify
        .preview(
            &scope,
            kind("/object", &body.object)?,
            body.data_type,
            &rules,
            &ids,
            u32::try_from(MAX_RECORDS).unwrap_or(u32::MAX),
        )
        .await?;
    json(&PreviewBody {
        records: previewed.into_iter().map(PreviewedBody::from).collect(),
    })
}

async fn remote_fields(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Response, Error> {
    let scope = match id.parse::<ConnectionId>() {
        Ok(id) => services.store.scope_by_id(caller.project.id, id).await?,
        Err(_) => None,
    };
    let scope = scope.ok_or_else(|| {
        let detail = "This project has no such connection.";
        Error::new(Code::ConnectionNotFound, detail)
    })?;
    let object = query.require("object")?;
    let kind = ObjectKind::parse(object).ok_or_else(|| {
        let detail = "The parameter `object` must be an object such as crm.contact.";
        Error::new(Code::InvalidParameter, detail)
    })?;
    let found = services.unify.remote_fields(&scope, kind).await?;
    let source = if found.discovered {
        "provider"
    } else {
        "documents"
    };
    let fields = found.fields.into_iter();
    let bodies: Vec<RemoteFieldBody> = fields
        .map(|field| RemoteFieldBody::new(field, source))
        .collect();
    json(&bodies)
}
