//! A provider that keeps every object of every vertical, in memory, made from the schemas.
//!
//! A record is `{id, rev, updated_at, data, extra}`: `data` is the unified object with this
//! provider's ids in the place of references and amounts of money as decimal strings; `extra` has
//! fields for which the unified object has no place. The connector for it is
//! `tests/fixtures/omni`.

mod manifest;
mod seed;
mod server;

pub use manifest::manifest;
pub use seed::{remote_id, sample};
pub use server::{KEY, Omni};
