//! One version of a connector: the bytes of one digest, ready to be called.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use wasmtime::component::Instance;

use super::{
    Account, Artifact, CallContext, CallError, FetchRequest, LoadError, PushRequest, RecordPage,
    Routes, Shared,
    artifact::Import,
    bindings::exports::jackfield::connector::connector::Guest,
    breaker::Breaker,
    call::{self, Outside, State},
    limits::{Limits, MAX_ACCOUNTS, MAX_CURSOR},
    linked::Linked,
    share::Share,
};
use crate::{
    model::{Digest, FieldMapping, Manifest, ObjectKind},
    telemetry::METRICS,
};

/// How long a connector may compute before its first call.
const START: Duration = Duration::from_secs(2);

/// A connector that can be called. It never changes.
pub struct ConnectorVersion {
    pub(super) shared: Arc<Shared>,
    manifest: Arc<Manifest>,
    digest: Digest,
    imports: Vec<Import>,
    exports: Vec<String>,
    samples: String,
    pub(super) instance: Linked,
    share: Arc<Share>,
    pub(super) counters: Counters,
    pub(super) breaker: Breaker,
}

/// What happened to a version since it was loaded.
#[derive(Debug, Default)]
pub(super) struct Counters {
    pub(super) calls: AtomicU64,
    pub(super) traps: AtomicU64,
    pub(super) running: AtomicU64,
    /// The most memory of an instance, bytes.
    peak_memory: Arc<AtomicU64>,
}

impl std::fmt::Debug for ConnectorVersion {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(
            formatter,
            "{} {} ({})",
            self.manifest.slug,
            self.manifest.version,
            self.digest.short()
        )
    }
}

impl ConnectorVersion {
    /// Verifies, compiles and starts a connector once. Takes as long as compiling does.
    pub(super) async fn load(shared: &Arc<Shared>, bytes: Vec<u8>) -> Result<Self, LoadError> {
        let loading = Arc::clone(shared);
        let (mut artifact, kit, found) = blocking(move || {
            let artifact = Artifact::read(&bytes)?;
            let limit = loading.options.max_memory_mib;
            if artifact.manifest.permissions.memory_mib > limit {
                return Err(LoadError::Memory {
                    asked: artifact.manifest.permissions.memory_mib,
                    limit,
                });
            }
            let kit = loading.kit(&artifact.component)?;
            let found = loading.cache.find(&kit.engine, artifact.digest);
            Ok((artifact, kit, found))
        })
        .await?;
        let code = match found {
            Some(_) => None,
            None => {
                let component = std::mem::take(&mut artifact.component);
                let folder = shared.cache.folder();
                let compiler = &shared.options.compiler;
                Some(compiler.compile(&kit.engine, folder, component).await?)
            }
        };
        let linking = Arc::clone(shared);
        let (artifact, instance) = blocking(move || {
            let component = match (found, code) {
                (Some(component), _) => component,
                (None, Some(code)) => linking.cache.keep(&kit.engine, artifact.digest, code)?,
                (None, None) => return Err(LoadError::Malformed("there is no code".to_owned())),
            };
            let linked = kit
                .linker
                .instantiate_pre(&component)
                .map_err(LoadError::Contract)?;
            let instance = Linked::new(linked, &artifact).map_err(LoadError::Contract)?;
            Ok((artifact, instance))
        })
        .await?;
        let version = Self {
            shared: Arc::clone(shared),
            manifest: Arc::new(artifact.manifest),
            digest: artifact.digest,
            imports: artifact.imports,
            exports: artifact.exports,
            samples: artifact.samples,
            instance,
            share: Share::of(shared.options.max_instances),
            counters: Counters::default(),
            breaker: Breaker::new(),
        };
        version.probe().await?;
        Ok(version)
    }

    /// An instance is made, which runs what the component does at its start, and thrown away.
    async fn probe(&self) -> Result<(), LoadError> {
        let mut state = self.state(None);
        state.cpu = START;
        call::run(
            &self.shared,
            &self.share,
            self.instance.linked(),
            state,
            |_, _| Box::pin(async { Ok(Ok(())) }),
        )
        .await
        .map_err(|error| LoadError::Probe(Box::new(error)))
    }

    /// What it says of itself.
    #[must_use]
    pub const fn manifest(&self) -> &Arc<Manifest> {
        &self.manifest
    }

    /// The sum of its file.
    #[must_use]
    pub const fn digest(&self) -> Digest {
        self.digest
    }

    /// The most memory that one of its instances had, bytes.
    #[must_use]
    pub fn peak_memory(&self) -> u64 {
        self.counters.peak_memory.load(Ordering::Relaxed)
    }

