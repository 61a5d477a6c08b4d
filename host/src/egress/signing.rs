//! Signatures made with a secret on behalf of somebody who must not read it.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use ring::{
    hmac,
    rand::SystemRandom,
    signature::{ECDSA_P256_SHA256_FIXED_SIGNING, EcdsaKeyPair, RSA_PKCS1_SHA256, RsaKeyPair},
};
use rustls::pki_types::{PrivatePkcs8KeyDer, pem::PemObject};
use secrecy::{ExposeSecret, SecretString};

/// Why nothing was signed. The texts hold nothing of the secret.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
pub enum SigningError {
    /// The algorithm is not one of `HS256`, `RS256`, `ES256`.
    #[error("{0:?} is no algorithm this server signs with: it knows HS256, RS256 and ES256")]
    Algorithm(String),
    /// The claims are not a JSON object.
    #[error("the claims are not a JSON object")]
    Claims,
    /// The secret is not a key for the algorithm.
    #[error("the secret is no private key for {0}: it must be a PEM text in PKCS #8")]
    Key(&'static str),
}

/// HMAC-SHA-256 of `data` under the secret's bytes.
#[must_use]
pub fn hmac_sha256(secret: &SecretString, data: &[u8]) -> [u8; 32] {
    hmac_sha256_bytes(secret.expose_secret().as_bytes(), data)
}

/// The same under a key that is no text.
#[must_use]
pub fn hmac_sha256_bytes(key: &[u8], data: &[u8]) -> [u8; 32] {
    let key = hmac::Key::new(hmac::HMAC_SHA256, key);
    let tag = hmac::sign(&key, data);
    let mut out = [0; 32];
    out.copy_from_slice(tag.as_ref());
    out
}

/// Whether `tag` is the HMAC-SHA-256 of `data` under the secret's bytes; how long it takes tells
/// nothing of where they differ.
#[must_use]
pub fn verify_hmac_sha256(secret: &SecretString, data: &[u8], tag: &[u8]) -> bool {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose_secret().as_bytes());
    hmac::verify(&key, data, tag).is_ok()
}

