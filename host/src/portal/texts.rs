//! The words of the pages, in every language. They are data: `texts/*.{en,de,fr}.json`.

use std::{collections::BTreeMap, sync::LazyLock};

use crate::model::{LANGUAGES, ObjectKind};

/// Files of each language, in the order of [`LANGUAGES`]. A section of the pages has a file of its
/// own; keys are unique over all of them.
const FILES: [&[&str]; LANGUAGES.len()] = [
    &[
        include_str!("texts/login.en.json"),
        include_str!("texts/manage.en.json"),
        include_str!("texts/objects.en.json"),
    ],
    &[
        include_str!("texts/login.de.json"),
        include_str!("texts/manage.de.json"),
        include_str!("texts/objects.de.json"),
    ],
    &[
        include_str!("texts/login.fr.json"),
        include_str!("texts/manage.fr.json"),
        include_str!("texts/objects.fr.json"),
    ],
];

static ALL: LazyLock<Vec<Texts>> = LazyLock::new(|| {
    let languages = LANGUAGES.iter().zip(FILES);
    let texts = languages.map(|(language, files)| Texts {
        language,
        words: files.iter().flat_map(|file| words(file)).collect(),
    });
    texts.collect()
});

fn words(file: &str) -> BTreeMap<String, String> {
    serde_json::from_str(file).expect("the files are checked by a test")
}

/// The words of one language.
#[derive(Debug)]
pub(crate) struct Texts {
    /// Which (BCP 47).
    pub(crate) language: &'static str,
    words: BTreeMap<String, String>,
}