    /// What it can reach.
    #[must_use]
    pub fn imports(&self) -> &[Import] {
        &self.imports
    }

    /// Checks credentials; see `authenticate` in `wit/connector.wit`.
    ///
    /// # Errors
    /// The provider refuses them, or the connector fails.
    pub async fn authenticate(&self, context: CallContext) -> Result<Vec<Account>, CallError> {
        let accounts = self
            .call("authenticate", Some(context), |guest, store, connection| {
                Box::pin(async move { guest.call_authenticate(store, &connection).await })
            })
            .await?;
        if accounts.len() > MAX_ACCOUNTS {
            return Err(self.broke(CallError::Entries(accounts.len(), MAX_ACCOUNTS)));
        }
        Ok(accounts)
    }

    /// Reads one page; see `fetch-records`.
    ///
    /// # Errors
    /// The provider or the connector fails, or the page breaks a limit.
    pub async fn fetch_records(
        &self,
        context: CallContext,
        request: FetchRequest,
    ) -> Result<RecordPage, CallError> {
        let page = self
            .call(
                "fetch-records",
                Some(context),
                |guest, store, connection| {
                    Box::pin(
                        async move { guest.call_fetch_records(store, &connection, &request).await },
                    )
                },
            )
            .await?;
        self.check_output(&page.records)?;
        match &page.next_cursor {
            Some(cursor) if cursor.len() > MAX_CURSOR => {
                Err(self.broke(CallError::Cursor(cursor.len(), MAX_CURSOR)))
            }
            _ => Ok(page),
        }
    }

    /// Writes one record; see `push-record`.
    ///
    /// # Errors
    /// The provider or the connector fails.
    pub async fn push_record(
        &self,
        context: CallContext,
        request: PushRequest,
    ) -> Result<String, CallError> {
        let answer = self
            .call("push-record", Some(context), |guest, store, connection| {
                Box::pin(async move { guest.call_push_record(store, &connection, &request).await })
            })
            .await?;
        self.check_output(&answer)?;
        Ok(answer)
    }

    /// Translates provider documents; see `unify`. Pure.
    ///
    /// # Errors
    /// The connector fails.
    pub async fn unify(
        &self,
        kind: ObjectKind,
        records: String,
        fields: &[FieldMapping],
    ) -> Result<String, CallError> {
        let fields = for_guest(fields);
        let answer = self
            .call("unify", None, move |guest, store, _| {
                Box::pin(async move {
                    let object = kind.name().to_owned();
                    guest.call_unify(store, &object, &records, &fields).await
                })
            })
            .await?;
        self.check_output(&answer)?;
        Ok(answer)
    }

    /// Translates a unified object; see `desunify`. Pure.
    ///
    /// # Errors
    /// The connector fails.
    pub async fn desunify(
        &self,
        kind: ObjectKind,
        unified: String,
        fields: &[FieldMapping],
    ) -> Result<String, CallError> {
        let fields = for_guest(fields);
        let answer = self
            .call("desunify", None, move |guest, store, _| {
                Box::pin(async move {
                    let object = kind.name().to_owned();
                    guest.call_desunify(store, &object, &unified, &fields).await
                })
            })
            .await?;
        self.check_output(&answer)?;
        Ok(answer)
    }

    /// What it offers.
    #[must_use]
    pub fn exports(&self) -> &[String] {
        &self.exports
    }

    /// Whether it reads what its provider sends.
    #[must_use]
    pub const fn has_webhooks(&self) -> bool {
        self.instance.webhooks.is_some()
    }

    /// Whether it tells which fields its provider has.
    #[must_use]
    pub const fn has_discovery(&self) -> bool {
        self.instance.discovery.is_some()
    }

    /// Where compiled connectors are kept.
    pub(super) fn cache_dir(&self) -> &std::path::Path {
        self.shared.cache.folder()
    }

    /// Fixtures that show what it maps.
    #[must_use]
    pub fn samples(&self) -> &str {
        &self.samples
    }

    pub(super) fn check_output(&self, answer: &str) -> Result<(), CallError> {
        let most = self.shared.options.max_output;
        if answer.len() > most {
            return Err(self.broke(CallError::Output(answer.len(), most)));
        }
        Ok(())
    }

    /// Counts an answer that breaks a limit as a call that was stopped.
    pub(super) fn broke(&self, error: CallError) -> CallError {
        self.counters.traps.fetch_add(1, Ordering::Relaxed);
        tracing::warn!(connector = ?self, code = error.code(), error = %error, "an answer is refused");
        error
    }

