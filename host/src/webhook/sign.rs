//! Two signatures on every delivery: that of Standard Webhooks, over id, time and body, and the
//! wire contract's `Panora-Signature`, over the data alone.

use base64::{Engine as _, engine::general_purpose::STANDARD};
use secrecy::{ExposeSecret as _, SecretString};
use serde_json::Value;

use crate::{
    egress::signing,
    model::{Entropy, Timestamp},
};

/// What secrets begin with; the rest is base64.
const PREFIX: &str = "whsec_";

/// A new secret: 32 random bytes.
pub(super) fn new_secret(entropy: &dyn Entropy) -> SecretString {
    let mut bytes = [0; 32];
    entropy.fill(&mut bytes);
    format!("{PREFIX}{}", STANDARD.encode(bytes)).into()
}

/// `webhook-signature`: `v1,` and the signature in base64 for each secret, with spaces between.
pub(super) fn standard(secrets: &[SecretString], id: &str, at: Timestamp, body: &str) -> String {
    let seconds = seconds(at);
    let signed = format!("{id}.{seconds}.{body}");
    let signatures = secrets.iter().map(|secret| {
        let text = secret.expose_secret();
        // A secret without the usual form signs with its text.
        let key = text
            .strip_prefix(PREFIX)
            .and_then(|encoded| STANDARD.decode(encoded).ok());
        let key = key.unwrap_or_else(|| text.as_bytes().to_vec());
        let signature = signing::hmac_sha256_bytes(&key, signed.as_bytes());
        format!("v1,{}", STANDARD.encode(signature))
    });
    signatures.collect::<Vec<_>>().join(" ")
}

/// Seconds since the epoch, as `webhook-timestamp` has them.
pub(super) fn seconds(at: Timestamp) -> i64 {
    at.as_millis().div_euclid(1000)
}

/// `Panora-Signature`: in hexadecimal, under the bytes of the secret's text.
pub(super) fn contract(secret: &SecretString, data: &str) -> String {
    let signature = signing::hmac_sha256(secret, data.as_bytes());
    signature.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// Whether a text is the contract's signature of `data`. It may be in capitals.
pub(super) fn is_contract(secret: &SecretString, data: &Value, signature: &str) -> bool {
    let Some(tag) = hexadecimal(signature.trim()) else {
        return false;
    };
    signing::verify_hmac_sha256(secret, canonical(data).as_bytes(), &tag)
}

fn hexadecimal(text: &str) -> Option<Vec<u8>> {
    let digit = |byte: &u8| char::from(*byte).to_digit(16);
    let pairs = text.as_bytes().chunks(2);
    pairs
        .map(|pair| match pair {
            [high, low] => u8::try_from(digit(high)? << 4 | digit(low)?).ok(),
            _ => None,
        })
        .collect()
}

/// Compact JSON with the keys of every object in order, so that a signature does not depend on
/// how somebody's library keeps them.
pub(super) fn canonical(value: &Value) -> String {
    let mut out = String::new();
    write(value, &mut out);
    out
}

fn write(value: &Value, out: &mut String) {
    match value {
        Value::Object(object) => {
            let mut entries: Vec<_> = object.iter().collect();
            entries.sort_by_key(|(key, _)| *key);
            out.push('{');
            for (index, (key, value)) in entries.into_iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                out.push_str(&Value::from(key.as_str()).to_string());
                out.push(':');
                write(value, out);
            }
            out.push('}');
        }
        Value::Array(values) => {
            out.push('[');
            for (index, value) in values.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write(value, out);
            }
            out.push(']');
        }
        plain => out.push_str(&plain.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_contract_has_a_vector() {
        let secret = SecretString::from("whsec_test");
        let data = json!({"id": "c1", "first_name": "John"});
        let expected = "85c2bf1303f6ccbf45a922c456c83f77df536f4a4194a7ccfce5f77b591cbb78";
        assert_eq!(contract(&secret, &canonical(&data)), expected);
        assert!(is_contract(&secret, &data, expected));
        assert!(is_contract(&secret, &data, &expected.to_uppercase()));
        let doubled = expected.repeat(2);
        let short = expected.get(..62).unwrap();
        for wrong in ["", "zz", "8", short, &doubled, &expected.replace('8', "9")] {
            assert!(!is_contract(&secret, &data, wrong), "{wrong}");
        }
        assert!(!is_contract(&"whsec_other".into(), &data, expected));
        assert!(!is_contract(&secret, &json!({"id": "c1"}), expected));
    }

    #[test]
    fn standard_webhooks_has_a_vector() {
        // Of the specification's reference libraries.
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let at = Timestamp::from_millis(1_614_265_330_000);
        let signature = standard(
            std::slice::from_ref(&secret),
            "msg_p5jXN8AQM9LWM0D4loKWxJek",
            at,
            r#"{"test": 2432232314}"#,
        );
        assert_eq!(signature, "v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=");
    }

    #[test]
    fn keys_are_in_order_at_every_level() {
        let value = json!({"b": [{"z": 1, "a": "ä\n"}], "a": null, "c": 1.5});
        assert_eq!(
            canonical(&value),
            r#"{"a":null,"b":[{"a":"ä\n","z":1}],"c":1.5}"#
        );
    }
}
