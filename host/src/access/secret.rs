//! Secrets of sessions and links: 256 random bits in base64. They need no slow hash: a database
//! that is read by strangers has their SHA-256, and nobody finds 256 bits by trying.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use secrecy::{ExposeSecret as _, SecretString};

use crate::model::{Digest, Entropy};

const LENGTH: usize = 43;

/// A secret, just made.
#[derive(Debug)]
pub(super) struct Secret(SecretString);

impl Secret {
    pub(super) fn generate(entropy: &dyn Entropy) -> Self {
        let mut bytes = [0; 32];
        entropy.fill(&mut bytes);
        Self(SecretString::from(URL_SAFE_NO_PAD.encode(bytes)))
    }

    /// What is stored.
    pub(super) fn hash(&self) -> Digest {
        Digest::of(self.text())
    }

    /// What the person gets.
    pub(super) fn text(&self) -> &str {
        self.0.expose_secret()
    }

    /// The hash of what may be one; none for any other text.
    pub(super) fn parse(text: &str) -> Option<Digest> {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        (text.len() == LENGTH && text.bytes().all(good)).then(|| Digest::of(text))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn what_is_made_is_recognised() {
        let secret = Secret::generate(&SystemEntropy);
        assert_eq!(Secret::parse(secret.text()), Some(secret.hash()));
        assert_ne!(secret.text(), Secret::generate(&SystemEntropy).text());
        for bad in ["", "a", &"a".repeat(44), &" ".repeat(43)] {
            assert_eq!(Secret::parse(bad), None, "{bad}");
        }
    }
}
