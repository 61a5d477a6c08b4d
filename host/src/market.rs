//! Connectors on their way to and from this server: installed from files and registries, with
//! what they ask for shown before.

mod index;
mod reference;
mod registry;

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::{Duration, Instant},
};

use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use url::Url;

use crate::{
    egress::{Egress, HeaderMap, Limits, Method, Request},
    model::{
        Clock, Digest, Slug,
        consent::{Book, Wanted},
    },
    runtime::{Announced, Artifact, LoadError, Runtime},
    store::{self, Store},
};

pub use index::{Index, Listed, ListedVersion};
pub use reference::{Reference, ReferenceError};
pub use registry::{Login, Logins, Registries};

use registry::{EMPTY_CONFIG, INDEX_LAYER, WASM_CONFIG, WASM_LAYER};

/// How long an index is taken to be as it was.
const FRESH: Duration = Duration::from_secs(30);
/// The most bytes of a connector that is fetched from a web host.
pub const MAX_FILE: usize = 33 * 1024 * 1024;

/// Connectors that a server has in memory at once: each is fetched and read whole.
const AT_ONCE: usize = 2;

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
    /// A registry does not do what is asked.
    #[error("registry {registry}, repository {repository}: {what}")]
    Registry {
        /// Host and port.
        registry: String,
        /// The repository.
        repository: String,
        /// What is wrong, a sentence.
        what: String,
    },
    /// A web host does not give what is asked.
    #[error("{url}: {what}")]
    Fetch {
        /// Where.
        url: String,
        /// What is wrong, a sentence.
        what: String,
    },
    /// No index has the connector, or not that version.
    #[error("no index of marketplace.indexes has {0}")]
    Unlisted(String),
    /// It is no place in a registry.
    #[error(transparent)]
    Reference(#[from] ReferenceError),
    /// The database.
    #[error(transparent)]
    Store(#[from] store::Error),
}

/// Installs connectors. Clones share what was fetched of indexes.
#[derive(Clone, Debug)]
pub struct Market {
    store: Store,
    clock: Arc<dyn Clock>,
}

/// Connectors on other hosts: registries and indexes.
#[derive(Clone)]
pub struct Outlets {
    egress: Egress,
    registries: Registries,
    indexes: Arc<Vec<String>>,
    fetched: Arc<Mutex<BTreeMap<String, (Instant, Index)>>>,
    turns: Arc<Semaphore>,
}

impl std::fmt::Debug for Outlets {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter
            .debug_struct("Outlets")
            .field("indexes", &self.indexes)
            .finish_non_exhaustive()
    }
}

/// A connector as the indexes list it, and which index it was.
#[derive(Clone, Debug)]
pub struct Found {
    /// The connector.
    pub listed: Listed,
    /// The address of the index.
    pub index: String,
}

impl Outlets {
    /// Through `egress`, with logins at registries and the addresses of indexes.
    #[must_use]
    pub fn new(egress: Egress, logins: Logins, indexes: Vec<String>) -> Self {
        Self {
            registries: Registries::new(egress.clone(), logins),
            egress,
            indexes: Arc::new(indexes),
            fetched: Arc::default(),
            turns: Arc::new(Semaphore::new(AT_ONCE)),
        }
    }

    /// A turn to have a connector in memory, to be held as long as the connector. A server's
    /// requests take one each.
    pub async fn turn(&self) -> Option<OwnedSemaphorePermit> {
        Arc::clone(&self.turns).acquire_owned().await.ok()
    }

    /// Fetches a connector from a registry. What it came from is pinned by digest.
    ///
    /// # Errors
    /// The registry does not give it, or it is no connector.
    pub async fn pull(&self, from: &Reference) -> Result<Offer, Error> {
        let artifact = self.registries.pull(from, WASM_LAYER).await?;
        Offer::read_aside(artifact.layer.into(), artifact.pinned.to_string()).await
    }

