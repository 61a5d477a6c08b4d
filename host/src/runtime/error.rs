//! Why a connector is not loaded, and why a call of one failed.

use std::{path::PathBuf, time::Duration};

use super::{CompileError, bindings::types};
use crate::model::{ManifestError, Slug};

/// Why a file does not become a connector. Each text is a sentence for the person who dropped it.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The file cannot be read, or the cache not be written.
    #[error("the file cannot be read")]
    Io(#[source] std::io::Error),
    /// It is too large.
    #[error("the file has {0} bytes; a connector may have {1}")]
    TooLarge(u64, u64),
    /// It is no WebAssembly at all.
    #[error("this is not a WebAssembly file: it does not begin with `\\0asm`")]
    NotWasm,
    /// It is a core module that does not say which contract it keeps.
    #[error(
        "this is a core module without the connector contract; build it with the Jackfield SDK (`jackfield connector build`)"
    )]
    NoContract,
    /// It cannot be decoded or made a component of.
    #[error("the WebAssembly is not valid: {0}")]
    Malformed(String),
    /// It has no manifest.
    #[error(
        "it has no manifest: the custom section `jackfield:manifest` is missing; `jackfield connector build` puts it in"
    )]
    NoManifest,
    /// It has several manifests.
    #[error("it has {0} manifests; there must be one")]
    ManyManifests(usize),
    /// The manifest is wrong.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
    /// It imports something that no connector gets.
    #[error("it imports {0}, which no connector gets; a connector may import {1}")]
    ForbiddenImport(String, String),
    /// It does not export what a connector must.
    #[error("it does not export {0}")]
    MissingExport(String),
    /// The manifest promises an optional interface.
    #[error(
        "its manifest has [webhooks], and it does not export jackfield:connector/webhooks: export_connector!(…, webhooks)"
    )]
    WebhooksNotExported,
    /// An optional interface needs words in the manifest.
    #[error(
        "it exports jackfield:connector/webhooks, and its manifest has no [webhooks] that says how connections are found and which secret is used"
    )]
    WebhooksNotDeclared,
    /// The manifest promises an optional interface.
    #[error(
        "its setting {0:?} has options_from = \"discovery\", and it does not export jackfield:connector/choices: export_connector!(…, choices)"
    )]
    ChoicesNotExported(String),
    /// An optional interface needs words in the manifest.
    #[error(
        "it exports jackfield:connector/choices, and no setting of its manifest has options_from = \"discovery\""
    )]
    ChoicesNotDeclared,
    /// Its samples are too large.
    #[error("its samples (section `jackfield:samples`) have {0} bytes; they may have {1}")]
    Samples(usize, usize),
    /// It asks for more memory than the operator gives.
    #[error(
        "it asks for {asked} MiB of memory; the operator gives at most {limit} (runtime.max_memory_mib)"
    )]
    Memory {
        /// What the manifest asks for.
        asked: u32,
        /// What configuration allows.
        limit: u32,
    },
    /// There is no machine code of it.
    #[error("it cannot be compiled: {0}")]
    Compile(#[from] CompileError),
    /// The folder of compiled connectors cannot be used.
    #[error("the folder of compiled connectors {} cannot be used: {error}", folder.display())]
    Cache {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        error: std::io::Error,
    },
    /// The engine refuses it.
    #[error("it cannot be compiled: {}", chain(.0))]
    Engine(wasmtime::Error),
    /// Its types are not the contract's.
    #[error("it does not match the contract: {}", chain(.0))]
    Contract(wasmtime::Error),
    /// It does not start.
    #[error("a test call failed: {0}")]
    Probe(Box<CallError>),
    /// Its signature is bad, or one is wanted.
    #[error("{0}")]
    Signature(String),
    /// The operator has not allowed it, or took it back.
    #[error("{0}")]
    Refused(String),
    /// What was decided of it cannot be written down.
    #[error("what was decided of it cannot be written down: {0}")]
    Store(String),
    /// Another file has the slug.
    #[error("another file has the slug {slug} already: {other}")]
    Duplicate {
        /// The slug.
        slug: Slug,
        /// The file that has it.
        other: String,
    },
}

fn chain(error: &wasmtime::Error) -> String {
    let mut parts: Vec<String> = Vec::new();
    for cause in error.chain() {
        let text = cause.to_string();
        if parts.last() != Some(&text) {
            parts.push(text);
        }
    }
    parts.join(": ")
}

/// What a connector answered instead of a result.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Failure {
    /// The credentials are not accepted.
    Unauthorized(String),
    /// The credentials may not do this.
    Forbidden(String),
    /// It does not exist at the provider.
    NotFound(String),
    /// The input is wrong.
    Invalid {
        /// The unified field, where it is known.
        field: Option<String>,
        /// What is wrong.
        message: String,
    },
    /// It changed at the provider meanwhile.
    Conflict(String),
    /// Too many requests.
    RateLimited(Option<Duration>),
    /// The provider is down or unreachable.
    Unavailable(String),
    /// The connector does not do this.
    Unsupported(String),
    /// An answer that makes no sense.
    Unexpected(String),
}

