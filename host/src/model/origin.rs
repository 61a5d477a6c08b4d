//! Where the values of records come from.

use std::{collections::BTreeSet, sync::Arc};

use serde_json::{Map, Value};

use super::{ChangeId, EffectiveMappings, RunId, sync::words};

words! {
    /// What made a value what it is.
    ValueSource {
        /// A run of a sync read it at the provider.
        Sync = "sync",
        /// It was read at the provider for somebody who waited: a live read, or a look before a
        /// change was pushed.
        Read = "read",
        /// It was read at the provider because of its webhook.
        Webhook = "webhook",
        /// An application wrote it.
        Write = "write",
        /// The provider answered a write with it.
        Answer = "answer",
        /// The stored document was unified again, by another connector version or other mappings.
        Reunify = "reunify",
        /// Somebody decided a conflict.
        Conflict = "conflict",
        /// A change was taken back.
        Undo = "undo",
        /// A change was called off or refused: the provider's value is back.
        GivenUp = "given_up",
    }
}

/// Where what one transaction writes into records comes from.
#[derive(Clone, Debug, PartialEq)]
pub struct Origin {
    /// What it is.
    pub source: ValueSource,
    /// Who did it: the id of an API key; none where the server did.
    pub actor: Option<String>,
    /// The run that it belongs to.
    pub run: Option<RunId>,
    /// The change of ours that it belongs to.
    pub change: Option<ChangeId>,
    /// What made the unified object of the provider's document; none for what no connector made.
    pub unified_by: Option<Arc<UnifiedBy>>,
    /// Fields that came in another way: those that an application sent, in an answer to it.
    pub written: Option<Written>,
}

/// Fields that an application wrote.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Written {
    /// Their names, as they are compared.
    pub fields: BTreeSet<String>,
    /// Who: the id of an API key, where it is known.
    pub actor: Option<String>,
}

/// A version of a connector, and the mappings of custom fields that it was given.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnifiedBy {
    /// Both in one word: what is unified by the same has the same.
    pub mark: String,
    /// The version in the connector's manifest.
    pub version: String,
    /// The digest of the connector's file.
    pub digest: String,
    /// The mappings, JSON from slug to rules; none where there are none.
    pub mappings: Option<String>,
}

impl Origin {
    /// Of what the server made by itself.
    #[must_use]
    pub const fn of(source: ValueSource) -> Self {
        Self {
            source,
            actor: None,
            run: None,
            change: None,
            unified_by: None,
            written: None,
        }
    }

    /// Of a document that a connector unified.
    #[must_use]
    pub fn unified(source: ValueSource, by: &Arc<UnifiedBy>) -> Self {
        Self {
            unified_by: Some(Arc::clone(by)),
            ..Self::of(source)
        }
    }
}

impl EffectiveMappings {
    /// Their rules by slug, as JSON; none where there are none.
    #[must_use]
    pub fn snapshot(&self) -> Option<String> {
        if self.is_empty() {
            return None;
        }
        let rules: Map<String, Value> = self
            .iter()
            .map(|mapping| {
                let rules = serde_json::to_value(&mapping.rules).unwrap_or_default();
                (mapping.slug.to_string(), rules)
            })
            .collect();
        Some(Value::Object(rules).to_string())
    }
}
