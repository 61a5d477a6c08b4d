//! Sealing: encryption that also proves where a value belongs.
//!
//! A sealed value is `format (1 byte) · key id (4) · nonce (24) · ciphertext and tag`. The context,
//! for example `["credential", project, connection]`, is authenticated with it, so that whoever can
//! write to the database cannot have one row's secret opened for another.

use chacha20poly1305::{
    KeyInit as _, XChaCha20Poly1305, XNonce,
    aead::{Aead as _, Payload},
};
use secrecy::zeroize::Zeroizing;

use super::{Error, Key};
use crate::model::Entropy;

const FORMAT: u8 = 1;
pub(super) const HEADER: usize = 5;
const NONCE: usize = 24;

pub(super) fn seal(key: &Key, entropy: &dyn Entropy, context: &[&str], plain: &[u8]) -> Vec<u8> {
    let header = header(key);
    let mut nonce = [0; NONCE];
    entropy.fill(&mut nonce);
    let payload = Payload {
        msg: plain,
        aad: &associated(header, context),
    };
    let ciphertext = cipher(key)
        .encrypt(&XNonce::from(nonce), payload)
        .expect("values are far below the cipher's limit of 256 GiB");
    [&header[..], &nonce, &ciphertext].concat()
}

pub(super) fn open(
    key: &Key,
    context: &[&str],
    sealed: &[u8],
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let broken = Error::Sealed("it is damaged, or belongs elsewhere");
    let header = header(key);
    let Some((front, rest)) = sealed.split_at_checked(HEADER) else {
        return Err(broken);
    };
    if front != header {
        return Err(match front.first() {
            Some(&FORMAT) => Error::Sealed("it was sealed under another encryption key"),
            _ => broken,
        });
    }
    let Some((nonce, ciphertext)) = rest.split_first_chunk::<NONCE>() else {
        return Err(broken);
    };
    let payload = Payload {
        msg: ciphertext,
        aad: &associated(header, context),
    };
    cipher(key)
        .decrypt(&XNonce::from(*nonce), payload)
        .map(Zeroizing::new)
        .map_err(|_| broken)
}

/// The id of the key that a value was sealed under.
pub(super) fn key_of(sealed: &[u8]) -> Option<[u8; 4]> {
    match sealed {
        [FORMAT, a, b, c, d, ..] => Some([*a, *b, *c, *d]),
        _ => None,
    }
}

fn cipher(key: &Key) -> XChaCha20Poly1305 {
    XChaCha20Poly1305::new(key.bytes().into())
}

/// What a value begins with that the key sealed.
pub(super) const fn header(key: &Key) -> [u8; HEADER] {
    let [a, b, c, d] = key.id();
    [FORMAT, a, b, c, d]
}

/// Each piece with its length in front: `["a", "bc"]` and `["ab", "c"]` must differ.
fn associated(header: [u8; HEADER], context: &[&str]) -> Vec<u8> {
    let mut out = header.to_vec();
    for piece in context {
        out.extend_from_slice(&(piece.len() as u64).to_be_bytes());
        out.extend_from_slice(piece.as_bytes());
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::SystemEntropy;

    const CONTEXT: &[&str] = &["credential", "project", "connection"];

    #[test]
    fn opens_only_where_it_belongs() {
        let key = Key::generate(&SystemEntropy);
        let sealed = seal(&key, &SystemEntropy, CONTEXT, b"canary");
        assert_eq!(open(&key, CONTEXT, &sealed).unwrap().as_slice(), b"canary");
        for context in [
            &["credential", "project", "other"] as &[&str],
            &["credential", "other", "connection"],
            &["oauth_state", "project", "connection"],
            &["credential", "project"],
            &["credential", "projec", "tconnection"],
            &["credential", "project", "connection", ""],
            &[],
        ] {
            assert!(open(&key, context, &sealed).is_err(), "{context:?}");
        }
    }

    #[test]
    fn notices_every_changed_byte_and_every_missing_one() {
        let key = Key::generate(&SystemEntropy);
        let sealed = seal(&key, &SystemEntropy, CONTEXT, b"canary");
        for index in 0..sealed.len() {
            let mut changed = sealed.clone();
            changed[index] ^= 1;
            assert!(open(&key, CONTEXT, &changed).is_err(), "{index}");
            assert!(open(&key, CONTEXT, &sealed[..index]).is_err(), "{index}");
        }
    }

    #[test]
    fn tells_another_key_from_damage_and_never_repeats_itself() {
        let key = Key::generate(&SystemEntropy);
        let sealed = seal(&key, &SystemEntropy, CONTEXT, b"");
        assert_ne!(sealed, seal(&key, &SystemEntropy, CONTEXT, b""));
        let error = open(&Key::generate(&SystemEntropy), CONTEXT, &sealed).unwrap_err();
        assert!(error.to_string().contains("another encryption key"));
    }
}
