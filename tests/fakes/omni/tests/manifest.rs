//! The committed manifest is the one that the schemas give.

use std::{fs, path::Path};

/// `JACKFIELD_WRITE_MANIFEST=1` writes it instead of comparing it.
#[test]
fn the_manifest_names_every_object() {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../fixtures/omni/connector.toml");
    let made = fake_omni::manifest();
    if std::env::var_os("JACKFIELD_WRITE_MANIFEST").is_some() {
        fs::write(&file, &made).expect("the folder is writable");
    }
    let committed = fs::read_to_string(&file).unwrap_or_default();
    assert_eq!(committed, made, "the schemas changed: run `just omni`");
}
