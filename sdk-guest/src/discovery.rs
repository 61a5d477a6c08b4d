//! What a provider has beyond the unified fields: an optional power of a connector.

pub use crate::bindings::discovery::exports::jackfield::connector::discovery::{
    Choice, DataType, RemoteField,
};
use crate::{Connection, Failure};

/// A connector that tells which fields a provider has, so that people can map custom fields.
///
/// Both functions may send requests. Export it with
/// `export_connector!(Example, manifest = "connector.toml", discovery)`.
pub trait Discovery {
    /// The fields that the provider has for an object; the names are those that custom fields are mapped to.
    fn remote_fields(connection: &Connection, object: &str) -> Result<Vec<RemoteField>, Failure>;

    /// The values that a setting can have for this connection.
    fn choices(connection: &Connection, setting: &str) -> Result<Vec<Choice>, Failure> {
        let _ = connection;
        Err(Failure::Unsupported(format!(
            "the setting {setting} has no list"
        )))
    }
}

impl RemoteField {
    /// A field with the provider's name, called the same by people, of text, that is the provider's own and can
    /// be written. Change it with struct update syntax.
    pub fn new(name: impl Into<String>) -> Self {
        let name = name.into();
        Self {
            label: name.clone(),
            name,
            data_type: DataType::Text,
            custom: false,
            writable: true,
            options: Vec::new(),
            samples: Vec::new(),
        }
    }
}

impl Choice {
    /// A value, and what a person sees.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}