impl Texts {
    /// The words of a language; none where there are none.
    pub(crate) fn find(language: &str) -> Option<&'static Self> {
        ALL.iter().find(|texts| texts.language == language)
    }

    /// What an `Accept-Language` prefers among those that there are, else English.
    pub(crate) fn preferred(accepted: &str) -> &'static Self {
        let mut ranges: Vec<(f32, &str)> = accepted
            .split(',')
            .filter_map(|range| {
                let (range, weight) = range.split_once(";q=").unwrap_or((range, "1"));
                let language = range.trim().split('-').next()?;
                Some((weight.trim().parse().ok()?, language))
            })
            .filter(|(weight, _)| *weight > 0.0)
            .collect();
        ranges.sort_by(|one, two| two.0.total_cmp(&one.0));
        let known = ranges
            .iter()
            .find_map(|(_, language)| Self::find(&language.to_ascii_lowercase()));
        known.unwrap_or_else(|| Self::english())
    }

    fn english() -> &'static Self {
        ALL.first().expect("there is a first language")
    }

    /// All languages with their own names.
    pub(crate) fn languages() -> impl Iterator<Item = (&'static str, &'static str)> {
        ALL.iter()
            .map(|texts| (texts.language, texts.get("language.name")))
    }

    /// The text of a key: English where the language has none, the key itself where nobody has.
    pub(crate) fn get<'a>(&'static self, key: &'a str) -> &'a str {
        self.known(key).unwrap_or(key)
    }

    /// The text of a key that may be unknown.
    pub(crate) fn known(&'static self, key: &str) -> Option<&'static str> {
        let word = self.words.get(key);
        word.or_else(|| Self::english().words.get(key))
            .map(String::as_str)
    }

    /// What people call the records of an object: `contacts`.
    pub(crate) fn object(&'static self, kind: ObjectKind) -> String {
        let known = self.known(&format!("object.{kind}"));
        known.map_or_else(
            || kind.spec().plural.replace(['_', '-'], " "),
            ToOwned::to_owned,
        )
    }

    /// The same at the beginning of a line.
    pub(crate) fn object_heading(&'static self, kind: ObjectKind) -> String {
        let name = self.object(kind);
        let mut letters = name.chars();
        let first = letters.next().into_iter().flat_map(char::to_uppercase);
        first.chain(letters).collect()
    }

    /// The text of a key with `{names}` replaced.
    pub(crate) fn with(&'static self, key: &str, values: &[(&str, &str)]) -> String {
        let mut rest = self.get(key);
        let mut text = String::with_capacity(rest.len());
        // One pass: what a value holds is never taken for a name.
        while let Some((before, after)) = rest.split_once('{') {
            text.push_str(before);
            let Some((name, after)) = after.split_once('}') else {
                break;
            };
            let value = values.iter().find(|(known, _)| *known == name);
            text.push_str(value.map_or(name, |(_, value)| value));
            rest = after;
        }
        text.push_str(rest);
        text
    }
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeSet, fs, path::Path};

    use super::*;
    use crate::unify::LoginProblem;

    fn placeholders(text: &str) -> BTreeSet<&str> {
        let pieces = text.split('{').skip(1);
        pieces.filter_map(|piece| piece.split('}').next()).collect()
    }

    #[test]
    fn every_language_says_everything_with_the_same_placeholders() {
        let english = Texts::english();
        for (texts, files) in ALL.iter().zip(FILES) {
            let keys: usize = files.iter().map(|file| words(file).len()).sum();
            assert_eq!(
                keys,
                texts.words.len(),
                "{}: a key is there twice",
                texts.language
            );
            let mine: BTreeSet<_> = texts.words.keys().collect();
            let theirs: BTreeSet<_> = english.words.keys().collect();
            let missing: Vec<_> = theirs.symmetric_difference(&mine).collect();
            assert!(missing.is_empty(), "{}: {missing:?}", texts.language);
            for (key, text) in &texts.words {
                assert!(!text.trim().is_empty(), "{}: {key}", texts.language);
                assert_eq!(
                    placeholders(text),
                    placeholders(&english.words[key]),
                    "{}: {key}",
                    texts.language
                );
            }
        }
    }

    #[test]
    fn every_text_that_a_page_asks_for_is_there() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/portal");
        let mut found = 0;
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.extension().is_none_or(|extension| extension != "rs") {
                continue;
            }
            let source = fs::read_to_string(&path).unwrap();
            let code = source.split("#[cfg(test)]").next().unwrap();
            for call in ["texts.get(\"", "texts.with(\""] {
                for rest in code.split(call).skip(1) {
                    let key = rest.split('"').next().unwrap();
                    assert!(
                        Texts::english().known(key).is_some(),
                        "{}: {key}",
                        path.display()
                    );
                    found += 1;
                }
            }
        }
        assert!(found > 20, "{found} texts");
        for problem in LoginProblem::NAMES {
            let key = format!("problem.{problem}");
            assert!(Texts::english().known(&key).is_some(), "{key}");
        }
        for state in ["unknown", "expired", "revoked"] {
            for part in ["title", "detail"] {
                let key = format!("closed.{state}.{part}");
                assert!(Texts::english().known(&key).is_some(), "{key}");
            }
        }
    }

    #[test]
    fn every_object_has_a_name_in_every_language_and_no_other_has() {
        let kinds: BTreeSet<_> = ObjectKind::all()
            .map(|kind| format!("object.{kind}"))
            .collect();
        for texts in ALL.iter() {
            let named = texts.words.keys().filter(|key| key.starts_with("object."));
            let named: BTreeSet<_> = named.cloned().collect();
            let wrong: Vec<_> = kinds.symmetric_difference(&named).collect();
            assert!(wrong.is_empty(), "{}: {wrong:?}", texts.language);
        }
        let contact = ObjectKind::parse("crm.contact").unwrap();
        for (language, name) in [("en", "Contacts"), ("de", "Kontakte"), ("fr", "Contacts")] {
            let texts = Texts::find(language).unwrap();
            assert_eq!(texts.object_heading(contact), name);
        }
    }

    #[test]
    fn the_browsers_preference_is_heeded() {
        for (accepted, expected) in [
            ("", "en"),
            ("de-AT,de;q=0.9,en;q=0.8", "de"),
            ("es,fr;q=0.5,en;q=0.3", "fr"),
            ("ja", "en"),
            ("en;q=0.1, FR;q=0.7", "fr"),
            ("de;q=0, en", "en"),
        ] {
            assert_eq!(Texts::preferred(accepted).language, expected, "{accepted}");
        }
        let shown = Texts::english().with("page.title", &[("brand", "{brand}")]);
        assert!(shown.contains("{brand}"), "{shown}");
    }
}
