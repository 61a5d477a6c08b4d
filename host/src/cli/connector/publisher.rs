//! What a publisher does with connectors: keys, signatures.

use std::{
    fs,
    io::Write as _,
    path::{Path, PathBuf},
};

use anyhow::{Context as _, Result};
use clap::Subcommand;
use secrecy::{ExposeSecret as _, SecretString};

use crate::{
    cli::{note, print},
    model::SystemEntropy,
    runtime::{Announced, SigningKey},
};

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum Command {
    /// Keys of publishers.
    #[command(subcommand)]
    Key(KeyCommand),
    /// Sign a `.wasm` file: nobody can change it afterwards without that being noticed.
    #[command(
        after_help = "Example:\n  jackfield connector key new acme.key\n  jackfield connector sign acme-crm.wasm --key acme.key"
    )]
    Sign {
        /// The file
        file: PathBuf,
        /// The file of the key that `connector key new` made
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
        /// Where the signed file goes [default: in place]
        #[arg(long, value_name = "FILE")]
        out: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
pub(in crate::cli) enum KeyCommand {
    /// Make a key: its secret half goes into a file, its public half is printed.
    New {
        /// The new file; it is not overwritten
        file: PathBuf,
    },
    /// Print the public half of a key.
    Show {
        /// The file of the key
        file: PathBuf,
    },
}

impl Command {
    pub(in crate::cli) fn run(self) -> Result<()> {
        match self {
            Self::Key(KeyCommand::New { file }) => {
                let (key, text) = SigningKey::generate(&SystemEntropy);
                write_secret(&file, &text)
                    .with_context(|| format!("{} cannot be written", file.display()))?;
                note("Keep the file secret, and keep a copy: who has it can publish in your name.");
                print(&format!("{}\n", key.public()))
            }
            Self::Key(KeyCommand::Show { file }) => {
                print(&format!("{}\n", read_key(&file)?.public()))
            }
            Self::Sign { file, key, out } => {
                let key = read_key(&key)?;
                let bytes = fs::read(&file)
                    .with_context(|| format!("{} cannot be read", file.display()))?;
                let signed = key.sign(&bytes)?;
                let announced = Announced::read(&signed)?;
                let out = out.unwrap_or(file);
                fs::write(&out, &signed)
                    .with_context(|| format!("{} cannot be written", out.display()))?;
                print(&format!(
                    "{} {} {} signed by {}\n",
                    out.display(),
                    announced.manifest.slug,
                    announced.manifest.version,
                    announced.publisher()
                ))
            }
        }
    }
}

fn read_key(file: &Path) -> Result<SigningKey> {
    let text =
        fs::read_to_string(file).with_context(|| format!("{} cannot be read", file.display()))?;
    SigningKey::parse(&SecretString::from(text)).with_context(|| {
        format!(
            "{} holds no key that `connector key new` made",
            file.display()
        )
    })
}

/// For this user only, and never over another file.
fn write_secret(file: &Path, text: &SecretString) -> std::io::Result<()> {
    let mut options = fs::OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    let mut file = options.open(file)?;
    writeln!(file, "{}", text.expose_secret())
}
