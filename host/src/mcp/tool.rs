//! One call of a tool: its arguments become a request to the API, the answer a result.

use axum::http::Method;
use rmcp::model::{CallToolResult, ContentBlock, JsonObject};
use serde_json::{Value, json};
use url::form_urlencoded::Serializer;

use super::tools::Does;
use crate::{
    http::{Api, ApiCaller, ApiRequest, Error},
    model::{ConnectionId, ObjectKind},
};

/// What never helps a model, or is a secret: left out of what it is shown.
const LEFT_OUT: [&str; 8] = [
    "connection_token",
    "access_token",
    "refresh_token",
    "expiration_timestamp",
    "account_url",
    "icon",
    "overview",
    "accent_color",
];

/// Arguments of a call.
struct Arguments(JsonObject);

/// Calls a tool. What goes wrong is a result that says so: the model reads it.
pub(super) async fn call(
    api: &Api,
    caller: &ApiCaller,
    tool: Does,
    arguments: JsonObject,
) -> CallToolResult {
    let arguments = Arguments(arguments);
    if let Err(problem) = arguments.check(tool) {
        return failed(problem);
    }
    if tool == Does::ListObjects {
        return match objects(api, caller, &arguments).await {
            Ok(found) => CallToolResult::structured(found),
            Err(problem) => failed(problem),
        };
    }
    let request = match request(tool, &arguments) {
        Ok(request) => request,
        Err(problem) => return failed(problem),
    };
    match ask(api, caller, request).await {
        Ok(body) => CallToolResult::structured(shown(tool, body)),
        Err(problem) => failed(problem),
    }
}

fn failed(problem: String) -> CallToolResult {
    CallToolResult::error(vec![ContentBlock::text(problem)])
}

/// The body of a good answer, or what a problem says.
async fn ask(api: &Api, caller: &ApiCaller, request: ApiRequest) -> Result<Value, String> {
    let answer = api.call(caller, request).await;
    let answer = answer.map_err(|error: Error| {
        let code = error.code();
        format!("{error} {} ({})", in_tools(code.help()), code.name())
    })?;
    if answer.status < 400 {
        return Ok(answer.body);
    }
    let part = |name: &str| {
        answer
            .body
            .get(name)
            .and_then(Value::as_str)
            .unwrap_or_default()
    };
    let mut problem = format!(
        "{} {} ({})",
        part("detail"),
        in_tools(part("help")),
        part("code")
    );
    let violations = answer.body.get("violations").and_then(Value::as_array);
    for violation in violations.into_iter().flatten() {
        let part = |name: &str| {
            violation
                .get(name)
                .and_then(Value::as_str)
                .unwrap_or_default()
        };
        problem.push_str(&format_violation(part("path"), part("message")));
    }
    Err(problem)
}

/// What to do, with tools in place of the requests of the API that a model cannot make.
fn in_tools(help: &str) -> String {
    const TOOLS: [(&str, &str); 5] = [
        ("`GET /connectors/{slug}`", "`list_connectors`"),
        ("`GET /connectors`", "`list_connectors`"),
        ("`GET /connections`", "`list_connections`"),
        ("`GET /sync-runs`", "`list_sync_runs`"),
        ("`GET /diagnosis`", "`diagnose`"),
    ];
    TOOLS.iter().fold(help.to_owned(), |help, (request, tool)| {
        help.replace(request, tool)
    })
}

fn format_violation(path: &str, message: &str) -> String {
    format!("\n{path}: {message}")
}

impl Arguments {
    /// Whether all that is needed is there, and nothing that is not known.
    fn check(&self, tool: Does) -> Result<(), String> {
        let schema = tool.schema();
        let properties = schema.get("properties").and_then(Value::as_object);
        let known = |name: &str| properties.is_some_and(|known| known.contains_key(name));
        if let Some(name) = self.0.keys().find(|name| !known(name)) {
            return Err(format!("There is no argument `{name}` of this tool."));
        }
        let required = schema.get("required").and_then(Value::as_array);
        let names = required.into_iter().flatten().filter_map(Value::as_str);
        for name in names {
            if self.0.get(name).is_none_or(Value::is_null) {
                return Err(format!("The argument `{name}` is missing."));
            }
        }
        Ok(())
    }

