//! What a file says of itself, read before anything of it is compiled: the manifest and who
//! signed it.

use wasmparser::{Parser, Payload};

use super::{
    LoadError,
    artifact::MAX_FILE,
    signature::{self, PublisherKey, SIGNATURE_SECTION},
};
use crate::model::{
    Asked, Digest, MANIFEST_SECTION, Manifest,
    consent::{Candidate, UNSIGNED},
};

/// A file before it is a connector.
#[derive(Debug)]
pub struct Announced {
    /// The sum of its bytes.
    pub digest: Digest,
    /// Its manifest.
    pub manifest: Manifest,
    /// Who signed it. The signature is good.
    pub publisher: Option<PublisherKey>,
    /// What it asks for.
    pub asked: Asked,
    /// Its size.
    pub bytes: u64,
}

impl Announced {
    /// Reads the custom sections of a file, and verifies its signature where it has one.
    ///
    /// # Errors
    /// It is no WebAssembly, has not exactly one good manifest, or its signature is bad.
    pub fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        let size = bytes.len() as u64;
        if size > MAX_FILE {
            return Err(LoadError::TooLarge(size, MAX_FILE));
        }
        if !Parser::is_component(bytes) && !Parser::is_core_wasm(bytes) {
            return Err(LoadError::NotWasm);
        }
        let mut manifests = Vec::new();
        let mut signatures = 0;
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(bytes) {
            match payload.map_err(|error| LoadError::Malformed(error.to_string()))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                    let text = std::str::from_utf8(section.data()).map_err(|_| {
                        LoadError::Malformed("the manifest is not UTF-8".to_owned())
                    })?;
                    manifests.push(text.to_owned());
                }
                Payload::CustomSection(section)
                    if depth == 0 && section.name() == SIGNATURE_SECTION =>
                {
                    signatures += 1;
                }
                _ => {}
            }
        }
        let publisher = match signatures {
            0 => None,
            1 => Some(signature::verify(bytes)?),
            several => {
                let what = format!("it has {several} signatures; there may be one");
                return Err(LoadError::Signature(what));
            }
        };
        let manifest = match manifests.as_slice() {
            [] => return Err(LoadError::NoManifest),
            [manifest] => Manifest::parse(manifest)?,
            several => return Err(LoadError::ManyManifests(several.len())),
        };
        Ok(Self {
            digest: Digest::of(bytes),
            asked: Asked::by(&manifest),
            manifest,
            publisher,
            bytes: size,
        })
    }

    /// Who published it, as grants name him.
    #[must_use]
    pub fn publisher(&self) -> String {
        let key = self.publisher.as_ref();
        key.map_or_else(|| UNSIGNED.to_owned(), ToString::to_string)
    }

    /// What is judged of it.
    #[must_use]
    pub fn candidate(&self, source: &str) -> Candidate {
        Candidate {
            digest: self.digest,
            version: self.manifest.version.to_string(),
            publisher: self.publisher(),
            asked: self.asked.clone(),
            bytes: self.bytes,
            source: source.to_owned(),
        }
    }
}
