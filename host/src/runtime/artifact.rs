//! What a connector's bytes say, read without running anything.

use std::fmt;

use wasmparser::{Parser, Payload};

use super::LoadError;
use crate::model::{Digest, MANIFEST_SECTION, Manifest, SAMPLES_SECTION};

/// The most bytes of a connector's file.
pub const MAX_FILE: u64 = 32 * 1024 * 1024;
/// The most bytes of the component that is made of a file.
pub(super) const MAX_COMPONENT: u64 = 2 * MAX_FILE;

const PACKAGE: &str = "jackfield:connector/";
const IMPORTS: [&str; 5] = ["types", "http", "secrets", "log", "clock"];
const EXPORT: &str = "connector";
const WEBHOOKS: &str = "webhooks";
const DISCOVERY: &str = "discovery";
const CHOICES: &str = "choices";
/// The most bytes of samples.
const MAX_SAMPLES: usize = 256 * 1024;

/// A verified component, not yet compiled.
#[derive(Debug)]
pub struct Artifact {
    /// The sum of the file's bytes: the identity of the connector version.
    pub digest: Digest,
    /// What it says of itself.
    pub manifest: Manifest,
    /// The same as text, as it lies in the file.
    pub manifest_text: String,
    /// What it can reach.
    pub imports: Vec<Import>,
    /// What it offers: names of interfaces.
    pub exports: Vec<String>,
    /// Fixtures that show what it maps: JSON documents, one after the other.
    pub samples: String,
    /// The bytes of the component.
    pub component: Vec<u8>,
}

/// An interface that a component imports.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Import(String);

impl fmt::Display for Import {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

impl Import {
    /// What the interface lets a connector do, in a few words.
    #[must_use]
    pub fn meaning(&self) -> &'static str {
        match interface(&self.0) {
            Some("http") => "requests to the hosts of its permissions",
            Some("secrets") => "use of named secrets, without reading them",
            Some("log") => "lines in the host's log",
            Some("clock") => "the time",
            _ => "types only",
        }
    }
}

impl Artifact {
    /// Whether it reads what its provider sends.
    #[must_use]
    pub fn has_webhooks(&self) -> bool {
        self.has(WEBHOOKS)
    }

    /// Whether it tells which fields its provider has.
    #[must_use]
    pub fn has_discovery(&self) -> bool {
        self.has(DISCOVERY)
    }

    /// Whether it loads what can be chosen in settings.
    #[must_use]
    pub fn has_choices(&self) -> bool {
        self.has(CHOICES)
    }

    fn has(&self, export: &str) -> bool {
        let mut names = self.exports.iter();
        names.any(|name| interface(name) == Some(export))
    }

    /// Verifies the bytes of a file: a component of the contract, or a core module that says how
    /// to make one of it, with one good manifest and no foreign import.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn read(bytes: &[u8]) -> Result<Self, LoadError> {
        if bytes.len() as u64 > MAX_FILE {
            return Err(LoadError::TooLarge(bytes.len() as u64, MAX_FILE));
        }
        let digest = Digest::of(bytes);
        let component = if Parser::is_component(bytes) {
            bytes.to_vec()
        } else if Parser::is_core_wasm(bytes) {
            componentize(bytes)?
        } else {
            return Err(LoadError::NotWasm);
        };
        let outline = Outline::of(&component)?;
        let (manifest, manifest_text) = match outline.manifests.as_slice() {
            [] => return Err(LoadError::NoManifest),
            [manifest] => (Manifest::parse(manifest)?, manifest.clone()),
            several => return Err(LoadError::ManyManifests(several.len())),
        };
        if let Some(foreign) = outline
            .imports
            .iter()
            .find(|name| !interface(name).is_some_and(|name| IMPORTS.contains(&name)))
        {
            let allowed = IMPORTS.map(|name| format!("{PACKAGE}{name}")).join(", ");
            return Err(LoadError::ForbiddenImport(foreign.clone(), allowed));
        }
        if !outline
            .exports
            .iter()
            .any(|name| interface(name) == Some(EXPORT))
        {
            return Err(LoadError::MissingExport(format!("{PACKAGE}{EXPORT}")));
        }
        let exports = |interface_name: &str| {
            let mut names = outline.exports.iter();
            names.any(|name| interface(name) == Some(interface_name))
        };
        match (manifest.webhooks.is_some(), exports(WEBHOOKS)) {
            (true, false) => return Err(LoadError::WebhooksNotExported),
            (false, true) => return Err(LoadError::WebhooksNotDeclared),
            _ => {}
        }
        let mut settings = manifest.settings.iter();
        let loaded = settings.find(|setting| setting.options_from.is_some());
        match (loaded, exports(CHOICES)) {
            (Some(setting), false) => {
                return Err(LoadError::ChoicesNotExported(setting.id.clone()));
            }
            (None, true) => return Err(LoadError::ChoicesNotDeclared),
            _ => {}
        }
        if outline.samples.len() > MAX_SAMPLES {
            return Err(LoadError::Samples(outline.samples.len(), MAX_SAMPLES));
        }
        Ok(Self {
            digest,
            manifest,
            manifest_text,
            imports: outline.imports.into_iter().map(Import).collect(),
            exports: outline.exports,
            samples: outline.samples,
            component,
        })
    }
}

