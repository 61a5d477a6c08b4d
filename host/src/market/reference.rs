//! Where an artifact lies in a registry: `oci://registry[:port]/repository[:tag|@sha256:digest]`.

use std::{fmt, str::FromStr};

use crate::model::Digest;

/// A place in a registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    /// Whether the registry is spoken to without encryption (`oci+http://`).
    pub plain: bool,
    /// Host and port.
    pub registry: String,
    /// Path within it.
    pub repository: String,
    /// A name that may move.
    pub tag: Option<String>,
    /// The sum of the manifest.
    pub digest: Option<Digest>,
}

/// A text that is no reference.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is no place in a registry: write oci://REGISTRY[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST], or oci+http:// for one without encryption"
)]
pub struct ReferenceError(String);

impl Reference {
    /// Whether a text wants to be one.
    #[must_use]
    pub fn is_meant(text: &str) -> bool {
        text.starts_with("oci://") || text.starts_with("oci+http://")
    }

    /// The same repository under a tag.
    #[must_use]
    pub fn tagged(&self, tag: &str) -> Self {
        Self {
            tag: Some(tag.to_owned()),
            digest: None,
            ..self.clone()
        }
    }

    /// The same repository at a digest.
    #[must_use]
    pub fn pinned(&self, digest: Digest) -> Self {
        Self {
            digest: Some(digest),
            ..self.clone()
        }
    }
}

impl FromStr for Reference {
    type Err = ReferenceError;
    fn from_str(text: &str) -> Result<Self, ReferenceError> {
        let bad = || ReferenceError(text.chars().take(300).collect());
        let (plain, rest) = match text.strip_prefix("oci+http://") {
            Some(rest) => (true, rest),
            None => (false, text.strip_prefix("oci://").ok_or_else(bad)?),
        };
        let (registry, rest) = rest.split_once('/').ok_or_else(bad)?;
        let (rest, digest) = match rest.split_once("@sha256:") {
            Some((rest, digest)) => (rest, Some(Digest::parse(digest).ok_or_else(bad)?)),
            None => (rest, None),
        };
        let (repository, tag) = match rest.split_once(':') {
            Some((repository, tag)) => (repository, Some(tag.to_owned())),
            None => (rest, None),
        };
        let letter = |extra: &'static str| {
            move |letter: char| letter.is_ascii_alphanumeric() || extra.contains(letter)
        };
        let is_name = |part: &str| {
            let lower = part.chars().all(|letter| !letter.is_ascii_uppercase());
            !part.is_empty() && lower && part.chars().all(letter("._-"))
        };
        let good = !registry.is_empty()
            && registry.chars().all(letter(".-:[]"))
            && repository
                .split('/')
                .all(|part| is_name(part) && part != "." && part != "..")
            && tag.as_deref().is_none_or(|tag| {
                !tag.is_empty() && tag.len() <= 128 && tag.chars().all(letter("._-"))
            });
        if !good {
            return Err(bad());
        }
        Ok(Self {
            plain,
            registry: registry.to_owned(),
            repository: repository.to_owned(),
            tag,
            digest,
        })
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.plain { "oci+http" } else { "oci" };
        write!(
            formatter,
            "{scheme}://{}/{}",
            self.registry, self.repository
        )?;
        if let Some(tag) = &self.tag {
            write!(formatter, ":{tag}")?;
        }
        if let Some(digest) = self.digest {
            write!(formatter, "@sha256:{digest}")?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn references_survive_the_journey_and_others_are_refused() {
        let digest = Digest::of("x");
        for good in [
            "oci://ghcr.io/acme/crm".to_owned(),
            "oci://ghcr.io/acme/crm:1.2.0-rc.1".to_owned(),
            "oci+http://127.0.0.1:5000/crm:latest".to_owned(),
            format!("oci://ghcr.io/acme/crm@sha256:{digest}"),
            format!("oci://ghcr.io/acme/crm:1.0.0@sha256:{digest}"),
        ] {
            assert_eq!(good.parse::<Reference>().unwrap().to_string(), good);
        }
        for bad in [
            "ghcr.io/acme/crm",
            "oci://ghcr.io",
            "oci://ghcr.io/",
            "oci:///acme",
            "oci://user@ghcr.io/acme",
            "oci://ghcr.io/acme/../other",
            "oci://ghcr.io/Acme",
            "oci://ghcr.io/acme?x=1",
            "oci://ghcr.io/acme:",
            "oci://ghcr.io/acme@sha256:abc",
            "https://ghcr.io/acme",
        ] {
            assert!(bad.parse::<Reference>().is_err(), "{bad}");
        }
    }
}
