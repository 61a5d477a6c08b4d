//! Work that nobody waits for: syncs by schedule and on demand, and unifying again after a swap.

mod backoff;
mod deliver;
mod exchanges;
mod housekeeping;
mod inbound;
mod keys;
mod passthrough;
mod push;
mod queue;
mod remap;
mod requests;
mod sync;

pub use deliver::{DeliveryOptions, DeliveryWorkers};
pub use exchanges::{ExchangeLog, ExchangeWriter};
pub use housekeeping::{Retention, keep_house};
pub use inbound::InboundWorkers;
pub use keys::keep_keys;
pub use passthrough::RetryWorkers;
pub use push::PushWorkers;
pub use remap::keep_remapped;
pub use requests::keep_request_counts;
pub use sync::{Options, SyncWorkers};
