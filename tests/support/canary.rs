//! Looking for secrets where none may be.

use std::{collections::BTreeMap, fs, path::Path};

use base64::{Engine as _, engine::general_purpose::STANDARD};
use memchr::memmem;

/// What must not be found, by what it is.
#[derive(Clone, Debug, Default)]
pub struct Canaries(BTreeMap<String, String>);

impl Canaries {
    /// One more.
    ///
    /// # Panics
    /// It is too short to be told from chance.
    pub fn add(&mut self, what: &str, secret: &str) {
        assert!(secret.len() >= 8, "{what} is too short to look for");
        self.0.insert(what.to_owned(), secret.to_owned());
    }

    /// The same without those of a kind: what an answer may tell.
    #[must_use]
    pub fn without(&self, what: &str) -> Self {
        let mut others = self.clone();
        others.0.retain(|name, _| !name.starts_with(what));
        others
    }

    /// The secrets themselves.
    pub fn texts(&self) -> impl Iterator<Item = &str> {
        self.0.values().map(String::as_str)
    }

    /// How many there are.
    pub fn count(&self) -> usize {
        self.0.len()
    }

    /// Which of them some bytes have, and in which spelling.
    pub fn in_bytes(&self, bytes: &[u8]) -> Vec<String> {
        let mut found = Vec::new();
        for (what, secret) in &self.0 {
            for (how, spelling) in spellings(secret) {
                if memmem::find(bytes, spelling.as_bytes()).is_some() {
                    found.push(format!("{what} ({how})"));
                }
            }
        }
        found
    }

    /// The same for every file of a folder and of those in it.
    ///
    /// # Panics
    /// The folder cannot be read.
    pub fn in_files(&self, folder: &Path) -> Vec<String> {
        let mut found = Vec::new();
        for entry in fs::read_dir(folder).expect("the folder can be read") {
            let path = entry.expect("the folder can be read").path();
            if path.is_dir() {
                found.extend(self.in_files(&path));
                continue;
            }
            // A file may go while it is looked for.
            let bytes = fs::read(&path).unwrap_or_default();
            let here = self.in_bytes(&bytes).into_iter();
            found.extend(here.map(|what| format!("{what} in {}", path.display())));
        }
        found
    }
}

/// Ways in which a secret may be written.
pub fn spellings(secret: &str) -> Vec<(&'static str, String)> {
    let bytes = secret.as_bytes();
    let hexadecimal: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    let encoded: String = url::form_urlencoded::byte_serialize(bytes).collect();
    let mut all = vec![
        ("as it is", secret.to_owned()),
        ("url-encoded", encoded),
        ("hexadecimal", hexadecimal.to_uppercase()),
        ("hexadecimal", hexadecimal),
    ];
    for before in 0..3_usize {
        // What is the same of it in base64, whatever stands before and after.
        let text = STANDARD.encode([&vec![0; before], bytes].concat());
        let own = (before * 8).div_ceil(6)..(before + bytes.len()) * 8 / 6;
        let text = text.get(own).unwrap_or_default().to_owned();
        all.push(("base64url", text.replace('+', "-").replace('/', "_")));
        all.push(("base64", text));
    }
    all
}
