//! What a provider has beyond the unified fields: an optional power of a connector.

pub use crate::bindings::discovery::exports::jackfield::connector::discovery::{
    DataType, RemoteField,
};
use crate::{Connection, Failure};

/// A connector that tells which fields a provider has, so that people can map custom fields.
///
/// It may send requests. Export it with `export_connector!(Example, manifest = "connector.toml", discovery)`.
pub trait Discovery {
    /// The fields that the provider has for an object; the names are those that custom fields are mapped to.
    fn remote_fields(connection: &Connection, object: &str) -> Result<Vec<RemoteField>, Failure>;
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
