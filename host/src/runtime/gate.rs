//! Which files may serve: what the operator granted, kept in the database for all hosts, against
//! what files ask for. And the host's own copies of versions that are pinned there.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    io::Write as _,
    path::{Path, PathBuf},
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, Ordering},
    },
};

use arc_swap::ArcSwap;
use tokio::sync::Notify;

use super::{Announced, BreakerPolicy, ConnectorVersion, LoadError, PublisherKey, Runtime};
use crate::{
    model::{
        Clock, Digest, Slug,
        consent::{Book, Candidate, ConsentPolicy, Judgement, Standing},
    },
    store::{Books, Store},
};

/// What decides which files may serve.
#[derive(Clone, Debug)]
pub struct GateOptions {
    /// Who is asked before a connector gets more.
    pub consent: ConsentPolicy,
    /// Whether only connectors that one of `publishers` signed are served.
    pub require_signature: bool,
    /// Publishers that are trusted.
    pub publishers: BTreeSet<PublisherKey>,
    /// When a version counts as broken.
    pub breaker: BreakerPolicy,
    /// The folder for copies of pinned versions: this server's own, the first that is looked into.
    pub installed: PathBuf,
}

impl GateOptions {
    /// Whether the operator's wishes about signatures are met.
    ///
    /// # Errors
    /// They are not, a sentence.
    pub fn check_signature(&self, announced: &Announced) -> Result<(), LoadError> {
        if !self.require_signature {
            return Ok(());
        }
        let problem = match announced.publisher {
            None => "it is not signed".to_owned(),
            Some(key) if self.publishers.contains(&key) => return Ok(()),
            Some(key) => {
                format!("it is signed by {key}, which is not one of marketplace.publishers")
            }
        };
        Err(LoadError::Signature(format!(
            "{problem}; the operator wants signatures of trusted publishers (marketplace.require_signature)"
        )))
    }
}

pub(super) struct Gate {
    store: Store,
    options: GateOptions,
    clock: Arc<dyn Clock>,
    books: ArcSwap<Books>,
    /// Rings when books were changed, or are to be.
    pub(super) bell: Notify,
    tripped: Mutex<Vec<(Slug, Digest, String)>>,
    /// Whether the books could not be read the last time.
    is_blind: AtomicBool,
}

/// A file that may be loaded, and what is to be written down before it serves.
pub(super) struct Passed {
    announced: Announced,
    candidate: Candidate,
    by: &'static str,
    is_to_be_written: bool,
}

impl Runtime {
    /// Lets only files serve that the operator allowed, by the books in `store`. To be called
    /// before [`Self::scan`], once; without it every good file serves.
    pub fn guarded_by(&self, store: Store, options: GateOptions) {
        let gate = Gate {
            store,
            options,
            clock: Arc::clone(&self.0.clock),
            books: ArcSwap::from_pointee(Books {
                generation: -1,
                books: BTreeMap::new(),
            }),
            bell: Notify::new(),
            tripped: Mutex::default(),
            is_blind: AtomicBool::new(false),
        };
        // Set once: whoever calls twice changes nothing.
        self.0.gate.set(gate).ok();
    }

    /// Makes the watching task look at the books at once.
    pub fn look_soon(&self) {
        if let Some(gate) = self.0.gate.get() {
            gate.bell.notify_one();
        }
    }

    /// What is known and decided of a connector, as this host saw it last.
    #[must_use]
    pub fn book(&self, slug: &Slug) -> Option<Book> {
        self.0.gate.get()?.book(slug)
    }

    /// Does what was decided since the last time, here or on another host: writes copies of pinned
    /// versions, lets files be judged again, stops and starts connectors.
    pub(super) async fn heed_books(&self) {
        let Some(gate) = self.0.gate.get() else {
            return;
        };
        gate.write_trips().await;
        match gate.news().await {
            Ok(changed) => {
                if gate.is_blind.swap(false, Ordering::Relaxed) {
                    tracing::info!("what was decided of connectors can be read again");
                }
                if !changed.is_empty() {
                    self.judge_all_again(&changed);
                }
            }
            Err(error) => {
                // Said once, not at every look.
                if !gate.is_blind.swap(true, Ordering::Relaxed) {
                    tracing::warn!(error = %error, "what was decided of connectors cannot be read; what serves goes on serving");
                }
            }
        }
        self.stop_and_start();
    }
}

impl Gate {
    pub(super) fn check_signature(&self, announced: &Announced) -> Result<(), LoadError> {
        self.options.check_signature(announced)
    }

    pub(super) const fn breaker(&self) -> BreakerPolicy {
        self.options.breaker
    }

