//! Connectors on their way to and from this server: installed from files and registries, with
//! what they ask for shown before.

use std::sync::Arc;

use crate::{
    model::{Clock, Digest, Slug, consent::Book},
    runtime::{Announced, Artifact, LoadError},
    store::{self, Store},
};

/// What can go wrong.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The file is no connector, or its signature is bad.
    #[error("the connector is refused: {0}")]
    Connector(#[from] LoadError),
    /// It is not done: why, and what to do.
    #[error("{0}")]
    Refused(String),
    /// What a connector asks for was not consented to.
    #[error(
        "{slug} {version} asks for what nobody consented to; look at its permissions and send their hash {hash} as consent"
    )]
    Consent {
        /// The connector.
        slug: Slug,
        /// Its version.
        version: String,
        /// What consent is.
        hash: Digest,
    },
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Installs connectors.
#[derive(Clone, Debug)]
pub struct Market {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// A connector that may be installed: everything that is to be known before.
#[derive(Debug)]
pub struct Offer {
    /// What it says of itself, and who signed it.
    pub announced: Announced,
    /// Where it came from.
    pub source: String,
    bytes: Vec<u8>,
}

impl Offer {
    /// Reads a connector's bytes: signature, manifest, imports. Nothing of it runs.
    ///
    /// # Errors
    /// It is no connector.
    pub fn read(bytes: Vec<u8>, source: &str) -> Result<Self, Error> {
        let announced = Announced::read(&bytes)?;
        Artifact::read(&bytes)?;
        Ok(Self {
            announced,
            source: source.to_owned(),
            bytes,
        })
    }

    /// Its name.
    #[must_use]
    pub const fn slug(&self) -> &Slug {
        &self.announced.manifest.slug
    }

    /// The file.
    #[must_use]
    pub fn bytes(&self) -> &[u8] {
        &self.bytes
    }

    /// The lines that `book` does not grant its publisher; all where he has no grant.
    #[must_use]
    pub fn added(&self, book: Option<&Book>) -> Vec<String> {
        let asked = &self.announced.asked;
        let beyond = book.and_then(|book| book.beyond(&self.announced.publisher(), asked));
        beyond.unwrap_or_else(|| asked.lines().to_vec())
    }
}

impl Market {
    /// On a database.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// What is known of a connector.
    ///
    /// # Errors
    /// The database failed.
    pub async fn book(&self, slug: &Slug) -> Result<Option<Book>, Error> {
        Ok(self.store.connector_books().await?.books.remove(slug))
    }

    /// Installs for all hosts of the database. `consent` is the permission hash of what whoever
    /// installs has seen.
    ///
    /// # Errors
    /// The consent is to something else, another publisher has the slug, or the version is older
    /// than the one that serves.
    pub async fn install(
        &self,
        offer: &Offer,
        consent: Digest,
        downgrade: bool,
        by: &str,
    ) -> Result<Book, Error> {
        let announced = &offer.announced;
        let hash = announced.asked.hash();
        if consent != hash {
            return Err(Error::Consent {
                slug: offer.slug().clone(),
                version: announced.manifest.version.to_string(),
                hash,
            });
        }
        let candidate = announced.candidate(&offer.source);
        let now = self.clock.now();
        let altered = self
            .store
            .alter_connector(offer.slug(), Some(&offer.bytes), |book| {
                let change = book.install(&candidate, by, downgrade, now)?;
                Ok(book.entry(change, by, now))
            });
        altered.await?.map_err(Error::Refused)
    }

    /// Changes what was decided of a connector.
    ///
    /// # Errors
    /// It makes no sense as it stands, or nothing is known of the connector.
    pub async fn decide(&self, slug: &Slug, decision: Decision, by: &str) -> Result<Book, Error> {
        let now = self.clock.now();
        let altered = self.store.alter_connector(slug, None, |book| {
            if book.versions.is_empty() {
                return Err(format!(
                    "nothing is known of a connector {slug}; `jackfield connector list` shows all"
                ));
            }
            let change = match &decision {
                Decision::Grant(expected) => book.grant(*expected, by, now),
                Decision::Revoke => book.revoke(now),
                Decision::RollBack(to) => {
                    let reason = format!("{by} rolled it back at {now}");
                    book.roll_back(to.as_deref(), &reason, now)
                }
                Decision::Disable => book.disable(now),
                Decision::Enable => book.enable(),
                Decision::Uninstall => book.uninstall(),
            }?;
            Ok(book.entry(change, by, now))
        });
        altered.await?.map_err(Error::Refused)
    }
}

/// What an operator decides of a connector.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The version that waits may have what it asks for, whose hash this is where one is given.
    Grant(Option<Digest>),
    /// Nothing of it may serve.
    Revoke,
    /// An earlier version serves: the one named by version or digest, or the one before.
    RollBack(Option<String>),
    /// It does not serve.
    Disable,
    /// It serves again.
    Enable,
    /// What was installed goes; a file in the folder may serve.
    Uninstall,
}