/// A compact JWS (RFC 7515) over `claims`, a JSON object that is signed as it is spelled.
///
/// `HS256` takes the secret's bytes; `RS256` and `ES256` take it as a PEM private key in PKCS #8.
///
/// # Errors
/// The algorithm is unknown, the claims are no object, or the secret is no key.
pub fn sign_jwt(
    secret: &SecretString,
    algorithm: &str,
    claims: &str,
) -> Result<String, SigningError> {
    serde_json::from_str::<serde_json::Map<String, serde_json::Value>>(claims)
        .map_err(|_| SigningError::Claims)?;
    let header = match algorithm {
        "HS256" | "RS256" | "ES256" => format!(r#"{{"alg":"{algorithm}","typ":"JWT"}}"#),
        other => {
            return Err(SigningError::Algorithm(other.chars().take(32).collect()));
        }
    };
    let message = format!(
        "{}.{}",
        URL_SAFE_NO_PAD.encode(header),
        URL_SAFE_NO_PAD.encode(claims)
    );
    let signature = match algorithm {
        "HS256" => hmac_sha256(secret, message.as_bytes()).to_vec(),
        "RS256" => rs256(secret, message.as_bytes()).ok_or(SigningError::Key("RS256"))?,
        _ => es256(secret, message.as_bytes()).ok_or(SigningError::Key("ES256"))?,
    };
    Ok(format!("{message}.{}", URL_SAFE_NO_PAD.encode(signature)))
}

fn rs256(secret: &SecretString, message: &[u8]) -> Option<Vec<u8>> {
    let pair = RsaKeyPair::from_pkcs8(pkcs8(secret)?.secret_pkcs8_der()).ok()?;
    let mut signature = vec![0; pair.public().modulus_len()];
    pair.sign(
        &RSA_PKCS1_SHA256,
        &SystemRandom::new(),
        message,
        &mut signature,
    )
    .ok()?;
    Some(signature)
}

fn es256(secret: &SecretString, message: &[u8]) -> Option<Vec<u8>> {
    let random = SystemRandom::new();
    let key = pkcs8(secret)?;
    let pair = EcdsaKeyPair::from_pkcs8(
        &ECDSA_P256_SHA256_FIXED_SIGNING,
        key.secret_pkcs8_der(),
        &random,
    )
    .ok()?;
    Some(pair.sign(&random, message).ok()?.as_ref().to_vec())
}

fn pkcs8(secret: &SecretString) -> Option<PrivatePkcs8KeyDer<'static>> {
    PrivatePkcs8KeyDer::from_pem_slice(secret.expose_secret().as_bytes()).ok()
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;
    use ring::signature::{
        ECDSA_P256_SHA256_FIXED, KeyPair, RSA_PKCS1_2048_8192_SHA256, UnparsedPublicKey,
    };

    use super::*;

    /// Made for this test; it guards nothing.
    const RSA_KEY: &str = include_str!("signing/rsa-test-key.pem");

    fn parts(token: &str) -> (&str, Vec<u8>) {
        let (message, signature) = token.rsplit_once('.').unwrap();
        (message, URL_SAFE_NO_PAD.decode(signature).unwrap())
    }

    #[test]
    fn hmac_is_that_of_rfc_4231() {
        let sum = hmac_sha256(&"Jefe".into(), b"what do ya want for nothing?");
        let text: String = sum.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            text,
            "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"
        );
    }

    #[test]
    fn hs256_signs_the_claims_as_spelled() {
        let token = sign_jwt(&"key".into(), "HS256", r#"{ "iss": "a" }"#).unwrap();
        let (message, signature) = parts(&token);
        assert_eq!(
            message,
            "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9.eyAiaXNzIjogImEiIH0"
        );
        assert_eq!(signature, hmac_sha256(&"key".into(), message.as_bytes()));
    }

    #[test]
    fn rs256_and_es256_verify() {
        let token = sign_jwt(&RSA_KEY.into(), "RS256", "{}").unwrap();
        let (message, signature) = parts(&token);
        let pair = RsaKeyPair::from_pkcs8(pkcs8(&RSA_KEY.into()).unwrap().secret_pkcs8_der());
        UnparsedPublicKey::new(
            &RSA_PKCS1_2048_8192_SHA256,
            pair.unwrap().public_key().as_ref(),
        )
        .verify(message.as_bytes(), &signature)
        .unwrap();

        let random = SystemRandom::new();
        let der = EcdsaKeyPair::generate_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, &random).unwrap();
        let pem = format!(
            "-----BEGIN PRIVATE KEY-----\n{}\n-----END PRIVATE KEY-----\n",
            STANDARD.encode(der.as_ref())
        );
        let token = sign_jwt(&pem.into(), "ES256", "{}").unwrap();
        let (message, signature) = parts(&token);
        let pair =
            EcdsaKeyPair::from_pkcs8(&ECDSA_P256_SHA256_FIXED_SIGNING, der.as_ref(), &random)
                .unwrap();
        UnparsedPublicKey::new(&ECDSA_P256_SHA256_FIXED, pair.public_key().as_ref())
            .verify(message.as_bytes(), &signature)
            .unwrap();
    }

    #[test]
    fn refuses_what_it_cannot_sign() {
        let key = SecretString::from("canary");
        assert_eq!(sign_jwt(&key, "HS256", "[]"), Err(SigningError::Claims));
        assert_eq!(
            sign_jwt(&key, "none", "{}"),
            Err(SigningError::Algorithm("none".to_owned()))
        );
        assert_eq!(
            sign_jwt(&key, "RS256", "{}"),
            Err(SigningError::Key("RS256"))
        );
        let error = sign_jwt(&RSA_KEY.into(), "ES256", "{}").unwrap_err();
        assert_eq!(error, SigningError::Key("ES256"));
        assert!(!error.to_string().contains("canary"));
    }
}