    pub(super) fn book(&self, slug: &Slug) -> Option<Book> {
        self.books.load().books.get(slug).cloned()
    }

    /// Notes that a version is broken. Something is done about it in a moment.
    pub(super) fn trip(&self, version: &ConnectorVersion, reason: String) {
        tracing::error!(connector = ?version, reason, "a new version crashes too often");
        let slug = version.manifest().slug.clone();
        let tripped = (slug, version.digest(), reason);
        self.tripped
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push(tripped);
        self.bell.notify_one();
    }

    /// Why a connector does not serve whatever its files say; none where it may.
    pub(super) fn stopped(&self, slug: &Slug, digest: Digest) -> Option<String> {
        let books = self.books.load();
        let book = books.books.get(slug)?;
        let revoked = book
            .version(digest)
            .filter(|known| known.standing == Standing::Pending);
        let revoked = revoked.map(|_| {
            format!("pending consent: its grant was revoked; `jackfield connector grant {slug}` allows it again")
        });
        book.stopped(self.clock.now()).or(revoked)
    }

    /// Judges a file, before anything of it is compiled. What has to wait is written down.
    pub(super) async fn judge(
        &self,
        path: &Path,
        bytes: &[u8],
        serving: impl FnOnce(&Slug) -> Option<Digest>,
    ) -> Result<Passed, (Option<Slug>, LoadError)> {
        let (judgement, passed) = self.consider(path, bytes)?;
        let slug = passed.slug();
        let why = match judgement {
            Judgement::Serve | Judgement::Admit => return Ok(passed),
            Judgement::Refuse(why) => why,
            Judgement::Wait(why) => {
                let serving = serving(slug);
                let waits = self.wait(slug, &passed.candidate, bytes, &why, serving);
                waits.await.map_err(|error| (Some(slug.clone()), error))?;
                why
            }
        };
        Err((Some(slug.clone()), LoadError::Refused(why)))
    }

    /// The same without writing anything down: none where the file may not serve.
    pub(super) fn peek(&self, path: &Path, bytes: &[u8]) -> Option<Passed> {
        match self.consider(path, bytes) {
            Ok((Judgement::Serve | Judgement::Admit, passed)) => Some(passed),
            _ => None,
        }
    }

    fn consider(
        &self,
        path: &Path,
        bytes: &[u8],
    ) -> Result<(Judgement, Passed), (Option<Slug>, LoadError)> {
        let announced = Announced::read(bytes).map_err(|error| (None, error))?;
        let slug = announced.manifest.slug.clone();
        self.options
            .check_signature(&announced)
            .map_err(|error| (Some(slug.clone()), error))?;
        let source = path.file_name().unwrap_or_default().to_string_lossy();
        let candidate = announced.candidate(&source);
        let is_pinned = path.parent() == Some(self.options.installed.as_path());
        let book = self.book(&slug).unwrap_or_else(|| Book::new(slug));
        let by = match self.options.consent {
            ConsentPolicy::Auto => "auto",
            ConsentPolicy::Ask => "placed",
        };
        let judgement = book.judge(&candidate, is_pinned, self.options.consent);
        let is_to_be_written = judgement == Judgement::Admit;
        let passed = Passed {
            announced,
            candidate,
            by,
            is_to_be_written,
        };
        Ok((judgement, passed))
    }

    /// Writes down that a version serves, now that it could be loaded; `bytes` are what
    /// [`Passed::to_keep`] took.
    pub(super) async fn admit(
        &self,
        passed: &Passed,
        version: &ConnectorVersion,
        bytes: Option<&[u8]>,
    ) -> Result<(), LoadError> {
        let loaded = crate::model::Asked::by(version.manifest());
        if loaded != passed.announced.asked
            || version.manifest().slug != passed.announced.manifest.slug
        {
            let what = "its manifest changes while it is loaded".to_owned();
            return Err(LoadError::Malformed(what));
        }
        if bytes.is_none() {
            return Ok(());
        }
        let slug = &version.manifest().slug;
        let (now, policy) = (self.clock.now(), self.options.consent);
        let candidate = &passed.candidate;
        let altered = self.store.alter_connector(slug, bytes, |book| {
            // Another host may have been faster.
            match book.judge(candidate, false, policy) {
                Judgement::Wait(why) | Judgement::Refuse(why) => return Err(why),
                Judgement::Admit | Judgement::Serve => {}
            }
            let change = book.admit(candidate, passed.by, now);
            Ok(book.entry(change, "host", now))
        });
        self.take(altered.await)
    }

