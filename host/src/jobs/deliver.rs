//! The workers that deliver events: one makes deliveries of events, one claims and tries them, one
//! writes down what came of it, one keeps order. Each goes on after an error, and each looks by
//! itself every second where nothing rings.

use std::{collections::HashMap, sync::Arc, time::Duration};

use tokio::{
    sync::{Notify, mpsc},
    task::JoinSet,
    time::sleep,
};
use tokio_util::sync::CancellationToken;

use crate::{
    model::{Clock, Timestamp, Webhook},
    store::{ClaimedDelivery, FinishedDelivery, Store, Verdict},
    telemetry::METRICS,
    webhook::Webhooks,
};

/// Time between two looks where nothing rings.
const POLL: Duration = Duration::from_secs(1);
/// Time between two looks while a transaction that may have written events is at work.
const SOON: Duration = Duration::from_millis(20);
/// Time in which attempts end and leave room for the next claim, so that claims are large.
const GATHER: Duration = Duration::from_millis(2);
/// Attempts to an endpoint of which nothing is known.
const FIRST_SHARE: u32 = 8;
/// Ends of attempts that are written in one transaction.
const WRITTEN_AT_ONCE: usize = 512;
/// Time between two rounds of keeping order.
const ROUND: Duration = Duration::from_secs(15);

/// How to deliver.
#[derive(Clone, Debug)]
pub struct DeliveryOptions {
    /// Attempts at the same time.
    pub concurrency: u32,
    /// Attempts at the same time to one endpoint.
    pub endpoint_concurrency: u32,
}

/// The delivering workers of this process.
#[derive(Clone)]
pub struct DeliveryWorkers {
    store: Store,
    webhooks: Webhooks,
    clock: Arc<dyn Clock>,
    options: DeliveryOptions,
}

impl std::fmt::Debug for DeliveryWorkers {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("DeliveryWorkers")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

/// How many attempts to an endpoint may run at the same time: few at first, one more with every
/// one that succeeds, half with every one that fails. An endpoint that hangs soon holds one.
#[derive(Clone, Copy, Debug)]
struct Share {
    running: u32,
    most: u32,
}

impl DeliveryWorkers {
    /// None runs yet: see [`Self::run`].
    #[must_use]
    pub fn new(
        store: Store,
        webhooks: Webhooks,
        clock: Arc<dyn Clock>,
        options: DeliveryOptions,
    ) -> Self {
        Self {
            store,
            webhooks,
            clock,
            options,
        }
    }

    /// Works until `stop`, then lets running attempts end and writes down what came of them.
    pub async fn run(self, stop: CancellationToken) {
        let disabled = Arc::new(Notify::new());
        let (sender, ended) = mpsc::channel(self.options.concurrency as usize);
        tokio::join!(
            self.fan_out(&stop),
            self.deliver(&stop, sender),
            self.write_down(ended, &disabled),
            self.keep_order(&stop, &disabled),
        );
    }

    async fn fan_out(&self, stop: &CancellationToken) {
        let written = self.store.events_written();
        let first_wait = self.webhooks.options().schedule.first();
        while !stop.is_cancelled() {
            let wait = match self.store.fan_out(first_wait).await {
                Ok(done) if done.more => continue,
                Ok(done) if done.waiting => SOON,
                Ok(_) => POLL,
                Err(error) => {
                    tracing::error!(error = %error, "events cannot be made deliveries for now");
                    POLL
                }
            };
            tokio::select! {
                () = stop.cancelled() => {}
                // Whoever waits for a transaction is not rung for by its end.
                () = written.notified(), if wait == POLL => {}
                () = sleep(wait) => {}
            }
        }
    }

    async fn deliver(&self, stop: &CancellationToken, ended: mpsc::Sender<FinishedDelivery>) {
        let due = self.store.deliveries_due();
        let mut shares: HashMap<u32, Share> = HashMap::new();
        let mut running = JoinSet::new();
        let mut last = 0;
        while !stop.is_cancelled() {
            while let Some(one) = running.try_join_next() {
                release(&mut shares, one.ok(), self.options.endpoint_concurrency);
            }
            let claimed = self.claim(&mut shares, &mut last).await;
            let found = !claimed.is_empty();
            for delivery in claimed {
                let (webhooks, ended) = (self.webhooks.clone(), ended.clone());
                running.spawn(async move {
                    fault_point!("delivery.claimed");
                    let finished = webhooks.deliver(delivery).await;
                    fault_point!("delivery.answered");
                    let what = (finished.id.endpoint, finished.verdict);
                    // The writer ends only after all senders.
                    drop(ended.send(finished).await);
                    what
                });
            }
            if found {
                tokio::select! {
                    () = stop.cancelled() => {}
                    () = sleep(GATHER) => {}
                }
                continue;
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = due.notified() => {}
                Some(one) = running.join_next(), if !running.is_empty() => {
                    release(&mut shares, one.ok(), self.options.endpoint_concurrency);
                    sleep(GATHER).await;
                }
                () = sleep(POLL) => {}
            }
        }
        while running.join_next().await.is_some() {}
    }

