//! What the author of a connector needs: make one, build it, look into it, check it, and notice
//! when its source changes.

mod bench;
mod build;
mod candidate;
mod conformance;
mod develop;
mod fixture;
mod inspect;
mod lab;
mod lint;
mod provider;
mod record;
mod scaffold;
mod sources;
mod validate;

use std::{io, path::PathBuf};

use crate::{
    model::{Mistake, SlugError},
    runtime::LoadError,
};

pub use bench::{Figures, Speed, bench};
pub use build::{Built, build};
pub use candidate::Candidate;
pub use conformance::{Check, Conformance, Outcome, conformance};
pub use develop::{Round, Session};
pub use fixture::{Exchange, Fixture, Fixtures, Mapping, Request, Response, Source};
pub use inspect::{DescribedImport, Inspection, inspect};
pub use record::{RecordOptions, login, record};
pub use scaffold::{Auth, Language, NewOptions, new};
pub use sources::SourceWatch;
pub use validate::{Level, Problem, Report, validate, validate_path};

/// Why an author's command fails. Each text is a sentence for the author.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A file or folder cannot be read.
    #[error("{} cannot be read", .0.display())]
    Read(PathBuf, #[source] io::Error),
    /// A file or folder cannot be written.
    #[error("{} cannot be written", .0.display())]
    Write(PathBuf, #[source] io::Error),
    /// The folder holds no connector.
    #[error("{} is no connector: it has no {missing}", .folder.display())]
    NotACrate {
        /// The folder.
        folder: PathBuf,
        /// The file that it lacks.
        missing: &'static str,
    },
    /// A program that building needs is not there.
    #[error("{program} cannot be started; {hint}")]
    Tool {
        /// The program.
        program: &'static str,
        /// What to do.
        hint: &'static str,
        /// Why not.
        #[source]
        source: io::Error,
    },
    /// The WebAssembly target is missing and cannot be added.
    #[error(
        "the target wasm32-unknown-unknown is missing and rustup cannot add it; see what rustup says above. Without rustup, install the standard library of that target from where your Rust comes from"
    )]
    Target,
    /// Cargo has said why.
    #[error("{} does not build; see what cargo says above", .0.display())]
    Compile(PathBuf),
    /// The tool of another language has said why.
    #[error("{} does not build; see what {} says above", .0.display(), .1)]
    Build(PathBuf, &'static str),
    /// The packages of a connector in another language cannot be had.
    #[error("the packages of {} cannot be installed; see what {} says above", .0.display(), .1)]
    Install(PathBuf, &'static str),
    /// The crate makes no WebAssembly.
    #[error(
        "{} builds, but makes no .wasm file: its Cargo.toml needs [lib] crate-type = [\"cdylib\", \"rlib\"]", .0.display()
    )]
    NoWasm(PathBuf),
    /// The file is not a connector.
    #[error("{} is refused", .0.display())]
    Refused(PathBuf, #[source] LoadError),
    /// The manifest has a mistake.
    #[error("{}{}: {}{}", .file.display(), place(.mistake.line), of_key(&.mistake.key), .mistake.message)]
    Manifest {
        /// The file.
        file: PathBuf,
        /// What is wrong, and where.
        mistake: Mistake,
    },
    /// The connector has no such login.
    #[error("{0:?} is no login of this connector; [auth] of connector.toml has {1}")]
    Login(String, String),
    /// What was typed to log in with is of no use.
    #[error("the credentials are of no use: {0}")]
    Credentials(String),
    /// A call of the connector failed.
    #[error("{0}")]
    Provider(String),
    /// A fixture has another form.
    #[error("{}{}: {message}", .file.display(), place(*.line))]
    Fixture {
        /// The file.
        file: PathBuf,
        /// The line, from 1; 0 where the whole file is meant.
        line: usize,
        /// What is wrong, and what to do.
        message: String,
    },
    /// The sandbox cannot be started at all.
    #[error("the sandbox cannot be started")]
    Sandbox(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The name of a new connector is none.
    #[error(transparent)]
    Name(#[from] SlugError),
    /// An object of a new connector cannot be used.
    #[error("{0:?} is no known object{1}; there are {2}")]
    Object(String, String, String),
    /// The vertical of a new connector is none.
    #[error("{0:?} is no known vertical{1}; there are {2}")]
    Vertical(String, String, String),
    /// The object of a new connector has nothing that a template could fill.
    #[error(
        "{0} has no plain text field, so there is no template for it; begin with another object"
    )]
    NoTemplate(&'static str),
    /// The folder of a new connector is there already.
    #[error("{} exists already", .0.display())]
    Exists(PathBuf),
    /// A connector depends on the SDK, and that was not found.
    #[error(
        "the SDK was not found: run this inside a checkout of Jackfield, or say where its folder sdk-guest is with --sdk PATH"
    )]
    NoSdk,
    /// What was given as the SDK is not it.
    #[error("{} is not the SDK: it has no Cargo.toml of jackfield-sdk", .0.display())]
    NotTheSdk(PathBuf),
}

/// `:12`, or nothing for no line.
fn place(line: usize) -> String {
    match line {
        0 => String::new(),
        line => format!(":{line}"),
    }
}

/// `key: `, or nothing for no key.
fn of_key(key: &str) -> String {
    match key {
        "" => String::new(),
        key => format!("{key}: "),
    }
}
