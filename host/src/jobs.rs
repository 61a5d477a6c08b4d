//! Work that nobody waits for: syncs by schedule and on demand, and unifying again after a swap.

mod remap;
mod sync;

pub use remap::keep_remapped;
pub use sync::{Options, SyncWorkers};
