//! Python: componentize-py makes a component with an interpreter in it. It is a package that the
//! connector's `requirements.txt` pins.

use std::{
    fs,
    path::{Path, PathBuf},
    process::Stdio,
};

use tokio::process::Command;

use super::{Error, contract};
use crate::model::Manifest;

const GET_PYTHON: &str = "install Python 3.10 or later with venv: https://www.python.org";
/// A copy of the list that `.venv` was made from.
const STAMP: &str = ".venv/jackfield-made-from";
/// The module that has the class `Connector`.
const MODULE: &str = "connector";

/// Builds the component, still without manifest.
pub(super) async fn build(
    dir: &Path,
    manifest: &Manifest,
    progress: &(dyn Fn(&str) + Sync),
) -> Result<Vec<u8>, Error> {
    let module = dir.join("src").join(MODULE).with_extension("py");
    let Ok(source) = fs::read_to_string(&module) else {
        return Err(missing(dir, "src/connector.py"));
    };
    install(dir, progress).await?;
    progress(&format!("building {}", dir.display()));
    let work =
        contract::unpack(manifest).map_err(|error| Error::Write(std::env::temp_dir(), error))?;
    let out = work.path().join("component.wasm");
    let mut command = Command::new(program(dir, "componentize-py"));
    command
        .arg("--quiet")
        .arg("--wit-path")
        .arg(work.path())
        .args(["--world", &contract::world(&optional(&source))])
        // Without WASI among the imports: what a connector may do, the host does.
        .args(["componentize", "--stub-wasi", MODULE])
        .args(["--python-path", "src", "--output"])
        .arg(&out)
        .env("VIRTUAL_ENV", dir.join(".venv"))
        .env_remove("RUST_BACKTRACE");
    if !run(command, dir, "componentize-py").await? {
        return Err(Error::Build(dir.to_owned(), "componentize-py"));
    }
    fs::read(&out).map_err(|error| Error::Read(out, error))
}

/// The optional interfaces that a module exports: a class of their name each.
fn optional(source: &str) -> Vec<&'static str> {
    let exports = |class: &str| {
        let mut lines = source
            .lines()
            .filter_map(|line| line.strip_prefix("class "));
        lines.any(|line| line.split(['(', ':']).next().map(str::trim) == Some(class))
    };
    let classes = [
        ("Webhooks", "webhooks"),
        ("Discovery", "discovery"),
        ("Choices", "choices"),
    ];
    classes
        .into_iter()
        .filter(|(class, _)| exports(class))
        .map(|(_, name)| name)
        .collect()
}

/// Installs the packages where the list changed since. No package gets to run code: only wheels
/// are taken.
async fn install(dir: &Path, progress: &(dyn Fn(&str) + Sync)) -> Result<(), Error> {
    let path = dir.join("requirements.txt");
    let Ok(list) = fs::read(&path) else {
        return Err(missing(dir, "requirements.txt, which pins componentize-py"));
    };
    let stamp = dir.join(STAMP);
    if fs::read(&stamp).is_ok_and(|made_from| made_from == list) {
        return Ok(());
    }
    progress(&format!("installing the packages of {}", path.display()));
    let mut venv = Command::new("python3");
    venv.args(["-m", "venv", "--clear", ".venv"]);
    if !run(venv, dir, "python3").await? {
        return Err(Error::Install(dir.to_owned(), "python3 -m venv"));
    }
    let mut pip = Command::new(program(dir, "python"));
    pip.args([
        "-m",
        "pip",
        "install",
        "--quiet",
        "--disable-pip-version-check",
    ])
    .args(["--only-binary", ":all:", "-r", "requirements.txt"]);
    if !run(pip, dir, "python3").await? {
        return Err(Error::Install(dir.to_owned(), "pip"));
    }
    if !program(dir, "componentize-py").is_file() {
        return Err(missing(dir, "componentize-py in its requirements.txt"));
    }
    fs::write(&stamp, list).map_err(|error| Error::Write(stamp, error))
}

fn missing(dir: &Path, missing: &'static str) -> Error {
    let folder = dir.to_owned();
    Error::NotACrate { folder, missing }
}

fn program(dir: &Path, name: &str) -> PathBuf {
    let programs = if cfg!(windows) { "Scripts" } else { "bin" };
    dir.join(".venv").join(programs).join(name)
}

/// Whether the program did its work. What it says goes to the terminal.
async fn run(mut command: Command, dir: &Path, program: &'static str) -> Result<bool, Error> {
    let status = command
        .current_dir(dir)
        .stdin(Stdio::null())
        .stdout(std::io::stderr())
        .kill_on_drop(true)
        .status()
        .await;
    let status = status.map_err(|source| Error::Tool {
        program,
        hint: GET_PYTHON,
        source,
    })?;
    Ok(status.success())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn classes_say_which_interfaces_there_are() {
        assert_eq!(optional("class Connector(jackfield.Connector):"), [""; 0]);
        let all = "class Choices:\n    pass\nclass Discovery:\n    pass\nclass Webhooks(exports.Webhooks): pass\n";
        assert_eq!(optional(all), ["webhooks", "discovery", "choices"]);
        assert_eq!(
            optional("# class Webhooks\nclass WebhooksOfMine:\n"),
            [""; 0]
        );
    }
}
