//! The budget of each provider, kept in the database for all hosts, spent from small stocks here.
//!
//! A stock is leased in chunks that double while they are spent within a second and shrink where
//! they are not; what is left of one goes back with the next. So a busy bucket costs a transaction
//! for many requests, and a quiet one keeps nothing from other hosts.

use std::{
    collections::HashMap,
    sync::{Arc, PoisonError},
    time::Duration,
};

use tokio::{sync::Mutex, time::Instant};

use crate::{
    egress::{BoxFuture, Budget, Charge, Exhausted, Priority},
    model::{Ask, BudgetScope, Said, Scope, Timestamp, WindowRule},
    store::{BudgetKey, Store},
    telemetry::METRICS,
};

/// How long a stock is good, and how late another host's news may come.
const GOOD: Duration = Duration::from_secs(1);
/// After which time an empty bucket is looked at again: another host may have given back.
const LOOK_AGAIN: Duration = Duration::from_millis(250);
/// The largest chunk, as a share of the bucket, and in tokens.
const SHARE: u64 = 20;
const LARGEST: u64 = 64;
/// Stocks that are remembered before those that are over are forgotten.
const REMEMBERED: usize = 4096;
/// A limit of the provider's whose end is that much off is not worth a write.
const TOLERANCE: Duration = Duration::from_secs(2);

/// The stocks of this host. Clones share them.
#[derive(Clone)]
pub(super) struct Stocks {
    store: Store,
    stocks: Arc<std::sync::Mutex<HashMap<BudgetKey, Arc<Mutex<Stock>>>>>,
}

/// What this host has of one bucket.
#[derive(Debug, Default)]
struct Stock {
    /// For anybody.
    common: u64,
    /// For those only who wait: it came out of the reserve.
    reserved: u64,
    good_until: Option<Instant>,
    /// Of which window it is, by the database's clock.
    window: Option<Timestamp>,
    chunk: u64,
    /// When there was nothing for background work and for those who wait, and until when.
    refused: [Option<Refusal>; 2],
    /// How the bucket stood when it was looked at last.
    seen: Option<Seen>,
}

#[derive(Clone, Copy, Debug)]
struct Refusal {
    at: Instant,
    until: Instant,
}

#[derive(Clone, Copy, Debug)]
struct Seen {
    limit: u64,
    remaining: u64,
    ends: Instant,
}

impl Stocks {
    pub(super) fn new(store: Store) -> Self {
        Self {
            store,
            stocks: Arc::default(),
        }
    }

    /// A connection's share.
    pub(super) fn of(&self, scope: &Scope) -> Arc<dyn Budget> {
        Arc::new(Share {
            stocks: self.clone(),
            scope: scope.clone(),
        })
    }

    fn stock(&self, key: &BudgetKey) -> Arc<Mutex<Stock>> {
        let mut stocks = self.stocks.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stock) = stocks.get(key) {
            return Arc::clone(stock);
        }
        if stocks.len() >= REMEMBERED {
            let now = Instant::now();
            stocks.retain(|_, stock| {
                Arc::strong_count(stock) > 1
                    || stock.try_lock().is_ok_and(|stock| stock.matters(now))
            });
        }
        let stock = Arc::new(Mutex::new(Stock::default()));
        stocks.insert(key.clone(), Arc::clone(&stock));
        stock
    }
}

impl Stock {
    fn matters(&self, now: Instant) -> bool {
        let refused = self.refused.iter().flatten().map(|refusal| refusal.until);
        let mut ends = refused.chain(self.good_until);
        ends.any(|end| end > now)
    }

    /// Takes a token out of the stock; false where there is none.
    fn spend(&mut self, priority: Priority, now: Instant) -> bool {
        if self.good_until.is_none_or(|end| end <= now) {
            return false;
        }
        let pot = match priority {
            Priority::Interactive if self.reserved > 0 => &mut self.reserved,
            _ => &mut self.common,
        };
        let spends = *pot > 0;
        *pot -= u64::from(spends);
        spends
    }

