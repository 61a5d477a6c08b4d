//! Composition: everything is made of the configuration here, and ends here.

mod dev;
mod operators;

use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf, sync::Arc, time::Duration};

use anyhow::{Context, Result, bail};
use secrecy::ExposeSecret;
use tokio::{net::TcpListener, task::JoinSet};
use tokio_util::sync::CancellationToken;
use url::Url;

use crate::{
    access::Access,
    config::{Config, KeySource},
    dashboard,
    diagnosis::{Assistant, AssistantOptions, Diagnoses},
    egress::{self, Egress},
    http,
    jobs::{
        self, DeliveryOptions, DeliveryWorkers, InboundWorkers, PushWorkers, RetryWorkers,
        SyncWorkers,
    },
    market::{Login, Logins, Market, Outlets},
    mcp,
    model::{Clock, ConnectionId, Entropy, SystemClock, SystemEntropy},
    portal,
    runtime::{self, Runtime},
    store::{RequestTally, Store},
    unify::Unify,
    vault::{EnvironmentKeys, FileKeys, KeyProvider, Keys, OAuthApps, Vault},
    web,
    webhook::{self, Schedule, Webhooks},
};

pub use dev::{DevArgs, dev};

/// The parts of a running server.
pub struct App {
    config: Config,
    clock: Arc<dyn Clock>,
    entropy: Arc<dyn Entropy>,
    store: Store,
    vault: Vault,
    runtime: Runtime,
    unify: Unify,
    webhooks: Webhooks,
    egress: Egress,
    exchanges: jobs::ExchangeWriter,
}

impl std::fmt::Debug for App {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("App").finish_non_exhaustive()
    }
}

/// Opens the database that the configuration names.
///
/// # Errors
/// It cannot be reached or migrated, or the folder of its file cannot be made.
pub async fn open_store(config: &Config) -> Result<Store> {
    std::fs::create_dir_all(&config.data_dir).with_context(|| {
        format!(
            "the data folder {} cannot be made",
            config.data_dir.display()
        )
    })?;
    let url = config.database_url();
    Store::open(
        url.expose_secret(),
        Arc::new(SystemClock),
        Arc::new(SystemEntropy),
    )
    .await
    .with_context(|| {
        let place = without_password(url.expose_secret());
        format!("the database {place} cannot be opened")
    })
}

/// The address of a database without who opens it: what may be printed.
fn without_password(address: &str) -> String {
    let Ok(mut url) = Url::parse(address) else {
        return "whose address is not one".to_owned();
    };
    // Both fail only where an address has no place for them.
    url.set_password(None).ok();
    url.set_username("").ok();
    url.set_query(None);
    url.to_string()
}

/// Serves until a signal asks to stop: what `jackfield serve` does.
///
/// # Errors
/// Something that is needed for serving is missing or cannot be opened.
pub async fn serve(config: Config) -> Result<()> {
    let keys = key_provider(&config)?;
    if !config.plugins_dir.is_dir() {
        bail!(
            "the folder of connectors {} does not exist: make it, or name another with JACKFIELD_PLUGINS_DIR",
            config.plugins_dir.display()
        );
    }
    let folders = vec![config.plugins_dir.clone()];
    let listener = bind(config.listen).await?;
    let app = App::build(config, keys, folders).await?;
    let access = app.access(listener.local_addr()?);
    operators::welcome(&access).await?;
    app.run(listener, access, stop_signal()).await
}

/// The encryption keys that the configuration names.
///
/// # Errors
/// There are none, or they are not keys.
pub fn key_provider(config: &Config) -> Result<Arc<dyn KeyProvider>> {
    let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
    match config.encryption_keys() {
        Some(KeySource::Given(text)) => Ok(Arc::new(EnvironmentKeys::parse(&text, entropy)?)),
        Some(KeySource::File(path)) => Ok(Arc::new(FileKeys::new(path, entropy))),
        None => bail!(
            "there is no encryption key: set JACKFIELD_ENCRYPTION_KEY (or encryption_key_file) to 32 bytes in hexadecimal, made with `openssl rand -hex 32`, and keep a copy"
        ),
    }
}

async fn bind(address: SocketAddr) -> Result<TcpListener> {
    TcpListener::bind(address).await.with_context(|| {
        format!("{address} cannot be listened on; choose another address with `listen` in the configuration, with JACKFIELD_LISTEN, or with --listen of `jackfield dev`")
    })
}