/// `http` of `jackfield:connector/http@0.1.0`.
fn interface(name: &str) -> Option<&str> {
    let rest = name.strip_prefix(PACKAGE)?;
    Some(rest.split_once('@').map_or(rest, |(name, _)| name))
}

fn componentize(module: &[u8]) -> Result<Vec<u8>, LoadError> {
    let mut has_type = false;
    for payload in Parser::new(0).parse_all(module) {
        if let Payload::CustomSection(section) = payload.map_err(|error| malformed(&error))? {
            has_type |= section.name().starts_with("component-type");
        }
    }
    if !has_type {
        return Err(LoadError::NoContract);
    }
    wit_component::ComponentEncoder::default()
        .module(module)
        .and_then(|encoder| encoder.validate(true).encode())
        .map_err(|error| LoadError::Malformed(format!("{error:#}")))
}

fn malformed(error: &wasmparser::BinaryReaderError) -> LoadError {
    LoadError::Malformed(error.to_string())
}

struct Outline {
    manifests: Vec<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    samples: String,
}

impl Outline {
    /// Walks the component and the modules within it. The whole file is read, so that broken
    /// bytes are an error here and not later.
    fn of(component: &[u8]) -> Result<Self, LoadError> {
        let mut outline = Self {
            manifests: Vec::new(),
            imports: Vec::new(),
            exports: Vec::new(),
            samples: String::new(),
        };
        let mut depth = 0_u32;
        for payload in Parser::new(0).parse_all(component) {
            match payload.map_err(|error| malformed(&error))? {
                Payload::ModuleSection { .. } | Payload::ComponentSection { .. } => depth += 1,
                Payload::End(_) => depth = depth.saturating_sub(1),
                Payload::ComponentImportSection(reader) if depth == 0 => {
                    for import in reader {
                        let import = import.map_err(|error| malformed(&error))?;
                        outline.imports.push(import.name.name.to_owned());
                    }
                }
                Payload::ComponentExportSection(reader) if depth == 0 => {
                    for export in reader {
                        let export = export.map_err(|error| malformed(&error))?;
                        outline.exports.push(export.name.name.to_owned());
                    }
                }
                Payload::CustomSection(section) if section.name() == SAMPLES_SECTION => {
                    let text = std::str::from_utf8(section.data()).map_err(|_| {
                        LoadError::Malformed("the samples are not UTF-8".to_owned())
                    })?;
                    outline.samples.push_str(text);
                }
                Payload::CustomSection(section) if section.name() == MANIFEST_SECTION => {
                    let text = std::str::from_utf8(section.data()).map_err(|_| {
                        LoadError::Malformed("the manifest is not UTF-8".to_owned())
                    })?;
                    outline.manifests.push(text.to_owned());
                }
                _ => {}
            }
        }
        Ok(outline)
    }
}
