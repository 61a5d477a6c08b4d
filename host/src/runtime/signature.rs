//! Signatures of publishers: Ed25519 over everything that stands before the last section.
//!
//! The section `jackfield:signature` has one form and one place, so that there is nothing to
//! choose for whoever forges: it is the last section of the file, and holds a byte for the form
//! (1), the publisher's key and the signature over [`CONTEXT`] and the SHA-256 of the bytes before
//! the section.

use std::{fmt, str::FromStr};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::signature::{ED25519, Ed25519KeyPair, KeyPair as _, UnparsedPublicKey};
use secrecy::{ExposeSecret as _, SecretString, zeroize::Zeroizing};
use wasmparser::Parser;

use super::LoadError;
use crate::model::{Digest, Entropy};

/// The custom section that holds the signature.
pub(super) const SIGNATURE_SECTION: &str = "jackfield:signature";

const CONTEXT: &[u8] = b"jackfield connector signature 1\n";
const FORM: u8 = 1;
const KEY: usize = 32;
const SIGNATURE: usize = 64;
/// Section id, length, length of the name, name, form, key, signature.
const SECTION: usize = 3 + SIGNATURE_SECTION.len() + 1 + KEY + SIGNATURE;
const PUBLIC: &str = "ed25519:";
const SECRET: &str = "ed25519-secret:";

/// The key of a publisher, as configurations and grants spell it: `ed25519:` and 43 characters.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct PublisherKey([u8; KEY]);

/// A text that is no publisher's key.
#[derive(Debug, thiserror::Error)]
#[error(
    "this is no publisher's key: it is `ed25519:` and 43 characters, as `jackfield connector key new` prints it"
)]
pub struct KeyError;

impl fmt::Display for PublisherKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{PUBLIC}{}", URL_SAFE_NO_PAD.encode(self.0))
    }
}

impl FromStr for PublisherKey {
    type Err = KeyError;
    fn from_str(text: &str) -> Result<Self, KeyError> {
        let text = text.strip_prefix(PUBLIC).ok_or(KeyError)?;
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| KeyError)?;
        bytes.try_into().map(Self).map_err(|_| KeyError)
    }
}

/// The secret half of a publisher's key.
pub struct SigningKey(Ed25519KeyPair);

impl fmt::Debug for SigningKey {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter
            .debug_tuple("SigningKey")
            .field(&self.public().to_string())
            .finish()
    }
}

impl SigningKey {
    /// A new one, and the text to keep it as.
    ///
    /// # Panics
    /// Never: any 32 bytes are a seed.
    #[must_use]
    pub fn generate(entropy: &dyn Entropy) -> (Self, SecretString) {
        let mut seed = Zeroizing::new([0; KEY]);
        entropy.fill(&mut *seed);
        let text = Zeroizing::new(URL_SAFE_NO_PAD.encode(seed.as_slice()));
        let text = SecretString::from(format!("{SECRET}{}", *text));
        let key = Self::parse(&text).expect("any 32 bytes are a seed");
        (key, text)
    }

    /// Reads the text that [`Self::generate`] gave.
    ///
    /// # Errors
    /// It is not one.
    pub fn parse(text: &SecretString) -> Result<Self, KeyError> {
        let text = text.expose_secret().trim().strip_prefix(SECRET);
        let seed = URL_SAFE_NO_PAD.decode(text.ok_or(KeyError)?);
        let seed = Zeroizing::new(seed.map_err(|_| KeyError)?);
        Ed25519KeyPair::from_seed_unchecked(&seed)
            .map(Self)
            .map_err(|_| KeyError)
    }

    /// The other half.
    ///
    /// # Panics
    /// Never: Ed25519 keys have 32 bytes.
    #[must_use]
    pub fn public(&self) -> PublisherKey {
        let bytes = self.0.public_key().as_ref();
        PublisherKey(bytes.try_into().expect("Ed25519 keys have 32 bytes"))
    }

    /// The file with a signature at its end, in place of the one it had.
    ///
    /// # Errors
    /// It is no WebAssembly file.
    pub fn sign(&self, bytes: &[u8]) -> Result<Vec<u8>, LoadError> {
        if !Parser::is_component(bytes) && !Parser::is_core_wasm(bytes) {
            return Err(LoadError::NotWasm);
        }
        let mut signed = split(bytes).map_or(bytes, |(before, _)| before).to_vec();
        let signature = self.0.sign(&message(&signed));
        signed.extend_from_slice(&head());
        signed.extend_from_slice(&self.public().0);
        signed.extend_from_slice(signature.as_ref());
        Ok(signed)
    }
}