    /// What was leased and not spent, with its window; the stock is empty then.
    fn give_back(&mut self, now: Instant) -> Option<(u64, Timestamp)> {
        let unused = std::mem::take(&mut self.common) + std::mem::take(&mut self.reserved);
        self.chunk = if unused > 0 && self.good_until.is_some_and(|end| end <= now) {
            self.chunk / 2
        } else {
            self.chunk.saturating_mul(2)
        };
        self.window.take().map(|window| (unused, window))
    }

    fn refused(&mut self, priority: Priority) -> &mut Option<Refusal> {
        let [background, interactive] = &mut self.refused;
        match priority {
            Priority::Background => background,
            Priority::Interactive => interactive,
        }
    }
}

/// One connection's view of the stocks.
struct Share {
    stocks: Stocks,
    scope: Scope,
}

impl Share {
    fn key(&self, charge: &Charge<'_>) -> BudgetKey {
        let sharing = charge
            .bucket
            .map_or(BudgetScope::Connection, |bucket| bucket.scope);
        BudgetKey::new(&self.scope, sharing, charge.name)
    }

    async fn take_one(&self, charge: &Charge<'_>, priority: Priority) -> Result<(), Duration> {
        if charge.bucket.is_none() && priority == Priority::Interactive {
            return Ok(());
        }
        let key = self.key(charge);
        let stock = self.stocks.stock(&key);
        let mut stock = stock.lock().await;
        let now = Instant::now();
        if stock.spend(priority, now) {
            return Ok(());
        }
        if let Some(refusal) = *stock.refused(priority)
            && refusal.until > now
            && now < refusal.at + LOOK_AGAIN
        {
            return Err(refusal.until - now);
        }
        let leased = match charge.rule() {
            Some(rule) => self.lease(&key, &rule, &mut stock, priority).await,
            None => self.look(&key, &mut stock).await,
        };
        let wait = leased.unwrap_or_else(|error| {
            // Without a database there is nothing to spend on: it will say so itself.
            tracing::warn!(bucket = charge.name, error = %error, "a provider's budget cannot be read");
            None
        });
        let Some(wait) = wait else {
            *stock.refused(priority) = None;
            return Ok(());
        };
        *stock.refused(priority) = Some(Refusal {
            at: now,
            until: now + wait,
        });
        Err(wait)
    }

    /// Leases a chunk and spends one of it. How long to wait where there is none.
    async fn lease(
        &self,
        key: &BudgetKey,
        rule: &WindowRule,
        stock: &mut Stock,
        priority: Priority,
    ) -> Result<Option<Duration>, crate::store::Error> {
        let now = Instant::now();
        let give_back = stock.give_back(now);
        stock.chunk = stock
            .chunk
            .clamp(1, (rule.requests / SHARE).clamp(1, LARGEST));
        let ask = Ask {
            interactive: priority == Priority::Interactive,
            want: stock.chunk,
            give_back,
        };
        let leased = self.stocks.store.lease_budget(key, rule, &ask).await?;
        let window = leased.window;
        stock.window = Some(window.ends_at);
        let left = window.ends_at.since(leased.now);
        stock.good_until = Some(now + left.min(GOOD));
        stock.seen = Some(Seen {
            limit: window.limit,
            remaining: window.limit.saturating_sub(window.used),
            ends: now + left,
        });
        let Some(rest) = leased.granted.tokens.checked_sub(1) else {
            return Ok(Some(leased.granted.wait.max(Duration::from_millis(1))));
        };
        match priority {
            Priority::Interactive => stock.reserved = rest,
            Priority::Background => stock.common = rest,
        }
        Ok(None)
    }

