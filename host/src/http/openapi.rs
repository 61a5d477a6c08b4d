//! The OpenAPI 3.1 document: made from the table of operations and the schemas of the unified
//! objects, so that it cannot say something else than the routes.

mod components;
mod example;
mod objects;

use schemars::{SchemaGenerator, generate::SchemaSettings};
use serde_json::{Map, Value, json};

use self::components::Components;
use super::{
    error::Code,
    operation::{Answer, Body, Operation, Parameter, Place, Security},
    routes,
};
use crate::model::{self, ObjectKind};

/// The chapters, besides one for each vertical.
const TAGS: &[(&str, &str)] = &[
    ("About", "What the server says of itself, to anybody."),
    ("Projects", "The space that an API key belongs to."),
    (
        "Audit",
        "Who did what that somebody may have to answer for.",
    ),
    (
        "Linked users",
        "Your customers, whose accounts are connected.",
    ),
    (
        "Connections",
        "Accounts of linked users at providers, and how they are connected.",
    ),
    (
        "Connect",
        "Pages on which your customers connect their accounts.",
    ),
    (
        "Provider webhooks",
        "What providers send to this server by themselves.",
    ),
    (
        "Connectors",
        "What this server can connect to, and what each connector does.",
    ),
    (
        "Sync",
        "Background reads: how they stand, how often, and now.",
    ),
    (
        "Diagnosis",
        "What is wrong, since when, the likely cause, and what to do.",
    ),
    ("Events", "What happened in the project."),
    ("Webhooks", "Events delivered to your own server."),
    (
        "Custom fields",
        "Fields of providers in the unified objects.",
    ),
    ("Passthrough", "Requests to a provider in its own form."),
    ("Inbound", "Where providers announce what changed."),
    (
        "Not offered",
        "Operations of the published contract that this server refuses.",
    ),
];

const DESCRIPTION: &str = "One API for many systems.\n\nEvery request has the API key of a project in `x-api-key` (or `Authorization: Bearer`), and most name a connection by its token in `x-connection-token`. Errors are problems of RFC 9457 with a stable `code`; `GET /errors` lists them all. Times are RFC 3339 in UTC with milliseconds. Lists are pages with cursors, ordered by the time of the last change.";

/// The whole document as a text with line ends, with the address that a server has where nothing
/// is configured.
#[must_use]
pub fn text() -> String {
    format!("{:#}\n", document("http://localhost:3000"))
}

/// The whole document, as a server that is reached at `server` gives it.
pub(super) fn document(server: &str) -> Value {
    let mut document = Document::new();
    for operation in routes::operations() {
        match operation.unified {
            Some(verb) => {
                let kinds = ObjectKind::all().filter(|kind| kind.spec().offers(verb));
                for kind in kinds {
                    document.add_unified(&operation, kind, verb);
                }
            }
            None => document.add(&operation),
        }
    }
    document.finish(server)
}

struct Document {
    /// Schemas of what is sent.
    inputs: SchemaGenerator,
    /// Schemas of what is answered.
    outputs: SchemaGenerator,
    paths: Map<String, Value>,
    components: Components,
}

impl Document {
    fn new() -> Self {
        let settings = || {
            SchemaSettings::draft2020_12().with(|settings| {
                settings.definitions_path = "/components/schemas".into();
                settings.meta_schema = None;
            })
        };
        Self {
            inputs: settings().for_deserialize().into_generator(),
            outputs: settings().for_serialize().into_generator(),
            paths: Map::new(),
            components: Components::default(),
        }
    }

    fn add(&mut self, operation: &Operation) {
        let described = self.describe(operation);
        self.put(
            &operation.path.replace("{*", "{"),
            operation.method,
            described,
        );
        for (number, alias) in operation.aliases.iter().enumerate() {
            let mut described = self.describe(operation);
            described.insert(
                "operationId".into(),
                format!("{}Alias{}", operation.id, number + 1).into(),
            );
            described.insert("deprecated".into(), true.into());
            let text = format!(
                "The same as `{}`. {}",
                operation.path, operation.description
            );
            described.insert("description".into(), text.trim_end().into());
            self.put(alias, operation.method, described);
        }
    }

    /// The operation for one object.
    fn add_unified(&mut self, operation: &Operation, kind: ObjectKind, verb: model::Operation) {
        let mut concrete = operation.clone();
        if let Some(of) = operation.parameters_of {
            concrete.parameters.extend(of(kind));
        }
        let mut described = self.describe(&concrete);
        let spec = kind.spec();
        described.insert("operationId".into(), spec.operation_id(verb).into());
        described.insert("tags".into(), json!([spec.vertical]));
        let summary = objects::summary(kind, verb);
        described.insert("summary".into(), summary.into());
        let text = format!("{} {}", spec.description, operation.description);
        described.insert("description".into(), text.trim_end().into());
        let schemas = objects::schemas(kind, verb, &mut self.components.schemas);
        if let Some(body) = schemas.body {
            let content = json_content(body);
            let body = json!({"required": true, "content": content});
            described.insert("requestBody".into(), body);
        }
        if let (Some(answer), Some(Value::Object(responses))) =
            (schemas.answer, described.get_mut("responses"))
        {
            let preview = json!({"$ref": "#/components/schemas/WritePreview"});
            let either = json!({"anyOf": [&answer, preview]});
            for answered in &operation.answers {
                let content = match (verb, answered.status) {
                    // That is what a dry run answers; a record is answered otherwise.
                    (model::Operation::Create, 200) => continue,
                    (model::Operation::Update, 200) => json_content(either.clone()),
                    _ => json_content(answer.clone()),
                };
                let response = responses.get_mut(&answered.status.to_string());
                if let Some(response) = response.and_then(Value::as_object_mut) {
                    response.insert("content".into(), content);
                }
            }
        }
        let path = operation
            .path
            .replace("{vertical}", &spec.vertical)
            .replace("{objects}", &spec.plural);
        self.put(&path, operation.method, described);
    }

