//! A connector in a sandbox of its own, with a server of this machine in its provider's place.

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use secrecy::SecretString;
use tempfile::TempDir;

use super::{
    Candidate, Error,
    provider::{LocalProvider, Script},
};
use crate::{
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Egress, Policy, Priority,
        Unlimited,
    },
    model::{Environment, Manifest, SettingType, Slug, SystemClock, Usage, VariableType},
    runtime::{
        Artifact, CallContext, Compiler, ConnectorVersion, FetchRequest, LoadError, Options,
        Runtime,
    },
};

/// The sandbox. What it compiled is gone when it ends.
pub(super) struct Lab {
    pub(super) version: ConnectorVersion,
    /// Values of variables and settings, as a connection has them.
    values: BTreeMap<String, String>,
    authorizer: Arc<dyn Authorizer>,
    _provider: Option<LocalProvider>,
    _cache: TempDir,
}

impl Lab {
    /// Compiles and starts a connector whose requests go to a script, or nowhere.
    ///
    /// # Errors
    /// The outer one where there is no sandbox, the inner one where a host would refuse it.
    pub(super) async fn open(
        candidate: &Candidate,
        values: BTreeMap<String, String>,
        script: Option<Arc<dyn Script>>,
    ) -> Result<Result<Self, LoadError>, Error> {
        let broken = |error: Box<dyn std::error::Error + Send + Sync>| Error::Sandbox(error);
        let bytes = candidate.bytes.clone();
        let manifest = match Artifact::read(&bytes) {
            Ok(artifact) => artifact.manifest,
            Err(error) => return Ok(Err(error)),
        };
        let provider = match script {
            Some(script) => Some(LocalProvider::start(script).await?),
            None => None,
        };
        let endpoints = provider.as_ref().map(|provider| {
            let names = manifest.endpoints.keys();
            (manifest.slug.clone(), provider.endpoints(names))
        });
        let cache = tempfile::tempdir().map_err(|error| broken(error.into()))?;
        let options = options(
            cache.path(),
            candidate.compiler.clone(),
            endpoints.into_iter().collect(),
        );
        let loopback = ["127.0.0.0/8".parse(), "::1/128".parse()];
        let policy = Policy {
            allow_private: loopback.into_iter().filter_map(Result::ok).collect(),
        };
        let egress = Egress::new(policy).map_err(|error| broken(error.into()))?;
        let runtime = Runtime::new(options, egress, Arc::new(SystemClock))
            .map_err(|error| broken(error.into()))?;
        let version = match runtime.check(bytes).await {
            Ok(version) => version,
            Err(error) => return Ok(Err(error)),
        };
        Ok(Ok(Self {
            authorizer: Arc::new(Pretended::new(&manifest)),
            version,
            values: sample_values(&manifest, values),
            _provider: provider,
            _cache: cache,
        }))
    }

    /// The same with other credentials.
    pub(super) fn with_authorizer(mut self, authorizer: Arc<dyn Authorizer>) -> Self {
        self.authorizer = authorizer;
        self
    }

    pub(super) fn manifest(&self) -> &Manifest {
        self.version.manifest()
    }

    /// The base of each endpoint, as the manifest declares it for the values at hand.
    pub(super) fn bases(&self) -> BTreeMap<String, String> {
        bases(self.manifest(), &self.values)
    }

    /// A call on behalf of a connection that exists here only.
    pub(super) fn context(&self) -> CallContext {
        CallContext {
            id: "00000000-0000-4000-8000-000000000001".to_owned(),
            environment: Environment::Production,
            account: None,
            settings: self.values.clone(),
            authorizer: Arc::clone(&self.authorizer),
            downstream: Downstream::default(),
            budget: Arc::new(Unlimited),
            priority: Priority::Interactive,
            usage: Usage::default(),
            reason: None,
        }
    }
}

/// The base of each endpoint, without a slash at the end.
pub(super) fn bases(
    manifest: &Manifest,
    values: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let endpoints = manifest.endpoints.iter();
    endpoints
        .filter_map(|(name, endpoint)| {
            let base = endpoint.production.fill(values).ok()?;
            Some((name.clone(), base.trim_end_matches('/').to_owned()))
        })
        .collect()
}

/// The limits that a host has by default.
fn options(
    cache_dir: &std::path::Path,
    compiler: Compiler,
    endpoints: BTreeMap<Slug, BTreeMap<String, String>>,
) -> Options {
    Options {
        folders: Vec::new(),
        cache_dir: cache_dir.to_owned(),
        compiler,
        poll: Duration::from_secs(2),
        max_memory_mib: 256,
        call_timeout: Duration::from_secs(60),
        exchange_timeout: Duration::from_secs(20),
        cpu_timeout: Duration::from_secs(10),
        max_output: 16 * 1024 * 1024,
        max_response: 16 * 1024 * 1024,
        max_transfer: 256 * 1024 * 1024,
        max_instances: 4,
        endpoints,
    }
}

/// A good value for each variable and each setting that a connection needs; those given go first.
pub(super) fn sample_values(
    manifest: &Manifest,
    mut given: BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    for (name, variable) in &manifest.variables {
        let value = match variable.kind {
            VariableType::Url => "https://sample.example.com",
            VariableType::Host => "sample.example.com",
            VariableType::Label => "sample",
        };
        given
            .entry(name.clone())
            .or_insert_with(|| value.to_owned());
    }
    for setting in &manifest.settings {
        if setting.kind == SettingType::Password || setting.is_after_login() {
            continue;
        }
        let value = match (&setting.default, setting.required) {
            (Some(default), _) => default.clone(),
            (None, false) => continue,
            (None, true) => match setting.kind {
                SettingType::Number => "1".to_owned(),
                SettingType::Boolean => "true".to_owned(),
                SettingType::Url => "https://sample.example.com".to_owned(),
                SettingType::Email => "sample@example.com".to_owned(),
                SettingType::Select => setting.options.first().cloned().unwrap_or_default(),
                SettingType::Text
                | SettingType::LongText
                | SettingType::Password
                | SettingType::FieldMapping => "sample".to_owned(),
            },
        };
        given.entry(setting.id.clone()).or_insert(value);
    }
    given
}

/// The first page of an object, as many records as the SDK's tests ask for.
pub(super) fn fetch(object: &str) -> FetchRequest {
    FetchRequest {
        object: object.to_owned(),
        cursor: None,
        since: None,
        remote_id: None,
        limit: 100,
    }
}

/// Credentials that nobody checks. They are as dead as they can be once they are refused.
struct Pretended(Arc<Authorization>);

impl Pretended {
    fn new(manifest: &Manifest) -> Self {
        let mut authorization = Authorization::new(1);
        for name in &manifest.permissions.secrets {
            authorization =
                authorization.with_secret(name, SecretString::from(format!("pretended-{name}")));
        }
        Self(Arc::new(authorization))
    }
}

impl Authorizer for Pretended {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        let authorization = Arc::clone(&self.0);
        Box::pin(async { Ok(authorization) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async {
            Err(AuthorizeError::Dead(
                "the credentials are refused".to_owned(),
            ))
        })
    }
}

/// What is in a lock, also after somebody panicked with it.
pub(super) fn locked<T>(mutex: &Mutex<T>) -> std::sync::MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
