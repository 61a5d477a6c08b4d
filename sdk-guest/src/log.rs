//! Lines in the host's log, marked by the host with the connector and the connection.
//!
//! Never write credentials or personal data. Lines over 2048 bytes are cut; a call may write 100.
//! Not available in `unify` and `desunify`, which are pure.

use crate::bindings::jackfield::connector::log::Level;
use crate::host;

/// For the author of the connector.
pub fn debug(text: &str) {
    host::write_log(Level::Debug, text);
}

/// Worth knowing, nothing to do.
pub fn info(text: &str) {
    host::write_log(Level::Info, text);
}

/// Somebody should look at it some time.
pub fn warn(text: &str) {
    host::write_log(Level::Warn, text);
}

/// Somebody must look at it.
pub fn error(text: &str) {
    host::write_log(Level::Error, text);
}
