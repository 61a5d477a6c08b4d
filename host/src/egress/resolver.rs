//! Names to judged addresses.
//!
//! The client connects to exactly the addresses that are returned here: there is no second look-up
//! that could answer differently.

use std::{
    fmt, io,
    net::{IpAddr, SocketAddr},
    sync::Arc,
};

use reqwest::dns::{Addrs, Name, Resolve, Resolving};

use super::{BoxFuture, Guard};

/// How a name becomes addresses. An argument, so that tests can lie like a hostile server.
pub(super) type Lookup =
    Arc<dyn Fn(String) -> BoxFuture<'static, io::Result<Vec<IpAddr>>> + Send + Sync>;

/// The system's resolver.
pub(super) fn system() -> Lookup {
    Arc::new(|name| {
        Box::pin(async move {
            let found = tokio::net::lookup_host((name, 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    })
}

/// A resolver that fails when any answer is forbidden.
pub(super) struct GuardedResolver {
    pub(super) guard: Arc<Guard>,
    pub(super) encrypted: bool,
    pub(super) lookup: Lookup,
}

/// The guard said no: a sentence.
#[derive(Debug)]
pub(super) struct Refused(pub(super) String);

impl fmt::Display for Refused {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl std::error::Error for Refused {}

impl Resolve for GuardedResolver {
    fn resolve(&self, name: Name) -> Resolving {
        let guard = Arc::clone(&self.guard);
        let encrypted = self.encrypted;
        let answers = (self.lookup)(name.as_str().to_owned());
        Box::pin(async move {
            let answers = answers.await?;
            // One bad answer among good ones is an attack or a misconfiguration: which one the
            // client would try first must not matter.
            for address in &answers {
                guard
                    .check(Some(name.as_str()), *address, encrypted)
                    .map_err(Refused)?;
            }
            if answers.is_empty() {
                return Err(Box::from("the name has no address"));
            }
            // Port 0 stands for the URL's own.
            let addresses = answers
                .into_iter()
                .map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(addresses) as Addrs)
        })
    }
}
