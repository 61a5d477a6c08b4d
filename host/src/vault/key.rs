//! A key: of the operator, to wrap data keys; or a data key, that everything secret is sealed under.

use std::{
    fmt, fs,
    io::{self, Write as _},
    path::Path,
};

use base64::{
    Engine as _,
    alphabet::{STANDARD, URL_SAFE},
    engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig},
};
use secrecy::zeroize::Zeroizing;

use super::Error;
use crate::model::{Digest, Entropy};

/// 32 bytes for XChaCha20-Poly1305.
pub struct Key {
    bytes: Zeroizing<[u8; 32]>,
    id: [u8; 4],
}

impl Key {
    /// Reads a key as an operator writes it: 64 hexadecimal digits, or base64 of 32 bytes (either
    /// alphabet, padded or not).
    ///
    /// # Errors
    /// [`Error::Key`] for anything else.
    pub fn parse(text: &str) -> Result<Self, Error> {
        let text = text.trim();
        let decoded = from_hex(text).or_else(|| from_base64(text));
        let bytes: Option<[u8; 32]> = decoded.and_then(|bytes| bytes.as_slice().try_into().ok());
        bytes.map(Self::from_bytes).ok_or_else(|| {
            Error::Key(
                "the encryption key must be 32 bytes, written as 64 hexadecimal digits or in \
                 base64 (`openssl rand -hex 32` makes one)"
                    .to_owned(),
            )
        })
    }

    /// A new key.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self::from_bytes(bytes)
    }

    /// The key in a file, which is made, readable by its owner only, where there is none.
    ///
    /// # Errors
    /// [`Error::Key`] when the file cannot be read or made, or holds no key.
    pub fn load_or_create(path: &Path, entropy: &dyn Entropy) -> Result<Self, Error> {
        let failed = |error: io::Error| Error::Key(format!("{}: {error}", path.display()));
        match fs::read_to_string(path).map(Zeroizing::new) {
            Ok(text) => return Self::parse(&text),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(failed(error)),
        }
        let folder = path.parent().filter(|folder| *folder != Path::new(""));
        if let Some(folder) = folder {
            fs::create_dir_all(folder).map_err(failed)?;
        }
        let key = Self::generate(entropy);
        // Complete or absent: a process that dies here must not leave half a key behind, and of
        // two that start together both must end with the same one.
        let mut file = tempfile::NamedTempFile::new_in(folder.unwrap_or_else(|| Path::new(".")))
            .map_err(failed)?;
        let text = Zeroizing::new(hex(key.bytes.as_slice()));
        file.write_all(text.as_bytes())
            .and_then(|()| file.write_all(b"\n"))
            .and_then(|()| file.as_file().sync_all())
            .map_err(failed)?;
        match file.persist_noclobber(path) {
            Ok(_) => Ok(key),
            Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => {
                let text = fs::read_to_string(path).map(Zeroizing::new);
                Self::parse(&text.map_err(failed)?)
            }
            Err(error) => Err(failed(error.error)),
        }
    }

    pub(super) fn bytes(&self) -> &[u8; 32] {
        &self.bytes
    }

    /// Stands in front of what is sealed, so that a wrong key is told from a broken value.
    #[must_use]
    pub const fn id(&self) -> [u8; 4] {
        self.id
    }

    /// What may be shown of it: eight hexadecimal digits that follow from it and lead nowhere.
    #[must_use]
    pub fn fingerprint(&self) -> String {
        hex(&self.id)
    }

    pub(super) fn from_slice(bytes: &[u8]) -> Result<Self, Error> {
        let bytes = bytes.try_into().map(Self::from_bytes);
        bytes.map_err(|_| Error::Key("a data key has not 32 bytes".to_owned()))
    }

    fn from_bytes(bytes: [u8; 32]) -> Self {
        let bytes = Zeroizing::new(bytes);
        let digest = Digest::of_all(&[b"jackfield key id", bytes.as_slice()]);
        let [a, b, c, d, ..] = *digest.as_bytes();
        Self {
            bytes,
            id: [a, b, c, d],
        }
    }
}

impl fmt::Debug for Key {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Key({})", hex(&self.id))
    }
}

pub(super) fn hex(bytes: &[u8]) -> String {
    bytes
        .iter()
        .flat_map(|byte| [byte >> 4, byte & 15])
        .filter_map(|digit| char::from_digit(u32::from(digit), 16))
        .collect()
}

fn from_hex(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let digits: Zeroizing<Vec<u8>> = Zeroizing::new(
        text.chars()
            .map(|digit| u8::try_from(digit.to_digit(16)?).ok())
            .collect::<Option<_>>()?,
    );
    let bytes = digits.chunks(2).map(|pair| match pair {
        [high, low] => Some(high << 4 | low),
        _ => None,
    });
    bytes.collect::<Option<_>>().map(Zeroizing::new)
}

fn from_base64(text: &str) -> Option<Zeroizing<Vec<u8>>> {
    let lenient =
        GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
    [STANDARD, URL_SAFE]
        .iter()
        .find_map(|alphabet| GeneralPurpose::new(alphabet, lenient).decode(text).ok())
        .map(Zeroizing::new)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn reads_every_usual_spelling() {
        let hex = "fbfffe".to_owned() + &"00".repeat(29);
        let key = Key::parse(&hex).unwrap();
        let base64 = "+//+AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";
        for spelling in [
            hex.to_uppercase(),
            format!(" {hex}\n"),
            base64.to_owned(),
            format!("{base64}="),
            base64.replace('+', "-").replace('/', "_"),
        ] {
            assert_eq!(
                Key::parse(&spelling).unwrap().bytes(),
                key.bytes(),
                "{spelling}"
            );
        }
        for bad in ["", "abcd", &"0".repeat(63), &"0".repeat(66), "canary!"] {
            let error = Key::parse(bad).unwrap_err().to_string();
            assert!(!error.contains("canary"), "{error}");
        }
        assert!(!format!("{key:?}").contains("fbfffe"));
    }

    #[test]
    fn a_made_key_is_kept_and_private() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("new/key");
        let made = Key::load_or_create(&path, &SystemEntropy).unwrap();
        let read = Key::load_or_create(&path, &SystemEntropy).unwrap();
        assert_eq!(made.bytes(), read.bytes());
        #[cfg(unix)]
        {
            use std::os::unix::fs::PermissionsExt as _;
            let mode = fs::metadata(&path).unwrap().permissions().mode();
            assert_eq!(mode & 0o777, 0o600);
        }
        fs::write(&path, "nonsense").unwrap();
        assert!(Key::load_or_create(&path, &SystemEntropy).is_err());
    }
}