    /// Puts a connector into a registry, under its version as the tag where none is named.
    ///
    /// # Errors
    /// The registry does not take it, or has another file under that version.
    pub async fn publish(&self, offer: &Offer, to: &Reference) -> Result<Reference, Error> {
        let manifest = &offer.announced.manifest;
        let version = manifest.version.to_string().replace('+', "_");
        let to = match &to.tag {
            Some(_) => to.clone(),
            None => to.tagged(&version),
        };
        let tags = self.registries.tags(&to).await?;
        if to
            .tag
            .as_ref()
            .is_some_and(|tag| *tag == version && tags.contains(tag))
        {
            let there = self.registries.pull(&to, WASM_LAYER).await?;
            if Digest::of(&there.layer) == offer.announced.digest {
                return Ok(there.pinned);
            }
            return Err(Error::Refused(format!(
                "{to} is there already with another file: a version never changes; raise `version` in connector.toml"
            )));
        }
        let layer = format!("sha256:{}", offer.announced.digest);
        let config = json!({
            "created": "1970-01-01T00:00:00Z",
            "architecture": "wasm",
            "os": "wasip2",
            "layerDigests": [layer],
            "component": { "imports": offer.imports, "exports": offer.exports, "target": null },
        });
        let annotations = [
            ("org.opencontainers.image.title", manifest.slug.to_string()),
            (
                "org.opencontainers.image.version",
                manifest.version.to_string(),
            ),
            (
                "org.opencontainers.image.description",
                manifest.description.clone(),
            ),
        ];
        let annotations = annotations.map(|(name, value)| (name.to_owned(), value));
        let config = (WASM_CONFIG, config.to_string().into_bytes());
        let pushed = self.registries.push(
            &to,
            config,
            (WASM_LAYER, offer.bytes()),
            annotations.into_iter().collect(),
        );
        pushed.await
    }

    /// The newest tag of a repository that is a version and no preview.
    ///
    /// # Errors
    /// The registry does not answer.
    pub async fn newest(&self, of: &Reference) -> Result<Option<semver::Version>, Error> {
        let tags = self.registries.tags(of).await?;
        let versions = tags
            .iter()
            .filter_map(|tag| semver::Version::parse(tag).ok());
        Ok(versions.filter(|version| version.pre.is_empty()).max())
    }

    /// All versions in a repository.
    ///
    /// # Errors
    /// The registry does not give one of them.
    pub async fn all_versions(&self, of: &Reference) -> Result<Vec<(Offer, String)>, Error> {
        let mut all = Vec::new();
        for tag in self.registries.tags(of).await? {
            if semver::Version::parse(&tag).is_ok() {
                let offer = self.pull(&of.tagged(&tag)).await?;
                let source = offer.source.clone();
                all.push((offer, source));
            }
        }
        Ok(all)
    }

    /// Puts an index into a registry.
    ///
    /// # Errors
    /// The registry does not take it.
    pub async fn publish_index(&self, index: &str, to: &Reference) -> Result<Reference, Error> {
        let config = (EMPTY_CONFIG, b"{}".to_vec());
        let layer = (INDEX_LAYER, index.as_bytes());
        self.registries
            .push(to, config, layer, BTreeMap::new())
            .await
    }

    /// What all indexes list, by slug; the first index that lists a slug is asked about it. An
    /// index that cannot be read is left out, with a sentence about it.
    pub async fn listed(&self) -> (Vec<Found>, Vec<String>) {
        let mut found: BTreeMap<Slug, Found> = BTreeMap::new();
        let mut problems = Vec::new();
        for address in &*self.indexes {
            match self.index(address).await {
                Ok(index) => {
                    for listed in index.connectors {
                        found.entry(listed.slug.clone()).or_insert(Found {
                            listed,
                            index: address.clone(),
                        });
                    }
                }
                Err(error) => {
                    tracing::warn!(index = address, error = %error, "an index cannot be read");
                    problems.push(error.to_string());
                }
            }
        }
        (found.into_values().collect(), problems)
    }

