//! Compiled connectors, by the sum of their bytes and of everything that compiling depends on.
//!
//! A compiled file is machine code that is trusted blindly. So only this process's user may enter
//! the folder; a file is written under another name and renamed when complete, and never changed
//! afterwards, since running code is mapped from it; and at its end stands a code over its name and
//! its content, made with a key that lies beside it. A file that is not ours, was cut or was changed
//! is deleted and made anew, not loaded.

use std::{
    fs::{self, File},
    hash::{DefaultHasher, Hash, Hasher},
    io::{self, Read as _, Seek as _, SeekFrom, Write as _},
    path::{Path, PathBuf},
    time::SystemTime,
};

use tempfile::NamedTempFile;
use wasmtime::{Engine, component::Component};

use super::LoadError;
use crate::{
    egress::signing::hmac_sha256_bytes,
    model::{Digest, Entropy},
};

/// Bytes of the code at the end of a file.
const SEAL: u64 = 32;
/// The most bytes of all compiled files; the oldest go.
const MAX_BYTES: u64 = 2 * 1024 * 1024 * 1024;
const KEY_FILE: &str = "key";

/// The folder, and what proves that a file in it was written by this server.
pub(super) struct Cache {
    folder: PathBuf,
    key: [u8; 32],
}

impl Cache {
    /// Makes the folder, private, and its key.
    pub(super) fn open(folder: &Path, entropy: &dyn Entropy) -> Result<Self, LoadError> {
        let failed = |error| LoadError::Cache {
            folder: folder.to_owned(),
            error,
        };
        fs::create_dir_all(folder).map_err(failed)?;
        let metadata = fs::symlink_metadata(folder).map_err(failed)?;
        if !metadata.is_dir() {
            let text = "it must be a folder, not a link to one";
            return Err(failed(io::Error::other(text)));
        }
        if !is_ours(&metadata) {
            let text = "it belongs to another user, who could put code there that this server runs";
            return Err(failed(io::Error::other(text)));
        }
        make_private(folder).map_err(failed)?;
        Ok(Self {
            folder: folder.to_owned(),
            key: key(&folder.join(KEY_FILE), entropy).map_err(failed)?,
        })
    }

    pub(super) fn folder(&self) -> &Path {
        &self.folder
    }

    /// The compiled component, where it is there and really ours.
    pub(super) fn find(&self, engine: &Engine, digest: Digest) -> Option<Component> {
        let path = self.place(engine, digest);
        let found = self.load(engine, &path, digest);
        match found {
            Ok(component) => Some(component),
            Err(Unusable::Missing) => None,
            Err(unusable) => {
                tracing::warn!(
                    file = %path.display(),
                    reason = %unusable,
                    "a compiled connector is not used; it is deleted and compiled again"
                );
                fs::remove_file(&path).ok();
                None
            }
        }
    }

    /// Takes what the compiler wrote, and loads it.
    pub(super) fn keep(
        &self,
        engine: &Engine,
        digest: Digest,
        mut code: NamedTempFile,
    ) -> Result<Component, LoadError> {
        let path = self.place(engine, digest);
        let store = || {
            let file = code.as_file_mut();
            file.rewind()?;
            let seal = self.seal(engine, digest, &mut *file)?;
            file.seek(SeekFrom::End(0))?;
            file.write_all(&seal)?;
            file.sync_all()?;
            code.persist(&path).map_err(|error| error.error)
        };
        let failed = |error| LoadError::Cache {
            folder: self.folder.clone(),
            error,
        };
        store().map_err(failed)?;
        self.forget_oldest(&path);
        let loaded = self.load(engine, &path, digest);
        loaded.map_err(|unusable| match unusable {
            Unusable::Engine(error) => LoadError::Engine(error),
            other => failed(io::Error::other(other.to_string())),
        })
    }

    fn place(&self, engine: &Engine, digest: Digest) -> PathBuf {
        let settings = settings(engine);
        self.folder.join(format!("{digest}-{settings}.cwasm"))
    }

    /// A code over what is left of a file, for that component and these settings.
    fn seal(
        &self,
        engine: &Engine,
        digest: Digest,
        content: impl io::Read,
    ) -> io::Result<[u8; 32]> {
        let content = Digest::of_reader(content)?;
        let sum = Digest::of_all(&[
            b"jackfield compiled component",
            digest.as_bytes(),
            settings(engine).as_bytes(),
            content.as_bytes(),
        ]);
        Ok(hmac_sha256_bytes(&self.key, sum.as_bytes()))
    }