/// Cancelled by SIGTERM, SIGINT or Ctrl-C. A second signal ends the process at once.
fn stop_signal() -> CancellationToken {
    let stop = CancellationToken::new();
    let token = stop.clone();
    tokio::spawn(async move {
        wait_for_signal().await;
        token.cancel();
        wait_for_signal().await;
        #[expect(clippy::exit, reason = "asked twice: the second time means at once")]
        std::process::exit(1);
    });
    stop
}

async fn wait_for_signal() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    if tokio::signal::ctrl_c().await.is_err() {
        std::future::pending::<()>().await;
    }
}

impl App {
    /// Makes all parts and loads the connectors that lie in `folders`.
    ///
    /// # Errors
    /// The database, the key or the engine is not usable.
    pub async fn build(
        config: Config,
        keys: Arc<dyn KeyProvider>,
        folders: Vec<PathBuf>,
    ) -> Result<Self> {
        let clock: Arc<dyn Clock> = Arc::new(SystemClock);
        let entropy: Arc<dyn Entropy> = Arc::new(SystemEntropy);
        let store = open_store(&config).await?;
        let keys = Keys::open(&store, keys, &*clock, &*entropy).await?;
        let egress = Egress::new(egress::Policy {
            allow_private: config.egress.allow_private.clone(),
        })?;
        let (exchange_log, exchanges) = jobs::ExchangeLog::new(config.exchange_log.bodies);
        if config.exchange_log.enabled {
            egress.written_down_by(Arc::new(exchange_log));
        }
        let vault = Vault::new(
            store.clone(),
            egress.clone(),
            keys,
            Arc::clone(&clock),
            Arc::clone(&entropy),
            OAuthApps::from_config(&config),
        );
        let installed = config.data_dir.join("installed");
        std::fs::create_dir_all(&installed)
            .with_context(|| format!("{} cannot be made", installed.display()))?;
        let mut all_folders = vec![installed.clone()];
        all_folders.extend(folders);
        let runtime = Runtime::new(
            runtime_options(&config, all_folders),
            egress.clone(),
            Arc::clone(&clock),
        )?;
        runtime.guarded_by(store.clone(), gate_options(&config, installed)?);
        runtime.scan().await;
        let unify = Unify::new(
            store.clone(),
            vault.clone(),
            runtime.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            config.sync.page_size,
        );
        let webhooks = Webhooks::new(
            store.clone(),
            egress.clone(),
            vault.clone(),
            Arc::clone(&clock),
            Arc::clone(&entropy),
            webhook_options(&config, &*entropy),
        );
        Ok(Self {
            config,
            clock,
            entropy,
            store,
            vault,
            runtime,
            unify,
            webhooks,
            egress,
            exchanges,
        })
    }

