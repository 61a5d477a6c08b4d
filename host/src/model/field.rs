//! Fields of a provider, beyond those that the unified objects have.

/// A custom field as the connector is told of it: the slug under which the application knows it,
/// and the provider's name for it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct FieldMapping {
    /// The application's name.
    pub slug: String,
    /// The provider's name.
    pub remote_field: String,
}

/// One of several things that a setting can be set to, as the provider has them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Choice {
    /// What the setting is set to.
    pub value: String,
    /// What a person reads.
    pub label: String,
}

/// A field that a provider has for an object, as its connector found it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RemoteField {
    /// The provider's name: what a custom field is mapped to.
    pub name: String,
    /// What a person calls it.
    pub label: String,
    /// `string`, `number`, `boolean`, `date`, `datetime`, `list` or `object`.
    pub data_type: &'static str,
    /// Whether the customer made it, rather than the provider.
    pub custom: bool,
    /// Whether it can be written.
    pub writable: bool,
    /// The values that it can have, where they are listed.
    pub options: Vec<String>,
    /// A few values that it has now, as text.
    pub samples: Vec<String>,
}