/// Whose signature stands at the end of a file that has one.
pub(super) fn verify(bytes: &[u8]) -> Result<PublisherKey, LoadError> {
    let bad = |what: &str| Err(LoadError::Signature(what.to_owned()));
    let Some((before, rest)) = split(bytes) else {
        return bad("the signature is not the last section, or not of a form that is known");
    };
    let Some((key, signature)) = rest.split_first_chunk::<KEY>() else {
        return bad("the signature is cut off");
    };
    let verified = UnparsedPublicKey::new(&ED25519, key).verify(&message(before), signature);
    match verified {
        Ok(()) => Ok(PublisherKey(*key)),
        Err(_) => {
            bad("the signature is not of these bytes: the file was changed after it was signed")
        }
    }
}

/// What was signed, and key and signature; none where the file does not end with a signature.
fn split(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let at = bytes.len().checked_sub(SECTION)?;
    let (before, section) = bytes.split_at_checked(at)?;
    let rest = section.strip_prefix(head().as_slice())?;
    Some((before, rest))
}

fn message(before: &[u8]) -> Vec<u8> {
    let mut message = CONTEXT.to_vec();
    message.extend_from_slice(Digest::of(before).as_bytes());
    message
}

/// How the section begins.
fn head() -> Vec<u8> {
    let name = SIGNATURE_SECTION.as_bytes();
    let length = |bytes: usize| u8::try_from(bytes).expect("it is short");
    let mut head = vec![0, length(SECTION - 2), length(name.len())];
    head.extend_from_slice(name);
    head.push(FORM);
    head
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{model::SystemEntropy, runtime::Announced};

    fn module() -> Vec<u8> {
        let manifest = r#"
            slug = "acme"
            name = "Acme"
            version = "1.0.0"
            description = "A test."
            overview = "A test."
            [endpoints.api]
            production = "https://api.acme.example"
            [auth.key]
            type = "bearer"
            title = "Acme"
            [objects."crm.contact"]
            operations = ["read"]
            fields = ["first_name"]
            [permissions]
            http = ["https://api.acme.example/"]
        "#;
        let name = b"jackfield:manifest";
        let mut module = b"\0asm\x01\0\0\0".to_vec();
        let size = 1 + name.len() + manifest.len();
        module.push(0);
        module.push(u8::try_from(size & 0x7f).unwrap() | 0x80);
        module.push(u8::try_from(size >> 7).unwrap());
        module.push(u8::try_from(name.len()).unwrap());
        module.extend_from_slice(name);
        module.extend_from_slice(manifest.as_bytes());
        module
    }

    #[test]
    fn a_signed_file_names_its_publisher_and_no_byte_can_be_changed() {
        let (key, text) = SigningKey::generate(&SystemEntropy);
        let module = module();
        assert!(Announced::read(&module).unwrap().publisher.is_none());
        let signed = key.sign(&module).unwrap();
        assert_eq!(
            Announced::read(&signed).unwrap().publisher,
            Some(key.public())
        );
        assert_eq!(SigningKey::parse(&text).unwrap().public(), key.public());
        let public = key.public().to_string();
        assert_eq!(public.parse::<PublisherKey>().unwrap(), key.public());
        for at in 0..signed.len() {
            let mut changed = signed.clone();
            changed[at] ^= 1;
            let publisher = Announced::read(&changed).map(|announced| announced.publisher);
            // A signature whose section has another name is none.
            let unsigned = matches!(publisher, Ok(None)) && at >= module.len();
            assert!(publisher.is_err() || unsigned, "byte {at}");
        }
    }

    #[test]
    fn nothing_may_stand_after_a_signature() {
        let (key, _) = SigningKey::generate(&SystemEntropy);
        let signed = key.sign(&module()).unwrap();
        let mut longer = signed.clone();
        longer.extend_from_slice(&[0, 2, 1, b'x']);
        assert!(matches!(
            Announced::read(&longer),
            Err(LoadError::Signature(_))
        ));
        // Signed again by somebody else: his alone.
        let (other, _) = SigningKey::generate(&SystemEntropy);
        let again = other.sign(&signed).unwrap();
        assert_eq!(again.len(), signed.len());
        assert_eq!(
            Announced::read(&again).unwrap().publisher,
            Some(other.public())
        );
        let mut twice = again;
        twice.extend_from_slice(&signed[signed.len() - SECTION..]);
        assert!(matches!(
            Announced::read(&twice),
            Err(LoadError::Signature(_))
        ));
    }
}