    /// Serves `listener` and works in the background until `stop`, then ends in order: no new
    /// requests, running ones finish, syncs stop after the page they are at.
    async fn run(
        self,
        listener: TcpListener,
        access: Access,
        stop: CancellationToken,
    ) -> Result<()> {
        let address = listener.local_addr()?;
        let requests = Arc::new(RequestTally::default());
        let services = Arc::new(http::Services {
            store: self.store.clone(),
            unify: self.unify.clone(),
            vault: self.vault.clone(),
            webhooks: self.webhooks.clone(),
            runtime: self.runtime.clone(),
            market: Market::new(self.store.clone(), Arc::clone(&self.clock)),
            outlets: outlets(&self.config)?,
            clock: Arc::clone(&self.clock),
            entropy: Arc::clone(&self.entropy),
            public_url: self.config.public_url(address),
            inbound: Arc::default(),
            questions: Arc::default(),
            watches: http::Watches::default(),
            // A write calls its connector three times: desunify, push, unify. Each has its own
            // deadline.
            request_timeout: Duration::from_secs(self.config.runtime.call_timeout_seconds * 3),
            sync_interval: Duration::from_secs(self.config.sync.interval_seconds),
            diagnoses: Diagnoses::new(self.store.clone(), Arc::clone(&self.clock)),
            assistant: assistant(&self.config, &self.egress),
            requests: Arc::clone(&requests),
            rate_limit: http::RateLimit::new(self.config.http.rate_limit),
            stopping: stop.clone(),
            stream_limits: egress::StreamLimits {
                idle: Duration::from_secs(self.config.passthrough.idle_seconds),
                max_bytes: self.config.passthrough.max_stream_mib * 1024 * 1024,
            },
        });
        let pages = web::routes()
            .merge(portal::routes(&services))
            .merge(dashboard::routes(&services, access))
            .merge(mcp::routes(&services));
        let retries = RetryWorkers {
            store: self.store.clone(),
            unify: self.unify.clone(),
            exchange_timeout: Duration::from_secs(self.config.egress.timeout_seconds),
        };
        let options = jobs::Options {
            owner: ConnectionId::generate(&*self.entropy).to_string(),
            workers: self.config.sync.workers,
            interval: Duration::from_secs(self.config.sync.interval_seconds),
            lease: Duration::from_secs(self.config.sync.lease_seconds),
            max_pages: self.config.sync.max_pages,
        };
        let inbound = InboundWorkers::new(
            self.store.clone(),
            self.unify.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            &options,
        );
        let owner = options.owner.clone();
        let pushes = PushWorkers::new(
            self.store.clone(),
            self.unify.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            &options,
        );
        let workers = SyncWorkers::new(
            self.store.clone(),
            self.unify.clone(),
            Arc::clone(&self.clock),
            Arc::clone(&self.entropy),
            options,
        );
        let mut tasks = JoinSet::new();
        tasks.spawn(self.runtime.clone().watch(stop.clone()));
        tasks.spawn(workers.run(stop.clone()));
        tasks.spawn(inbound.run(stop.clone()));
        tasks.spawn(pushes.run(stop.clone()));
        tasks.spawn(self.delivery_workers().run(stop.clone()));
        let retention = jobs::Retention {
            events: days(self.config.retention.events_days),
            deliveries: days(self.config.retention.deliveries_days),
            runs: days(self.config.retention.sync_runs_days),
            audit: days(self.config.retention.audit_days),
            requests: days(self.config.retention.requests_days),
            exchanges: days(self.config.retention.exchanges_days),
            exchanges_each: self.config.exchange_log.most_per_connection,
            sessions: self.session_end(),
        };
        let (store, clock) = (self.store.clone(), Arc::clone(&self.clock));
        tasks.spawn(jobs::keep_house(store, clock, retention, stop.clone()));
        let (store, tally) = (self.store.clone(), Arc::clone(&requests));
        tasks.spawn(jobs::keep_request_counts(store, tally, stop.clone()));
        tasks.spawn(retries.run(stop.clone()));
        tasks.spawn(self.exchanges.run(self.store.clone(), stop.clone()));
        tasks.spawn(jobs::keep_keys(self.vault.clone(), stop.clone()));
        tasks.spawn(jobs::keep_remapped(
            self.runtime.clone(),
            self.unify.clone(),
            stop.clone(),
        ));
        // Written when the port is open: scripts that asked for port 0 learn it here.
        let address_file = self.config.data_dir.join("address");
        std::fs::write(&address_file, format!("{address}\n"))
            .with_context(|| format!("{} cannot be written", address_file.display()))?;
        tracing::info!(address = %address, "listening");
        let limits = http::Limits::new(&self.config.http);
        http::serve(
            listener,
            http::router(services, pages, |parts| {
                portal::lost_page(parts).or_else(|| dashboard::lost_page(parts))
            }),
            limits,
            stop,
        )
        .await?;
        fault_point!("shutdown.begun");
        let drain = Duration::from_secs(self.config.http.drain_seconds);
        let ended = async { while tasks.join_next().await.is_some() {} };
        if tokio::time::timeout(drain, ended).await.is_err() {
            // Nothing is lost: whoever claims the sync next goes on after its last page.
            tracing::warn!("a provider is slow; its sync is left at its last page");
            tasks.shutdown().await;
        }
        fault_point!("shutdown.drained");
        if let Err(error) = self.store.release_syncs_of(&owner).await {
            tracing::warn!(error = %error, "syncs cannot be given back; their leases will run out");
        }
        if let Err(error) = self.store.add_request_counts(&requests).await {
            tracing::warn!(error = %error, "numbers of the last requests are lost");
        }
        self.vault.close().await;
        self.store.close().await;
        tracing::info!("stopped");
        Ok(())
    }
}

impl App {
    fn delivery_workers(&self) -> DeliveryWorkers {
        let webhooks = &self.config.webhooks;
        let options = DeliveryOptions {
            concurrency: webhooks.concurrency,
            endpoint_concurrency: webhooks.endpoint_concurrency,
        };
        let clock = Arc::clone(&self.clock);
        DeliveryWorkers::new(self.store.clone(), self.webhooks.clone(), clock, options)
    }
}

fn assistant(config: &Config, egress: &Egress) -> Option<Assistant> {
    let (url, model) = config.assistant.endpoint()?;
    let options = AssistantOptions {
        url: url.clone(),
        model: model.to_owned(),
        api_key: config.assistant.api_key.clone(),
    };
    Some(Assistant::new(egress.clone(), options))
}

