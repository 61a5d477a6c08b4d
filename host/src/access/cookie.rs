//! The cookies of operators' browsers.
//!
//! All are `HttpOnly` (no script of a page needs them), `SameSite=Lax` (a link from elsewhere finds
//! the operator signed in, a form from elsewhere does not) and `Path=/`. They are `Secure` wherever
//! browsers would send them back then: over https, and to this machine itself, which browsers
//! trust without encryption. Over plain http to another machine such a cookie would never come
//! back, so there it is not, and the server says at its start that this is no way to run it. Over
//! https their names begin with `__Host-`: browsers then let no other host, such as a neighbour
//! under the same domain, set them.

use std::{fmt, time::Duration};

use secrecy::SecretString;
use url::{Host, Url};

use super::secret::Secret;

/// How this server's cookies are named and set.
#[derive(Clone, Copy, Debug)]
pub struct Cookies {
    prefix: &'static str,
    secure: bool,
}

const SESSION: &str = "jackfield";

impl Cookies {
    /// For a server that browsers reach at this address.
    #[must_use]
    pub fn for_url(public_url: &Url) -> Self {
        let encrypted = public_url.scheme() == "https";
        Self {
            prefix: if encrypted { "__Host-" } else { "" },
            secure: encrypted || is_this_machine(public_url),
        }
    }

    /// Whether browsers keep them from networks.
    #[must_use]
    pub const fn are_secure(&self) -> bool {
        self.secure
    }

    /// The value of the header `Set-Cookie` that sets a cookie.
    #[must_use]
    pub fn set(&self, name: &str, value: impl fmt::Display, life: Duration) -> String {
        let (prefix, seconds) = (self.prefix, life.as_secs());
        let secure = if self.secure { "; Secure" } else { "" };
        format!("{prefix}{name}={value}; Path=/; Max-Age={seconds}; HttpOnly; SameSite=Lax{secure}")
    }

    /// The value of the header `Set-Cookie` that takes a cookie away.
    #[must_use]
    pub fn clear(&self, name: &str) -> String {
        self.set(name, "", Duration::ZERO)
    }

    /// A cookie's value in the header `Cookie`.
    #[must_use]
    pub fn find<'a>(&self, header: &'a str, name: &str) -> Option<&'a str> {
        header.split(';').find_map(|pair| {
            let (key, value) = pair.trim().split_once('=')?;
            (key.strip_prefix(self.prefix)? == name).then_some(value)
        })
    }

    pub(super) fn session(&self, secret: &Secret, life: Duration) -> SecretString {
        SecretString::from(self.set(SESSION, secret.text(), life))
    }

    pub(super) fn session_in<'a>(&self, header: &'a str) -> Option<&'a str> {
        self.find(header, SESSION)
    }

    /// The value of the header `Set-Cookie` that ends a session in the browser.
    #[must_use]
    pub fn clear_session(&self) -> String {
        self.clear(SESSION)
    }
}

fn is_this_machine(url: &Url) -> bool {
    match url.host() {
        Some(Host::Ipv4(address)) => address.is_loopback(),
        Some(Host::Ipv6(address)) => address.is_loopback(),
        Some(Host::Domain(name)) => name == "localhost" || name.ends_with(".localhost"),
        None => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_at(url: &str) -> String {
        let cookies = Cookies::for_url(&Url::parse(url).unwrap());
        cookies.set("a", "b", Duration::from_secs(60))
    }

    #[test]
    fn cookies_are_as_safe_as_the_address_allows() {
        let always = "Path=/; Max-Age=60; HttpOnly; SameSite=Lax";
        for (url, expected) in [
            (
                "https://x.example/",
                format!("__Host-a=b; {always}; Secure"),
            ),
            ("http://127.0.0.1:3000/", format!("a=b; {always}; Secure")),
            ("http://[::1]:3000/", format!("a=b; {always}; Secure")),
            ("http://localhost/", format!("a=b; {always}; Secure")),
            ("http://x.example/", format!("a=b; {always}")),
            ("http://0.0.0.0:3000/", format!("a=b; {always}")),
        ] {
            assert_eq!(set_at(url), expected, "{url}");
        }
    }

    #[test]
    fn a_cookie_is_found_by_its_whole_name() {
        let cookies = Cookies::for_url(&Url::parse("https://x.example").unwrap());
        let header = "jackfield=no; __Host-jackfield2=no; __Host-jackfield=yes";
        assert_eq!(cookies.session_in(header), Some("yes"));
        assert_eq!(cookies.session_in("jackfield=no"), None);
    }
}
