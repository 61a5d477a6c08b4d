//! Connectors as running things: found in a folder, verified, compiled, limited, called, swapped.
//!
//! A connector version never changes: it is the bytes of one digest with everything that was
//! made of them. The registry holds one active version per slug behind one atomic pointer, so a
//! swap is a store and every call that has begun goes on with the version it began with.

mod announced;
mod artifact;
mod bindings;
mod breaker;
mod cache;
mod call;
mod capabilities;
mod changes;
mod charges;
mod compiler;
mod contract;
mod coverage;
mod engine;
mod error;
mod gate;
mod lane;
mod limits;
mod linked;
mod live_log;
mod memory;
mod optional;
mod passthrough;
mod priority;
mod registry;
mod routes;
mod share;
mod signature;
mod status;
mod version;
mod watch;

use std::{
    collections::BTreeMap,
    path::PathBuf,
    sync::{Arc, OnceLock},
    time::Duration,
};

use arc_swap::ArcSwap;
use tokio::sync::{Semaphore, watch as watch_channel};

use self::engine::{Kit, Size};
use crate::{
    egress::Egress,
    model::{Clock, Slug, SystemEntropy},
};

pub use announced::Announced;
pub use artifact::{Artifact, Import, MAX_FILE};
pub use bindings::types::{Account, FetchRequest, Invalid, PushAction, PushRequest, RecordPage};
pub use breaker::BreakerPolicy;
pub use call::CallContext;
pub use changes::Changes;
pub use compiler::{CompileError, CompileLimits, Compiler, compile_in_child};
pub use contract::first_difference;
pub use coverage::{Coverage, FieldCoverage};
pub use error::{CallError, Failure, LoadError};
pub use gate::GateOptions;
pub use live_log::{LogLevel, LogLine};
pub use optional::{Incoming, Notice, Receipt, Rejection, Reply};
pub use passthrough::{Passage, PassageError, Place};
pub use routes::{Routes, RoutesError};
pub use signature::{KeyError, PublisherKey, SigningKey};
pub use status::{
    ConnectorState, ConnectorStatus, ConsentStatus, Described, InboundCounts, PendingStatus,
    VersionState, VersionStatus,
};
pub use version::ConnectorVersion;

/// What the runtime is allowed and told.
#[derive(Clone, Debug)]
pub struct Options {
    /// Folders that are watched for `.wasm` files. The first one that has a slug keeps it.
    pub folders: Vec<PathBuf>,
    /// Where compiled connectors are kept; only this process's user may read it.
    pub cache_dir: PathBuf,
    /// Who compiles connectors.
    pub compiler: Compiler,
    /// How often folders are looked at, besides the events of the system.
    pub poll: Duration,
    /// The most memory that any connector may ask for, MiB.
    pub max_memory_mib: u32,
    /// Time that a call may take, waiting included.
    pub call_timeout: Duration,
    /// Time that a call may compute.
    pub cpu_timeout: Duration,
    /// The most bytes that a call may answer.
    pub max_output: usize,
    /// Time that one exchange with a provider may take.
    pub exchange_timeout: Duration,
    /// The most bytes of a provider's answer.
    pub max_response: usize,
    /// The most bytes of all requests and answers of one call; the last answer may go beyond it.
    pub max_transfer: u64,
    /// Calls that may run at the same time, three quarters of them of one connector; more wait.
    pub max_instances: u32,
    /// Base URLs that the operator put in place of the manifest's, by slug and endpoint.
    pub endpoints: BTreeMap<Slug, BTreeMap<String, String>>,
}

/// The connectors of this process. Clones share them.
#[derive(Clone)]
pub struct Runtime(Arc<Shared>);

pub(crate) struct Shared {
    options: Options,
    small: Arc<Kit>,
    /// Made when there is a component for it.
    large: OnceLock<Arc<Kit>>,
    cache: cache::Cache,
    lane: Arc<lane::Lane>,
    egress: Egress,
    clock: Arc<dyn Clock>,
    permits: Arc<Semaphore>,
    active: ArcSwap<BTreeMap<Slug, Arc<ConnectorVersion>>>,
    registry: std::sync::Mutex<registry::Registry>,
    /// How many swaps there were; others wait for it to change.
    swaps: watch_channel::Sender<u64>,
    live_log: live_log::LiveLog,
    /// None where every good file serves.
    gate: OnceLock<gate::Gate>,
}

impl std::fmt::Debug for Runtime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Runtime").finish_non_exhaustive()
    }
}

impl Shared {
    /// The engine for a component.
    fn kit(&self, component: &[u8]) -> Result<Arc<Kit>, LoadError> {
        if Size::of(component) == Size::Small {
            return Ok(Arc::clone(&self.small));
        }
        if let Some(kit) = self.large.get() {
            return Ok(Arc::clone(kit));
        }
        let kit = Arc::new(Kit::new(&self.options, Size::Large)?);
        Ok(Arc::clone(self.large.get_or_init(|| kit)))
    }
}

impl Runtime {
    /// Makes the engine. No connector is loaded yet: see [`Self::scan`] and [`Self::watch`].
    ///
    /// # Errors
    /// The engine cannot be made, or the cache folder not be written.
    pub fn new(options: Options, egress: Egress, clock: Arc<dyn Clock>) -> Result<Self, LoadError> {
        let small = Arc::new(Kit::new(&options, Size::Small)?);
        let cache = cache::Cache::open(&options.cache_dir, &SystemEntropy)?;
        let lane = lane::Lane::start().map_err(LoadError::Io)?;
        let permits = Arc::new(Semaphore::new(options.max_instances as usize));
        Ok(Self(Arc::new(Shared {
            options,
            small,
            large: OnceLock::new(),
            cache,
            lane,
            egress,
            clock,
            permits,
            active: ArcSwap::default(),
            registry: std::sync::Mutex::default(),
            swaps: watch_channel::Sender::new(0),
            live_log: live_log::LiveLog::default(),
            gate: OnceLock::new(),
        })))
    }

    /// Does everything with the bytes of a file that loading it does, without letting it serve.
    ///
    /// # Errors
    /// Why it would be refused.
    pub async fn check(&self, bytes: Vec<u8>) -> Result<ConnectorVersion, LoadError> {
        ConnectorVersion::load(&self.0, bytes).await
    }

    /// Whether the operator's wishes about signatures are met; where no gate is set, they are.
    ///
    /// # Errors
    /// They are not.
    pub fn check_signature(&self, announced: &Announced) -> Result<(), LoadError> {
        match self.0.gate.get() {
            Some(gate) => gate.check_signature(announced),
            None => Ok(()),
        }
    }

    /// The version that serves new calls of a connector.
    #[must_use]
    pub fn active(&self, slug: &Slug) -> Option<Arc<ConnectorVersion>> {
        self.0.active.load().get(slug).map(Arc::clone)
    }

    /// The versions that serve now.
    #[must_use]
    pub fn all_active(&self) -> Vec<Arc<ConnectorVersion>> {
        self.0.active.load().values().map(Arc::clone).collect()
    }

    /// What a connector logged in this process, oldest first: lines after the one numbered `after`
    /// that matter at least so much. Only the last few hundred are kept.
    #[must_use]
    pub fn live_log(&self, slug: &Slug, after: u64, least: LogLevel) -> Vec<LogLine> {
        self.0.live_log.lines(slug, after, least)
    }

    /// Changes whenever another version begins to serve.
    #[must_use]
    pub fn swaps(&self) -> watch_channel::Receiver<u64> {
        self.0.swaps.subscribe()
    }
}
