//! Connectors that load, and then want too much. The benchmark `sandbox` has the same list.

use std::sync::Arc;

use jackfield::runtime::{CallContext, CallError, ConnectorVersion, FetchRequest};

use crate::guest::{Guest, good, manifest};

/// A connector, how it misbehaves, and what it is stopped with.
pub(crate) struct Hostile {
    pub(crate) name: &'static str,
    pub(crate) guest: Guest,
    pub(crate) operation: Operation,
    pub(crate) code: &'static str,
}

/// What has to be called.
#[derive(Clone, Copy)]
pub(crate) enum Operation {
    Unify,
    Authenticate,
    Fetch,
}

impl Operation {
    /// How the call ends.
    pub(crate) async fn call(
        self,
        version: &Arc<ConnectorVersion>,
        context: CallContext,
    ) -> Result<(), CallError> {
        match self {
            Self::Unify => {
                let kind = jackfield::model::ObjectKind::parse("crm.contact");
                let kind = kind.expect("it is an object");
                let answer = version.unify(kind, "[{}]".to_owned(), &[]).await;
                answer.map(drop)
            }
            Self::Authenticate => version.authenticate(context).await.map(drop),
            Self::Fetch => {
                let request = FetchRequest {
                    object: "crm.contact".to_owned(),
                    cursor: None,
                    since: None,
                    remote_id: None,
                    limit: 100,
                };
                version.fetch_records(context, request).await.map(drop)
            }
        }
    }
}

const ENDLESS: &str = "(loop $again (br $again)) unreachable";
const CLOCK: &str = r#"(import "jackfield:connector/clock@0.1.0" "now" (func $now (result i64)))"#;
const LOG: &str =
    r#"(import "jackfield:connector/log@0.1.0" "message" (func $log (param i32 i32 i32)))"#;
const TABLE: &str = "(table $table 20000 funcref)";

/// Every way that there is a guest for.
pub(crate) fn all() -> Vec<Hostile> {
    let bad = || good("bad", "[1]");
    let unify = |name, code, guest: Guest| Hostile {
        name,
        guest,
        operation: Operation::Unify,
        code,
    };
    vec![
        unify(
            "endless loop",
            "connector_cpu_limit",
            Guest {
                unify: ENDLESS,
                ..bad()
            },
        ),
        unify(
            "endless loop while the host allocates",
            "connector_cpu_limit",
            Guest {
                realloc: ENDLESS,
                ..bad()
            },
        ),
        unify(
            "endless memory.fill",
            "connector_cpu_limit",
            Guest {
                memory: "200",
                unify: "(loop $again
                    (memory.fill (i32.const 4096) (i32.const 1) (i32.const 13000000))
                    (br $again)) unreachable",
                ..bad()
            },
        ),
        unify(
            "endless memory.copy",
            "connector_cpu_limit",
            Guest {
                memory: "200",
                unify: "(loop $again
                    (memory.copy (i32.const 4096) (i32.const 8192) (i32.const 13000000))
                    (br $again)) unreachable",
                ..bad()
            },
        ),
        unify(
            "endless table.fill",
            "connector_cpu_limit",
            Guest {
                functions: TABLE,
                unify: "(loop $again
                    (table.fill $table (i32.const 0) (ref.null func) (i32.const 20000))
                    (br $again)) unreachable",
                ..bad()
            },
        ),
        unify(
            "recursion",
            "connector_stack_limit",
            Guest {
                functions: "(func $deeper (param i64 i64) (result i64)
                    (i64.add (call $deeper (local.get 1) (local.get 0)) (local.get 0)))",
                unify: "(i32.wrap_i64 (call $deeper (i64.const 1) (i64.const 2)))",
                ..bad()
            },
        ),
        unify(
            "growing memory",
            "connector_memory_limit",
            Guest {
                unify: "(loop $again
                    (br_if $again (i32.ne (memory.grow (i32.const 16)) (i32.const -1)))) unreachable",
                ..bad()
            },
        ),
        unify(
            "growing table",
            "connector_table_limit",
            Guest {
                functions: "(table $table 1 funcref)",
                unify: "(loop $again
                    (br_if $again (i32.ne
                      (table.grow $table (ref.null func) (i32.const 1000)) (i32.const -1)))) unreachable",
                ..bad()
            },
        ),
        unify(
            "giant text",
            "connector_output_limit",
            Guest {
                manifest: manifest("bad", 64),
                memory: "800",
                unify: "(i32.store (i32.const 1028) (i32.const 65536))
                    (i32.store (i32.const 1032) (i32.const 45000000)) (i32.const 1024)",
                ..bad()
            },
        ),
        Hostile {
            name: "giant list",
            guest: Guest {
                manifest: manifest("bad", 64),
                memory: "800",
                authenticate: "(i32.store (i32.const 1156) (i32.const 65536))
                    (i32.store (i32.const 1160) (i32.const 1500000)) (i32.const 1152)"
                    .to_owned(),
                ..bad()
            },
            operation: Operation::Authenticate,
            code: "connector_output_limit",
        },
        Hostile {
            name: "long list",
            guest: Guest {
                authenticate: "(i32.store (i32.const 1156) (i32.const 65536))
                    (i32.store (i32.const 1160) (i32.const 2000)) (i32.const 1152)"
                    .to_owned(),
                ..bad()
            },
            operation: Operation::Authenticate,
            code: "connector_output_limit",
        },
        Hostile {
            name: "long cursor",
            guest: Guest {
                fetch: "(i32.store8 (i32.const 1104) (i32.const 1))
                    (i32.store (i32.const 1108) (i32.const 2048))
                    (i32.store (i32.const 1112) (i32.const 5000)) (i32.const 1088)",
                ..good("bad", &"x".repeat(5000))
            },
            operation: Operation::Fetch,
            code: "connector_cursor_limit",
        },
        Hostile {
            name: "crash in the middle of a page",
            guest: Guest {
                fetch: "(i32.store (i32.const 1096) (i32.const 2048)) unreachable",
                ..bad()
            },
            operation: Operation::Fetch,
            code: "connector_crashed",
        },
        unify(
            "text that is not UTF-8",
            "connector_crashed",
            Guest {
                unify: "(i32.store8 (i32.const 2048) (i32.const 0xff)) (i32.const 1024)",
                ..bad()
            },
        ),
        unify(
            "pointer out of memory",
            "connector_crashed",
            Guest {
                unify: "(i32.store (i32.const 1028) (i32.const -16)) (i32.const 1024)",
                ..bad()
            },
        ),
        Hostile {
            name: "flood of calls of the host",
            guest: Guest {
                imports: CLOCK,
                authenticate: "(loop $again (drop (call $now)) (br $again)) unreachable".to_owned(),
                ..bad()
            },
            operation: Operation::Authenticate,
            code: "connector_host_call_limit",
        },
        unify(
            "flood of lines for the log",
            "connector_host_call_limit",
            Guest {
                imports: LOG,
                unify: "(loop $again
                    (call $log (i32.const 0) (i32.const 2048) (i32.const 3)) (br $again)) unreachable",
                ..bad()
            },
        ),
        unify(
            "flood of long lines for the log",
            "connector_host_call_limit",
            Guest {
                imports: LOG,
                memory: "200",
                unify: "(loop $again
                    (call $log (i32.const 0) (i32.const 65536) (i32.const 10000000)) (br $again))
                    unreachable",
                ..bad()
            },
        ),
    ]
}