impl From<types::Failure> for Failure {
    fn from(failure: types::Failure) -> Self {
        // A guest's texts end up in logs and answers: bounded here, once.
        let cut = |text: String| text.chars().take(1000).collect();
        match failure {
            types::Failure::Unauthorized(text) => Self::Unauthorized(cut(text)),
            types::Failure::Forbidden(text) => Self::Forbidden(cut(text)),
            types::Failure::NotFound(text) => Self::NotFound(cut(text)),
            types::Failure::Invalid(invalid) => Self::Invalid {
                field: invalid.field.map(cut),
                message: cut(invalid.message),
            },
            types::Failure::Conflict(text) => Self::Conflict(cut(text)),
            types::Failure::RateLimited(seconds) => {
                Self::RateLimited(seconds.map(|seconds| Duration::from_secs(u64::from(seconds))))
            }
            types::Failure::Unavailable(text) => Self::Unavailable(cut(text)),
            types::Failure::Unsupported(text) => Self::Unsupported(cut(text)),
            types::Failure::Unexpected(text) => Self::Unexpected(cut(text)),
        }
    }
}

impl std::error::Error for Failure {}

impl std::fmt::Display for Failure {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Unauthorized(text) => {
                write!(formatter, "the provider refuses the credentials: {text}")
            }
            Self::Forbidden(text) => write!(formatter, "the provider forbids it: {text}"),
            Self::NotFound(text) => write!(formatter, "the provider does not have it: {text}"),
            Self::Invalid {
                field: Some(field),
                message,
            } => {
                write!(formatter, "the provider refuses {field}: {message}")
            }
            Self::Invalid {
                field: None,
                message,
            } => {
                write!(formatter, "the provider refuses the input: {message}")
            }
            Self::Conflict(text) => {
                write!(formatter, "it changed at the provider meanwhile: {text}")
            }
            Self::RateLimited(Some(wait)) => {
                write!(formatter, "the provider asks to wait {} s", wait.as_secs())
            }
            Self::RateLimited(None) => formatter.write_str("the provider asks to slow down"),
            Self::Unavailable(text) => write!(formatter, "the provider is not available: {text}"),
            Self::Unsupported(text) => write!(formatter, "the connector does not do this: {text}"),
            Self::Unexpected(text) => {
                write!(formatter, "the provider's answer makes no sense: {text}")
            }
        }
    }
}

/// Why a call of a connector has no result.
#[derive(Clone, Debug, thiserror::Error)]
pub enum CallError {
    /// The connector said so.
    #[error("{0}")]
    Failure(Failure),
    /// It computed for too long.
    #[error("the connector was stopped after {} ms of computing", .0.as_millis())]
    Cpu(Duration),
    /// It took too long, waiting included.
    #[error("the connector was stopped after {} s", .0.as_secs())]
    Deadline(Duration),
    /// It wanted more memory than its limit.
    #[error(
        "the connector was stopped: it wanted more than {0} MiB of memory; its manifest would need a larger `memory_mib` in [permissions]"
    )]
    Memory(u32),
    /// It called itself too deeply.
    #[error("the connector was stopped: its functions call each other too deeply")]
    Stack,
    /// It wanted larger tables than any connector gets.
    #[error("the connector was stopped: it wanted a table of more than {0} entries")]
    Tables(usize),
    /// It made more handles than any connector gets.
    #[error("the connector was stopped: it holds more than {0} handles")]
    Handles(usize),
    /// It called the host too often.
    #[error("the connector was stopped: one call may call the host {0} times")]
    HostCalls(u32),
    /// It gave the host too much to do.
    #[error("the connector was stopped: one call may pass {0} bytes to the host")]
    HostBytes(usize),
    /// Its answer is too large.
    #[error("the connector's answer has {0} bytes; at most {1} are taken")]
    Output(usize, usize),
    /// What it passes to the host at once is too large to be even read.
    #[error("the connector was stopped: it passed more than {0} bytes at once")]
    Passed(usize),
    /// Its answer has too many entries.
    #[error("the connector's answer has {0} entries; at most {1} are taken")]
    Entries(usize, usize),
    /// Its cursor is too long.
    #[error("the connector's cursor has {0} bytes; at most {1} are kept")]
    Cursor(usize, usize),
    /// It crashed.
    #[error("the connector crashed: {0}")]
    Trap(String),
    /// It called the host from a call that must be pure.
    #[error("the connector called {0} while mapping, which must be pure")]
    Impure(&'static str),
    /// All instances were busy for too long.
    #[error("all {0} instances are busy")]
    Busy(u32),
}

impl CallError {
    /// A stable word for logs, metrics and answers.
    #[must_use]
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Failure(_) => "provider_failure",
            Self::Cpu(_) => "connector_cpu_limit",
            Self::Deadline(_) => "connector_deadline",
            Self::Memory(_) => "connector_memory_limit",
            Self::Stack => "connector_stack_limit",
            Self::Tables(_) => "connector_table_limit",
            Self::Handles(_) => "connector_handle_limit",
            Self::HostCalls(_) | Self::HostBytes(_) => "connector_host_call_limit",
            Self::Output(..) | Self::Passed(_) | Self::Entries(..) => "connector_output_limit",
            Self::Cursor(..) => "connector_cursor_limit",
            Self::Trap(_) => "connector_crashed",
            Self::Impure(_) => "connector_impure",
            Self::Busy(_) => "connectors_busy",
        }
    }
}
