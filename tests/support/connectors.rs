//! Connectors as files.

use std::{
    fs::{self, File},
    os::unix::fs::symlink,
    path::{Path, PathBuf},
    process::Command,
};

use tempfile::TempDir;

use crate::variable;

/// The file of a connector that `tests/run` built.
///
/// # Panics
/// It is not there.
pub fn built(slug: &str) -> PathBuf {
    let file = target()
        .join("wasm32-unknown-unknown/connector")
        .join(file_name(slug));
    assert!(
        file.is_file(),
        "{} is missing; tests/run builds it",
        file.display()
    );
    file
}

/// The file of a connector of `examples/` that `tests/run` built.
///
/// # Panics
/// It is not there.
pub fn example(slug: &str) -> PathBuf {
    let file = target().join(format!("test-examples/{slug}.wasm"));
    assert!(
        file.is_file(),
        "{} is missing; tests/run builds it",
        file.display()
    );
    file
}

/// Another version of the demo connector, 0.2.0, in which first and last names are swapped. Built
/// at the first use on a machine.
///
/// # Panics
/// It cannot be built.
pub fn second_demo() -> PathBuf {
    let folder = target().join("test-connectors");
    fs::create_dir_all(&folder).expect("the target folder is writable");
    let lock = File::create(folder.join("lock")).expect("the target folder is writable");
    lock.lock().expect("files can be locked");
    let workspace = Workspace::with_connectors(&["demo-crm"]);
    workspace.edit(
        "demo-crm",
        "connector.toml",
        "version = \"0.1.0\"",
        "version = \"0.2.0\"",
    );
    swap_names(&workspace);
    let built = Command::new(variable("CARGO").unwrap_or_else(|| "cargo".to_owned()))
        .args([
            "build",
            "--offline",
            "--target",
            "wasm32-unknown-unknown",
            "--profile",
            "connector",
        ])
        .args(["-p", "demo-crm"])
        .env("CARGO_TARGET_DIR", &folder)
        .current_dir(workspace.path())
        .output()
        .expect("cargo starts");
    assert!(
        built.status.success(),
        "{}",
        String::from_utf8_lossy(&built.stderr)
    );
    folder
        .join("wasm32-unknown-unknown/connector")
        .join(file_name("demo-crm"))
}

/// Lets the demo connector give the family name as the first name.
///
/// # Panics
/// The connector's source is not as this expects it.
pub fn swap_names(workspace: &Workspace) {
    let names = |first: &str, last: &str| {
        format!(
            "first_name: parts::or_null(person.{first}),\n        last_name: parts::or_null(person.{last}),"
        )
    };
    let (before, after) = (
        names("given_name", "family_name"),
        names("family_name", "given_name"),
    );
    workspace.edit("demo-crm", "src/contact.rs", &before, &after);
}

/// A workspace for connectors beside this one: the same shared files, copies of some connectors.
#[derive(Debug)]
pub struct Workspace(TempDir);

impl Workspace {
    /// With copies of these connectors.
    ///
    /// # Panics
    /// The temporary folder cannot be written.
    pub fn with_connectors(slugs: &[&str]) -> Self {
        let folder = tempfile::Builder::new()
            .prefix("connectors-")
            .tempdir()
            .expect("a folder can be made");
        let root = repository();
        let manifest =
            fs::read_to_string(root.join("Cargo.toml")).expect("the workspace has a manifest");
        let kept = manifest.lines().map(|line| match line {
            line if line.starts_with("members = ") => "members = [\"sdk-guest\", \"plugins/*\"]",
            line if line.starts_with("default-members = ") => "default-members = []",
            line if line.starts_with("jackfield = ") => "",
            line => line,
        });
        let manifest = kept.collect::<Vec<_>>().join("\n");
        let put = |name: &str| folder.path().join(name);
        fs::write(put("Cargo.toml"), manifest).expect("the folder is writable");
        fs::copy(root.join("Cargo.lock"), put("Cargo.lock")).expect("the folder is writable");
        fs::copy(root.join("rust-toolchain.toml"), put("rust-toolchain.toml"))
            .expect("the folder is writable");
        copy_folder(&root.join("sdk-guest"), &put("sdk-guest"));
        symlink(root.join("wit"), put("wit")).expect("the folder is writable");
        for slug in slugs {
            copy_folder(&root.join("plugins").join(slug), &put("plugins").join(slug));
        }
        Self(folder)
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        self.0.path()
    }

    /// The folder of its connectors.
    pub fn plugins(&self) -> PathBuf {
        self.path().join("plugins")
    }

    /// Changes a text in a file of a connector.
    ///
    /// # Panics
    /// The text is not there once.
    pub fn edit(&self, slug: &str, file: &str, from: &str, to: &str) {
        let path = self.plugins().join(slug).join(file);
        let text = fs::read_to_string(&path).expect("the connector has the file");
        assert_eq!(
            text.matches(from).count(),
            1,
            "{from:?} in {file} of {slug}"
        );
        fs::write(path, text.replace(from, to)).expect("the folder is writable");
    }
}

/// The root of this repository.
pub fn repository() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .parent()
        .expect("this crate lies in the repository")
}

/// Where cargo puts what it builds.
pub fn target() -> PathBuf {
    let folder = profile();
    folder
        .parent()
        .expect("it lies in the target folder")
        .to_owned()
}

/// Where cargo put the running test's own program, without `deps`.
pub(crate) fn profile() -> PathBuf {
    let own = std::env::current_exe().expect("a process knows its program");
    let mut folders = own.ancestors().skip(1);
    let folder = folders.find(|folder| !folder.ends_with("deps"));
    folder.expect("programs lie in target/debug").to_owned()
}

fn file_name(slug: &str) -> String {
    format!("{}.wasm", slug.replace('-', "_"))
}

fn copy_folder(from: &Path, to: &Path) {
    fs::create_dir_all(to).expect("the folder is writable");
    for entry in fs::read_dir(from).expect("the folder can be read") {
        let from = entry.expect("the folder can be read").path();
        let to = to.join(from.file_name().expect("an entry has a name"));
        if from.is_dir() {
            copy_folder(&from, &to);
        } else {
            fs::copy(&from, &to).expect("the folder is writable");
        }
    }
}
