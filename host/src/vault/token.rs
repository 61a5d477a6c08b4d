//! The form of API keys and connection tokens: a prefix, 30 random characters, 6 characters of
//! checksum, all base62.
//!
//! Secret scanners recognise it, and a typing error is refused without asking the database.
//! 178 random bits need no slow hash: a token is looked up by its SHA-256.

use secrecy::{SecretString, zeroize::Zeroizing};

use crate::model::{Digest, Entropy};

pub(super) const API_KEY: &str = "jk_";
/// Of the operator, for the whole server and no project.
pub(super) const OPERATOR_KEY: &str = "jo_";
pub(super) const CONNECTION_TOKEN: &str = "ct_";
pub(super) const CONNECT_LINK: &str = "cl_";
/// Of a login that waits for the choice of an account.
pub(super) const CHOICE: &str = "cc_";

const ALPHABET: &[u8; 62] = b"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
const RANDOM: usize = 30;
const CHECKSUM: usize = 6;

/// A new token, its hash for looking it up, and what may be shown of it in a list.
pub(super) fn generate(prefix: &str, entropy: &dyn Entropy) -> (SecretString, Digest, String) {
    let mut text = Zeroizing::new(String::with_capacity(prefix.len() + RANDOM + CHECKSUM));
    text.push_str(prefix);
    while text.len() < prefix.len() + RANDOM {
        let mut byte = [0];
        entropy.fill(&mut byte);
        // 248 is the largest multiple of 62 in a byte: beyond it some characters would be likelier.
        if byte < [248] {
            text.push(character(u32::from(byte[0])));
        }
    }
    let checksum = checksum(&text);
    text.push_str(&checksum);
    let last: String = text.chars().skip(text.len() - 4).collect();
    (
        SecretString::from(text.as_str()),
        Digest::of(text.as_bytes()),
        format!("{prefix}…{last}"),
    )
}

/// The hash of a well-formed token with this prefix; none for any other text.
pub(super) fn parse(prefix: &str, text: &str) -> Option<Digest> {
    let (body, given) = text.split_at_checked(prefix.len() + RANDOM)?;
    let random = body.strip_prefix(prefix)?;
    let well_formed = random.bytes().all(|byte| byte.is_ascii_alphanumeric());
    (well_formed && given == checksum(body)).then(|| Digest::of(text))
}

fn checksum(body: &str) -> String {
    let mut rest = crc32(body.as_bytes());
    let mut out = [' '; CHECKSUM];
    for place in out.iter_mut().rev() {
        *place = character(rest);
        rest /= 62;
    }
    out.iter().collect()
}

fn character(number: u32) -> char {
    let index = (number % 62) as usize;
    ALPHABET.get(index).map_or('0', |byte| char::from(*byte))
}

/// CRC-32 as in ISO 3309 and gzip.
fn crc32(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| {
            (crc >> 1) ^ if crc & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

#[cfg(test)]
mod tests {
    use secrecy::ExposeSecret as _;

    use super::*;
    use crate::model::SystemEntropy;

    #[test]
    fn what_is_made_is_recognised() {
        let (token, digest, hint) = generate(API_KEY, &SystemEntropy);
        let text = token.expose_secret();
        assert_eq!(text.len(), 39);
        assert_eq!(parse(API_KEY, text), Some(digest));
        assert_eq!(hint.chars().count(), 8);
        assert!(text.ends_with(hint.strip_prefix("jk_…").unwrap()));
        assert_eq!(parse(CONNECTION_TOKEN, text), None);
        let (other, ..) = generate(API_KEY, &SystemEntropy);
        assert_ne!(text, other.expose_secret());
    }

    #[test]
    fn every_wrong_character_is_noticed() {
        let (token, ..) = generate(CONNECTION_TOKEN, &SystemEntropy);
        let text = token.expose_secret();
        for index in 0..text.len() {
            let mut changed = text.as_bytes().to_vec();
            changed[index] = if changed[index] == b'x' { b'y' } else { b'x' };
            let changed = String::from_utf8(changed).unwrap();
            assert_eq!(parse(CONNECTION_TOKEN, &changed), None, "{index}");
        }
        for bad in [
            "",
            "ct_",
            text.strip_prefix('c').unwrap(),
            &format!("{text}x"),
            &"ü".repeat(20),
        ] {
            assert_eq!(parse(CONNECTION_TOKEN, bad), None, "{bad}");
        }
    }

    #[test]
    fn the_checksum_is_the_usual_crc() {
        assert_eq!(crc32(b"123456789"), 0xcbf4_3926);
    }
}