    /// Whether the provider of a connection without buckets wants to be left alone.
    async fn look(
        &self,
        key: &BudgetKey,
        stock: &mut Stock,
    ) -> Result<Option<Duration>, crate::store::Error> {
        let (window, now) = self.stocks.store.budget(key).await?;
        if let Some(until) = window.and_then(|window| window.blocked(now)) {
            stock.common = 0;
            return Ok(Some(until.since(now)));
        }
        stock.common = u64::MAX;
        stock.good_until = Some(Instant::now() + GOOD);
        Ok(None)
    }

    /// Gives a token back that was taken for a request that was not sent.
    async fn put_back(&self, charge: &Charge<'_>, priority: Priority) {
        let stock = self.stocks.stock(&self.key(charge));
        let mut stock = stock.lock().await;
        let pot = match priority {
            // It may have come out of the reserve.
            Priority::Interactive => &mut stock.reserved,
            Priority::Background => &mut stock.common,
        };
        *pot = pot.saturating_add(1);
    }
}

impl Budget for Share {
    fn take<'a>(
        &'a self,
        charges: &'a [Charge<'a>],
        priority: Priority,
    ) -> BoxFuture<'a, Result<(), Exhausted>> {
        Box::pin(async move {
            for (index, charge) in charges.iter().enumerate() {
                if let Err(wait) = self.take_one(charge, priority).await {
                    for taken in charges.iter().take(index) {
                        self.put_back(taken, priority).await;
                    }
                    let bucket = charge.name.to_owned();
                    return Err(Exhausted { bucket, wait });
                }
            }
            Ok(())
        })
    }

    fn correct<'a>(&'a self, charge: &'a Charge<'a>, said: Said) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            let Some(rule) = charge.rule() else {
                return;
            };
            let key = self.key(charge);
            let stock = self.stocks.stock(&key);
            let mut stock = stock.lock().await;
            let now = Instant::now();
            if stock.seen.is_some_and(|seen| agrees(&seen, &said, now)) {
                return;
            }
            match self.stocks.store.correct_budget(&key, &rule, &said).await {
                Ok((window, time)) => {
                    stock.seen = Some(Seen {
                        limit: window.limit,
                        remaining: window.limit.saturating_sub(window.used),
                        ends: now + window.ends_at.since(time),
                    });
                }
                Err(error) => {
                    tracing::warn!(bucket = charge.name, error = %error, "a provider's budget cannot be corrected");
                }
            }
        })
    }

    fn block<'a>(&'a self, charges: &'a [Charge<'a>], wait: Duration) -> BoxFuture<'a, ()> {
        Box::pin(async move {
            for charge in charges {
                let connector = self.scope.connection().connector.as_str();
                METRICS
                    .rate_limited
                    .add([connector, charge.name, "limited"], 1);
                let key = self.key(charge);
                let stock = self.stocks.stock(&key);
                let mut stock = stock.lock().await;
                let now = Instant::now();
                (stock.common, stock.reserved) = (0, 0);
                // The database's word is asked for at the next look.
                stock.refused = [Some(Refusal {
                    at: now,
                    until: now + wait,
                }); 2];
                let rule = charge.rule();
                let store = &self.stocks.store;
                if let Err(error) = store.block_budget(&key, rule.as_ref(), wait).await {
                    tracing::warn!(bucket = charge.name, error = %error, "that a provider wants to wait cannot be written");
                }
            }
        })
    }
}

/// Whether the provider says nothing that matters: there is at least as much left as was thought.
fn agrees(seen: &Seen, said: &Said, now: Instant) -> bool {
    let limit = said.limit.is_none_or(|limit| limit == seen.limit);
    let remaining = said
        .remaining
        .is_none_or(|remaining| remaining >= seen.remaining);
    let reset = said.reset.is_none_or(|reset| {
        let (theirs, ours) = (now + reset, seen.ends);
        theirs.max(ours) - theirs.min(ours) <= TOLERANCE
    });
    limit && remaining && reset && seen.ends > now
}
