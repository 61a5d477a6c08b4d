//! The code blocks of a page of the documentation, and running them.
//!
//! A page is read as a newcomer reads it: from the top, every block in turn. Blocks of `sh` run in
//! one shell. A `json` block under one is the answer that the page promises: whatever it shows must
//! be there, where `"…"` stands for any value. Blocks of other languages are whole programs; a
//! second word after the language names what they are (`receiver`).

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Child, Command, Output, Stdio},
};

use serde_json::Value;

use crate::connectors;

/// A fenced block of a page.
#[derive(Clone, Debug)]
pub struct Block {
    /// The first word after the fence, `sh` for example.
    pub language: String,
    /// The words after it.
    pub words: Vec<String>,
    /// What is in it.
    pub text: String,
    /// The line of the fence, from 1.
    pub line: usize,
}

/// All fenced blocks of a page.
///
/// # Panics
/// A block has no end.
pub fn blocks(page: &str) -> Vec<Block> {
    let mut blocks = Vec::new();
    let mut open: Option<Block> = None;
    for (number, line) in page.lines().enumerate() {
        match (&mut open, line.strip_prefix("```")) {
            (None, Some(info)) => {
                let mut words = info.split_whitespace().map(ToOwned::to_owned);
                open = Some(Block {
                    language: words.next().unwrap_or_default(),
                    words: words.collect(),
                    text: String::new(),
                    line: number + 1,
                });
            }
            (Some(_), Some(_)) => blocks.extend(open.take()),
            (Some(block), None) => {
                block.text.push_str(line);
                block.text.push('\n');
            }
            (None, None) => {}
        }
    }
    assert!(open.is_none(), "a block has no end");
    blocks
}

/// Runs the shell's blocks of a page in one shell, in order, and compares their answers with the
/// `json` blocks below them.
///
/// # Panics
/// One fails, or answers something else than the page says.
pub fn run_shell(name: &str, blocks: &[Block], environment: &[(&str, String)], folder: &Path) {
    const MARK: &str = "--- end of a block ---";
    let mut script = String::from("set -euo pipefail\n");
    let shell: Vec<usize> = (0..blocks.len())
        .filter(|index| blocks[*index].language == "sh")
        .collect();
    for index in &shell {
        script.push_str(&blocks[*index].text);
        script.push_str(&format_line(MARK));
    }
    let output = Command::new("bash")
        .arg("-c")
        .arg(&script)
        .current_dir(folder)
        .envs(environment.iter().map(|(key, value)| (key, value)))
        .output()
        .expect("bash starts");
    let text = String::from_utf8_lossy(&output.stdout);
    let answers: Vec<&str> = text.split(MARK).collect();
    assert!(
        output.status.success(),
        "{name}: the block at line {} fails: {}{}",
        blocks[shell[answers.len() - 1]].line,
        answers.last().unwrap_or(&""),
        String::from_utf8_lossy(&output.stderr),
    );
    for (index, answer) in shell.iter().zip(answers) {
        let Some(promised) = blocks
            .get(index + 1)
            .filter(|block| block.language == "json")
        else {
            continue;
        };
        let wanted: Value = serde_json::from_str(&promised.text)
            .unwrap_or_else(|error| panic!("{name}:{}: {error}", promised.line));
        let found: Value = serde_json::from_str(answer.trim())
            .unwrap_or_else(|error| panic!("{name}:{}: {error}: {answer}", promised.line));
        if let Err(place) = shows(&wanted, &found) {
            panic!("{name}:{}: {place}: {found:#}", promised.line);
        }
    }
}

fn format_line(mark: &str) -> String {
    format!("\nprintf '%s' '{mark}'\n")
}