    fn text(&self, name: &str) -> Result<Option<&str>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(Value::String(text)) => Ok(Some(text)),
            Some(_) => Err(format!("The argument `{name}` is a text.")),
        }
    }

    fn needed(&self, name: &str) -> Result<&str, String> {
        let missing = || format!("The argument `{name}` is missing.");
        self.text(name)?.ok_or_else(missing)
    }

    fn is_true(&self, name: &str) -> Result<bool, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(false),
            Some(Value::Bool(is)) => Ok(*is),
            Some(_) => Err(format!("The argument `{name}` is true or false.")),
        }
    }

    fn number(&self, name: &str) -> Result<Option<u64>, String> {
        match self.0.get(name) {
            None | Some(Value::Null) => Ok(None),
            Some(number) => {
                let number = number.as_u64();
                let wrong = || format!("The argument `{name}` is a whole number.");
                Ok(Some(number.ok_or_else(wrong)?))
            }
        }
    }

    fn connection(&self) -> Result<ConnectionId, String> {
        let id = self.needed("connection_id")?;
        id.parse().map_err(|_| {
            "The argument `connection_id` is no id of a connection; list_connections lists them."
                .to_owned()
        })
    }

    fn kind(&self) -> Result<ObjectKind, String> {
        let name = self.needed("object")?;
        ObjectKind::parse(name).ok_or_else(|| {
            format!("There is no object {name:?}; list_objects lists them, such as crm.contact.")
        })
    }

    fn data(&self) -> Result<Value, String> {
        match self.0.get("data") {
            Some(data @ Value::Object(_)) => Ok(data.clone()),
            _ => Err("The argument `data` is a JSON object.".to_owned()),
        }
    }

    /// An id as part of a path.
    fn id(&self, name: &str) -> Result<String, String> {
        let id = self.needed(name)?;
        let id = uuid::Uuid::try_parse(id);
        let wrong = |_| format!("The argument `{name}` is no id: ids look like UUIDs.");
        id.map(|id| id.to_string()).map_err(wrong)
    }

    /// A path with those of the named arguments that are there as its query.
    fn query(&self, path: &str, names: &[&str]) -> Result<String, String> {
        let mut query = Serializer::new(String::new());
        let mut is_empty = true;
        for name in names {
            let value = match self.0.get(*name) {
                None | Some(Value::Null) => continue,
                Some(Value::String(text)) => text.clone(),
                Some(Value::Bool(is)) => is.to_string(),
                Some(Value::Number(number)) => number.to_string(),
                Some(_) => return Err(format!("The argument `{name}` is a text.")),
            };
            query.append_pair(name, &value);
            is_empty = false;
        }
        Ok(match is_empty {
            true => path.to_owned(),
            false => format!("{path}?{}", query.finish()),
        })
    }
}

