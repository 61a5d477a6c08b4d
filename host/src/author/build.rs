//! From a connector's sources to one file to ship.

mod contract;
mod javascript;
mod python;

use std::{
    fs, io,
    io::Write,
    path::{Path, PathBuf},
    process::Stdio,
    time::Instant,
};

use serde::Serialize;
use tokio::process::Command;

use super::{Error, Language};
use crate::{
    model::{Digest, Manifest, Slug},
    runtime::Artifact,
};

const TARGET: &str = "wasm32-unknown-unknown";
/// What tells the language of a connector's folder.
const MARKERS: &str = "Cargo.toml, package.json or pyproject.toml";
const GET_RUST: &str = "install Rust from https://rustup.rs";

/// A connector that was built.
#[derive(Clone, Debug, Serialize)]
pub struct Built {
    /// The component.
    pub path: PathBuf,
    /// Its slug, which is the file's name too.
    pub slug: Slug,
    /// Its version.
    pub version: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The file's size.
    pub bytes: u64,
    /// How long it took.
    pub seconds: f64,
}

/// Builds the connector in `dir` and puts the component into `out` as `<slug>.wasm`. Its language is
/// told by what is there, see [`Language`].
///
/// The file appears complete or not at all, and is not touched where it would be the same. What
/// the tools have to say goes to the terminal as they print it; `progress` gets a line about each
/// step that takes time.
///
/// # Errors
/// A tool is missing, the sources do not build, or what they make is not a connector.
pub async fn build(
    dir: &Path,
    out: &Path,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Built, Error> {
    let started = Instant::now();
    let dir = fs::canonicalize(dir).map_err(|error| Error::Read(dir.to_owned(), error))?;
    let lacks = |missing| Error::NotACrate {
        folder: dir.clone(),
        missing,
    };
    if !dir.join("connector.toml").is_file() {
        return Err(lacks("connector.toml"));
    }
    let (text, manifest) = good_manifest(&dir)?;
    let language = Language::of(&dir).ok_or_else(|| lacks(MARKERS))?;
    let (file, bytes) = match language {
        Language::Rust => {
            add_target(&dir, progress).await?;
            progress(&format!("building {}", dir.display()));
            let module = compile(&dir).await?;
            let bytes = fs::read(&module).map_err(|error| Error::Read(module.clone(), error))?;
            (module, bytes)
        }
        Language::JavaScript | Language::Python => {
            let mut bytes = if language == Language::JavaScript {
                javascript::build(&dir, &manifest, progress).await?
            } else {
                python::build(&dir, &manifest, progress).await?
            };
            contract::complete(&mut bytes, &dir, &text)?;
            (dir.clone(), bytes)
        }
    };
    let artifact = Artifact::read(&bytes).map_err(|error| Error::Refused(file, error))?;
    let path = out.join(format!("{}.wasm", artifact.manifest.slug));
    let same = fs::read(&path).is_ok_and(|there| there == artifact.component);
    if !same {
        replace(out, &path, &artifact.component)
            .map_err(|error| Error::Write(path.clone(), error))?;
    }
    Ok(Built {
        path,
        slug: artifact.manifest.slug,
        version: artifact.manifest.version.to_string(),
        digest: Digest::of(&artifact.component).to_string(),
        bytes: artifact.component.len() as u64,
        seconds: started.elapsed().as_secs_f64(),
    })
}

/// A mistake in the manifest is told with its line, and before anything is built.
fn good_manifest(dir: &Path) -> Result<(String, Manifest), Error> {
    let file = dir.join("connector.toml");
    let text = fs::read_to_string(&file).map_err(|error| Error::Read(file.clone(), error))?;
    match Manifest::parse(&text) {
        Ok(manifest) => Ok((text, manifest)),
        Err(error) => {
            let mistake = error.mistake(&text);
            Err(Error::Manifest { file, mistake })
        }
    }
}

/// Makes sure that the toolchain of the crate's folder can compile to WebAssembly.
async fn add_target(dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
    let answer = Command::new("rustc")
        .args(["--print", "target-libdir", "--target", TARGET])
        .current_dir(dir)
        .output()
        .await
        .map_err(|source| Error::Tool {
            program: "rustc",
            hint: GET_RUST,
            source,
        })?;
    let folder = String::from_utf8_lossy(&answer.stdout);
    if answer.status.success() && Path::new(folder.trim()).is_dir() {
        return Ok(());
    }
    progress(&format!("adding Rust's target {TARGET}: rustup target add"));
    let status = Command::new("rustup")
        .args(["target", "add", TARGET])
        .current_dir(dir)
        .stdin(Stdio::null())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| Error::Tool {
            program: "rustup",
            hint: "it would add Rust's target wasm32-unknown-unknown. Install Rust from https://rustup.rs, or add the standard library of that target from where your Rust comes from",
            source,
        })?;
    if status.success() {
        Ok(())
    } else {
        Err(Error::Target)
    }
}

/// Runs cargo and answers the `.wasm` file that it made.
async fn compile(dir: &Path) -> Result<PathBuf, Error> {
    let manifest = dir.join("Cargo.toml");
    let cargo = |source| Error::Tool {
        program: "cargo",
        hint: GET_RUST,
        source,
    };
    let answer = Command::new("cargo")
        .args(["build", "--lib", "--target", TARGET])
        .args(["--profile", "connector"])
        .arg("--message-format=json-render-diagnostics")
        .arg("--manifest-path")
        .arg(&manifest)
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .kill_on_drop(true)
        .spawn()
        .map_err(cargo)?
        .wait_with_output()
        .await
        .map_err(cargo)?;
    if !answer.status.success() {
        return Err(Error::Compile(dir.to_owned()));
    }
    // One JSON object a line; of the crate's own artifacts one file ends in `.wasm`.
    String::from_utf8_lossy(&answer.stdout)
        .lines()
        .filter_map(|line| serde_json::from_str::<serde_json::Value>(line).ok())
        .filter(|message| {
            let path = message.get("manifest_path").and_then(|path| path.as_str());
            path.is_some_and(|path| Path::new(path) == manifest)
        })
        .find_map(|message| {
            let files = message.get("filenames")?.as_array()?;
            let mut names = files.iter().filter_map(serde_json::Value::as_str);
            names
                .find(|name| name.ends_with(".wasm"))
                .map(PathBuf::from)
        })
        .ok_or_else(|| Error::NoWasm(dir.to_owned()))
}

/// Whoever watches `out` sees the old file or the new one, never a part. The leading dot keeps the
/// runtime from looking at the unfinished file.
fn replace(out: &Path, path: &Path, bytes: &[u8]) -> io::Result<()> {
    fs::create_dir_all(out)?;
    let mut builder = tempfile::Builder::new();
    builder.prefix(".building-");
    #[cfg(unix)]
    {
        // A temporary file is private; this one is to be served, perhaps by another user.
        use std::os::unix::fs::PermissionsExt;
        builder.permissions(fs::Permissions::from_mode(0o644));
    }
    let mut file = builder.tempfile_in(out)?;
    file.write_all(bytes)?;
    file.as_file().sync_all()?;
    file.persist(path).map_err(|error| error.error)?;
    Ok(())
}
