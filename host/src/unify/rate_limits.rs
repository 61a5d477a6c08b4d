//! How the budget of a connection's provider stands, for people.

use super::{Error, Unify};
use crate::{
    egress::Charge,
    model::{BudgetScope, Scope, Timestamp, Window},
    store::BudgetKey,
};

/// What a provider allows a connection.
#[derive(Clone, Debug)]
pub struct RateLimitState {
    /// Until when the provider wants to hear nothing from background work, where no bucket covers
    /// its requests.
    pub held_until: Option<Timestamp>,
    /// The manifest's buckets, by name.
    pub buckets: Vec<BucketState>,
}

/// One bucket. Times are the database's.
#[derive(Clone, Debug)]
pub struct BucketState {
    /// The manifest's name of it.
    pub name: String,
    /// Who shares it.
    pub scope: BudgetScope,
    /// Requests in a window.
    pub limit: u64,
    /// Length of a window.
    pub seconds: u32,
    /// Requests that are left.
    pub remaining: u64,
    /// Requests of a window that only those get who wait.
    pub reserved: u64,
    /// When the window ends; none where none has begun.
    pub resets_at: Option<Timestamp>,
    /// Until when the provider wants to hear nothing.
    pub blocked_until: Option<Timestamp>,
}

impl Unify {
    /// What the provider allows a connection, and what is left of it.
    ///
    /// # Errors
    /// The connector does not serve, or the database fails.
    pub async fn rate_limits(&self, scope: &Scope) -> Result<RateLimitState, Error> {
        let store = &self.0.store;
        let version = self.version(&scope.connection().connector)?;
        let uncounted = BudgetKey::new(scope, BudgetScope::Connection, Charge::UNCOUNTED.name);
        let (held, now) = store.budget(&uncounted).await?;
        let mut buckets = Vec::new();
        if let Some(limits) = &version.manifest().rate_limit {
            for (name, bucket) in &limits.buckets {
                let charge = Charge {
                    name,
                    bucket: Some(bucket),
                    reserve_percent: limits.reserve_percent,
                };
                let Some(rule) = charge.rule() else {
                    continue;
                };
                let key = BudgetKey::new(scope, bucket.scope, name);
                let (window, now) = store.budget(&key).await?;
                let window = window.unwrap_or_else(|| Window::new(&rule));
                buckets.push(BucketState {
                    name: name.clone(),
                    scope: bucket.scope,
                    limit: window.limit,
                    seconds: bucket.seconds,
                    remaining: window.remaining(now),
                    reserved: rule.reserved(window.limit),
                    resets_at: Some(window.ends_at).filter(|end| *end > now),
                    blocked_until: window.blocked(now),
                });
            }
        }
        Ok(RateLimitState {
            held_until: held.and_then(|window| window.blocked(now)),
            buckets,
        })
    }
}
