//! The cookie that binds a login at a provider to the browser that began it on a connect page.
//!
//! Without it, whoever begins a login could send the provider's page to somebody else, and have
//! that person's account in a connection of their own. It is set by an answer that a whole window
//! shows, so that it is sent when the provider leads that window back, also where the page that
//! opened the window is in another site's frame.

use std::time::Duration;

use axum::http::{HeaderMap, HeaderValue, header};
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use crate::access::Cookies;

const NAME: &str = "jackfield-connect-";
/// How much of a state tells logins of one browser apart.
const PART: usize = 16;
/// As long as the login may take.
const LIFE: Duration = Duration::from_secs(600);

/// The value of the header `Set-Cookie` for a login that begins.
pub(super) fn set(public_url: &Url, state: &str, secret: &SecretString) -> Option<HeaderValue> {
    let cookies = Cookies::for_url(public_url);
    let text = cookies.set(&name(state)?, secret.expose_secret(), LIFE);
    HeaderValue::from_str(&text).ok()
}

/// The one that takes it away.
pub(super) fn clear(public_url: &Url, state: &str) -> Option<HeaderValue> {
    let text = Cookies::for_url(public_url).clear(&name(state)?);
    HeaderValue::from_str(&text).ok()
}

/// What the browser sent of a login.
pub(super) fn find(public_url: &Url, headers: &HeaderMap, state: &str) -> Option<SecretString> {
    let (cookies, name) = (Cookies::for_url(public_url), name(state)?);
    let sent = headers.get_all(header::COOKIE).iter();
    let mut sent = sent.filter_map(|value| value.to_str().ok());
    let found = sent.find_map(|value| cookies.find(value, &name));
    found.map(SecretString::from)
}

fn name(state: &str) -> Option<String> {
    let part = state.get(..PART)?;
    let good = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
    part.bytes().all(good).then(|| format!("{NAME}{part}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_login_has_a_cookie_of_its_own() {
        let url = Url::parse("https://x.example").unwrap();
        let (one, other) = ("a".repeat(43), "b".repeat(43));
        let set = |state, secret: &str| set(&url, state, &secret.into()).unwrap();
        let first = set(&one, "first");
        assert_eq!(
            first,
            "__Host-jackfield-connect-aaaaaaaaaaaaaaaa=first; Path=/; Max-Age=600; HttpOnly; \
             SameSite=Lax; Secure"
        );
        let mut headers = HeaderMap::new();
        for (state, secret) in [(&one, "first"), (&other, "second")] {
            let cookie = set(state, secret);
            let (pair, _) = cookie.to_str().unwrap().split_once(';').unwrap();
            headers.append(header::COOKIE, pair.parse().unwrap());
        }
        for (state, secret) in [(&one, "first"), (&other, "second")] {
            let found = find(&url, &headers, state).unwrap();
            assert_eq!(found.expose_secret(), secret);
        }
        for unknown in ["", "a", &"c".repeat(43), "a=b; aaaaaaaaaaaaaaaaaaaaaa"] {
            assert!(find(&url, &headers, unknown).is_none(), "{unknown}");
        }
    }
}
