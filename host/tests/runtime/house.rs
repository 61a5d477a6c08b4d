//! A runtime over a temporary folder, with small limits.

use std::{
    collections::BTreeMap,
    fs,
    path::{Path, PathBuf},
    sync::Arc,
    time::Duration,
};

use jackfield::{
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Egress, Policy, Priority,
        Unlimited,
    },
    model::{Environment, ObjectKind, Slug, SystemClock},
    runtime::{
        CallContext, CallError, Compiler, ConnectorStatus, ConnectorVersion, LoadError, Options,
        Runtime,
    },
};
use tempfile::TempDir;

/// How long a test waits for something that should take much less.
const PATIENCE: Duration = Duration::from_secs(60);

pub(crate) struct House {
    folder: TempDir,
    options: Options,
    _cache: TempDir,
    pub(crate) runtime: Runtime,
}

impl House {
    pub(crate) fn new() -> Self {
        Self::with(|_| {})
    }

    pub(crate) fn with(change: impl FnOnce(&mut Options)) -> Self {
        let folder = tempfile::tempdir().expect("a folder can be made");
        let cache = tempfile::tempdir().expect("a folder can be made");
        let mut options = Options {
            folders: vec![folder.path().to_owned()],
            cache_dir: cache.path().join("cache"),
            compiler: Compiler::InProcess,
            poll: Duration::from_millis(500),
            max_memory_mib: 32,
            call_timeout: Duration::from_secs(30),
            exchange_timeout: Duration::from_secs(10),
            cpu_timeout: Duration::from_millis(200),
            max_output: 16 * 1024,
            max_response: 64 * 1024,
            max_transfer: 1024 * 1024,
            max_instances: 8,
            endpoints: BTreeMap::new(),
        };
        change(&mut options);
        let runtime = runtime(&options).expect("a runtime can be made");
        Self {
            folder,
            options,
            _cache: cache,
            runtime,
        }
    }

    /// Another runtime over the same folders, perhaps with other options. Nothing is loaded.
    pub(crate) fn restart(&mut self, change: impl FnOnce(&mut Options)) {
        self.try_restart(change).expect("a runtime can be made");
    }

    pub(crate) fn try_restart(
        &mut self,
        change: impl FnOnce(&mut Options),
    ) -> Result<(), LoadError> {
        change(&mut self.options);
        self.runtime = runtime(&self.options)?;
        Ok(())
    }

    /// Where compiled connectors are.
    pub(crate) fn cache(&self) -> PathBuf {
        self.options.cache_dir.clone()
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }

    /// Puts a file into the folder at once, as an author's tool does.
    pub(crate) fn put(&self, file: &str, bytes: &[u8]) {
        let unfinished = self.path(&format!(".{file}.tmp"));
        fs::write(&unfinished, bytes).expect("the folder can be written");
        fs::rename(unfinished, self.path(file)).expect("the folder can be written");
    }

    pub(crate) fn remove(&self, file: &str) {
        fs::remove_file(self.path(file)).expect("the file is there");
    }

    pub(crate) fn rename(&self, from: &str, to: &str) {
        fs::rename(self.path(from), self.path(to)).expect("the file is there");
    }

    /// Looks until nothing is left to do.
    pub(crate) async fn settle(&self) {
        for _ in 0..10 {
            if !self.runtime.look().await {
                return;
            }
        }
        panic!("the folder does not settle");
    }

    pub(crate) fn version(&self, slug: &str) -> Option<Arc<ConnectorVersion>> {
        self.runtime.active(&self::slug(slug))
    }

    /// What the active version's `unify` answers.
    pub(crate) async fn unify(&self, slug: &str) -> Result<String, CallError> {
        let version = self.version(slug).expect("the connector is active");
        version.unify(contact(), "[{}]".to_owned(), &[]).await
    }

    pub(crate) fn status(&self, slug: &str) -> ConnectorStatus {
        self.runtime
            .status(&self::slug(slug))
            .expect("the connector is known")
    }

    /// What is said of a file that is no connector.
    pub(crate) fn refusal(&self, file: &str) -> Option<String> {
        let of_file = |status: &ConnectorStatus| Path::new(&status.file) == Path::new(file);
        self.runtime
            .catalogue()
            .into_iter()
            .find(|status| of_file(status) && status.slug.is_none())
            .and_then(|status| status.last_error)
    }

    /// Waits for another version to begin to serve until `done`.
    pub(crate) async fn wait_for_swap(&self, done: impl Fn(&Self) -> bool) {
        let mut swaps = self.runtime.swaps();
        let waiting = async {
            while !done(self) {
                swaps.changed().await.expect("the runtime lives");
            }
        };
        tokio::time::timeout(PATIENCE, waiting)
            .await
            .expect("the swap happens");
    }
}

fn runtime(options: &Options) -> Result<Runtime, LoadError> {
    let policy = Policy {
        allow_private: vec!["127.0.0.1/32".parse().expect("it is a network")],
    };
    let egress = Egress::new(policy).expect("a client can be made");
    Runtime::new(options.clone(), egress, Arc::new(SystemClock))
}

pub(crate) fn slug(text: &str) -> Slug {
    text.parse().expect("it is a slug")
}

pub(crate) fn contact() -> ObjectKind {
    ObjectKind::parse("crm.contact").expect("it is an object")
}

/// A connection without credentials.
pub(crate) fn context() -> CallContext {
    CallContext {
        id: "00000000-0000-4000-8000-000000000001".to_owned(),
        environment: Environment::Production,
        account: None,
        settings: BTreeMap::new(),
        authorizer: Arc::new(Nobody),
        downstream: Downstream::default(),
        budget: Arc::new(Unlimited),
        priority: Priority::Interactive,
        usage: jackfield::model::Usage::default(),
        reason: None,
    }
}

struct Nobody;

impl Authorizer for Nobody {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Ok(Arc::new(Authorization::new(0))) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }
}
