//! What is in a connector's file, without running it.

use std::{fmt, fs, path::Path};

use serde::Serialize;

use super::Error;
use crate::{
    model::{Manifest, ObjectSupport, WebhookRoute},
    runtime::{Announced, Artifact, Described, LoadError},
};

/// What is in a connector's file. Its `Display` is for people, its JSON for programs.
#[derive(Clone, Debug, Serialize)]
pub struct Inspection {
    /// The file's name.
    pub file: String,
    /// The connector's name in URLs.
    pub slug: String,
    /// SHA-256 of the file, hexadecimal.
    pub digest: String,
    /// The key of who signed it; the signature is good.
    pub publisher: Option<String>,
    /// The file's size.
    pub bytes: u64,
    /// The size of the component made of it; the same where it is one already.
    pub component_bytes: u64,
    /// What it can reach.
    pub imports: Vec<DescribedImport>,
    /// What it offers.
    pub exports: Vec<String>,
    /// What its manifest says.
    #[serde(flatten)]
    pub described: Described,
    #[serde(skip)]
    manifest: Manifest,
}

/// An interface that a connector imports.
#[derive(Clone, Debug, Serialize)]
pub struct DescribedImport {
    /// Its name.
    pub interface: String,
    /// What it lets the connector do.
    pub meaning: &'static str,
}

/// Reads a connector's file.
///
/// # Errors
/// It cannot be read, or is no connector.
pub fn inspect(file: &Path) -> Result<Inspection, Error> {
    let bytes = fs::read(file).map_err(|error| Error::Read(file.to_owned(), error))?;
    let artifact =
        Artifact::read(&bytes).map_err(|error| Error::Refused(file.to_owned(), error))?;
    Inspection::of(file, &bytes, &artifact).map_err(|error| Error::Refused(file.to_owned(), error))
}

impl Inspection {
    pub(super) fn of(file: &Path, bytes: &[u8], artifact: &Artifact) -> Result<Self, LoadError> {
        let publisher = Announced::read(bytes)?.publisher;
        Ok(Self {
            file: file
                .file_name()
                .map(|name| name.to_string_lossy().into_owned())
                .unwrap_or_default(),
            slug: artifact.manifest.slug.to_string(),
            digest: artifact.digest.to_string(),
            publisher: publisher.map(|key| key.to_string()),
            bytes: bytes.len() as u64,
            component_bytes: artifact.component.len() as u64,
            imports: artifact
                .imports
                .iter()
                .map(|import| DescribedImport {
                    interface: import.to_string(),
                    meaning: import.meaning(),
                })
                .collect(),
            exports: artifact.exports.clone(),
            described: Described::new(
                &artifact.manifest,
                &artifact.imports,
                artifact.has_discovery(),
            ),
            manifest: artifact.manifest.clone(),
        })
    }

    /// The optional interfaces that it has, and what they give.
    fn optional(&self) -> impl Iterator<Item = (String, String)> {
        let webhooks = self.manifest.webhooks.map(|webhooks| {
            let words = match webhooks.route {
                WebhookRoute::Account => "for all connections at one address",
                WebhookRoute::Connection => "at an address for each connection",
            };
            let secret = webhooks.secret.as_str();
            let text = format!("reads what the provider sends, {words}; secret: {secret}");
            ("webhooks".to_owned(), text)
        });
        let discovery = self.described.has_discovery().then(|| {
            let text = "lists the provider's fields, for custom fields";
            ("discovery".to_owned(), text.to_owned())
        });
        let settings = self.manifest.settings.iter();
        let loaded: Vec<&str> = settings
            .filter(|setting| setting.options_from.is_some())
            .map(|setting| setting.id.as_str())
            .collect();
        let choices = (!loaded.is_empty()).then(|| {
            let text = format!("loads what can be chosen in {}", loaded.join(", "));
            ("choices".to_owned(), text)
        });
        webhooks.into_iter().chain(discovery).chain(choices)
    }