    fn load(&self, engine: &Engine, path: &Path, digest: Digest) -> Result<Component, Unusable> {
        let mut file = open(path)?;
        let metadata = file.metadata()?;
        if !metadata.is_file() || !is_ours(&metadata) || !is_private(&metadata) {
            return Err(Unusable::Foreign);
        }
        let Some(length) = metadata.len().checked_sub(SEAL) else {
            return Err(Unusable::Changed);
        };
        let expected = self.seal(engine, digest, (&mut file).take(length))?;
        let mut seal = [0; 32];
        file.read_exact(&mut seal)?;
        if seal != expected {
            return Err(Unusable::Changed);
        }
        let place = opened(&file, path);
        #[expect(
            unsafe_code,
            reason = "the file is this server's own: its folder and itself are private, and its content is what was sealed"
        )]
        // SAFETY: see the module's comment. wasmtime checks that the file fits this engine.
        let component = unsafe { Component::deserialize_file(engine, place) };
        component.map_err(Unusable::Engine)
    }

    /// Deletes the oldest files while there are too many bytes. Code that runs stays mapped.
    fn forget_oldest(&self, newest: &Path) {
        let Ok(entries) = fs::read_dir(&self.folder) else {
            return;
        };
        let mut files: Vec<(SystemTime, u64, PathBuf)> = entries
            .flatten()
            .filter(|entry| entry.path() != newest)
            .filter_map(|entry| {
                let path = entry.path();
                let compiled = path.extension().is_some_and(|end| end == "cwasm");
                let metadata = entry.metadata().ok().filter(|_| compiled)?;
                Some((metadata.modified().ok()?, metadata.len(), path))
            })
            .collect();
        files.sort();
        let mut bytes: u64 = files.iter().map(|(_, bytes, _)| bytes).sum();
        for (_, of_file, path) in files {
            if bytes <= MAX_BYTES {
                return;
            }
            fs::remove_file(path).ok();
            bytes -= of_file;
        }
    }
}

/// Why a compiled file is not loaded.
#[derive(Debug, thiserror::Error)]
enum Unusable {
    #[error("it is not there")]
    Missing,
    #[error("it is no file that only this user may write and read")]
    Foreign,
    #[error("it is not what this server wrote")]
    Changed,
    #[error("it cannot be read: {0}")]
    Io(io::Error),
    #[error("it is for another engine: {0}")]
    Engine(wasmtime::Error),
}

impl From<io::Error> for Unusable {
    fn from(error: io::Error) -> Self {
        if error.kind() == io::ErrorKind::NotFound {
            Self::Missing
        } else {
            Self::Io(error)
        }
    }
}

/// What compiling depends on besides the component: wasmtime, its settings, the processor.
fn settings(engine: &Engine) -> String {
    let mut hasher = DefaultHasher::new();
    engine.precompile_compatibility_hash().hash(&mut hasher);
    format!("{:016x}", hasher.finish())
}

/// Lets only this user enter a folder.
pub(super) fn make_private(folder: &Path) -> io::Result<()> {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt as _;
        fs::set_permissions(folder, fs::Permissions::from_mode(0o700))?;
    }
    Ok(())
}

/// The key in the file; a new one where it is missing or others could have read it.
fn key(path: &Path, entropy: &dyn Entropy) -> io::Result<[u8; 32]> {
    if let Some(key) = read_key(path) {
        return Ok(key);
    }
    let mut key = [0; 32];
    entropy.fill(&mut key);
    let folder = path.parent().unwrap_or_else(|| Path::new("."));
    let mut file = NamedTempFile::new_in(folder)?;
    file.write_all(&key)?;
    file.as_file().sync_all()?;
    if fs::symlink_metadata(path).is_ok() {
        // Whatever it is, it is no key of ours.
        fs::remove_file(path)?;
    }
    match file.persist_noclobber(path) {
        Ok(_) => Ok(key),
        // Two servers that start together end with one key.
        Err(error) => read_key(path).ok_or(error.error),
    }
}

fn read_key(path: &Path) -> Option<[u8; 32]> {
    let mut file = open(path).ok()?;
    let metadata = file.metadata().ok()?;
    let sound = metadata.is_file() && is_ours(&metadata) && is_private(&metadata);
    let mut key = [0; 32];
    (sound && metadata.len() == 32 && file.read_exact(&mut key).is_ok()).then_some(key)
}

/// Opens a file, not a link to one.
fn open(path: &Path) -> io::Result<File> {
    let mut options = File::options();
    options.read(true);
    #[cfg(unix)]
    {
        use std::os::unix::fs::OpenOptionsExt as _;
        let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
        options.custom_flags(flags.bits().cast_signed());
    }
    options.open(path)
}

/// A name for the file that is open, whatever has its old name by now.
fn opened(file: &File, path: &Path) -> PathBuf {
    #[cfg(target_os = "linux")]
    {
        use std::os::fd::AsRawFd as _;
        let opened = PathBuf::from(format!("/proc/self/fd/{}", file.as_raw_fd()));
        if opened.exists() {
            return opened;
        }
    }
    path.to_owned()
}

#[cfg(unix)]
fn is_ours(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::MetadataExt as _;
    metadata.uid() == rustix::process::geteuid().as_raw()
}

#[cfg(unix)]
fn is_private(metadata: &fs::Metadata) -> bool {
    use std::os::unix::fs::PermissionsExt as _;
    metadata.permissions().mode() & 0o077 == 0
}

#[cfg(not(unix))]
const fn is_ours(_: &fs::Metadata) -> bool {
    true
}

#[cfg(not(unix))]
const fn is_private(_: &fs::Metadata) -> bool {
    true
}
