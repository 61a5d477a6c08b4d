//! Where the operator's encryption keys are, and what they are used for: wrapping data keys.
//!
//! A key management service fits behind the same trait: only wrapped data keys are stored, they
//! are unwrapped when a server reads them, and no value is sealed under an operator's key itself.

use std::{fmt, fs, path::PathBuf, sync::Arc};

use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};

use super::{Error, Key, seal};
use crate::{egress::BoxFuture, model::Entropy};

/// A data key, encrypted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Wrapped {
    /// The fingerprint of the key that it is encrypted with.
    pub by: String,
    /// Itself.
    pub bytes: Vec<u8>,
}

/// Wraps and unwraps data keys with keys of the operator.
pub trait KeyProvider: fmt::Debug + Send + Sync {
    /// The fingerprints of its keys: the one that wraps, and then those that only unwrap.
    fn fingerprints(&self) -> BoxFuture<'_, Result<Vec<String>, Error>>;

    /// Encrypts a data key with the first of its keys. `context` has to be given for unwrapping.
    fn wrap<'a>(
        &'a self,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, Error>>;

    /// Decrypts a data key.
    fn unwrap<'a>(
        &'a self,
        context: &'a str,
        wrapped: &'a Wrapped,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Error>>;

    /// Keys that values themselves may be sealed under, as they were before there were data keys.
    fn direct(&self) -> BoxFuture<'_, Result<Vec<Arc<Key>>, Error>> {
        Box::pin(async { Ok(Vec::new()) })
    }
}

/// Keys as the environment or the configuration gives them: one or several with commas or white
/// space between, the newest first.
#[derive(Clone)]
pub struct EnvironmentKeys {
    keys: Vec<Arc<Key>>,
    entropy: Arc<dyn Entropy>,
}

impl EnvironmentKeys {
    /// Reads them.
    ///
    /// # Errors
    /// [`Error::Key`] where one is none, is there twice, or there is none.
    pub fn parse(text: &SecretString, entropy: Arc<dyn Entropy>) -> Result<Self, Error> {
        let pieces = text
            .expose_secret()
            .split(|character: char| character == ',' || character.is_whitespace())
            .filter(|piece| !piece.is_empty());
        let keys: Vec<Arc<Key>> = pieces
            .map(|piece| Key::parse(piece).map(Arc::new))
            .collect::<Result<_, _>>()?;
        if keys.is_empty() {
            // For its words.
            Key::parse("")?;
        }
        for (index, key) in keys.iter().enumerate() {
            if keys
                .iter()
                .skip(index + 1)
                .any(|other| other.id() == key.id())
            {
                return Err(Error::Key(format!(
                    "the encryption key {} is given twice",
                    key.fingerprint()
                )));
            }
        }
        Ok(Self { keys, entropy })
    }

    fn wrapped(&self, context: &str, plain: &[u8]) -> Result<Wrapped, Error> {
        let key = self.keys.first();
        let key = key.ok_or_else(|| Error::Key("there is no encryption key".to_owned()))?;
        Ok(Wrapped {
            by: key.fingerprint(),
            bytes: seal::seal(key, &*self.entropy, &["data_key", context], plain),
        })
    }

    fn unwrapped(&self, context: &str, wrapped: &Wrapped) -> Result<Zeroizing<Vec<u8>>, Error> {
        let mut keys = self.keys.iter();
        let key = keys.find(|key| key.fingerprint() == wrapped.by);
        let key = key.ok_or_else(|| Error::WrongKey {
            expected: wrapped.by.clone(),
            given: self.all(),
        })?;
        seal::open(key, &["data_key", context], &wrapped.bytes)
    }

    fn all(&self) -> Vec<String> {
        self.keys.iter().map(|key| key.fingerprint()).collect()
    }
}

impl KeyProvider for EnvironmentKeys {
    fn fingerprints(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(self.all()) })
    }

    fn wrap<'a>(
        &'a self,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, Error>> {
        Box::pin(async move { self.wrapped(context, plain) })
    }

    fn unwrap<'a>(
        &'a self,
        context: &'a str,
        wrapped: &'a Wrapped,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Error>> {
        Box::pin(async move { self.unwrapped(context, wrapped) })
    }

    fn direct(&self) -> BoxFuture<'_, Result<Vec<Arc<Key>>, Error>> {
        Box::pin(async { Ok(self.keys.clone()) })
    }
}

impl fmt::Debug for EnvironmentKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_list().entries(&self.keys).finish()
    }
}