const fn days(number: u64) -> Duration {
    Duration::from_secs(number.saturating_mul(86_400))
}

fn webhook_options(config: &Config, entropy: &dyn Entropy) -> webhook::Options {
    let webhooks = &config.webhooks;
    let waits = webhooks.schedule_seconds.iter();
    webhook::Options {
        owner: ConnectionId::generate(entropy).to_string(),
        schedule: Schedule::new(waits.copied().map(Duration::from_secs).collect()),
        deadline: Duration::from_secs(webhooks.timeout_seconds),
        lease: Duration::from_secs(webhooks.lease_seconds),
        disable_after: days(webhooks.disable_after_days),
    }
}

/// Which connectors may serve.
///
/// # Errors
/// A publisher's key is none.
pub fn gate_options(config: &Config, installed: PathBuf) -> Result<runtime::GateOptions> {
    let publishers = config.marketplace.publishers.iter();
    let breaker = &config.breaker;
    Ok(runtime::GateOptions {
        consent: config.consent.policy,
        require_signature: config.marketplace.require_signature,
        publishers: publishers
            .map(|key| key.parse())
            .collect::<Result<_, _>>()?,
        breaker: runtime::BreakerPolicy {
            traps: breaker.traps,
            percent: breaker.percent,
            calls: breaker.calls,
            within: Duration::from_secs(breaker.within_seconds),
            pause: Duration::from_secs(breaker.pause_seconds),
        },
        installed,
    })
}

/// Registries and indexes of connectors.
///
/// # Errors
/// A file of logins cannot be read, or no client can be made.
pub fn outlets(config: &Config) -> Result<Outlets> {
    let marketplace = &config.marketplace;
    let egress = Egress::new(egress::Policy {
        allow_private: config.egress.allow_private.clone(),
    })?;
    let mut logins = Logins::default();
    if let Some(path) = &marketplace.docker_config {
        let text =
            std::fs::read(path).with_context(|| format!("{} cannot be read", path.display()))?;
        logins = Logins::from_docker(&text)
            .with_context(|| format!("{} is not as Docker writes it", path.display()))?;
    }
    for (registry, login) in &marketplace.registries {
        let login = match (&login.token, &login.username, &login.password) {
            (Some(token), None, None) => Login::Bearer(token.clone()),
            (None, Some(user), Some(password)) => Login::Basic(user.clone(), password.clone()),
            _ => bail!(
                "marketplace.registries.{registry:?} needs either token, or username and password"
            ),
        };
        logins.0.insert(registry.clone(), login);
    }
    Ok(Outlets::new(egress, logins, marketplace.indexes.clone()))
}

fn runtime_options(config: &Config, folders: Vec<PathBuf>) -> runtime::Options {
    const MIB: usize = 1024 * 1024;
    let limits = &config.runtime;
    let endpoints = config.connectors.iter().map(|(slug, connector)| {
        let replaced: BTreeMap<String, String> = connector
            .endpoints
            .iter()
            .map(|(name, url)| (name.clone(), url.to_string()))
            .collect();
        (slug.clone(), replaced)
    });
    runtime::Options {
        folders,
        cache_dir: config.data_dir.join("cache"),
        compiler: runtime::Compiler::this_program(runtime::CompileLimits {
            cpu_seconds: limits.compile_cpu_seconds,
            memory_mib: limits.compile_memory_mib,
            wall_seconds: limits.compile_timeout_seconds,
        }),
        poll: Duration::from_secs(limits.poll_seconds),
        max_memory_mib: limits.max_memory_mib,
        call_timeout: Duration::from_secs(limits.call_timeout_seconds),
        cpu_timeout: Duration::from_millis(limits.cpu_milliseconds),
        max_output: limits.max_output_mib as usize * MIB,
        exchange_timeout: Duration::from_secs(config.egress.timeout_seconds),
        max_response: config.egress.max_response_mib as usize * MIB,
        max_transfer: u64::from(limits.max_transfer_mib) * MIB as u64,
        max_instances: limits.max_instances,
        endpoints: endpoints.collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::without_password;

    #[test]
    fn the_address_of_a_database_is_told_without_who_opens_it() {
        let told =
            without_password("postgres://jack:secret@db.example:5432/jackfield?sslmode=require");
        assert_eq!(told, "postgres://db.example:5432/jackfield");
        assert_eq!(
            without_password("sqlite:/var/lib/jackfield.db"),
            "sqlite:/var/lib/jackfield.db"
        );
    }
}
