//! A seeded Redmine that is not running, prepared once per machine and copied for each start.
//!
//! Debian's Redmine can serve several sites, each with its own folder for configuration, database, files, logs and
//! caches, named relative to `/var/lib/redmine`. A name of `../../..` and a path leads to any folder, so a site
//! needs no rights and leaves nothing behind in the system's folders.

use std::fs::{self, File};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

const PROGRAM: &str = "/usr/share/redmine";
const SEED: &str = include_str!("seed.rb");
const GEMFILE: &str = include_str!("Gemfile");

/// The folder of the template for the installed version and the present seed, made where it is missing.
pub(crate) fn prepare() -> PathBuf {
    let version = fs::read_to_string(Path::new(PROGRAM).join("lib/redmine/version.rb"))
        .expect("Redmine is not installed; run tests/install-redmine as root");
    let mut hasher = DefaultHasher::new();
    (version, SEED, GEMFILE).hash(&mut hasher);
    let folder = std::env::temp_dir();
    let template = folder.join(format!("jackfield-redmine-{:016x}", hasher.finish()));

    // Tests run in parallel, in one process and in several.
    let lock =
        File::create(template.with_extension("lock")).expect("the temporary folder is writable");
    lock.lock().expect("a file can be locked");
    if !template.exists() {
        let site = tempfile::Builder::new()
            .prefix("redmine-template-")
            .tempdir_in(&folder)
            .expect("the temporary folder is writable");
        make(site.path());
        fs::rename(site.keep(), &template).expect("both are in one folder");
    }
    template
}

fn make(site: &Path) {
    for folder in ["config", "files", "log", "public", "tmp"] {
        fs::create_dir(site.join(folder)).expect("the site is writable");
    }
    fs::write(site.join("Gemfile"), GEMFILE).expect("the site is writable");
    // It signs the cookies of a server that only a test on this machine can reach.
    fs::write(
        site.join("config/secret_key.txt"),
        "0123456789abcdef".repeat(8),
    )
    .expect("the site is writable");
    fs::write(site.join("seed.rb"), SEED).expect("the site is writable");
    configure(site);
    // Without SCHEMA, migrations would end by writing the schema into the program's folder.
    run(ruby(site)
        .args(["bin/rake", "db:migrate"])
        .env("SCHEMA", "/dev/null"));
    run(ruby(site)
        .args(["bin/rails", "runner"])
        .arg(site.join("seed.rb"))
        .arg(site.join("keys.json")));
    // Caches and logs of the preparation are of no use to a server.
    for folder in ["log", "tmp"] {
        fs::remove_dir_all(site.join(folder)).expect("the site is writable");
        fs::create_dir(site.join(folder)).expect("the site is writable");
    }
}

/// Points the site's configuration at its own database.
pub(crate) fn configure(site: &Path) {
    let database = site.join("redmine.sqlite3");
    let configuration = format!(
        "production:\n  adapter: sqlite3\n  database: {}\n  timeout: 10000\n",
        database.display()
    );
    fs::write(site.join("config/database.yml"), configuration).expect("the site is writable");
}

/// Ruby with the site's environment, in the program's folder.
pub(crate) fn ruby(site: &Path) -> Command {
    let mut command = Command::new("ruby");
    command
        .current_dir(PROGRAM)
        // A developer's own options for Ruby are not for this one.
        .env_remove("RUBYOPT")
        .env("BUNDLE_GEMFILE", site.join("Gemfile"))
        .env("BUNDLE_WITHOUT", "test")
        .env("BUNDLE_USER_HOME", site.join("tmp"))
        .env("RAILS_ENV", "production")
        .env("TZ", "UTC")
        .env(
            "X_DEBIAN_SITEID",
            format!("../../../../..{}", site.display()),
        )
        .stdin(Stdio::null());
    command
}

fn run(command: &mut Command) {
    let output = command.output().expect("ruby is there where Redmine is");
    assert!(
        output.status.success(),
        "{command:?} failed:\n{}\n{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// Copies what is in a folder into another that exists.
pub(crate) fn copy(from: &Path, to: &Path) {
    for entry in fs::read_dir(from).expect("the template is a folder") {
        let entry = entry.expect("the template is readable");
        let target = to.join(entry.file_name());
        if entry.path().is_dir() {
            fs::create_dir(&target).expect("the site is writable");
            copy(&entry.path(), &target);
        } else {
            fs::copy(entry.path(), &target).expect("the site is writable");
        }
    }
}
