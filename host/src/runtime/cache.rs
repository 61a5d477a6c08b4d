//! Compiled connectors, by the sum of their bytes and of everything that compiling depends on.
//!
//! A compiled file is machine code that is trusted blindly, so only this process's user may write
//! the folder, a file is written under another name and renamed when complete, and it is never
//! changed afterwards: running code is mapped from it.

use std::{
    fs,
    hash::{DefaultHasher, Hash, Hasher},
    io::Write,
    path::{Path, PathBuf},
};

use wasmtime::{Engine, component::Component};

use super::{Artifact, LoadError};

/// Makes the folder, private.
pub(super) fn prepare(dir: &Path) -> Result<(), LoadError> {
    fs::create_dir_all(dir).map_err(LoadError::Io)?;
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        fs::set_permissions(dir, fs::Permissions::from_mode(0o700)).map_err(LoadError::Io)?;
    }
    Ok(())
}

/// The compiled component, from the cache or compiled now. Takes long in the second case.
pub(super) fn compile(
    engine: &Engine,
    dir: &Path,
    artifact: &Artifact,
) -> Result<Component, LoadError> {
    let path = place(engine, dir, artifact);
    if path.exists() {
        match load(engine, &path) {
            Ok(component) => return Ok(component),
            Err(error) => {
                tracing::warn!(error = %error, "a compiled connector is not usable; compiling again");
            }
        }
    }
    let compiled = engine
        .precompile_component(&artifact.component)
        .map_err(LoadError::Engine)?;
    let mut file = tempfile::NamedTempFile::new_in(dir).map_err(LoadError::Io)?;
    file.write_all(&compiled).map_err(LoadError::Io)?;
    file.as_file().sync_all().map_err(LoadError::Io)?;
    file.persist(&path)
        .map_err(|error| LoadError::Io(error.error))?;
    load(engine, &path)
}

fn place(engine: &Engine, dir: &Path, artifact: &Artifact) -> PathBuf {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    dir.join(format!(
        "{}-{:016x}.cwasm",
        artifact.digest,
        hasher.finish()
    ))
}

fn load(engine: &Engine, path: &Path) -> Result<Component, LoadError> {
    #[expect(
        unsafe_code,
        reason = "the file is this process's own: written above into a private folder and never changed"
    )]
    // SAFETY: see the module's comment. wasmtime checks that the file fits this engine.
    let component = unsafe { Component::deserialize_file(engine, path) };
    component.map_err(LoadError::Engine)
}
