//! The account's own fields: the names under `extra`.

use jackfield_sdk::discovery::{DataType, Discovery, RemoteField};
use jackfield_sdk::{Connection, Failure, http};

use crate::{Collection, DemoCrm, wire};

impl Discovery for DemoCrm {
    fn remote_fields(_: &Connection, object: &str) -> Result<Vec<RemoteField>, Failure> {
        let collection = Collection::of(object)?;
        let answer: wire::ExtraFields = http::get(collection.url).path("fields").send()?.json()?;
        let field = |field: wire::ExtraField| RemoteField {
            label: field.name.replace('_', " "),
            data_type: match field.kind.as_str() {
                "number" => DataType::Number,
                "flag" => DataType::Boolean,
                _ => DataType::Text,
            },
            custom: true,
            samples: field.samples,
            ..RemoteField::new(field.name)
        };
        Ok(answer.fields.into_iter().map(field).collect())
    }
}
