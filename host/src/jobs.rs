//! Work that nobody waits for: syncs by schedule and on demand, and unifying again after a swap.

mod deliver;
mod inbound;
mod passthrough;
mod push;
mod remap;
mod sync;

pub use deliver::{DeliveryOptions, DeliveryWorkers};
pub use inbound::InboundWorkers;
pub use passthrough::RetryWorkers;
pub use push::PushWorkers;
pub use remap::keep_remapped;
pub use sync::{Options, SyncWorkers};