    /// The manifest in the file.
    #[must_use]
    pub const fn manifest(&self) -> &Manifest {
        &self.manifest
    }
}

impl fmt::Display for Inspection {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let manifest = &self.manifest;
        writeln!(
            formatter,
            "{} {} ({})\n{}\n",
            manifest.name, manifest.version, manifest.slug, manifest.description
        )?;
        writeln!(
            formatter,
            "file         {}, {} bytes (component {})",
            self.file, self.bytes, self.component_bytes
        )?;
        writeln!(formatter, "sha256       {}", self.digest)?;
        let publisher = self.publisher.as_deref().unwrap_or("not signed");
        writeln!(formatter, "publisher    {publisher}")?;
        let licence = manifest.licence.as_deref().unwrap_or("not said");
        writeln!(formatter, "licence      {licence}")?;
        if let Some(source) = &manifest.source {
            writeln!(formatter, "source       {source}")?;
        }
        section(formatter, "objects", manifest.objects.iter().map(object))?;
        let auth = manifest.auth.iter().map(|scheme| {
            let fields: Vec<&str> = scheme.fields().iter().map(|field| field.id).collect();
            (
                format!("{} ({})", scheme.name, scheme.type_name()),
                format!(
                    "{}: {}",
                    scheme.title,
                    or_none(&fields.join(", "), "in the browser")
                ),
            )
        });
        section(formatter, "login", auth)?;
        let variables = manifest.variables.iter().map(|(id, variable)| {
            let kind = variable.kind.as_str();
            (format!("{id} ({kind})"), variable.title.clone())
        });
        let settings = manifest.settings.iter().map(|setting| {
            let kind = setting.kind.as_str();
            (format!("{} ({kind})", setting.id), setting.title.clone())
        });
        section(formatter, "settings", variables.chain(settings))?;
        section(formatter, "optional", self.optional())?;
        let http: Vec<String> = manifest
            .permissions
            .http
            .iter()
            .map(ToString::to_string)
            .collect();
        let permissions = [
            ("http".to_owned(), or_none(&http.join(", "), "none")),
            (
                "secrets".to_owned(),
                or_none(&manifest.permissions.secrets.join(", "), "none"),
            ),
            (
                "memory".to_owned(),
                format!("{} MiB", manifest.permissions.memory_mib),
            ),
        ];
        section(formatter, "permissions", permissions.into_iter())?;
        let imports = self
            .imports
            .iter()
            .map(|import| (import.interface.clone(), import.meaning.to_owned()));
        section(formatter, "imports", imports)?;
        let exports = self
            .exports
            .iter()
            .map(|name| (name.clone(), String::new()));
        section(formatter, "exports", exports)
    }
}

fn object(object: &ObjectSupport) -> (String, String) {
    let mut words = vec!["read"];
    words.extend(object.push.iter().map(|operation| operation.as_str()));
    if object.incremental {
        words.push("(incremental)");
    }
    let fields = or_none(&object.fields.join(", "), "no field said");
    let (filled, all) = (object.fields.len(), object.kind.spec().properties.len());
    (
        object.kind.name().to_owned(),
        format!("{}: {fields} ({filled} of {all})", words.join(" ")),
    )
}

fn or_none(text: &str, none: &str) -> String {
    if text.is_empty() { none } else { text }.to_owned()
}

fn section(
    formatter: &mut fmt::Formatter<'_>,
    title: &str,
    rows: impl Iterator<Item = (String, String)>,
) -> fmt::Result {
    let rows: Vec<_> = rows.collect();
    if rows.is_empty() {
        return writeln!(formatter, "{title}\n  none");
    }
    let width = rows.iter().map(|(left, _)| left.len()).max().unwrap_or(0);
    writeln!(formatter, "{title}")?;
    for (left, right) in rows {
        let line = format!("  {left:width$}  {right}");
        writeln!(formatter, "{}", line.trim_end())?;
    }
    Ok(())
}
