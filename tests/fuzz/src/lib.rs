//! One function for each place where bytes of strangers come in first. Each takes any bytes and
//! panics where a promise is broken; a typed error is a good answer.
//!
//! `tests/short.rs` runs them over the corpus and over changed copies of it, `just fuzz` with
//! libFuzzer for as long as one likes.

mod boundary;
#[path = "../../../host/tests/runtime/guest.rs"]
mod guest;
mod provider;

use jackfield::{
    model::{Cursor, HttpRule, Manifest},
    runtime::Artifact,
};
use url::Url;

pub use boundary::boundary;
pub use provider::provider_json;

/// What takes bytes.
pub type Target = fn(&[u8]);

/// All of them, by the names of their folders in `corpus/`.
pub const TARGETS: [(&str, Target); 6] = [
    ("manifest", manifest),
    ("component", component),
    ("boundary", boundary),
    ("cursor", cursor),
    ("rule", rule),
    ("provider_json", provider_json),
];

/// The text of a manifest. An error names what is wrong in a few lines.
///
/// # Panics
/// A promise is broken.
pub fn manifest(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    match Manifest::parse(text) {
        Ok(manifest) => {
            assert!(!manifest.objects.is_empty(), "a connector without objects");
            for object in &manifest.objects {
                assert!(manifest.object(object.kind).is_some(), "{object:?}");
            }
        }
        Err(error) => {
            let said = error.to_string();
            assert!(!said.is_empty(), "an error without words");
            assert!(
                said.len() <= 4 * text.len() + 2_000,
                "an error far longer than what it is about"
            );
        }
    }
}

/// The bytes of a connector's file.
pub fn component(data: &[u8]) {
    drop(Artifact::read(data));
}

/// A cursor of a list. What is taken comes back as it was.
///
/// # Panics
/// A promise is broken.
pub fn cursor(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    if let Ok(cursor) = Cursor::decode(text) {
        let again = Cursor::decode(&cursor.encode());
        assert_eq!(again.ok(), Some(cursor), "a cursor changes on its way");
    }
}

/// A rule of `[permissions] http` and, on the next line, a URL. What a rule without variables and
/// `*.` allows is at its host and port and under its path.
///
/// # Panics
/// A promise is broken.
pub fn rule(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    let (rule, url) = text.split_once('\n').unwrap_or((text, ""));
    let Ok(parsed) = HttpRule::parse(rule) else {
        return;
    };
    let Ok(host) = parsed.fill(&std::collections::BTreeMap::new()) else {
        return;
    };
    let shown = host.to_string();
    let again = HttpRule::parse(&shown).map(|rule| rule.to_string());
    assert_eq!(
        again.as_deref(),
        Ok(shown.as_str()),
        "{rule:?} is not shown as it is meant"
    );
    let Ok(url) = Url::parse(url) else { return };
    if !host.allows(&url) {
        return;
    }
    let plain = shown.replacen("*.", "label.", 1);
    let base = Url::parse(&plain).expect("a rule is shown as a URL");
    assert_eq!(url.scheme(), base.scheme(), "{rule} allows {url}");
    assert_eq!(
        url.port_or_known_default(),
        base.port_or_known_default(),
        "{rule} allows {url}"
    );
    let bare = |url: &Url| {
        url.host_str()
            .map(|host| host.trim_end_matches('.').to_owned())
    };
    if shown.contains("*.") {
        let suffix = bare(&base).map(|host| host.trim_start_matches("label").to_owned());
        let (Some(host), Some(suffix)) = (bare(&url), suffix) else {
            panic!("{rule} allows {url}");
        };
        let label = host.strip_suffix(&suffix);
        assert!(
            label.is_some_and(|label| !label.is_empty() && !label.contains('.')),
            "{rule} allows {url}"
        );
    } else {
        assert_eq!(bare(&url), bare(&base), "{rule} allows {url}");
    }
    assert!(
        url.path().starts_with(base.path().trim_end_matches('/')),
        "{rule} allows {url}"
    );
}