    /// Claims for every endpoint that has room, beginning after the one that came last before.
    async fn claim(
        &self,
        shares: &mut HashMap<u32, Share>,
        last: &mut u32,
    ) -> Vec<ClaimedDelivery> {
        let running: u32 = shares.values().map(|share| share.running).sum();
        let free = self.options.concurrency.saturating_sub(running);
        if free == 0 {
            return Vec::new();
        }
        let claimed = async {
            let mut webhooks = self.store.due_webhooks().await?;
            if webhooks.is_empty() {
                return Ok(Vec::new());
            }
            let next = webhooks.partition_point(|webhook| webhook.number <= *last);
            let next = next % webhooks.len();
            webhooks.rotate_left(next);
            let wanted = divide(webhooks, shares, free);
            if let Some((webhook, _)) = wanted.last() {
                *last = webhook.number;
            }
            let options = self.webhooks.options();
            let claims = self
                .store
                .claim_deliveries(&options.owner, options.lease, &wanted);
            claims.await
        };
        let claimed = claimed.await.unwrap_or_else(|error: crate::store::Error| {
            tracing::error!(error = %error, "due deliveries cannot be read");
            Vec::new()
        });
        for delivery in &claimed {
            share(shares, delivery.id.endpoint).running += 1;
        }
        claimed
    }

    async fn write_down(&self, mut ended: mpsc::Receiver<FinishedDelivery>, disabled: &Notify) {
        let mut batch = Vec::with_capacity(WRITTEN_AT_ONCE);
        while ended.recv_many(&mut batch, WRITTEN_AT_ONCE).await > 0 {
            for one in &batch {
                METRICS.webhook_attempts.add([word(one.verdict)], 1);
            }
            let given_up = self.clock.now().plus(self.webhooks.options().lease);
            loop {
                match self.webhooks.finish(&batch).await {
                    Ok(gone) => {
                        fault_point!("delivery.written");
                        for one in &gone {
                            tracing::warn!(reason = %one.reason, "a webhook endpoint was disabled");
                        }
                        if !gone.is_empty() {
                            disabled.notify_one();
                        }
                        break;
                    }
                    // They are tried again when their claims have run out.
                    Err(error) if self.clock.now() > given_up => {
                        tracing::error!(error = %error, attempts = batch.len(),
                            "what came of deliveries is lost; they will be tried again");
                        break;
                    }
                    Err(error) => {
                        tracing::warn!(error = %error, "what came of deliveries cannot be written yet");
                        sleep(POLL).await;
                    }
                }
            }
            batch.clear();
        }
    }

    async fn keep_order(&self, stop: &CancellationToken, disabled: &Notify) {
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => return,
                tidied = self.round() => if let Err(error) = tidied {
                    tracing::warn!(error = %error, "deliveries cannot be tidied up for now");
                }
            }
            tokio::select! {
                () = stop.cancelled() => {}
                () = disabled.notified() => {}
                () = sleep(ROUND) => {}
            }
        }
    }

    async fn round(&self) -> Result<(), crate::store::Error> {
        let now = self.clock.now();
        let oldest = self.store.oldest_pending().await?;
        METRICS.webhook_backlog_seconds.set(late(oldest, now));
        self.store.cancel_disabled().await?;
        Ok(())
    }
}

/// Room for attempts, dealt out so that none gets all where several want some.
fn divide(
    webhooks: Vec<Webhook>,
    shares: &mut HashMap<u32, Share>,
    free: u32,
) -> Vec<(Arc<Webhook>, u32)> {
    let mut rooms: Vec<(Arc<Webhook>, u32, u32)> = webhooks
        .into_iter()
        .map(|webhook| {
            let share = share(shares, webhook.number);
            let room = share.most.saturating_sub(share.running);
            (Arc::new(webhook), room, 0)
        })
        .collect();
    let mut left = free;
    loop {
        let hungry = rooms.iter().filter(|(_, room, given)| room > given).count();
        let hungry = u32::try_from(hungry).unwrap_or(u32::MAX);
        if hungry == 0 || left == 0 {
            break;
        }
        let portion = (left / hungry).max(1);
        for (_, room, given) in &mut rooms {
            let more = portion.min(*room - *given).min(left);
            *given += more;
            left -= more;
        }
    }
    rooms
        .into_iter()
        .filter(|(_, _, given)| *given > 0)
        .map(|(webhook, _, given)| (webhook, given))
        .collect()
}

fn share(shares: &mut HashMap<u32, Share>, endpoint: u32) -> &mut Share {
    shares.entry(endpoint).or_insert(Share {
        running: 0,
        most: FIRST_SHARE,
    })
}

/// An attempt ended. One that panicked leaves its room taken, which only a bug can do.
fn release(shares: &mut HashMap<u32, Share>, ended: Option<(u32, Verdict)>, most: u32) {
    let Some((endpoint, verdict)) = ended else {
        return;
    };
    let share = share(shares, endpoint);
    share.running = share.running.saturating_sub(1);
    share.most = match verdict {
        Verdict::Delivered => share.most.saturating_add(1).min(most),
        Verdict::Retry(_) | Verdict::Dead | Verdict::Gone => (share.most / 2).max(1),
    };
}

const fn word(verdict: Verdict) -> &'static str {
    match verdict {
        Verdict::Delivered => "delivered",
        Verdict::Retry(_) => "retry",
        Verdict::Dead => "dead",
        Verdict::Gone => "gone",
    }
}

/// Seconds that something has been due.
fn late(due: Option<Timestamp>, now: Timestamp) -> u64 {
    let millis = due.map_or(0, |due| now.as_millis().saturating_sub(due.as_millis()));
    u64::try_from(millis / 1000).unwrap_or(0)
}
