//! What connectors ask for, in plain words.

use maud::{Markup, html};

use crate::{
    model::consent::UNSIGNED,
    web::parts::{self, Tone},
};

/// A permission line (see [`crate::model::Asked`]) as a sentence without its full stop.
pub(in crate::dashboard) fn permission(line: &str) -> String {
    let (kind, rest) = line.split_once(' ').unwrap_or((line, ""));
    match kind {
        "http" if rest.starts_with('{') => {
            format!("Sends requests to the address that each customer gives ({rest})")
        }
        "http" => format!("Sends requests to {rest}"),
        "secret" => format!("Signs with the login's “{rest}” without ever seeing it"),
        "memory" => format!("Uses up to {rest} of memory for a call"),
        "variable" => match rest.split_once(' ') {
            Some((name, "url")) => format!("Asks customers for an address (“{name}”)"),
            Some((name, "host")) => format!("Asks customers for a host name (“{name}”)"),
            Some((name, _)) => format!("Asks customers for a word of an address (“{name}”)"),
            None => format!("Asks customers for “{rest}”"),
        },
        "login" => login(rest),
        "webhooks" => match rest.split_once(" signed with ") {
            Some((_, "client")) => "Takes webhooks signed with the OAuth app's secret".to_owned(),
            Some((_, "operator")) => {
                "Takes webhooks signed with a secret that you configure".to_owned()
            }
            Some((_, "connection")) => {
                "Takes webhooks signed with a secret of each connection".to_owned()
            }
            _ => format!("Takes webhooks {rest}"),
        },
        _ => line.to_owned(),
    }
}

fn login(text: &str) -> String {
    let (name, rest) = text.split_once(' ').unwrap_or((text, ""));
    if let Some(url) = rest.strip_prefix("sends browsers to ") {
        return format!("Sends customers' browsers to {url} to sign in (“{name}”)");
    }
    if let Some(url) = rest.strip_prefix("exchanges tokens at ") {
        return format!("Gets tokens at {url} (“{name}”)");
    }
    if let Some(url) = rest.strip_prefix("revokes tokens at ") {
        return format!("Gives tokens back at {url} (“{name}”)");
    }
    if let Some(scope) = rest.strip_prefix("scope ") {
        return format!("Asks the provider for “{scope}” (“{name}”)");
    }
    format!("Lets customers log in with {} (“{name}”)", scheme(rest))
}

/// A type of scheme in words.
pub(in crate::dashboard) fn scheme(kind: &str) -> &str {
    match kind {
        "oauth2_code" => "OAuth in the browser",
        "oauth2_client_credentials" => "an OAuth client of their own",
        "api_key" => "an API key",
        "basic" => "user name and password",
        "bearer" => "a token",
        other => other,
    }
}

/// Permission lines as a list; those that are `added` are marked in words too.
pub(in crate::dashboard) fn permissions(lines: &[String], added: &[String]) -> Markup {
    html! {
        ul.permissions {
            @for line in lines {
                li {
                    (permission(line))
                    @if added.contains(line) { " " (parts::badge(Tone::Warn, "new")) }
                }
            }
        }
    }
}

/// Who signed it.
pub(in crate::dashboard) fn publisher(publisher: Option<&str>) -> Markup {
    html! {
        @match publisher {
            None => span.muted { "–" },
            Some(UNSIGNED) => (parts::badge(Tone::Neutral, "unsigned")),
            Some(key) => {
                (parts::badge(Tone::Info, "signed")) " "
                code.small title=(key) { (short(key)) }
            }
        }
    }
}

/// The beginning of a publisher's key, or of a digest.
pub(in crate::dashboard) fn short(text: &str) -> String {
    let is_long = text.chars().count() > 22;
    let start: String = text.chars().take(20).collect();
    if is_long {
        format!("{start}…")
    } else {
        start
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_line_has_words() {
        for (line, words) in [
            (
                "http https://api.example.com/",
                "Sends requests to https://api.example.com/",
            ),
            (
                "http {address}/",
                "Sends requests to the address that each customer gives ({address}/)",
            ),
            ("memory 64 MiB", "Uses up to 64 MiB of memory for a call"),
            (
                "variable address url",
                "Asks customers for an address (“address”)",
            ),
            (
                "login oauth oauth2_code",
                "Lets customers log in with OAuth in the browser (“oauth”)",
            ),
            (
                "login oauth scope people.read",
                "Asks the provider for “people.read” (“oauth”)",
            ),
            (
                "webhooks by account signed with client",
                "Takes webhooks signed with the OAuth app's secret",
            ),
            ("something new", "something new"),
        ] {
            assert_eq!(permission(line), words);
        }
    }
}
