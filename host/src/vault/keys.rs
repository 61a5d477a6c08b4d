//! The data keys that a server holds: one that seals, and all that open.

use std::{
    sync::{Arc, PoisonError, RwLock},
    time::Duration,
};

use secrecy::zeroize::Zeroizing;

use super::{
    Error, Key,
    provider::{KeyProvider, Wrapped},
    seal,
};
use crate::{
    model::{Clock, Entropy},
    store::{Store, WrappedKey},
};

/// How long a new data key waits before it seals, so that every server has read it by then.
pub const HANDING_ROUND: Duration = Duration::from_secs(30);

/// Keys for sealing and opening. Clones share them.
#[derive(Clone)]
pub struct Keys {
    ring: Arc<RwLock<Arc<Ring>>>,
    provider: Option<Arc<dyn KeyProvider>>,
}

struct Ring {
    sealing: Arc<Key>,
    /// What opens, the sealing one and those that wait among them.
    all: Vec<Arc<Key>>,
    /// The numbers of the stored ones, and whether each seals: what a change is noticed by.
    stored: Vec<(i64, bool)>,
}

impl From<Key> for Keys {
    /// One key and no other, for programs that rotate nothing.
    fn from(key: Key) -> Self {
        let key = Arc::new(key);
        Self {
            ring: Arc::new(RwLock::new(Arc::new(Ring {
                sealing: Arc::clone(&key),
                all: vec![key],
                stored: Vec::new(),
            }))),
            provider: None,
        }
    }
}

impl Keys {
    /// The data keys of a database; the first is made where there is none. A database whose values
    /// were sealed under other keys than the provider has is refused.
    ///
    /// # Errors
    /// [`Error::WrongKey`], or the provider or the database fails.
    pub async fn open(
        store: &Store,
        provider: Arc<dyn KeyProvider>,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
    ) -> Result<Self, Error> {
        if store.data_keys().await?.is_empty() {
            check_direct(store, &*provider).await?;
            // Another server may be first: then its key is the one.
            add(store, &*provider, clock, entropy, Duration::ZERO).await?;
        }
        let ring = load(store, &*provider, true).await?;
        Ok(Self {
            ring: Arc::new(RwLock::new(Arc::new(ring))),
            provider: Some(provider),
        })
    }

    /// Makes a new data key, wrapped by the newest encryption key. It seals after `after`.
    ///
    /// # Errors
    /// The provider or the database fails, or somebody else just made one.
    pub async fn rotate(
        store: &Store,
        provider: &dyn KeyProvider,
        clock: &dyn Clock,
        entropy: &dyn Entropy,
        after: Duration,
    ) -> Result<WrappedKey, Error> {
        let added = add(store, provider, clock, entropy, after).await?;
        added.ok_or_else(|| Error::Key("another data key was made just now".to_owned()))
    }

    /// Reads the data keys again; whether another one seals now.
    ///
    /// # Errors
    /// The provider or the database fails; the keys stay what they were.
    pub async fn refresh(&self, store: &Store) -> Result<bool, Error> {
        let Some(provider) = &self.provider else {
            return Ok(false);
        };
        let before = self.ring();
        let stored = store.data_keys().await?;
        if numbers(&stored) == before.stored {
            return Ok(false);
        }
        let ring = load(store, &**provider, false).await?;
        let changed = ring.sealing.id() != before.sealing.id();
        *self.ring.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(ring);
        Ok(changed)
    }

    /// What every value begins with that the newest key sealed.
    pub(super) fn header(&self) -> [u8; seal::HEADER] {
        seal::header(&self.ring().sealing)
    }

    pub(super) fn seal(&self, entropy: &dyn Entropy, context: &[&str], plain: &[u8]) -> Vec<u8> {
        seal::seal(&self.ring().sealing, entropy, context, plain)
    }

    pub(super) fn open_sealed(
        &self,
        context: &[&str],
        sealed: &[u8],
    ) -> Result<Zeroizing<Vec<u8>>, Error> {
        let ring = self.ring();
        // A value without its key is judged by any: it says what is wrong.
        let key = seal::key_of(sealed)
            .and_then(|id| ring.all.iter().find(|key| key.id() == id))
            .unwrap_or(&ring.sealing);
        seal::open(key, context, sealed)
    }

    fn ring(&self) -> Arc<Ring> {
        // It is replaced whole: nobody leaves half a ring behind.
        Arc::clone(&self.ring.read().unwrap_or_else(PoisonError::into_inner))
    }
}

impl std::fmt::Debug for Keys {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_list().entries(&self.ring().all).finish()
    }
}

fn numbers(stored: &[WrappedKey]) -> Vec<(i64, bool)> {
    stored.iter().map(|key| (key.number, key.seals)).collect()
}

/// Refuses a database from before there were data keys, where other keys sealed its values.
async fn check_direct(store: &Store, provider: &dyn KeyProvider) -> Result<(), Error> {
    let direct = provider.direct().await?;
    for (id, _) in store.sealed_under().await? {
        if !direct.iter().any(|key| key.id() == id) {
            return Err(Error::WrongKey {
                expected: super::key::hex(&id),
                given: provider.fingerprints().await?,
            });
        }
    }
    Ok(())
}

async fn add(
    store: &Store,
    provider: &dyn KeyProvider,
    clock: &dyn Clock,
    entropy: &dyn Entropy,
    after: Duration,
) -> Result<Option<WrappedKey>, Error> {
    let newest = store.data_keys().await?.last().map_or(0, |key| key.number);
    let key = Key::generate(entropy);
    let wrapped = provider.wrap(&key.fingerprint(), key.bytes()).await?;
    let made = WrappedKey {
        number: newest + 1,
        id: key.id(),
        wrapped: wrapped.bytes,
        wrapped_by: wrapped.by,
        created_at: clock.now(),
        seals: after.is_zero(),
    };
    let added = store.add_data_key(&made, after).await?;
    Ok(added.then_some(made))
}

/// Unwraps what is stored. A key that cannot be unwrapped is left out where no value is sealed
/// under it, and also where the server runs already: then others can still be used.
async fn load(store: &Store, provider: &dyn KeyProvider, strict: bool) -> Result<Ring, Error> {
    let stored = store.data_keys().await?;
    let mut all = provider.direct().await?;
    let mut sealing = None;
    for row in &stored {
        let wrapped = Wrapped {
            by: row.wrapped_by.clone(),
            bytes: row.wrapped.clone(),
        };
        let context = super::key::hex(&row.id);
        let opened = provider.unwrap(&context, &wrapped).await;
        let opened = opened.and_then(|bytes| Key::from_slice(&bytes));
        let key = match opened {
            Ok(key) => Arc::new(key),
            Err(error) => {
                let used = store
                    .sealed_under()
                    .await?
                    .iter()
                    .any(|(id, _)| *id == row.id);
                let newest = stored.last().is_some_and(|last| last.number == row.number);
                if strict && (used || newest) {
                    return Err(error);
                }
                tracing::error!(
                    data_key = row.number,
                    %error,
                    "a data key cannot be unwrapped, so what it seals cannot be opened here"
                );
                continue;
            }
        };
        if row.seals {
            sealing = Some(Arc::clone(&key));
        }
        all.push(key);
    }
    let sealing = sealing.or_else(|| all.last().cloned());
    let sealing = sealing.ok_or_else(|| Error::Key("there is no data key".to_owned()))?;
    Ok(Ring {
        sealing,
        all,
        stored: numbers(&stored),
    })
}
