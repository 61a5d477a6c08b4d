//! One call of a guest: a fresh store, one instance, one export, and then nothing is left.

use std::{
    collections::BTreeMap,
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::AtomicU64},
    time::Duration,
};

use wasmtime::{
    Store,
    component::{Instance, InstancePre},
};

use super::{
    CallError, Failure, Routes, Shared,
    bindings::types,
    limits::{self, Exceeded, Limits, MAX_HOST_BYTES, MAX_HOST_CALLS},
    share::Share,
};
use crate::{
    egress::{Authorizer, Budget, Downstream, Priority},
    model::{Environment, ExchangeReason, Manifest, Usage},
};

/// How long a call waits for a free instance.
const PATIENCE: Duration = Duration::from_secs(10);

/// On whose behalf a call is made. Nothing in it can be read by the guest but `id`,
/// `environment`, `account` and `settings`.
#[derive(Clone)]
pub struct CallContext {
    /// The connection's id.
    pub id: String,
    /// The provider's environment.
    pub environment: Environment,
    /// The provider's id of the account.
    pub account: Option<String>,
    /// Values of variables and settings, without secrets.
    pub settings: BTreeMap<String, String>,
    /// Adds credentials to requests.
    pub authorizer: Arc<dyn Authorizer>,
    /// Takes what the provider says about its limits.
    pub downstream: Downstream,
    /// What the provider allows the connection.
    pub budget: Arc<dyn Budget>,
    /// Who waits for the answer.
    pub priority: Priority,
    /// Counts what it uses.
    pub usage: Usage,
    /// What its requests are written down under; they are not where there is none.
    pub reason: Option<ExchangeReason>,
}

impl std::fmt::Debug for CallContext {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("CallContext")
            .field("id", &self.id)
            .finish_non_exhaustive()
    }
}

impl CallContext {
    pub(super) fn for_guest(&self) -> types::Connection {
        types::Connection {
            id: self.id.clone(),
            environment: match self.environment {
                Environment::Sandbox => types::Environment::Sandbox,
                Environment::Production => types::Environment::Production,
            },
            account: self.account.clone(),
            settings: self
                .settings
                .iter()
                .map(|(key, value)| types::Setting {
                    key: key.clone(),
                    value: value.clone(),
                })
                .collect(),
        }
    }
}

/// What belongs to one store.
pub(crate) struct State {
    pub(super) shared: Arc<Shared>,
    pub(super) manifest: Arc<Manifest>,
    /// None in a pure call: then every import but the log traps.
    pub(super) outside: Option<Outside>,
    pub(super) limits: Limits,
    /// How long the guest may compute.
    pub(super) cpu: Duration,
    /// Epochs in which the guest computed.
    pub(super) ticks: Arc<AtomicU64>,
    pub(super) log_lines: u32,
    /// How often the guest called the host, and the bytes that it passed.
    pub(super) host_calls: u32,
    pub(super) host_bytes: usize,
    /// When the call ends, whatever it waits for.
    pub(super) deadline: tokio::time::Instant,
    /// The import that a pure call tried.
    pub(super) impure: Option<&'static str>,
}

impl State {
    /// Counts a call of the host with so many bytes of arguments, and stops a guest that floods it.
    pub(super) fn host_call(&mut self, bytes: usize) -> wasmtime::Result<()> {
        self.host_calls = self.host_calls.saturating_add(1);
        self.host_bytes = self.host_bytes.saturating_add(bytes);
        let exceeded = if self.host_calls > MAX_HOST_CALLS {
            Exceeded::HostCalls
        } else if self.host_bytes > MAX_HOST_BYTES {
            Exceeded::HostBytes
        } else {
            return Ok(());
        };
        self.limits.exceeded = Some(exceeded);
        Err(wasmtime::Error::msg("the host was called too often"))
    }

    /// A failure with the wait that the host knows and the guest did not pass on.
    fn timed(&self, failure: Failure) -> Failure {
        match failure {
            Failure::RateLimited(told) => {
                let known = self.outside.as_ref().and_then(|outside| outside.wait);
                Failure::RateLimited(told.max(known))
            }
            other => other,
        }
    }
}

/// What only a call on behalf of a connection has.
pub(super) struct Outside {
    pub(super) context: CallContext,
    pub(super) routes: Routes,
    pub(super) requests: u32,
    /// Bytes of the bodies of requests and answers so far.
    pub(super) transferred: AtomicU64,
    /// How long the provider, or its budget, wanted to hear nothing after the last request.
    pub(super) wait: Option<Duration>,
    /// The secrets that the call may use in place of the manifest's list; no request is sent then.
    pub(super) receiving: Option<&'static str>,
}

pub(super) type Body<'call, T> =
    Pin<Box<dyn Future<Output = wasmtime::Result<Answer<T>>> + Send + 'call>>;
pub(super) type Answer<T> = Result<T, types::Failure>;

/// Runs `body` on a fresh instance, when there is a permit left of the connector's own and of all.
///
/// The work is a task of its own: when the caller goes away the guest still ends in order,
/// instead of being torn out of the middle of a host call.
pub(super) async fn run<T, F>(
    shared: &Arc<Shared>,
    share: &Arc<Share>,
    instance: &InstancePre<State>,
    state: State,
    body: F,
) -> Result<T, CallError>
where
    T: Send + 'static,
    F: for<'call> FnOnce(Instance, &'call mut Store<State>) -> Body<'call, T> + Send + 'static,
{
    let permits = tokio::time::timeout(PATIENCE, async {
        // Its own first: who waits for that one takes nothing from others.
        let own = Arc::clone(&share.instances).acquire_owned().await?;
        let any = Arc::clone(&shared.permits).acquire_owned().await?;
        Ok::<_, tokio::sync::AcquireError>((own, any))
    })
    .await;
    let Ok(Ok(permits)) = permits else {
        return Err(CallError::Busy(shared.options.max_instances));
    };
    let instance = instance.clone();
    let (shared, share) = (Arc::clone(shared), Arc::clone(share));
    let mut state = state;
    let task = tokio::spawn(async move {
        let deadline = shared.options.call_timeout;
        state.deadline = tokio::time::Instant::now() + deadline;
        let lane = Arc::clone(&shared.lane);
        let ticks = Arc::clone(&state.ticks);
        let work = async move {
            let memory_mib = state.manifest.permissions.memory_mib;
            let mut store = Store::new(instance.engine(), state);
            limits::apply(&mut store);
            let outcome = tokio::time::timeout(deadline, async {
                let instance = instance.instantiate_async(&mut store).await?;
                body(instance, &mut store).await
            })
            .await;
            let answer = match outcome {
                Err(_) => Err(CallError::Deadline(deadline)),
                Ok(Ok(Ok(value))) => Ok(value),
                Ok(Ok(Err(failure))) => Err(CallError::Failure(store.data().timed(failure.into()))),
                Ok(Err(error)) => Err(limits::explain(&error, store.data(), memory_mib)),
            };
            drop(store);
            drop(permits);
            answer
        };
        lane.run(Box::pin(work), &share, ticks, deadline).await
    });
    task.await
        .unwrap_or_else(|error| Err(CallError::Trap(error.to_string())))
}