    /// Fetches a version of a connector that an index lists. It has to be what the index says.
    ///
    /// # Errors
    /// No index lists it, or what is there is something else.
    pub async fn fetch(&self, slug: &Slug, version: Option<&str>) -> Result<Offer, Error> {
        let what = || {
            format!("{slug} {}", version.unwrap_or_default())
                .trim_end()
                .to_owned()
        };
        let (all, _) = self.listed().await;
        let found = all.into_iter().find(|found| found.listed.slug == *slug);
        let found = found.ok_or_else(|| Error::Unlisted(what()))?;
        let wanted = found
            .listed
            .version(version)
            .ok_or_else(|| Error::Unlisted(what()))?;
        let offer = if Reference::is_meant(&wanted.location) {
            self.pull(&wanted.location.parse()?).await?
        } else {
            let base = Url::parse(&found.index).ok();
            let url = match base {
                Some(base) => base.join(&wanted.location),
                None => Url::parse(&wanted.location),
            };
            let failed = |what: String| Error::Fetch {
                url: wanted.location.clone(),
                what,
            };
            let url = url.map_err(|error| failed(error.to_string()))?;
            let bytes = self.get(&url, MAX_FILE).await?;
            Offer::read_aside(bytes, url.to_string()).await?
        };
        let announced = &offer.announced;
        let is_listed = announced.digest.to_string() == wanted.digest
            && announced.manifest.slug == *slug
            && announced.publisher() == wanted.publisher
            && announced.asked.hash().to_string() == wanted.permission_hash;
        if !is_listed {
            return Err(Error::Refused(format!(
                "what is at {} is not what the index {} says of {}: digest, name, publisher or permissions differ",
                wanted.location,
                found.index,
                what()
            )));
        }
        Ok(offer)
    }

    async fn index(&self, address: &str) -> Result<Index, Error> {
        let fetched = || self.fetched.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((at, index)) = fetched().get(address)
            && at.elapsed() < FRESH
        {
            return Ok(index.clone());
        }
        let text = if Reference::is_meant(address) {
            let artifact = self.registries.pull(&address.parse()?, INDEX_LAYER).await?;
            artifact.layer.to_vec()
        } else {
            let url = Url::parse(address).map_err(|error| Error::Fetch {
                url: address.to_owned(),
                what: error.to_string(),
            })?;
            self.get(&url, index::MAX_INDEX).await?
        };
        let index = Index::parse(&text).map_err(|what| Error::Fetch {
            url: address.to_owned(),
            what,
        })?;
        fetched().insert(address.to_owned(), (Instant::now(), index.clone()));
        Ok(index)
    }

    async fn get(&self, url: &Url, most: usize) -> Result<Vec<u8>, Error> {
        let failed = |what: String| Error::Fetch {
            url: url.to_string(),
            what,
        };
        let request = Request {
            method: Method::GET,
            url: url.clone(),
            headers: HeaderMap::new(),
            body: None,
        };
        let limits = Limits {
            total: Duration::from_secs(60),
            max_request_bytes: 0,
            max_response_bytes: most,
        };
        let answer = self.egress.send(request, &limits).await;
        let answer = answer.map_err(|error| failed(error.to_string()))?;
        match answer.status {
            200 => Ok(answer.body.into()),
            status => Err(failed(format!("it answers {status}"))),
        }
    }
}

/// A connector that may be installed: everything that is to be known before.
#[derive(Debug)]
pub struct Offer {
    /// What it says of itself, and who signed it.
    pub announced: Announced,
    /// Where it came from.
    pub source: String,
    bytes: Vec<u8>,
    imports: Vec<String>,
    exports: Vec<String>,
}

impl Offer {
    /// Reads a connector's bytes: signature, manifest, imports. Nothing of it runs.
    ///
    /// # Errors
    /// It is no connector.
    pub fn read(bytes: Vec<u8>, source: &str) -> Result<Self, Error> {
        let announced = Announced::read(&bytes)?;
        let artifact = Artifact::read(&bytes)?;
        Ok(Self {
            announced,
            source: source.to_owned(),
            bytes,
            imports: artifact.imports.iter().map(ToString::to_string).collect(),
            exports: artifact.exports,
        })
    }

