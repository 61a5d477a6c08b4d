//! Custom fields in records: what connectors are asked for, what becomes of their answers, and the
//! way back.

use serde_json::{Map, Value};

use super::{Error, Unify};
use crate::{
    model::{EffectiveMappings, FieldMapping, ObjectKind, Scope, Violation},
    runtime::ConnectorVersion,
};

/// What unified the records of an object: a version of a connector, and what the project's custom
/// fields were. Where either is another, stored documents are unified again.
pub(super) fn mark(version: &ConnectorVersion, mappings: &EffectiveMappings) -> String {
    let digest = version.digest();
    match mappings.revision() {
        Some(revision) => format!("{digest}+{revision}"),
        None => digest.to_string(),
    }
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
    /// After records were written: where the connector or the custom fields were changed
    /// meanwhile, whoever unifies again may have gone past already, so the object is marked as it
    /// was unified now, and he is called back.
    pub(super) async fn recheck(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        unified_by: &str,
    ) -> Result<(), Error> {
        let Some(version) = self.0.runtime.active(&scope.connection().connector) else {
            return Ok(());
        };
        let mappings = self.0.store.effective_mappings(scope, kind).await?;
        if mark(&version, &mappings) != unified_by {
            let store = &self.0.store;
            store.mark_unified(scope, kind, unified_by, false).await?;
            self.0.remaps.notify_one();
        }
        Ok(())
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
