//! The properties that a portal has.

use jackfield_sdk::discovery::{DataType, Discovery, RemoteField};
use jackfield_sdk::{Connection, Failure, http};

use crate::{HubSpot, object, wire};

impl Discovery for HubSpot {
    fn remote_fields(_: &Connection, kind: &str) -> Result<Vec<RemoteField>, Failure> {
        let answer: wire::Properties = http::get("{api}/crm/v3/properties")
            .path(object(kind)?.path)
            .send()?
            .json()?;
        let mut fields: Vec<RemoteField> = answer
            .results
            .into_iter()
            .filter(|property| !property.hidden)
            .map(field)
            .collect();
        fields.sort_by_key(|field| !field.custom);
        Ok(fields)
    }
}

fn field(property: wire::Property) -> RemoteField {
    let read_only = property
        .modification_metadata
        .is_some_and(|metadata| metadata.read_only_value);
    let options = property.options.into_iter().filter(|option| !option.hidden);
    RemoteField {
        label: property.label,
        data_type: match (property.kind.as_str(), property.field_type.as_str()) {
            ("enumeration", "checkbox") => DataType::Many,
            ("number", _) => DataType::Number,
            ("bool", _) | ("enumeration", "booleancheckbox") => DataType::Boolean,
            ("date", _) => DataType::Date,
            ("datetime", _) => DataType::DateTime,
            ("json", _) => DataType::Structure,
            _ => DataType::Text,
        },
        custom: !property.hubspot_defined,
        writable: !read_only && !property.calculated,
        options: options.map(|option| option.value).collect(),
        ..RemoteField::new(property.name)
    }
}
