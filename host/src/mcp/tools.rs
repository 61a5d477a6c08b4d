//! The tools: names, what they tell a model about themselves, and their arguments.

use std::sync::Arc;

use rmcp::model::{JsonObject, Tool, ToolAnnotations};
use serde_json::{Value, json};

/// What a tool does.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Does {
    ListConnectors,
    ListConnections,
    ListSyncRuns,
    GetSyncRun,
    Diagnose,
    ListObjects,
    ListRecords,
    GetRecord,
    CreateRecord,
    UpdateRecord,
    DeleteRecord,
    SyncNow,
}

const ALL: [Does; 12] = [
    Does::ListConnectors,
    Does::ListConnections,
    Does::ListSyncRuns,
    Does::GetSyncRun,
    Does::Diagnose,
    Does::ListObjects,
    Does::ListRecords,
    Does::GetRecord,
    Does::CreateRecord,
    Does::UpdateRecord,
    Does::DeleteRecord,
    Does::SyncNow,
];

/// All tools.
pub(super) fn all() -> Vec<Tool> {
    ALL.into_iter().map(Does::tool).collect()
}

/// The tool of a name.
pub(super) fn named(name: &str) -> Option<Does> {
    ALL.into_iter().find(|tool| tool.name() == name)
}

impl Does {
    const fn name(self) -> &'static str {
        match self {
            Self::ListConnectors => "list_connectors",
            Self::ListConnections => "list_connections",
            Self::ListSyncRuns => "list_sync_runs",
            Self::GetSyncRun => "get_sync_run",
            Self::Diagnose => "diagnose",
            Self::ListObjects => "list_objects",
            Self::ListRecords => "list_records",
            Self::GetRecord => "get_record",
            Self::CreateRecord => "create_record",
            Self::UpdateRecord => "update_record",
            Self::DeleteRecord => "delete_record",
            Self::SyncNow => "sync_now",
        }
    }

    const fn title(self) -> &'static str {
        match self {
            Self::ListConnectors => "List connectors",
            Self::ListConnections => "List connections",
            Self::ListSyncRuns => "List sync runs",
            Self::GetSyncRun => "Show a sync run",
            Self::Diagnose => "Find out what is wrong",
            Self::ListObjects => "List objects and their fields",
            Self::ListRecords => "List records",
            Self::GetRecord => "Show a record",
            Self::CreateRecord => "Create a record",
            Self::UpdateRecord => "Change a record",
            Self::DeleteRecord => "Delete a record",
            Self::SyncNow => "Sync now",
        }
    }

    const fn description(self) -> &'static str {
        match self {
            Self::ListConnectors => {
                "Lists the connectors of this server: the other systems that accounts can be connected to, how each stands, and which objects it serves."
            }
            Self::ListConnections => {
                "Lists the connections of the project: customers' accounts at other systems. `id_connection` is what other tools take as connection_id; `status` is valid or needs_reconnect."
            }
            Self::ListSyncRuns => {
                "Lists executions of syncs, the last begun first: what each did, how it ended, and its error. Filter by connection, object, status or direction. Use diagnose for why one failed."
            }
            Self::GetSyncRun => {
                "Shows one execution of a sync: its status, what was counted, and its error."
            }
            Self::Diagnose => {
                "Says what is wrong and why: the likely cause, since when, how often, which change came before, who can act, and next steps. With run_id, delivery_id or connection_id about that one; without any, all current problems of the project."
            }
            Self::ListObjects => {
                "Lists the kinds of records, such as crm.contact, with their operations; with connection_id only those that the connection serves. With object, that one with the JSON Schema of its fields: read it before you create or change records."
            }
            Self::ListRecords => {
                "Lists records of one object at one connection, the last changed first, a page at a time: pass next_cursor of an answer as cursor for the next page. They are read from this server's copy."
            }
            Self::GetRecord => "Shows one record of an object at a connection by its id.",
            Self::CreateRecord => {
                "Creates a record in the other system and here. `data` has the fields of the object as list_objects shows them; references are ids of records of the same connection. With dry_run nothing is sent, and the answer is what would be."
            }
            Self::UpdateRecord => {
                "Changes a record in the other system and here. Only the fields in `data` change; null empties one. With dry_run nothing is sent, and the answer is what would be."
            }
            Self::DeleteRecord => {
                "Deletes a record in the other system and here. This cannot be undone: ask first. With dry_run nothing is sent, and the answer is what would be."
            }
            Self::SyncNow => {
                "Starts a sync of one object of a connection now, instead of at its next time. It runs in the background: list_sync_runs shows what came of it. With full, everything is read again."
            }
        }
    }

    fn annotations(self) -> ToolAnnotations {
        let hints = ToolAnnotations::with_title(self.title());
        match self {
            Self::CreateRecord => hints.read_only(false).destructive(false).open_world(true),
            Self::UpdateRecord => hints
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(true),
            Self::DeleteRecord => hints
                .read_only(false)
                .destructive(true)
                .idempotent(true)
                .open_world(true),
            Self::SyncNow => hints
                .read_only(false)
                .destructive(false)
                .idempotent(true)
                .open_world(true),
            _ => hints.read_only(true).open_world(false),
        }
    }

    /// The JSON Schema of its arguments.
    pub(super) fn schema(self) -> JsonObject {
        let id = |what: &str| json!({ "type": "string", "format": "uuid", "description": what });
        let text = |what: &str| json!({ "type": "string", "description": what });
        let flag = |what: &str| json!({ "type": "boolean", "description": what });
        let word = |what: &str, words: &[&str]| json!({ "type": "string", "enum": words, "description": what });
        let limit = json!({
            "type": "integer", "minimum": 1, "maximum": 200, "description": "How many; 50 where it is not given.",
        });
        let connection = id("The connection: id_connection of list_connections.");
        let object = text("The object, such as crm.contact; list_objects lists them.");
        let record = id("The record's id.");
        let data = json!({ "type": "object", "description": "The fields of the record, as the schema of list_objects has them." });
        let dry_run = flag("Send nothing: answer what would be sent.");
        let cursor = text("next_cursor of the page before.");
        let (properties, required): (Value, &[&str]) = match self {
            Self::ListConnectors | Self::ListConnections => (json!({}), &[]),
            Self::ListSyncRuns => (
                json!({
                    "connection_id": connection,
                    "object": object,
                    "status": word("How it stands.", &["running", "retrying", "completed", "failed", "stopped", "cancelled", "interrupted"]),
                    "direction": word("inbound: records are read; outbound: changes are pushed.", &["inbound", "outbound"]),
                    "limit": limit,
                    "cursor": cursor,
                }),
                &[],
            ),
            Self::GetSyncRun => (json!({ "run_id": id("The run's id.") }), &["run_id"]),
            Self::Diagnose => (
                json!({
                    "run_id": id("A sync run."),
                    "delivery_id": id("A delivery of an event to a webhook endpoint."),
                    "connection_id": connection,
                }),
                &[],
            ),
            Self::ListObjects => (
                json!({ "connection_id": connection, "object": object }),
                &[],
            ),
            Self::ListRecords => (
                json!({
                    "connection_id": connection,
                    "object": object,
                    "limit": limit,
                    "cursor": cursor,
                    "modified_after": json!({ "type": "string", "format": "date-time", "description": "Only records that changed after this time, RFC 3339." }),
                    "remote_data": flag("Add the other system's own document of each record."),
                }),
                &["connection_id", "object"],
            ),
            Self::GetRecord => (
                json!({
                    "connection_id": connection,
                    "object": object,
                    "id": record,
                    "remote_data": flag("Add the other system's own document."),
                }),
                &["connection_id", "object", "id"],
            ),
            Self::CreateRecord => (
                json!({ "connection_id": connection, "object": object, "data": data, "dry_run": dry_run }),
                &["connection_id", "object", "data"],
            ),
            Self::UpdateRecord => (
                json!({ "connection_id": connection, "object": object, "id": record, "data": data, "dry_run": dry_run }),
                &["connection_id", "object", "id", "data"],
            ),
            Self::DeleteRecord => (
                json!({ "connection_id": connection, "object": object, "id": record, "dry_run": dry_run }),
                &["connection_id", "object", "id"],
            ),
            Self::SyncNow => (
                json!({
                    "connection_id": connection,
                    "object": object,
                    "full": flag("Read everything again, not only what changed."),
                }),
                &["connection_id", "object"],
            ),
        };
        let schema = json!({
            "type": "object",
            "properties": properties,
            "required": required,
            "additionalProperties": false,
        });
        match schema {
            Value::Object(schema) => schema,
            _ => JsonObject::new(),
        }
    }

    fn tool(self) -> Tool {
        Tool::new(self.name(), self.description(), Arc::new(self.schema()))
            .with_title(self.title())
            .with_annotations(self.annotations())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tools_tell_what_they_are_and_what_they_may_break() {
        for tool in all() {
            let does = named(&tool.name).expect("it is found by its name");
            let hints = tool.annotations.expect("it has hints");
            let writes = matches!(
                does,
                Does::CreateRecord | Does::UpdateRecord | Does::DeleteRecord | Does::SyncNow
            );
            assert_eq!(hints.read_only_hint, Some(!writes), "{}", tool.name);
            if does == Does::DeleteRecord {
                assert_eq!(hints.destructive_hint, Some(true));
            }
            let description = tool.description.unwrap_or_default();
            assert!(description.len() > 40 && description.ends_with('.'));
            assert_eq!(tool.input_schema.get("type"), Some(&json!("object")));
            jsonschema_like(&tool.input_schema);
        }
    }

    /// Every argument is described, and every one that is required is there.
    fn jsonschema_like(schema: &JsonObject) {
        let properties = schema["properties"].as_object().unwrap();
        for property in properties.values() {
            assert!(property["description"].is_string(), "{property}");
        }
        for name in schema["required"].as_array().unwrap() {
            assert!(properties.contains_key(name.as_str().unwrap()));
        }
    }
}
