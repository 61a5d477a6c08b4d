//! Writes the log of exchanges, off the path of the requests that it tells of.

use std::time::Duration;

use tokio::{sync::mpsc, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{egress::ExchangeSink, model::Exchange, store::Store, telemetry::METRICS};

/// Exchanges that wait for being written; more are dropped.
const ROOM: usize = 4096;
/// Exchanges that are written in one transaction.
const WRITTEN_AT_ONCE: usize = 512;
/// Time in which exchanges gather, so that transactions are few.
const GATHER: Duration = Duration::from_millis(300);

/// Where exchanges go in. Clones share it.
#[derive(Clone, Debug)]
pub struct ExchangeLog {
    sender: mpsc::Sender<Exchange>,
    bodies: bool,
}

/// Where they come out.
#[derive(Debug)]
pub struct ExchangeWriter(mpsc::Receiver<Exchange>);

impl ExchangeLog {
    /// A log, and what writes it. `bodies`: whether the beginnings of bodies are kept.
    #[must_use]
    pub fn new(bodies: bool) -> (Self, ExchangeWriter) {
        let (sender, receiver) = mpsc::channel(ROOM);
        (Self { sender, bodies }, ExchangeWriter(receiver))
    }
}

impl ExchangeSink for ExchangeLog {
    fn wants_bodies(&self) -> bool {
        self.bodies
    }

    fn take(&self, exchange: Exchange) {
        if self.sender.try_send(exchange).is_err() {
            METRICS.exchanges.add(["dropped"], 1);
        }
    }
}

impl ExchangeWriter {
    /// Writes until `stop`, and then what is left.
    pub async fn run(mut self, store: Store, stop: CancellationToken) {
        let mut batch = Vec::with_capacity(WRITTEN_AT_ONCE);
        while !stop.is_cancelled() {
            tokio::select! {
                () = stop.cancelled() => {}
                taken = self.0.recv_many(&mut batch, WRITTEN_AT_ONCE) => {
                    if taken == 0 {
                        // Nobody writes anything down.
                        return;
                    }
                    tokio::select! {
                        () = stop.cancelled() => {}
                        () = sleep(GATHER) => {}
                    }
                }
            }
            self.write(&store, &mut batch).await;
        }
        self.0.close();
        while self.0.recv_many(&mut batch, WRITTEN_AT_ONCE).await > 0 {
            self.write(&store, &mut batch).await;
        }
    }

    /// What was begun, with what has come since. A batch that cannot be written is let go: the log
    /// must never hold more than it was given room for.
    async fn write(&mut self, store: &Store, batch: &mut Vec<Exchange>) {
        while batch.len() < WRITTEN_AT_ONCE
            && let Ok(exchange) = self.0.try_recv()
        {
            batch.push(exchange);
        }
        if batch.is_empty() {
            return;
        }
        let outcome = match store.write_exchanges(batch).await {
            Ok(()) => "written",
            Err(error) => {
                tracing::warn!(%error, exchanges = batch.len(), "exchanges with providers are not in the log");
                "dropped"
            }
        };
        METRICS.exchanges.add([outcome], batch.len() as u64);
        batch.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::{ExchangeCause, ExchangeReason, Timestamp};

    #[test]
    fn what_there_is_no_room_for_is_let_go_at_once() {
        let (log, writer) = ExchangeLog::new(false);
        let exchange = Exchange {
            reason: ExchangeReason {
                connection: 1,
                cause: ExchangeCause::Background,
                subject: None,
            },
            at: Timestamp::from_millis(0),
            method: "GET".to_owned(),
            url: "https://provider.example/".to_owned(),
            status: Some(200),
            error: None,
            message: None,
            duration_ms: 1,
            bytes_out: 0,
            bytes_in: Some(0),
            attempt: 1,
            request_headers: String::new(),
            response_headers: String::new(),
            request_body: None,
            response_body: None,
        };
        for _ in 0..ROOM + 10 {
            log.take(exchange.clone());
        }
        assert_eq!(writer.0.len(), ROOM);
    }
}
