//! What an operation takes and gives.

use schemars::JsonSchema;

use super::{SchemaOf, schema_of};

/// The body of a request.
#[derive(Clone, Debug)]
pub(in crate::http) struct Body {
    pub(in crate::http) required: bool,
    /// Media types with their schemas; none for bytes of any kind.
    pub(in crate::http) content: Vec<(&'static str, Option<SchemaOf>)>,
}

impl Body {
    /// JSON.
    pub(in crate::http) fn json<T: JsonSchema>() -> Self {
        Self {
            required: true,
            content: vec![("application/json", Some(schema_of::<T>))],
        }
    }

    /// Bytes that are not looked into.
    pub(in crate::http) fn bytes(media_type: &'static str) -> Self {
        Self {
            required: true,
            content: vec![(media_type, None)],
        }
    }

    /// The same value in another form as well.
    pub(in crate::http) fn or<T: JsonSchema>(mut self, media_type: &'static str) -> Self {
        self.content.push((media_type, Some(schema_of::<T>)));
        self
    }

    /// Or bytes that are not looked into.
    pub(in crate::http) fn or_bytes(mut self, media_type: &'static str) -> Self {
        self.content.push((media_type, None));
        self
    }

    /// It may be left away.
    pub(in crate::http) const fn optional(mut self) -> Self {
        self.required = false;
        self
    }
}

/// An answer that is no error.
#[derive(Clone, Debug)]
pub(in crate::http) struct Answer {
    pub(in crate::http) status: u16,
    /// What it is, in a sentence.
    pub(in crate::http) description: &'static str,
    /// The media type and, where the answer is JSON, its schema.
    pub(in crate::http) content: Option<(&'static str, Option<SchemaOf>)>,
    /// Names and descriptions of headers besides those of every answer.
    pub(in crate::http) headers: Vec<(&'static str, &'static str)>,
}

impl Answer {
    /// JSON.
    pub(in crate::http) fn json<T: JsonSchema>(status: u16, description: &'static str) -> Self {
        let content = ("application/json", Some(schema_of::<T> as SchemaOf));
        Self {
            content: Some(content),
            ..Self::empty(status, description)
        }
    }

    /// Something else.
    pub(in crate::http) const fn other(
        status: u16,
        media_type: &'static str,
        description: &'static str,
    ) -> Self {
        Self {
            status,
            description,
            content: Some((media_type, None)),
            headers: Vec::new(),
        }
    }

    /// Nothing.
    pub(in crate::http) const fn empty(status: u16, description: &'static str) -> Self {
        Self {
            status,
            description,
            content: None,
            headers: Vec::new(),
        }
    }

    /// Adds a header.
    pub(in crate::http) fn header(mut self, name: &'static str, description: &'static str) -> Self {
        self.headers.push((name, description));
        self
    }
}
