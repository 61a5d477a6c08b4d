//! An index of connectors: one JSON file, on any web host or in a registry.

use std::{cmp::Reverse, collections::BTreeMap};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::Offer;
use crate::model::Slug;

/// The form of the file.
const SCHEMA: u32 = 1;
/// The most bytes of an index.
pub(super) const MAX_INDEX: usize = 16 * 1024 * 1024;

/// An index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Index {
    /// 1.
    pub schema: u32,
    /// Connectors, by slug.
    pub connectors: Vec<Listed>,
}

/// A connector of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListedConnector")]
pub struct Listed {
    /// Its name in URLs.
    #[schemars(with = "String")]
    pub slug: Slug,
    /// Its name for people.
    pub name: String,
    /// One sentence.
    pub description: String,
    /// Verticals of its newest version.
    pub verticals: Vec<String>,
    /// Who signed its newest version: `ed25519:` and a key, or `unsigned`.
    pub publisher: String,
    /// An SPDX expression.
    pub licence: Option<String>,
    /// Where its source is.
    pub source: Option<String>,
    /// Newest first.
    pub versions: Vec<ListedVersion>,
}

/// A version of a connector of an index.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[schemars(rename = "ListedConnectorVersion")]
pub struct ListedVersion {
    /// By the rules of semantic versioning.
    #[schemars(with = "String")]
    pub version: semver::Version,
    /// SHA-256 of the file, 64 hexadecimal digits.
    pub digest: String,
    /// Bytes of the file.
    pub size: u64,
    /// Where the file is: `oci://…@sha256:…`, or a URL, relative to the index's own or not.
    pub location: String,
    /// Who signed it.
    pub publisher: String,
    /// What it asks for, line by line.
    pub permissions: Vec<String>,
    /// The hash of those lines.
    pub permission_hash: String,
    /// How many fields of each object it says it fills.
    pub coverage: BTreeMap<String, usize>,
}

impl Index {
    /// An index of connectors that were read, each with where it can be fetched.
    #[must_use]
    pub fn of(offers: &[(Offer, String)]) -> Self {
        let mut connectors: BTreeMap<Slug, Listed> = BTreeMap::new();
        let mut sorted: Vec<&(Offer, String)> = offers.iter().collect();
        sorted.sort_by_key(|(offer, _)| Reverse(offer.announced.manifest.version.clone()));
        for (offer, location) in sorted {
            let manifest = &offer.announced.manifest;
            let verticals = manifest.verticals();
            let listed = connectors
                .entry(manifest.slug.clone())
                .or_insert_with(|| Listed {
                    slug: manifest.slug.clone(),
                    name: manifest.name.clone(),
                    description: manifest.description.clone(),
                    verticals: verticals.iter().map(|name| (*name).to_owned()).collect(),
                    publisher: offer.announced.publisher(),
                    licence: manifest.licence.clone(),
                    source: manifest.source.clone(),
                    versions: Vec::new(),
                });
            let objects = manifest.objects.iter();
            listed.versions.push(ListedVersion {
                version: manifest.version.clone(),
                digest: offer.announced.digest.to_string(),
                size: offer.announced.bytes,
                location: location.clone(),
                publisher: offer.announced.publisher(),
                permissions: offer.announced.asked.lines().to_vec(),
                permission_hash: offer.announced.asked.hash().to_string(),
                coverage: objects
                    .map(|object| (object.kind.name().to_owned(), object.fields.len()))
                    .collect(),
            });
        }
        Self {
            schema: SCHEMA,
            connectors: connectors.into_values().collect(),
        }
    }

    /// Reads the text of one.
    ///
    /// # Errors
    /// It is none, a sentence.
    pub fn parse(text: &[u8]) -> Result<Self, String> {
        let mut index: Self =
            serde_json::from_slice(text).map_err(|error| format!("it is no index: {error}"))?;
        if index.schema != SCHEMA {
            let schema = index.schema;
            return Err(format!(
                "it is of schema {schema}; this server knows schema {SCHEMA}"
            ));
        }
        for listed in &mut index.connectors {
            listed
                .versions
                .sort_by_key(|version| Reverse(version.version.clone()));
        }
        Ok(index)
    }
}

impl Listed {
    /// The version that is named, or the newest one that is no preview.
    #[must_use]
    pub fn version(&self, named: Option<&str>) -> Option<&ListedVersion> {
        let mut versions = self.versions.iter();
        match named {
            Some(named) => versions.find(|one| one.version.to_string() == named),
            None => versions
                .find(|one| one.version.pre.is_empty())
                .or_else(|| self.versions.first()),
        }
    }

    /// Whether a word is in its name, slug or description, whatever its case.
    #[must_use]
    pub fn speaks_of(&self, word: &str) -> bool {
        let word = word.to_lowercase();
        let texts = [self.slug.as_str(), &self.name, &self.description];
        texts.iter().any(|text| text.to_lowercase().contains(&word))
    }
}
