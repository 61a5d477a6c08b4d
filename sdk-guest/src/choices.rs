//! What people can choose in settings, where only the provider knows it: an optional power of a connector.

pub use crate::bindings::choices::exports::jackfield::connector::choices::Choice;
use crate::{Connection, Failure};

/// A connector that has settings with `options_from = "discovery"`: it loads what can be chosen.
///
/// It may send requests. Export it with `export_connector!(Example, manifest = "connector.toml", choices)`.
pub trait Choices {
    /// What the setting of that id can be set to, in an order that helps people. `unsupported` for a setting that
    /// has no choices of the provider.
    fn setting_choices(connection: &Connection, setting: &str) -> Result<Vec<Choice>, Failure>;
}

impl Choice {
    /// A choice: what the setting is set to, and what a person reads.
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}
