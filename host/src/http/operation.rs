//! The table of operations: every route with its description. The router and the OpenAPI
//! document are made of the same values, so no route exists that is not described.

mod body;
mod parameter;

use std::sync::Arc;

use axum::{Router, handler::Handler, routing};
use schemars::{JsonSchema, Schema, SchemaGenerator};

pub(super) use body::{Answer, Body};
pub(super) use parameter::{Parameter, Place};

use super::{Services, error::Code};
use crate::model::{self, ObjectKind};

/// How a schema is made when the document is.
pub(super) type SchemaOf = fn(&mut SchemaGenerator) -> Schema;

fn schema_of<T: JsonSchema>(generator: &mut SchemaGenerator) -> Schema {
    generator.subschema_for::<T>()
}

/// Who may call an operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Security {
    /// Anybody.
    Open,
    /// Whoever has an API key.
    Key,
    /// Whoever has an API key and the token of one of its connections.
    Connection,
    /// Whoever has an API key; a connection token narrows the operation to that connection.
    MaybeConnection,
}

/// One method at one path.
#[derive(Clone)]
pub(super) struct Operation {
    /// In lower case, as the document has it.
    pub(super) method: &'static str,
    pub(super) path: &'static str,
    /// Other paths with the same meaning.
    pub(super) aliases: Vec<&'static str>,
    /// Unique in the document.
    pub(super) id: &'static str,
    pub(super) tag: &'static str,
    pub(super) summary: &'static str,
    /// Markdown.
    pub(super) description: &'static str,
    pub(super) security: Security,
    pub(super) parameters: Vec<Parameter>,
    pub(super) body: Option<Body>,
    pub(super) answers: Vec<Answer>,
    pub(super) failures: Vec<Code>,
    /// Which verb of the unified API it is: the document then has it once for each object that
    /// offers the verb.
    pub(super) unified: Option<model::Operation>,
    /// Parameters that differ from object to object.
    pub(super) parameters_of: Option<fn(ObjectKind) -> Vec<Parameter>>,
    route: routing::MethodRouter<Arc<Services>>,
}

