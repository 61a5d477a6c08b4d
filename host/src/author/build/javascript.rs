//! JavaScript and TypeScript: esbuild makes one file, componentize-js a component with an engine in
//! it. Both are packages that the connector's `package-lock.json` pins.

use std::{fs, path::Path, process::Stdio};

use tokio::process::Command;

use super::{Error, contract};
use crate::model::Manifest;

const SCRIPT: &str = include_str!("javascript.mjs");
const GET_NODE: &str = "install Node.js 18 or later with npm: https://nodejs.org";
/// A copy of the lock file that `node_modules` was made from.
const STAMP: &str = "node_modules/.jackfield-made-from";

/// Builds the component, still without manifest.
pub(super) async fn build(
    dir: &Path,
    manifest: &Manifest,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<u8>, Error> {
    install(dir, progress).await?;
    progress(&format!("building {}", dir.display()));
    let work =
        contract::unpack(manifest).map_err(|error| Error::Write(std::env::temp_dir(), error))?;
    let out = work.path().join("component.wasm");
    let status = Command::new("node")
        // The script stands in no file: what it imports is looked for from the working folder.
        .args(["--input-type=module", "--eval", SCRIPT])
        .arg("--")
        .args([work.path(), &out])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| Error::Tool {
            program: "node",
            hint: GET_NODE,
            source,
        })?;
    if !status.success() {
        return Err(Error::Build(dir.to_owned(), "componentize-js"));
    }
    fs::read(&out).map_err(|error| Error::Read(out, error))
}

/// Installs the packages where the lock file changed since. No package gets to run a script.
async fn install(dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
    let path = dir.join("package-lock.json");
    let Ok(lock) = fs::read(&path) else {
        return Err(Error::NotACrate {
            folder: dir.to_owned(),
            missing: "package-lock.json; `npm install` writes it",
        });
    };
    let stamp = dir.join(STAMP);
    if fs::read(&stamp).is_ok_and(|made_from| made_from == lock) {
        return Ok(());
    }
    progress(&format!("installing the packages of {}", path.display()));
    let status = Command::new("npm")
        .args([
            "ci",
            "--ignore-scripts",
            "--no-audit",
            "--no-fund",
            "--loglevel=error",
        ])
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await
        .map_err(|source| Error::Tool {
            program: "npm",
            hint: GET_NODE,
            source,
        })?;
    if !status.success() {
        return Err(Error::Install(dir.to_owned(), "npm"));
    }
    fs::write(&stamp, lock).map_err(|error| Error::Write(stamp, error))
}