/// Whether everything that a page shows is in an answer; else where not.
fn shows(wanted: &Value, found: &Value) -> Result<(), String> {
    match (wanted, found) {
        (Value::String(text), found) if text == "…" => {
            if found.is_null() {
                Err("is null".into())
            } else {
                Ok(())
            }
        }
        (Value::Object(wanted), Value::Object(found)) => {
            wanted.iter().try_for_each(|(key, value)| {
                let inner = found.get(key).ok_or_else(|| format!("{key} is missing"))?;
                shows(value, inner).map_err(|place| format!("{key}/{place}"))
            })
        }
        (Value::Array(wanted), Value::Array(found)) if wanted.len() <= found.len() => wanted
            .iter()
            .zip(found)
            .enumerate()
            .try_for_each(|(index, (wanted, found))| {
                shows(wanted, found).map_err(|place| format!("{index}/{place}"))
            }),
        (Value::String(text), Value::String(found)) if text.ends_with('…') => {
            if found.starts_with(text.trim_end_matches('…')) {
                Ok(())
            } else {
                Err(format!("is {found}"))
            }
        }
        (wanted, found) if wanted == found => Ok(()),
        (_, found) => Err(format!("is {found}")),
    }
}

/// A program of the documentation, ready to be started.
///
/// # Panics
/// It does not compile, or its tools are missing.
pub fn prepare(block: &Block, folder: &Path) -> Command {
    let file = |name: &str| {
        let path = folder.join(name);
        fs::write(&path, &block.text).expect("the folder is writable");
        path
    };
    match block.language.as_str() {
        "python" => {
            let mut command = Command::new(tool("test-python/bin/python"));
            command.arg(file("snippet.py"));
            command
        }
        "ts" => {
            file("snippet.ts");
            fs::write(folder.join("package.json"), r#"{"type":"module"}"#).expect("it is writable");
            let modules = folder.join("node_modules");
            std::os::unix::fs::symlink(tool("test-node/node_modules"), modules).expect("it is new");
            let options = [
                "--strict",
                "--target",
                "es2022",
                "--module",
                "nodenext",
                "--skipLibCheck",
            ];
            built(
                Command::new(tool("test-node/node_modules/.bin/tsc"))
                    .args(options)
                    .arg("snippet.ts")
                    .current_dir(folder),
            );
            let mut command = Command::new("node");
            command.arg(folder.join("snippet.js"));
            command
        }
        "go" => {
            let program = folder.join("snippet");
            let cache = connectors::target().join("test-go");
            built(
                Command::new("go")
                    .arg("build")
                    .arg("-o")
                    .arg(&program)
                    .arg(file("snippet.go"))
                    .env("GOCACHE", cache)
                    .env("GO111MODULE", "off")
                    .current_dir(folder),
            );
            Command::new(program)
        }
        "rust" => {
            fs::create_dir(folder.join("src")).expect("the folder is writable");
            file("src/main.rs");
            // The page names what the program needs; the versions are those of this repository.
            fs::write(folder.join("Cargo.toml"), MANIFEST).expect("the folder is writable");
            fs::copy(
                connectors::repository().join("Cargo.lock"),
                folder.join("Cargo.lock"),
            )
            .expect("it is there");
            let target = connectors::target().join("test-docs");
            built(
                Command::new(env!("CARGO"))
                    .args(["build", "--quiet", "--offline", "--target-dir"])
                    .arg(&target)
                    .current_dir(folder)
                    .env_remove("CARGO_TARGET_DIR"),
            );
            Command::new(target.join("debug/snippet"))
        }
        other => panic!("nobody knows how to run {other:?}"),
    }
}

const MANIFEST: &str = r#"[package]
name = "snippet"
version = "0.0.0"
edition = "2024"
[workspace]
[dependencies]
axum = { version = "0.8", default-features = false, features = ["http1", "tokio"] }
serde_json = "1"
standardwebhooks = "1"
tokio = { version = "1", features = ["macros", "net", "rt-multi-thread"] }
"#;

fn built(command: &mut Command) -> Output {
    let output = command
        .output()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    assert!(
        output.status.success(),
        "{command:?}: {}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
    output
}

fn tool(path: &str) -> PathBuf {
    let tool = connectors::target().join(path);
    assert!(
        tool.exists(),
        "{} is missing; tests/run makes it",
        tool.display()
    );
    tool
}

/// A program that runs until this is dropped.
#[derive(Debug)]
pub struct Running(Child);

impl Running {
    /// Starts it.
    ///
    /// # Panics
    /// It does not start.
    pub fn start(mut command: Command, environment: &[(&str, String)]) -> Self {
        let command = command.envs(environment.iter().map(|(key, value)| (key, value)));
        Self(command.stdin(Stdio::null()).spawn().expect("it was built"))
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        drop(self.0.kill());
        drop(self.0.wait());
    }
}