    async fn wait(
        &self,
        slug: &Slug,
        candidate: &Candidate,
        bytes: &[u8],
        why: &str,
        serving: Option<Digest>,
    ) -> Result<(), LoadError> {
        let now = self.clock.now();
        let altered = self.store.alter_connector(slug, Some(bytes), |book| {
            let change = book.wait(candidate, why, serving, now);
            Ok(book.entry(change, "host", now))
        });
        self.take(altered.await)
    }

    /// Keeps the book that was written, without taking it for news.
    fn take(
        &self,
        altered: Result<Result<Book, String>, crate::store::Error>,
    ) -> Result<(), LoadError> {
        let book = altered
            .map_err(|error| LoadError::Store(crate::telemetry::chain(&error)))?
            .map_err(LoadError::Refused)?;
        self.books.rcu(|books| {
            let mut books = (**books).clone();
            books.books.insert(book.slug.clone(), book.clone());
            books
        });
        // A pin may have come or gone.
        self.bell.notify_one();
        Ok(())
    }

    async fn write_trips(&self) {
        let tripped =
            std::mem::take(&mut *self.tripped.lock().unwrap_or_else(PoisonError::into_inner));
        for (slug, digest, reason) in tripped {
            let now = self.clock.now();
            let until = now.plus(self.options.breaker.pause);
            let altered = self.store.alter_connector(&slug, None, |book| {
                let change = book.trip(digest, &reason, until, now);
                Ok(book.entry(change, "host", now))
            });
            if let Err(error) = altered.await {
                tracing::warn!(error = %error, connector = %slug, "a broken version cannot be taken back now");
                let mut tripped = self.tripped.lock().unwrap_or_else(PoisonError::into_inner);
                tripped.push((slug, digest, reason));
            }
        }
    }

    /// The connectors of which the books changed since the last time. Their pinned versions lie in
    /// the folder for them when it returns.
    async fn news(&self) -> Result<Vec<Slug>, crate::store::Error> {
        let before = self.books.load_full();
        if self.store.connector_generation().await? == before.generation {
            return Ok(Vec::new());
        }
        let books = self.store.connector_books().await?;
        for book in books.books.values() {
            self.copy_pinned(book).await?;
        }
        self.remove_copies(&books);
        let slugs = books.books.keys().chain(before.books.keys());
        let mut changed: Vec<Slug> = slugs
            .filter(|slug| {
                let differ = before.books.get(*slug) != books.books.get(*slug);
                // What this host wrote itself is known, but its pin may be news.
                differ
                    || books
                        .books
                        .get(*slug)
                        .is_some_and(|book| book.pin.is_some())
            })
            .cloned()
            .collect();
        changed.dedup();
        self.books.store(Arc::new(books));
        Ok(changed)
    }

    fn copy_of(&self, slug: &Slug) -> PathBuf {
        self.options.installed.join(format!("{slug}.wasm"))
    }

    async fn copy_pinned(&self, book: &Book) -> Result<(), crate::store::Error> {
        let Some(pin) = book.pin else {
            return Ok(());
        };
        let path = self.copy_of(&book.slug);
        if fs::read(&path).is_ok_and(|bytes| Digest::of(&bytes) == pin.digest) {
            return Ok(());
        }
        let Some(bytes) = self.store.connector_bytes(pin.digest).await? else {
            tracing::warn!(connector = %book.slug, digest = pin.digest.short(), "the bytes of the pinned version are gone");
            return Ok(());
        };
        if let Err(error) = write_whole(&path, &bytes) {
            tracing::warn!(error = %error, file = %path.display(), "a pinned version cannot be copied");
        }
        Ok(())
    }

    fn remove_copies(&self, books: &Books) {
        let Ok(entries) = fs::read_dir(&self.options.installed) else {
            return;
        };
        for path in entries.flatten().map(|entry| entry.path()) {
            let stem = path
                .file_stem()
                .and_then(|stem| stem.to_str())
                .unwrap_or_default();
            let slug = stem.parse::<Slug>().ok();
            let is_pinned = slug.and_then(|slug| books.books.get(&slug)?.pin).is_some();
            if !is_pinned && let Err(error) = fs::remove_file(&path) {
                tracing::warn!(error = %error, file = %path.display(), "the copy of a version that is not pinned any more stays");
            }
        }
    }
}

impl Passed {
    pub(super) const fn slug(&self) -> &Slug {
        &self.announced.manifest.slug
    }

    /// A copy of the bytes where they are new and go to the database.
    pub(super) fn to_keep(&self, bytes: &[u8]) -> Option<Vec<u8>> {
        self.is_to_be_written.then(|| bytes.to_vec())
    }
}

/// A file that is there whole or not at all.
fn write_whole(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    fs::create_dir_all(folder)?;
    let mut file = tempfile::Builder::new()
        .prefix(".new-")
        .tempfile_in(folder)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    fault_point!("install.written");
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
