//! The languages that a connector can be written in, and the files that each begins with.

use std::path::Path;

/// A file of a new connector: where it goes, and what is in it.
///
/// In both `@name@` is replaced, see `template.rs`. A path with a value of an object in it
/// (`@module@`, `@path@`) makes a file for each object.
pub(super) type File = (&'static str, Content);

/// What is in a file of a new connector.
#[derive(Clone, Copy, Debug)]
pub(super) enum Content {
    /// A template.
    Text(&'static str),
    /// The provider's answers for an object, and the mapping of them.
    Fixture,
    /// The provider's answer to who the credentials belong to.
    Account,
}

const MANIFEST: File = (
    "connector.toml",
    Content::Text(include_str!("../template/connector.toml.txt")),
);
const FIXTURE: File = ("fixtures/@path@.json", Content::Fixture);
const ACCOUNT: File = ("fixtures/account.json", Content::Account);

const RUST: &[File] = &[
    (
        "Cargo.toml",
        Content::Text(include_str!("../template/rust/Cargo.toml.txt")),
    ),
    MANIFEST,
    (
        "README.md",
        Content::Text(include_str!("../template/rust/README.md.txt")),
    ),
    (
        ".gitignore",
        Content::Text(include_str!("../template/rust/gitignore.txt")),
    ),
    (
        "src/lib.rs",
        Content::Text(include_str!("../template/rust/src/lib.rs.txt")),
    ),
    (
        "src/wire.rs",
        Content::Text(include_str!("../template/rust/src/wire.rs.txt")),
    ),
    (
        "src/@module@.rs",
        Content::Text(include_str!("../template/rust/src/object.rs.txt")),
    ),
    (
        "src/tests.rs",
        Content::Text(include_str!("../template/rust/src/tests.rs.txt")),
    ),
    ACCOUNT,
    FIXTURE,
];

/// A language that a connector can be written in.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Language {
    /// Rust, with the SDK.
    #[default]
    Rust,
}

impl Language {
    /// All of them, the recommended one first.
    pub const ALL: &[Self] = &[Self::Rust];

    /// As the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
        }
    }

    /// The one with this name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|one| one.name() == name)
    }

    /// The file by which a folder is known to be in this language.
    #[must_use]
    pub const fn marker(self) -> &'static str {
        match self {
            Self::Rust => "Cargo.toml",
        }
    }

    /// The language of a connector's folder.
    #[must_use]
    pub fn of(folder: &Path) -> Option<Self> {
        let mut all = Self::ALL.iter().copied();
        all.find(|one| folder.join(one.marker()).is_file())
    }

    /// What a new connector in it consists of.
    pub(super) const fn files(self) -> &'static [File] {
        match self {
            Self::Rust => RUST,
        }
    }

    /// Whether a new connector in it needs the folder of the Rust SDK.
    pub(super) const fn needs_sdk(self) -> bool {
        match self {
            Self::Rust => true,
        }
    }
}
