//! What the host offers, by its bindings in a component and by the test kit elsewhere.
//!
//! Bindings cannot be linked natively, and mapping code should be tested natively. So everything that needs the
//! host goes through the functions of this module.

use crate::bindings::jackfield::connector::{http, log, secrets};

#[cfg(target_arch = "wasm32")]
mod component {
    use super::{http, log, secrets};
    use crate::bindings::jackfield::connector::clock;

    pub(crate) fn send(request: &http::Request) -> Result<http::Response, http::HttpError> {
        http::send(request)
    }

    pub(crate) fn write_log(level: log::Level, text: &str) {
        log::message(level, text);
    }

    pub(crate) fn now() -> u64 {
        clock::now()
    }

    pub(crate) fn secret_names() -> Vec<String> {
        secrets::names()
    }

    pub(crate) fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, secrets::SecretError> {
        secrets::hmac_sha256(secret, data)
    }

    pub(crate) fn sign_jwt(
        secret: &str,
        algorithm: &str,
        claims: &str,
    ) -> Result<String, secrets::SecretError> {
        secrets::sign_jwt(secret, algorithm, claims)
    }
}

#[cfg(target_arch = "wasm32")]
pub(crate) use component::{hmac_sha256, now, secret_names, send, sign_jwt, write_log};

/// The stand-in for the host in native tests.
#[cfg(not(target_arch = "wasm32"))]
pub(crate) trait Backend {
    fn send(&self, request: &http::Request) -> Result<http::Response, http::HttpError>;
    fn write_log(&self, level: log::Level, text: &str);
    fn now(&self) -> u64;
    fn secret_names(&self) -> Vec<String>;
    fn hmac_sha256(&self, secret: &str, data: &[u8]) -> Result<Vec<u8>, secrets::SecretError>;
    fn sign_jwt(
        &self,
        secret: &str,
        algorithm: &str,
        claims: &str,
    ) -> Result<String, secrets::SecretError>;
}

#[cfg(not(target_arch = "wasm32"))]
mod native {
    use std::cell::RefCell;
    use std::rc::Rc;

    use super::{Backend, http, log, secrets};

    thread_local! {
        static BACKEND: RefCell<Option<Rc<dyn Backend>>> = const { RefCell::new(None) };
    }

    /// Runs the function with the backend in the host's place, and puts the one before back, also after a panic.
    pub(crate) fn with_backend<T>(backend: Rc<dyn Backend>, work: impl FnOnce() -> T) -> T {
        struct Restore(Option<Rc<dyn Backend>>);
        impl Drop for Restore {
            fn drop(&mut self) {
                BACKEND.set(self.0.take());
            }
        }
        let _restore = Restore(BACKEND.replace(Some(backend)));
        work()
    }

    fn backend() -> Rc<dyn Backend> {
        BACKEND
            .with_borrow(Clone::clone)
            .expect("outside a component the host is there only within testing::Playback::run")
    }

    pub(crate) fn send(request: &http::Request) -> Result<http::Response, http::HttpError> {
        backend().send(request)
    }

    pub(crate) fn write_log(level: log::Level, text: &str) {
        backend().write_log(level, text);
    }

    pub(crate) fn now() -> u64 {
        backend().now()
    }

    pub(crate) fn secret_names() -> Vec<String> {
        backend().secret_names()
    }

    pub(crate) fn hmac_sha256(secret: &str, data: &[u8]) -> Result<Vec<u8>, secrets::SecretError> {
        backend().hmac_sha256(secret, data)
    }

    pub(crate) fn sign_jwt(
        secret: &str,
        algorithm: &str,
        claims: &str,
    ) -> Result<String, secrets::SecretError> {
        backend().sign_jwt(secret, algorithm, claims)
    }
}

#[cfg(not(target_arch = "wasm32"))]
pub(crate) use native::{hmac_sha256, now, secret_names, send, sign_jwt, with_backend, write_log};
