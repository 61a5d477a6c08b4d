//! Parameters of an operation: of its path, its query and its headers.

use schemars::JsonSchema;

use super::{SchemaOf, schema_of};

/// Where a parameter stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(in crate::http) enum Place {
    /// A part of the path.
    Path,
    /// The query.
    Query,
    /// A header.
    Header,
}

impl Place {
    /// As the document spells it.
    pub(in crate::http) const fn as_str(self) -> &'static str {
        match self {
            Self::Path => "path",
            Self::Query => "query",
            Self::Header => "header",
        }
    }
}

/// One parameter.
#[derive(Clone, Debug)]
pub(in crate::http) struct Parameter {
    pub(in crate::http) place: Place,
    pub(in crate::http) name: String,
    /// Markdown.
    pub(in crate::http) description: String,
    pub(in crate::http) required: bool,
    pub(in crate::http) schema: SchemaOf,
    /// Laid over the schema: bounds, formats, the default.
    pub(in crate::http) rules: Vec<(&'static str, serde_json::Value)>,
}

impl Parameter {
    /// Of the query; it may be left away.
    pub(in crate::http) fn query<T: JsonSchema>(
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self::new::<T>(Place::Query, name, description)
    }

    /// Of the path.
    pub(in crate::http) fn path<T: JsonSchema>(
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self::new::<T>(Place::Path, name, description).required()
    }

    /// A header; it may be left away.
    pub(in crate::http) fn header<T: JsonSchema>(
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self::new::<T>(Place::Header, name, description)
    }

    fn new<T: JsonSchema>(
        place: Place,
        name: impl Into<String>,
        description: impl Into<String>,
    ) -> Self {
        Self {
            place,
            name: name.into(),
            description: description.into(),
            required: false,
            schema: schema_of::<T>,
            rules: Vec::new(),
        }
    }

    /// It has to be there.
    pub(in crate::http) const fn required(mut self) -> Self {
        self.required = true;
        self
    }

    /// Adds a keyword to the schema, such as `minimum`, `default`, `examples`.
    pub(in crate::http) fn rule(
        mut self,
        keyword: &'static str,
        value: impl Into<serde_json::Value>,
    ) -> Self {
        self.rules.push((keyword, value.into()));
        self
    }
}
