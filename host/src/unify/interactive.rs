//! What somebody who waits for the answer says about a call, and what he is told besides it.

use std::sync::{
    Arc, OnceLock,
    atomic::{AtomicBool, Ordering},
};

use crate::{egress::Downstream, model::ChangeId};

/// How a read or a write is to be done. Clones share what is told back.
#[derive(Clone, Debug, Default)]
pub struct Interactive {
    /// Whether the provider's document is wanted.
    pub remote_data: bool,
    /// Whether to read from the provider instead of the database. Reads only.
    pub live: bool,
    /// The key under which the provider is to do a write once. Repeating the call with the same
    /// key repeats the write with it; none makes a new one.
    pub idempotency_key: Option<String>,
    /// Whether a write got as far as the provider.
    pub reached: Reached,
    /// What the provider said about its limits.
    pub downstream: Downstream,
    /// Who asks: the id of an API key.
    pub actor: Option<String>,
    /// The change that a write was queued as.
    pub change: Noted,
}

/// The id of a change, once there is one. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Noted(Arc<OnceLock<ChangeId>>);

impl Noted {
    /// There is one.
    pub fn set(&self, id: ChangeId) {
        self.0.get_or_init(|| id);
    }

    /// It, if there is one.
    #[must_use]
    pub fn get(&self) -> Option<ChangeId> {
        self.0.get().copied()
    }
}

/// A flag that a write sets just before it calls the provider. Clones share it.
#[derive(Clone, Debug, Default)]
pub struct Reached(Arc<AtomicBool>);

impl Reached {
    /// From here on nobody knows what the provider has done until it answers.
    pub fn mark(&self) {
        self.0.store(true, Ordering::Release);
    }

    /// Whether the provider was called.
    #[must_use]
    pub fn is_marked(&self) -> bool {
        self.0.load(Ordering::Acquire)
    }
}
