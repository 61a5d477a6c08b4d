//! What an issuer says of a person.

use std::time::Duration;

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Map, Value};

use crate::model::{EmailAddress, Timestamp};

/// How far the issuer's clock may be off.
const SKEW: Duration = Duration::from_secs(60);

/// What an ID token has to be about.
pub(super) struct Expected<'a> {
    pub(super) issuer: &'a str,
    pub(super) client_id: &'a str,
    pub(super) nonce: &'a str,
    pub(super) now: Timestamp,
}

/// The claims of a token that was checked, and those of the UserInfo endpoint.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    issuer: String,
    subject: String,
    all: Map<String, Value>,
}

impl Claims {
    /// Reads an ID token that came from the token endpoint itself.
    ///
    /// Its signature is not checked: OpenID Connect Core 3.1.3.7, point 6, lets TLS to the token
    /// endpoint stand for it where the token comes straight from there, as here it always does.
    /// Everything else of that section is checked.
    ///
    /// # Errors
    /// What is wrong with it.
    pub(super) fn read(token: &str, expected: &Expected<'_>) -> Result<Self, &'static str> {
        let mut parts = token.split('.');
        let (Some(_), Some(payload), Some(_), None) =
            (parts.next(), parts.next(), parts.next(), parts.next())
        else {
            return Err("the ID token is no JWT");
        };
        let payload = URL_SAFE_NO_PAD.decode(payload).ok();
        let all =
            payload.and_then(|bytes| serde_json::from_slice::<Map<String, Value>>(&bytes).ok());
        let all = all.ok_or("the ID token cannot be read")?;
        let text = |name: &str| all.get(name).and_then(Value::as_str);
        let issuer = text("iss").unwrap_or_default();
        if issuer != expected.issuer {
            return Err("the ID token is another issuer's");
        }
        let audience = texts(all.get("aud"));
        if !audience.iter().any(|one| one == expected.client_id) {
            return Err("the ID token is for another client");
        }
        let azp = text("azp");
        if azp.map_or(audience.len() > 1, |azp| azp != expected.client_id) {
            return Err("the ID token was made for another client");
        }
        let expires = all.get("exp").and_then(Value::as_f64).unwrap_or_default();
        let now = expected.now.minus(SKEW).as_millis();
        if Duration::try_from_secs_f64(expires).map_or(0, |life| life.as_millis())
            <= u128::try_from(now).unwrap_or_default()
        {
            return Err("the ID token has expired");
        }
        if text("nonce") != Some(expected.nonce) {
            return Err("the ID token belongs to another login");
        }
        let subject = text("sub").unwrap_or_default();
        if subject.is_empty() || subject.len() > 255 {
            return Err("the ID token names nobody");
        }
        Ok(Self {
            issuer: issuer.to_owned(),
            subject: subject.to_owned(),
            all: all.clone(),
        })
    }

    /// Adds what the UserInfo endpoint says, if it is about the same person (OpenID Connect Core
    /// 5.3.2).
    ///
    /// # Errors
    /// It is about somebody else.
    pub(super) fn add(&mut self, more: Map<String, Value>) -> Result<(), &'static str> {
        if more.get("sub").and_then(Value::as_str) != Some(&self.subject) {
            return Err("the sign-in server spoke of two people");
        }
        for (name, value) in more {
            self.all.entry(name).or_insert(value);
        }
        Ok(())
    }

    pub(super) fn has(&self, name: &str) -> bool {
        self.all.contains_key(name)
    }

    /// Whom it is about, over all issuers.
    pub(super) fn account(&self) -> String {
        format!("{} {}", self.issuer, self.subject)
    }

    /// The e-mail address, if the issuer says that it has verified it: anybody can call himself by
    /// another's.
    pub(super) fn verified_email(&self) -> Option<EmailAddress> {
        let verified = match self.all.get("email_verified")? {
            Value::Bool(verified) => *verified,
            Value::String(text) => text == "true",
            _ => false,
        };
        let email = self.all.get("email")?.as_str()?;
        email.parse().ok().filter(|_| verified)
    }

    pub(super) fn name(&self) -> Option<String> {
        let name = self.all.get("name")?.as_str()?;
        crate::access::links::checked_name(name).ok()
    }

    /// A claim that is a text or a list of texts.
    pub(super) fn texts(&self, name: &str) -> Vec<String> {
        texts(self.all.get(name))
    }
}

fn texts(value: Option<&Value>) -> Vec<String> {
    match value {
        Some(Value::String(text)) => vec![text.clone()],
        Some(Value::Array(values)) => {
            let texts = values.iter().filter_map(Value::as_str);
            texts.map(ToOwned::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_800_000_000_000);

    fn token(change: &Value) -> String {
        let mut claims = json!({
            "iss": "https://issuer.example", "aud": "us", "exp": 1_800_000_060, "nonce": "n",
            "sub": "ada", "email": "Ada@Example.com", "email_verified": true,
        });
        for (name, value) in change.as_object().unwrap() {
            claims[name] = value.clone();
        }
        let part = |value: &Value| URL_SAFE_NO_PAD.encode(value.to_string());
        format!(
            "{}.{}.c2ln",
            part(&json!({ "alg": "RS256" })),
            part(&claims)
        )
    }

    fn read(token: &str) -> Result<Claims, &'static str> {
        let expected = Expected {
            issuer: "https://issuer.example",
            client_id: "us",
            nonce: "n",
            now: NOW,
        };
        Claims::read(token, &expected)
    }

    #[test]
    fn a_token_is_for_us_now_and_for_this_login() {
        let good = read(&token(&json!({}))).unwrap();
        assert_eq!(good.account(), "https://issuer.example ada");
        assert_eq!(good.verified_email().unwrap().as_str(), "ada@example.com");
        assert!(read(&token(&json!({ "aud": ["us", "them"], "azp": "us" }))).is_ok());
        for bad in [
            json!({ "iss": "https://evil.example" }),
            json!({ "aud": "them" }),
            json!({ "aud": [] }),
            json!({ "aud": ["us", "them"] }),
            json!({ "azp": "them" }),
            json!({ "exp": 1_799_999_000 }),
            json!({ "exp": null }),
            json!({ "exp": -1 }),
            json!({ "nonce": "m" }),
            json!({ "nonce": null }),
            json!({ "sub": "" }),
        ] {
            assert!(read(&token(&bad)).is_err(), "{bad}");
        }
        for bad in ["", "a.b", "a.b.c", "a.b.c.d"] {
            assert!(read(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn only_a_verified_address_counts() {
        for unverified in [json!(false), json!(null), json!("no")] {
            let claims = read(&token(&json!({ "email_verified": unverified }))).unwrap();
            assert_eq!(claims.verified_email(), None);
        }
    }

    #[test]
    fn what_is_added_is_about_the_same_person() {
        let mut claims = read(&token(&json!({}))).unwrap();
        let more = |value: Value| value.as_object().unwrap().clone();
        assert!(claims.add(more(json!({ "sub": "bob" }))).is_err());
        let groups = json!({ "sub": "ada", "groups": ["a"], "email": "eve@evil.example" });
        claims.add(more(groups)).unwrap();
        assert_eq!(claims.texts("groups"), ["a"]);
        assert_eq!(claims.verified_email().unwrap().as_str(), "ada@example.com");
    }
}