    fn describe(&mut self, operation: &Operation) -> Map<String, Value> {
        let mut described = Map::new();
        described.insert("operationId".into(), operation.id.into());
        described.insert("tags".into(), json!([operation.tag]));
        described.insert("summary".into(), operation.summary.into());
        if !operation.description.is_empty() {
            described.insert("description".into(), operation.description.into());
        }
        described.insert("security".into(), security(operation.security));
        let parameters: Vec<_> = operation
            .parameters
            .iter()
            .map(|parameter| self.parameter(parameter))
            .collect();
        if !parameters.is_empty() {
            described.insert("parameters".into(), parameters.into());
        }
        if let Some(body) = &operation.body {
            let body = self.body(body);
            described.insert("requestBody".into(), body);
        }
        let mut responses = Map::new();
        for answer in &operation.answers {
            let response = self.answer(answer, operation.security);
            responses.insert(answer.status.to_string(), response);
        }
        let failures = operation.all_failures();
        let mut statuses: Vec<_> = failures.iter().map(|code| code.status()).collect();
        statuses.sort_unstable();
        statuses.dedup();
        for status in statuses {
            let codes: Vec<Code> = failures
                .iter()
                .copied()
                .filter(|code| code.status() == status)
                .collect();
            let keyed = operation.security != Security::Open;
            let response = self.components.problem(status, &codes, keyed);
            responses.insert(status.as_str().to_owned(), response);
        }
        described.insert("responses".into(), responses.into());
        described
    }

    fn parameter(&mut self, parameter: &Parameter) -> Value {
        let mut schema = (parameter.schema)(&mut self.inputs);
        for (keyword, value) in &parameter.rules {
            schema.insert((*keyword).to_owned(), value.clone());
        }
        let described = json!({
            "in": parameter.place.as_str(),
            "name": parameter.name,
            "description": parameter.description,
            "required": parameter.required || parameter.place == Place::Path,
            "schema": schema,
        });
        self.components.parameter(parameter, described)
    }

    fn body(&mut self, body: &Body) -> Value {
        let mut content = Map::new();
        for (media_type, schema) in &body.content {
            let schema = schema.map(|schema| schema(&mut self.inputs).to_value());
            content.insert((*media_type).to_owned(), media(schema));
        }
        json!({"required": body.required, "content": content})
    }

    fn answer(&mut self, answer: &Answer, security: Security) -> Value {
        let mut headers = components::headers(security != Security::Open);
        for (name, description) in &answer.headers {
            let header = json!({"description": description, "schema": {"type": "string"}});
            headers.insert((*name).to_owned(), header);
        }
        let mut response = Map::new();
        response.insert("description".into(), answer.description.into());
        response.insert("headers".into(), headers.into());
        if let Some((media_type, schema)) = &answer.content {
            let schema = schema.map(|schema| schema(&mut self.outputs).to_value());
            let content = json!({(*media_type): media(schema)});
            response.insert("content".into(), content);
        }
        response.into()
    }

    fn put(&mut self, path: &str, method: &str, described: Map<String, Value>) {
        // The router's sign for the whole rest of a path.
        let path = path.replace("{*", "{");
        let methods = self.paths.entry(path).or_insert_with(|| json!({}));
        if let Some(methods) = methods.as_object_mut() {
            methods.insert(method.to_owned(), described.into());
        }
    }

    fn finish(mut self, server: &str) -> Value {
        for generator in [&mut self.inputs, &mut self.outputs] {
            for (name, schema) in generator.take_definitions(true) {
                self.components.schema(name, schema);
            }
        }
        let mut verticals: Vec<&str> = ObjectKind::all()
            .map(|kind| kind.spec().vertical.as_str())
            .collect();
        verticals.dedup();
        let tags = TAGS
            .iter()
            .map(|(name, description)| (*name, (*description).to_owned()));
        let of_verticals = verticals
            .into_iter()
            .map(|name| (name, format!("The unified objects of `{name}`.")));
        let tags: Vec<_> = tags
            .chain(of_verticals)
            .map(|(name, description)| json!({"name": name, "description": description}))
            .collect();
        let mut document = json!({
            "openapi": "3.1.0",
            "info": {
                "title": "Jackfield",
                "summary": "A self-hosted unified API.",
                "version": env!("CARGO_PKG_VERSION"),
                "description": DESCRIPTION,
                "license": {"name": "Apache-2.0", "identifier": "Apache-2.0"},
            },
            "servers": [{"url": server.trim_end_matches('/')}],
            "tags": tags,
            "paths": self.paths,
            "components": self.components.finish(),
        });
        example::fill_in(&mut document);
        document
    }
}

fn json_content(schema: Value) -> Value {
    json!({"application/json": media(Some(schema))})
}

/// A body in one form. Its example comes when all schemas are known.
fn media(schema: Option<Value>) -> Value {
    schema.map_or_else(|| json!({}), |schema| json!({"schema": schema}))
}

/// Alternatives; within one, all are needed.
fn security(security: Security) -> Value {
    match security {
        Security::Open => json!([]),
        Security::Key => json!([{"apiKey": []}, {"bearer": []}]),
        Security::Connection => json!([
            {"apiKey": [], "connectionToken": []},
            {"bearer": [], "connectionToken": []},
        ]),
        Security::MaybeConnection => json!([
            {"apiKey": []},
            {"bearer": []},
            {"apiKey": [], "connectionToken": []},
            {"bearer": [], "connectionToken": []},
        ]),
    }
}
