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
    /// A file of the example in the same language, which is known to work.
    Copy(&'static str),
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

const JAVASCRIPT: &[File] = &[
    MANIFEST,
    (
        "README.md",
        Content::Text(include_str!("../template/javascript/README.md.txt")),
    ),
    (".gitignore", Content::Text("node_modules\n")),
    (
        "package.json",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-js/package.json"
        )),
    ),
    (
        "package-lock.json",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-js/package-lock.json"
        )),
    ),
    (
        "src/jackfield.js",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-js/src/jackfield.js"
        )),
    ),
    (
        "src/connector.js",
        Content::Text(include_str!("../template/javascript/connector.js.txt")),
    ),
    (
        "src/objects/@module@.js",
        Content::Text(include_str!("../template/javascript/object.js.txt")),
    ),
    ACCOUNT,
    FIXTURE,
];

const PYTHON: &[File] = &[
    MANIFEST,
    (
        "README.md",
        Content::Text(include_str!("../template/python/README.md.txt")),
    ),
    (".gitignore", Content::Text(".venv\n__pycache__\n")),
    (
        "pyproject.toml",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-py/pyproject.toml"
        )),
    ),
    (
        "requirements.txt",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-py/requirements.txt"
        )),
    ),
    (
        "src/jackfield.py",
        Content::Copy(include_str!(
            "../../../../examples/demo-crm-py/src/jackfield.py"
        )),
    ),
    (
        "src/connector.py",
        Content::Text(include_str!("../template/python/connector.py.txt")),
    ),
    (
        "src/objects/@module@.py",
        Content::Text(include_str!("../template/python/object.py.txt")),
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
    /// JavaScript or TypeScript, with esbuild and componentize-js.
    JavaScript,
    /// Python, with componentize-py.
    Python,
}

impl Language {
    /// All of them, the recommended one first.
    pub const ALL: &[Self] = &[Self::Rust, Self::JavaScript, Self::Python];

    /// As the command line spells it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Rust => "rust",
            Self::JavaScript => "javascript",
            Self::Python => "python",
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
            Self::JavaScript => "package.json",
            Self::Python => "pyproject.toml",
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
            Self::JavaScript => JAVASCRIPT,
            Self::Python => PYTHON,
        }
    }

    /// Whether a new connector in it needs the folder of the Rust SDK.
    pub(super) const fn needs_sdk(self) -> bool {
        matches!(self, Self::Rust)
    }
}
