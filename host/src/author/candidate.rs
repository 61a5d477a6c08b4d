//! A connector that its author looks at: a folder that is built first, or a file.

use std::{
    fs,
    path::{Path, PathBuf},
};

use super::{Error, Fixtures, build};
use crate::runtime::{Artifact, Compiler};

/// A component with its fixtures.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// What was named: a connector's folder or a `.wasm` file.
    pub path: PathBuf,
    /// The component's file.
    pub bytes: Vec<u8>,
    /// Its fixtures: those of the folder, those that were named, or those that the component carries.
    pub fixtures: Fixtures,
    /// Who compiles it: [`Compiler::this_program`] in a process that is `jackfield`.
    pub compiler: Compiler,
}

impl Candidate {
    /// Reads a file, or builds a folder and reads what came of it. `fixtures` is the folder of
    /// the fixtures, where it is not `fixtures` in the connector's folder.
    ///
    /// # Errors
    /// It does not build, or something cannot be read.
    pub async fn open(
        path: &Path,
        fixtures: Option<&Path>,
        compiler: Compiler,
        progress: &(dyn Fn(&str) + Sync),
    ) -> Result<Self, Error> {
        if !path.is_dir() {
            let bytes = fs::read(path).map_err(|error| Error::Read(path.to_owned(), error))?;
            let fixtures = match fixtures {
                Some(folder) => Fixtures::read(folder)?,
                None => Artifact::read(&bytes)
                    .map(|artifact| Fixtures::of_samples(&artifact.samples))
                    .unwrap_or_default(),
            };
            return Ok(Self {
                path: path.to_owned(),
                bytes,
                fixtures,
                compiler,
            });
        }
        let own = path.join("fixtures");
        // Before the build: a mistake in a fixture is told in a moment.
        let fixtures = match fixtures {
            Some(folder) => Fixtures::read(folder)?,
            None if own.is_dir() => Fixtures::read(&own)?,
            None => Fixtures::default(),
        };
        let out = tempfile::tempdir().map_err(|error| Error::Sandbox(error.into()))?;
        let built = build(path, out.path(), progress).await?;
        let bytes =
            fs::read(&built.path).map_err(|error| Error::Read(built.path.clone(), error))?;
        Ok(Self {
            path: path.to_owned(),
            bytes,
            fixtures,
            compiler,
        })
    }
}