    /// The same beside the threads that answer requests: it takes its time.
    ///
    /// # Errors
    /// It is no connector.
    pub async fn read_aside(bytes: Vec<u8>, source: String) -> Result<Self, Error> {
        let reading = tokio::task::spawn_blocking(move || Self::read(bytes, &source));
        let ended = |error| Error::Refused(format!("it was not read to the end: {error}"));
        reading.await.map_err(ended)?
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
        wanted: Wanted,
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
                let change = book.install(&candidate, by, wanted, now)?;
                Ok(book.entry(change, by, now))
            });
        altered.await?.map_err(Error::Refused)
    }

    /// Installs a connector after all that would keep this host from loading it was tried, and lets
    /// the host look for it at once.
    ///
    /// # Errors
    /// It would not be loaded; or as for [`Self::install`].
    pub async fn install_checked(
        &self,
        runtime: &Runtime,
        offer: &Offer,
        consent: Digest,
        wanted: Wanted,
        by: &str,
    ) -> Result<Book, Error> {
        runtime.check_signature(&offer.announced)?;
        runtime.check(offer.bytes().to_vec()).await?;
        let book = self.install(offer, consent, wanted, by).await?;
        runtime.look_soon();
        Ok(book)
    }

    /// What could be installed, and how it stands here: the listed connectors that fit, by slug,
    /// and what is wrong with indexes that cannot be read.
    ///
    /// # Errors
    /// The database failed.
    pub async fn shelf(
        &self,
        outlets: &Outlets,
        wanted: &ShelfFilter<'_>,
    ) -> Result<(Vec<OnShelf>, Vec<String>), Error> {
        let books = self.store.connector_books().await?.books;
        let (found, problems) = outlets.listed().await;
        let stands = |found: Found| {
            let serving = books.get(&found.listed.slug).and_then(Book::serving);
            OnShelf::new(found, serving.map(|known| known.version.clone()))
        };
        let shelf = found.into_iter().map(stands);
        Ok((shelf.filter(|one| wanted.takes(one)).collect(), problems))
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
                Decision::Refuse => book.refuse(by),
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

/// A connector that could be installed, and how it stands here.
#[derive(Clone, Debug)]
pub struct OnShelf {
    /// What the index says.
    pub found: Found,
    /// The version of it that serves, whether it was installed or lies in the folder.
    pub installed_version: Option<String>,
    /// Whether a newer version is listed.
    pub updatable: bool,
}

impl OnShelf {
    fn new(found: Found, installed_version: Option<String>) -> Self {
        let newest = found.listed.version(None);
        let installed = installed_version.as_deref();
        let installed = installed.and_then(|version| semver::Version::parse(version).ok());
        Self {
            updatable: installed
                .zip(newest)
                .is_some_and(|(here, newest)| here < newest.version),
            installed_version,
            found,
        }
    }
}

/// Which connectors are wanted.
#[derive(Clone, Copy, Debug, Default)]
pub struct ShelfFilter<'a> {
    /// A word in name or description.
    pub word: Option<&'a str>,
    /// A vertical that it has objects of.
    pub vertical: Option<&'a str>,
    /// `available`, `installed` or `updatable`.
    pub state: Option<&'a str>,
    /// Only those after this one.
    pub after: Option<&'a str>,
}

impl ShelfFilter<'_> {
    fn takes(&self, one: &OnShelf) -> bool {
        let listed = &one.found.listed;
        let is_installed = one.installed_version.is_some();
        self.word.is_none_or(|word| listed.speaks_of(word))
            && self
                .vertical
                .is_none_or(|wanted| listed.verticals.iter().any(|vertical| vertical == wanted))
            && self.after.is_none_or(|after| listed.slug.as_str() > after)
            && match self.state {
                Some("available") => !is_installed,
                Some("installed") => is_installed,
                Some("updatable") => one.updatable,
                _ => true,
            }
    }
}

/// What an operator decides of a connector.
#[derive(Clone, Debug)]
pub enum Decision {
    /// The version that waits may have what it asks for, whose hash this is where one is given.
    Grant(Option<Digest>),
    /// The version that waits does not get what it asks for.
    Refuse,
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
