//! The runtime at its boundary: real component files, good and hostile, in real folders.

#[path = "runtime/calls.rs"]
mod calls;
#[path = "runtime/compile.rs"]
mod compile;
#[path = "runtime/files.rs"]
mod files;
#[path = "runtime/guest.rs"]
mod guest;
#[path = "runtime/hostile.rs"]
mod hostile;
#[path = "runtime/house.rs"]
mod house;
#[path = "runtime/limits.rs"]
mod limits;
#[path = "runtime/log.rs"]
mod log;
#[path = "runtime/secrets.rs"]
mod secrets;
#[path = "runtime/swaps.rs"]
mod swaps;
#[path = "runtime/validate.rs"]
mod validate;