macro_rules! methods {
    ($($(#[$doc:meta])* $method:ident)*) => {$(
        $(#[$doc])*
        pub(super) fn $method<H, T>(path: &'static str, handler: H) -> Self
        where
            H: Handler<T, Arc<Services>>,
            T: 'static,
        {
            Self::new(stringify!($method), path, routing::$method(handler))
        }
    )*};
}

impl Operation {
    methods! {
        /// `GET` (and `HEAD`).
        get
        /// `POST`.
        post
        /// `PUT`.
        put
        /// `PATCH`.
        patch
        /// `DELETE`.
        delete
    }

    /// Every method; the document has it as `POST`.
    pub(super) fn any<H, T>(path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<Services>>,
        T: 'static,
    {
        Self::new("post", path, routing::any(handler))
    }

    fn new(
        method: &'static str,
        path: &'static str,
        route: routing::MethodRouter<Arc<Services>>,
    ) -> Self {
        Self {
            method,
            path,
            aliases: Vec::new(),
            id: "",
            tag: "",
            summary: "",
            description: "",
            security: Security::Key,
            parameters: Vec::new(),
            body: None,
            answers: Vec::new(),
            failures: Vec::new(),
            unified: None,
            parameters_of: None,
            route,
        }
    }

    /// Its name in generated clients, `listWebhooks`; unique.
    pub(super) const fn id(mut self, id: &'static str) -> Self {
        self.id = id;
        self
    }

    /// The chapter that it belongs to, one of those in `openapi.rs`.
    pub(super) const fn tag(mut self, tag: &'static str) -> Self {
        self.tag = tag;
        self
    }

    /// What it does, in one line that ends with a full stop.
    pub(super) const fn summary(mut self, summary: &'static str) -> Self {
        self.summary = summary;
        self
    }

    /// What else there is to know, in Markdown.
    pub(super) const fn describe(mut self, description: &'static str) -> Self {
        self.description = description;
        self
    }

    /// An API key and a connection token are needed, rather than an API key alone.
    pub(super) const fn connection(mut self) -> Self {
        self.security = Security::Connection;
        self
    }

    /// An API key is needed, and a connection token is understood.
    pub(super) const fn maybe_connection(mut self) -> Self {
        self.security = Security::MaybeConnection;
        self
    }

    /// Anybody may call it.
    pub(super) const fn open(mut self) -> Self {
        self.security = Security::Open;
        self
    }

    /// The same at another path, which the document has as deprecated.
    pub(super) fn alias(mut self, path: &'static str) -> Self {
        self.aliases.push(path);
        self
    }

    /// A parameter of the query that may be left away.
    pub(super) fn query<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        self.parameter(Parameter::query::<T>(name, description))
    }

    /// A parameter of the query that has to be there.
    pub(super) fn require_query<T: JsonSchema>(
        self,
        name: &'static str,
        description: &'static str,
    ) -> Self {
        self.parameter(Parameter::query::<T>(name, description).required())
    }

    /// What a part in braces of the path is.
    pub(super) fn path<T: JsonSchema>(self, name: &'static str, description: &'static str) -> Self {
        self.parameter(Parameter::path::<T>(name, description))
    }

    /// A parameter made by itself, with an example or with other rules.
    pub(super) fn parameter(mut self, parameter: Parameter) -> Self {
        self.parameters.push(parameter);
        self
    }

    /// Parameters that differ from object to object.
    pub(super) fn parameters_of(mut self, of: fn(ObjectKind) -> Vec<Parameter>) -> Self {
        self.parameters_of = Some(of);
        self
    }

    /// The document has it once for each object that offers `verb`, with that object's schemas.
    pub(super) const fn unified(mut self, verb: model::Operation) -> Self {
        self.unified = Some(verb);
        self
    }

    /// A JSON body that has to be there.
    pub(super) fn takes<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body::json::<T>());
        self
    }

    /// A JSON body, or none.
    pub(super) fn takes_optional<T: JsonSchema>(mut self) -> Self {
        self.body = Some(Body::json::<T>().optional());
        self
    }

    /// A body made by itself: a form, bytes, several media types.
    pub(super) fn body(mut self, body: Body) -> Self {
        self.body = Some(body);
        self
    }

    /// A JSON answer.
    pub(super) fn gives<T: JsonSchema>(self, status: u16, description: &'static str) -> Self {
        self.answer(Answer::json::<T>(status, description))
    }

    /// An answer without a body.
    pub(super) fn gives_nothing(self, status: u16, description: &'static str) -> Self {
        self.answer(Answer::empty(status, description))
    }

    /// An answer that is no JSON.
    pub(super) fn gives_other(
        self,
        status: u16,
        media_type: &'static str,
        description: &'static str,
    ) -> Self {
        self.answer(Answer::other(status, media_type, description))
    }

    /// An answer made by itself, with headers or an example.
    pub(super) fn answer(mut self, answer: Answer) -> Self {
        self.answers.push(answer);
        self
    }

    /// Codes of errors besides those that the security, parameters and bodies bring.
    pub(super) fn fails(mut self, codes: &[Code]) -> Self {
        self.failures.extend_from_slice(codes);
        self
    }

    /// All codes that it may answer with, in the order of the table.
    pub(super) fn all_failures(&self) -> Vec<Code> {
        let mut codes = self.failures.clone();
        let keyed = [
            Code::ApiKeyMissing,
            Code::ApiKeyInvalid,
            Code::TooManyRequests,
            Code::StoreUnavailable,
        ];
        match self.security {
            Security::Open => {}
            Security::Key => codes.extend(keyed),
            Security::MaybeConnection => {
                codes.extend(keyed);
                codes.push(Code::ConnectionTokenInvalid);
            }
            Security::Connection => {
                codes.extend(keyed);
                codes.extend([Code::ConnectionTokenMissing, Code::ConnectionTokenInvalid]);
            }
        }
        if !self.parameters.is_empty() || self.parameters_of.is_some() {
            codes.push(Code::InvalidParameter);
        }
        if self.body.is_some() {
            codes.extend([
                Code::InvalidBody,
                Code::ValidationFailed,
                Code::BodyTooLarge,
                Code::UnsupportedMediaType,
            ]);
        }
        codes.extend([Code::Internal, Code::RequestTimeout]);
        let in_order = Code::ALL.iter().copied();
        in_order.filter(|code| codes.contains(code)).collect()
    }

    /// Adds the route, and those of its aliases.
    pub(super) fn mount(self, router: Router<Arc<Services>>) -> Router<Arc<Services>> {
        let aliases = self.aliases.iter();
        let router = aliases.fold(router, |router, path| {
            router.route(path, self.route.clone())
        });
        router.route(self.path, self.route)
    }
}