    fn state(&self, outside: Option<Outside>) -> State {
        State {
            shared: Arc::clone(&self.shared),
            manifest: Arc::clone(&self.manifest),
            outside,
            limits: Limits::new(
                self.manifest.permissions.memory_mib,
                Arc::clone(&self.counters.peak_memory),
            ),
            cpu: self.shared.options.cpu_timeout,
            ticks: Arc::default(),
            log_lines: 0,
            host_calls: 0,
            host_bytes: 0,
            deadline: tokio::time::Instant::now() + self.shared.options.call_timeout,
            impure: None,
        }
    }

    /// What a call on behalf of a connection may reach.
    pub(super) fn outside_of(&self, context: CallContext) -> Result<Outside, CallError> {
        let replacements = self.shared.options.endpoints.get(&self.manifest.slug);
        let routes = Routes::new(
            &self.manifest,
            context.environment,
            &context.settings,
            replacements,
        )
        .map_err(|error| {
            CallError::Failure(super::Failure::Invalid {
                field: None,
                message: error.to_string(),
            })
        })?;
        Ok(Outside {
            context,
            routes,
            requests: 0,
            transferred: AtomicU64::new(0),
            wait: None,
            receiving: None,
        })
    }

    async fn call<T, F>(
        &self,
        operation: &str,
        context: Option<CallContext>,
        body: F,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'call> FnOnce(
                &'call Guest,
                &'call mut wasmtime::Store<State>,
                super::bindings::types::Connection,
            ) -> call::Body<'call, T>
            + Send
            + 'static,
    {
        let for_guest = context
            .as_ref()
            .map_or_else(no_connection, CallContext::for_guest);
        let outside = context
            .map(|context| self.outside_of(context))
            .transpose()?;
        let indices = self.instance.clone();
        self.run(operation, outside, move |instance, store| {
            Box::pin(async move {
                let plugin = indices.interface(&mut *store, &instance)?;
                body(plugin.jackfield_connector_connector(), store, for_guest).await
            })
        })
        .await
    }

    /// Runs an export on a fresh instance, and counts it.
    pub(super) async fn run<T, F>(
        &self,
        operation: &str,
        outside: Option<Outside>,
        body: F,
    ) -> Result<T, CallError>
    where
        T: Send + 'static,
        F: for<'call> FnOnce(Instance, &'call mut wasmtime::Store<State>) -> call::Body<'call, T>
            + Send
            + 'static,
    {
        let counters = &self.counters;
        counters.calls.fetch_add(1, Ordering::Relaxed);
        counters.running.fetch_add(1, Ordering::Relaxed);
        let started = std::time::Instant::now();
        let answer = call::run(
            &self.shared,
            &self.share,
            self.instance.linked(),
            self.state(outside),
            body,
        )
        .await;
        counters.running.fetch_sub(1, Ordering::Relaxed);
        let slug = self.manifest.slug.as_str();
        let outcome = match &answer {
            Ok(_) => "ok",
            Err(error) => error.code(),
        };
        METRICS.guest_calls.add([slug, operation, outcome], 1);
        METRICS
            .guest_seconds
            .observe([slug, operation], started.elapsed());
        if let Err(error) = &answer
            && !matches!(error, CallError::Failure(_) | CallError::Busy(_))
        {
            counters.traps.fetch_add(1, Ordering::Relaxed);
            self.share.suspect();
            tracing::warn!(connector = ?self, code = error.code(), error = %error, "a call was stopped");
        }
        if let Some(gate) = self.shared.gate.get()
            && let Some(reason) = self.breaker.count(answer.as_ref().err(), gate.breaker())
        {
            gate.trip(self, reason);
        }
        answer
    }
}

/// Work that takes long, on a thread where nobody waits.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, LoadError> + Send + 'static,
) -> Result<T, LoadError> {
    tokio::task::spawn_blocking(work)
        .await
        .unwrap_or_else(|error| Err(LoadError::Malformed(error.to_string())))
}

fn for_guest(fields: &[FieldMapping]) -> Vec<super::bindings::types::FieldMapping> {
    let mapping = |field: &FieldMapping| super::bindings::types::FieldMapping {
        slug: field.slug.clone(),
        remote_field: field.remote_field.clone(),
    };
    fields.iter().map(mapping).collect()
}

/// `unify` and `desunify` take no connection; the common path has one to give.
fn no_connection() -> super::bindings::types::Connection {
    super::bindings::types::Connection {
        id: String::new(),
        environment: super::bindings::types::Environment::Production,
        account: None,
        settings: Vec::new(),
    }
}
