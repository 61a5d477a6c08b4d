//! Messages without what differs from time to time, so that the same error is known again.

use crate::model::Digest;

/// Words after which a number of three digits is a status.
const BEFORE_STATUS: [&str; 5] = ["answered", "status", "http", "code", "error"];
/// A longer word is an id, not a word.
const LONGEST_WORD: usize = 40;
/// A word with digits that is at least this long is an id.
const SHORTEST_ID: usize = 8;

/// A message with ids, numbers, times, names of hosts and whatever is quoted replaced by words in
/// capitals.
#[must_use]
pub fn normalised(message: &str) -> String {
    let message = without_quotes(message);
    let mut words: Vec<String> = Vec::new();
    let mut before = String::new();
    for word in message.split_whitespace() {
        let core = word.trim_matches(is_edge);
        let replaced = if core.is_empty() {
            word.to_owned()
        } else {
            word.replacen(core, &kind_of(core, &before), 1)
        };
        before = core.to_ascii_lowercase();
        words.push(replaced);
    }
    words.join(" ")
}

/// The status that a message tells of: `the receiver answered 503`, `HTTP 401`, `status: 429`.
#[must_use]
pub(super) fn status_in(message: &str) -> Option<u16> {
    let mut before = String::new();
    for word in message.split_whitespace() {
        let core = word.trim_matches(is_edge);
        if is_status(core, &before) {
            return core.parse().ok();
        }
        before = core.to_ascii_lowercase();
    }
    None
}

/// Sixteen hexadecimal digits that are the same for the same pattern of the same kind at the same
/// place: a connector, or an endpoint.
#[must_use]
pub(super) fn fingerprint(place: &str, kind: &str, pattern: &str) -> String {
    let pieces = [place, kind, pattern].map(str::as_bytes);
    let digest = Digest::of_all(&pieces).to_string();
    digest.chars().take(16).collect()
}

fn is_edge(letter: char) -> bool {
    !letter.is_alphanumeric()
}

fn is_status(word: &str, before: &str) -> bool {
    let digits = word.len() == 3 && word.bytes().all(|byte| byte.is_ascii_digit());
    digits && ("100"..="599").contains(&word) && BEFORE_STATUS.contains(&before)
}

fn kind_of(word: &str, before: &str) -> String {
    let has_digit = word.bytes().any(|byte| byte.is_ascii_digit());
    let is_hex = |word: &str| {
        word.bytes()
            .all(|byte| byte.is_ascii_hexdigit() || byte == b'-')
    };
    if word.starts_with("http://") || word.starts_with("https://") {
        return "URL".to_owned();
    }
    if word.contains('@') {
        return "EMAIL".to_owned();
    }
    if !has_digit {
        let is_host = word.contains('.') && !word.contains('_') && word.is_ascii();
        return match () {
            () if word.chars().count() > LONGEST_WORD => "ID".to_owned(),
            () if is_host => "HOST".to_owned(),
            () => word.to_owned(),
        };
    }
    if is_status(word, before) {
        return word.to_owned();
    }
    let bytes = word.as_bytes();
    let is_time = bytes.len() >= 10 && bytes.get(4) == Some(&b'-') && bytes.get(7) == Some(&b'-');
    let is_clock = word.len() >= 5
        && word
            .bytes()
            .all(|byte| byte.is_ascii_digit() || byte == b':');
    if word.bytes().all(|byte| byte.is_ascii_digit()) {
        "N".to_owned()
    } else if is_clock || is_time && (bytes.len() == 10 || !is_hex(&word.replace('-', ""))) {
        "TIME".to_owned()
    } else if word.parse::<std::net::IpAddr>().is_ok() {
        "ADDRESS".to_owned()
    } else if is_hex(word) && word.len() >= SHORTEST_ID || word.len() >= SHORTEST_ID + 4 {
        "ID".to_owned()
    } else {
        numbers_out(word)
    }
}

/// `25s` becomes `Ns`.
fn numbers_out(word: &str) -> String {
    let mut text = String::with_capacity(word.len());
    for letter in word.chars() {
        match letter.is_ascii_digit() {
            true if text.ends_with('N') => {}
            true => text.push('N'),
            false => text.push(letter),
        }
    }
    text
}

/// What stands in quotation marks is a value: it becomes three dots.
fn without_quotes(message: &str) -> String {
    let letters: Vec<char> = message.chars().collect();
    let mut text = String::with_capacity(message.len());
    let mut at = 0;
    while let Some(&letter) = letters.get(at) {
        let closing = match letter {
            '"' => Some('"'),
            '“' => Some('”'),
            '«' => Some('»'),
            // Else it is an apostrophe.
            '\'' if !text.ends_with(char::is_alphanumeric) => Some('\''),
            _ => None,
        };
        let end = closing.and_then(|closing| {
            let rest = letters.get(at + 1..)?;
            Some(at + 1 + rest.iter().position(|other| *other == closing)?)
        });
        match end {
            Some(end) => {
                text.push_str("\"…\"");
                at = end + 1;
            }
            None => {
                text.push(letter);
                at += 1;
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_error_is_known_again() {
        for (message, pattern) in [
            (
                "the provider asks to wait 37 s",
                "the provider asks to wait N s",
            ),
            (
                "the provider is not available: HTTP 503 at 2026-11-22T10:00:00Z",
                "the provider is not available: HTTP 503 at TIME",
            ),
            (
                "there is no contact 0199c0de-1111-7abc-8def-0123456789ab",
                "there is no contact ID",
            ),
            (
                "the provider refuses email: \"ada@example.com\" is taken",
                "the provider refuses email: \"…\" is taken",
            ),
            ("mail to ada@example.com, please", "mail to EMAIL, please"),
            (
                "no connection to redmine.example.com: Connection refused (os error 111)",
                "no connection to HOST: Connection refused (os error 111)",
            ),
            ("10.1.2.3 is private", "ADDRESS is private"),
            (
                "it doesn't answer since 10:42:01",
                "it doesn't answer since TIME",
            ),
            ("stopped after 25s of v3", "stopped after Ns of vN"),
            (
                "set egress.allow_private; see https://example.com/a?b=c",
                "set egress.allow_private; see URL",
            ),
            ("it's 'Ada Lovelace' again", "it's \"…\" again"),
        ] {
            assert_eq!(normalised(message), pattern);
            assert_eq!(normalised(pattern), pattern, "a pattern is its own pattern");
        }
    }

    #[test]
    fn statuses_are_read_where_the_word_before_says_so() {
        assert_eq!(status_in("the receiver answered 503"), Some(503));
        assert_eq!(status_in("unexpected status: 401."), Some(401));
        assert_eq!(status_in("503 records were read"), None);
        assert_eq!(status_in("HTTP 999"), None);
    }

    #[test]
    fn fingerprints_tell_places_and_kinds_apart() {
        let one = fingerprint("demo-crm", "auth", "a");
        assert_eq!(one.len(), 16);
        assert_eq!(one, fingerprint("demo-crm", "auth", "a"));
        assert_ne!(one, fingerprint("hubspot", "auth", "a"));
        assert_ne!(one, fingerprint("demo-crm", "network", "a"));
    }
}