/// The request that does what a tool does.
fn request(tool: Does, arguments: &Arguments) -> Result<ApiRequest, String> {
    let get = |path: String| ApiRequest {
        method: Method::GET,
        path,
        connection: None,
        body: None,
    };
    let of_records = |method, path, body| {
        let connection = Some(arguments.connection()?);
        Ok::<_, String>(ApiRequest {
            method,
            path,
            connection,
            body,
        })
    };
    let list = || {
        let spec = arguments.kind()?.spec();
        Ok::<_, String>(format!("/{}/{}", spec.vertical, spec.plural))
    };
    let one = || Ok::<_, String>(format!("{}/{}", list()?, arguments.id("id")?));
    Ok(match tool {
        Does::ListConnectors => get("/connectors".to_owned()),
        Does::ListConnections => get("/connections".to_owned()),
        Does::ListSyncRuns => {
            let names = [
                "connection_id",
                "object",
                "status",
                "direction",
                "cursor",
                "limit",
            ];
            arguments.number("limit")?;
            get(arguments.query("/sync-runs", &names)?)
        }
        Does::GetSyncRun => get(format!("/sync-runs/{}", arguments.id("run_id")?)),
        Does::Diagnose => {
            let named = ["run_id", "delivery_id", "connection_id"];
            let mut given = Vec::new();
            for name in named {
                if arguments.text(name)?.is_some() {
                    given.push(name);
                }
            }
            match given.as_slice() {
                [] => get("/diagnosis".to_owned()),
                ["run_id"] => get(format!("/diagnosis/runs/{}", arguments.id("run_id")?)),
                ["delivery_id"] => get(format!(
                    "/diagnosis/deliveries/{}",
                    arguments.id("delivery_id")?
                )),
                ["connection_id"] => get(format!(
                    "/diagnosis/connections/{}",
                    arguments.connection()?
                )),
                _ => return Err("Give one id, or none for the whole project.".to_owned()),
            }
        }
        Does::ListObjects => return Err("It is answered without the API.".to_owned()),
        Does::ListRecords => {
            let names = ["limit", "cursor", "modified_after", "remote_data"];
            arguments.number("limit")?;
            arguments.is_true("remote_data")?;
            of_records(Method::GET, arguments.query(&list()?, &names)?, None)?
        }
        Does::GetRecord => {
            let path = arguments.query(&one()?, &["remote_data"])?;
            of_records(Method::GET, path, None)?
        }
        Does::CreateRecord => {
            let path = arguments.query(&list()?, &["dry_run"])?;
            of_records(Method::POST, path, Some(arguments.data()?))?
        }
        Does::UpdateRecord => {
            let path = arguments.query(&one()?, &["dry_run"])?;
            of_records(Method::PATCH, path, Some(arguments.data()?))?
        }
        Does::DeleteRecord => {
            let path = arguments.query(&one()?, &["dry_run"])?;
            of_records(Method::DELETE, path, None)?
        }
        Does::SyncNow => {
            let (id, kind) = (arguments.connection()?, arguments.kind()?);
            let full = arguments.is_true("full")?;
            ApiRequest {
                method: Method::POST,
                path: format!("/connections/{id}/syncs/{kind}/run"),
                connection: None,
                body: Some(json!({ "full": full })),
            }
        }
    })
}

/// The objects that there are, or one of them with its schema; with a connection, only those that
/// its connector serves.
async fn objects(api: &Api, caller: &ApiCaller, arguments: &Arguments) -> Result<Value, String> {
    if arguments.text("object")?.is_some() {
        let spec = arguments.kind()?.spec();
        return Ok(json!({
            "object": spec.name,
            "description": spec.description,
            "operations": words(arguments.kind()?),
            "schema": spec.schema,
        }));
    }
    let served = match arguments.text("connection_id")? {
        None => None,
        Some(_) => {
            let id = arguments.connection()?;
            let path = format!("/syncs?connection_id={id}&limit=200");
            let request = ApiRequest {
                method: Method::GET,
                path,
                connection: None,
                body: None,
            };
            let syncs = ask(api, caller, request).await?;
            let syncs = syncs.get("data").and_then(Value::as_array).cloned();
            let syncs = syncs.unwrap_or_default();
            let names = syncs.iter().filter_map(|sync| sync.get("object")?.as_str());
            Some(names.map(ToOwned::to_owned).collect::<Vec<_>>())
        }
    };
    let kinds = ObjectKind::all().filter(|kind| {
        let names = served.as_ref();
        names.is_none_or(|names| names.iter().any(|name| name == kind.name()))
    });
    let objects: Vec<Value> = kinds
        .map(|kind| {
            json!({
                "object": kind.name(),
                "description": kind.spec().description,
                "operations": words(kind),
            })
        })
        .collect();
    Ok(json!({ "objects": objects }))
}

fn words(kind: ObjectKind) -> Vec<&'static str> {
    let operations = kind.spec().operations.iter();
    operations.map(|operation| operation.as_str()).collect()
}

/// An answer as a model sees it: an object, without what is a secret or a picture.
fn shown(tool: Does, mut body: Value) -> Value {
    if matches!(tool, Does::ListConnectors | Does::ListConnections) {
        leave_out(&mut body);
    }
    match body {
        Value::Object(_) => body,
        Value::Null => json!({ "done": true }),
        other => json!({ "items": other }),
    }
}

fn leave_out(value: &mut Value) {
    match value {
        Value::Array(values) => values.iter_mut().for_each(leave_out),
        Value::Object(fields) => {
            fields.retain(|name, _| !LEFT_OUT.contains(&name.as_str()));
            fields.values_mut().for_each(leave_out);
        }
        _ => {}
    }
}