/// Keys in a file, in the same form. It is read again each time, so that a running server finds a
/// new key there.
#[derive(Clone)]
pub struct FileKeys {
    path: PathBuf,
    entropy: Arc<dyn Entropy>,
}

impl FileKeys {
    /// Those in this file. Not read yet.
    #[must_use]
    pub fn new(path: PathBuf, entropy: Arc<dyn Entropy>) -> Self {
        Self { path, entropy }
    }

    fn read(&self) -> Result<EnvironmentKeys, Error> {
        let text = fs::read_to_string(&self.path)
            .map_err(|error| {
                let path = self.path.display();
                Error::Key(format!(
                    "the file of the encryption key, {path}, cannot be read: {error}; encryption_key_file names it"
                ))
            })?;
        EnvironmentKeys::parse(&text.into(), Arc::clone(&self.entropy))
            .map_err(|error| Error::Key(format!("{}: {error}", self.path.display())))
    }
}

impl KeyProvider for FileKeys {
    fn fingerprints(&self) -> BoxFuture<'_, Result<Vec<String>, Error>> {
        Box::pin(async { Ok(self.read()?.all()) })
    }

    fn wrap<'a>(
        &'a self,
        context: &'a str,
        plain: &'a [u8],
    ) -> BoxFuture<'a, Result<Wrapped, Error>> {
        Box::pin(async move { self.read()?.wrapped(context, plain) })
    }

    fn unwrap<'a>(
        &'a self,
        context: &'a str,
        wrapped: &'a Wrapped,
    ) -> BoxFuture<'a, Result<Zeroizing<Vec<u8>>, Error>> {
        Box::pin(async move { self.read()?.unwrapped(context, wrapped) })
    }

    fn direct(&self) -> BoxFuture<'_, Result<Vec<Arc<Key>>, Error>> {
        Box::pin(async { Ok(self.read()?.keys) })
    }
}

impl fmt::Debug for FileKeys {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "FileKeys({})", self.path.display())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    fn given(text: &str) -> Result<EnvironmentKeys, Error> {
        EnvironmentKeys::parse(&text.into(), Arc::new(SystemEntropy))
    }

    #[tokio::test]
    async fn the_first_key_wraps_and_all_unwrap() {
        let (old, new) = ("11".repeat(32), "22".repeat(32));
        let before = given(&old).unwrap();
        let wrapped = before.wrap("7", b"canary").await.unwrap();
        for both in [format!("{new},{old}"), format!("{new}\n{old}\n")] {
            let keys = given(&both).unwrap();
            assert_eq!(
                keys.unwrap("7", &wrapped).await.unwrap().as_slice(),
                b"canary"
            );
            assert!(keys.unwrap("8", &wrapped).await.is_err());
            let again = keys.wrap("7", b"canary").await.unwrap();
            assert_eq!(again.by, keys.fingerprints().await.unwrap()[0]);
            assert!(before.unwrap("7", &again).await.is_err());
        }
    }

    #[tokio::test]
    async fn a_wrong_key_is_told_by_fingerprints() {
        let [right, wrong] = ["11", "22"].map(|text| given(&text.repeat(32)).unwrap());
        let wrapped = right.wrap("7", b"canary").await.unwrap();
        let error = wrong.unwrap("7", &wrapped).await.unwrap_err().to_string();
        assert!(error.contains(&wrapped.by), "{error}");
        assert!(
            !error.contains("2222") && !error.contains("1111"),
            "{error}"
        );
    }

    #[tokio::test]
    async fn a_file_is_read_again() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keys = FileKeys::new(path.clone(), Arc::new(SystemEntropy));
        let error = keys.fingerprints().await.unwrap_err().to_string();
        assert!(error.contains("keys"), "{error}");
        fs::write(&path, "11".repeat(32)).unwrap();
        let first = keys.wrap("7", b"canary").await.unwrap();
        fs::write(&path, format!("{}\n{}\n", "22".repeat(32), "11".repeat(32))).unwrap();
        assert_eq!(
            keys.unwrap("7", &first).await.unwrap().as_slice(),
            b"canary"
        );
        assert_ne!(keys.wrap("7", b"canary").await.unwrap().by, first.by);
    }

    #[test]
    fn nothing_and_twice_the_same_are_refused() {
        for text in ["", " , ", "abc", &format!("{0} {0}", "11".repeat(32))] {
            let error = given(text).unwrap_err().to_string();
            assert!(!error.contains("1111"), "{error}");
        }
    }
}
