//! Custom fields in records: what connectors are asked for, what becomes of their answers, and the
//! way back.

use std::sync::Arc;

use serde_json::{Map, Value};

use super::{Error, Unify};
use crate::{
    model::{
        EffectiveMappings, FieldMapping, ObjectKind, Origin, Scope, UnifiedBy, Upsert, Violation,
    },
    runtime::ConnectorVersion,
    store::{PageOutcome, Source},
};

/// What unified the records of an object: a version of a connector, and what the project's custom
/// fields were. Where either is another, stored documents are unified again.
pub(super) fn unified_by(
    version: &ConnectorVersion,
    mappings: &EffectiveMappings,
) -> Arc<UnifiedBy> {
    let digest = version.digest().to_string();
    Arc::new(UnifiedBy {
        mark: match mappings.revision() {
            Some(revision) => format!("{digest}+{revision}"),
            None => digest.clone(),
        },
        version: version.manifest().version.to_string(),
        digest,
        mappings: mappings.snapshot(),
    })
}

/// The values of a record: every mapped field, null where there is nothing. `answered` are the
/// connector's, `document` the provider's own document.
pub(super) fn values(
    mappings: &EffectiveMappings,
    answered: &Map<String, Value>,
    document: &Value,
) -> Map<String, Value> {
    mappings
        .iter()
        .map(|mapping| {
            let mapped = mapping.map(answered, document);
            (mapping.slug.to_string(), mapped.value)
        })
        .collect()
}

/// What the connector is given of the custom fields that an application wrote.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Values by remote field.
    pub(super) values: Map<String, Value>,
    /// The remote fields.
    pub(super) fields: Vec<FieldMapping>,
}

impl Unify {
    /// Stores what was read or answered. Where the connector or the custom fields were changed
    /// meanwhile, whoever unifies again may have gone past already: he is called back.
    pub(super) async fn keep(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        upserts: &[Upsert],
        source: Source<'_>,
        origin: &Origin,
    ) -> Result<PageOutcome, Error> {
        let outcome = self
            .0
            .store
            .apply_page_from(scope, kind, upserts, source, origin)
            .await?;
        if outcome.mixed {
            self.0.remaps.notify_one();
        }
        Ok(outcome)
    }

    /// Turns `field_mappings` of a body into what the connector is given.
    ///
    /// # Errors
    /// A slug that is not mapped, a value of another type, or one that has no way back to the
    /// provider.
    pub(super) async fn custom_out(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        sent: Option<Value>,
    ) -> Result<Written, Error> {
        let sent = match sent {
            None | Some(Value::Null) => return Ok(Written::default()),
            Some(Value::Object(sent)) if sent.is_empty() => return Ok(Written::default()),
            Some(Value::Object(sent)) => sent,
            Some(_) => {
                return Err(Error::Invalid(vec![Violation {
                    path: "/field_mappings".to_owned(),
                    message: "must be an object from the slugs of custom fields to their values"
                        .to_owned(),
                }]));
            }
        };
        let mappings = self.0.store.effective_mappings(scope, kind).await?;
        let mut written = Written::default();
        let mut problems = Vec::new();
        for (slug, value) in sent {
            if let Err(message) = write_one(&mappings, &mut written.values, &slug, value) {
                let slug = slug.replace('~', "~0").replace('/', "~1");
                problems.push(Violation {
                    path: format!("/field_mappings/{slug}"),
                    message,
                });
            }
        }
        if !problems.is_empty() {
            return Err(Error::Invalid(problems));
        }
        written.fields = mappings.for_connector();
        let named = |field: &FieldMapping| written.values.contains_key(&field.slug);
        written.fields.retain(named);
        Ok(written)
    }
}

fn write_one(
    mappings: &EffectiveMappings,
    values: &mut Map<String, Value>,
    slug: &str,
    value: Value,
) -> Result<(), String> {
    let mapping = mappings.get(slug).ok_or_else(|| {
        let known: Vec<&str> = mappings.iter().map(|one| one.slug.as_str()).collect();
        if known.is_empty() {
            "is not a custom field of this connection: none is mapped for this object".to_owned()
        } else {
            format!(
                "is not a custom field of this connection; mapped are {}",
                known.join(", ")
            )
        }
    })?;
    let value = mapping.invert(value)?;
    let [remote_field] = mapping.rules.remote_fields.as_slice() else {
        return Err("is read-only: it is made of several remote fields".to_owned());
    };
    match values.get(remote_field) {
        Some(other) if *other != value => Err(format!(
            "is written to the provider's field {remote_field:?}, and so is another custom field, with another value"
        )),
        _ => {
            values.insert(remote_field.clone(), value);
            Ok(())
        }
    }
}
