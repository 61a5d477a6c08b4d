//! Texts with `{variables}` that the end customer typed.
//!
//! A variable's value becomes part of a URL that credentials are sent to, so each has a strict
//! form, and none can hold a character that would end the part of the URL it stands in.

use std::{collections::BTreeMap, fmt};

use serde::Deserialize;
use url::Url;

/// A value that the end customer types when connecting.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Variable {
    /// What may be typed.
    #[serde(rename = "type")]
    pub kind: VariableType,
    /// Its label.
    pub title: String,
    /// A hint.
    #[serde(default)]
    pub tooltip: Option<String>,
}

/// The form of a variable's value.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VariableType {
    /// An `https` (or, where the operator allows it, `http`) address: host, port, path; no query,
    /// no user name.
    Url,
    /// A host name, with a port or without.
    Host,
    /// One label of a host name: letters, digits, hyphens.
    Label,
}

impl VariableType {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Url => "url",
            Self::Host => "host",
            Self::Label => "label",
        }
    }
}

impl Variable {
    /// Checks a typed value and brings it into its one canonical spelling.
    ///
    /// # Errors
    /// What is wrong with it, a sentence.
    pub fn canonical(&self, value: &str) -> Result<String, String> {
        let value = value.trim();
        let label = |text: &str| {
            !text.is_empty()
                && text.len() <= 63
                && !text.starts_with('-')
                && !text.ends_with('-')
                && text
                    .bytes()
                    .all(|byte| byte.is_ascii_alphanumeric() || byte == b'-')
        };
        match self.kind {
            VariableType::Label if label(value) => Ok(value.to_ascii_lowercase()),
            VariableType::Label => Err(format!(
                "{} must be letters, digits and hyphens only",
                self.title
            )),
            VariableType::Host => {
                let (name, port) = value.split_once(':').unwrap_or((value, "443"));
                if name.split('.').all(label) && port.parse::<u16>().is_ok_and(|port| port > 0) {
                    Ok(value.to_ascii_lowercase())
                } else {
                    Err(format!("{} must be a host name", self.title))
                }
            }
            VariableType::Url => {
                let wrong = || {
                    format!(
                        "{} must be an address like https://example.com/path",
                        self.title
                    )
                };
                let url = Url::parse(value).map_err(|_| wrong())?;
                let plain = matches!(url.scheme(), "http" | "https")
                    && url.has_host()
                    && url.username().is_empty()
                    && url.password().is_none()
                    && url.query().is_none()
                    && url.fragment().is_none();
                if !plain {
                    return Err(wrong());
                }
                Ok(url.as_str().trim_end_matches('/').to_owned())
            }
        }
    }
}

/// A text such as `https://{subdomain}.example.com/api`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Template {
    pieces: Vec<Piece>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Piece {
    Text(String),
    Variable(String),
}

/// Why a template does not become a text.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum TemplateError {
    /// A brace has no partner.
    #[error("{0:?} has a brace without a partner")]
    Brace(String),
    /// The connection has no value for the variable.
    #[error("the connection has no value for {{{0}}}")]
    Missing(String),
}

impl Template {
    /// Reads the text.
    ///
    /// # Errors
    /// A brace has no partner.
    pub fn parse(text: &str) -> Result<Self, TemplateError> {
        let brace = || TemplateError::Brace(text.to_owned());
        let mut pieces = Vec::new();
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            if !before.is_empty() {
                pieces.push(Piece::Text(before.to_owned()));
            }
            let (name, remainder) = after.split_once('}').ok_or_else(brace)?;
            if name.is_empty() || name.contains('{') {
                return Err(brace());
            }
            pieces.push(Piece::Variable(name.to_owned()));
            rest = remainder;
        }
        if rest.contains('}') {
            return Err(brace());
        }
        if !rest.is_empty() {
            pieces.push(Piece::Text(rest.to_owned()));
        }
        Ok(Self { pieces })
    }

    /// The names of its variables.
    pub fn variables(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Variable(name) => Some(name.as_str()),
            Piece::Text(_) => None,
        })
    }

    /// The text, with canonical values in the variables' places.
    ///
    /// # Errors
    /// A value is missing.
    pub fn fill(&self, values: &BTreeMap<String, String>) -> Result<String, TemplateError> {
        let mut out = String::new();
        for piece in &self.pieces {
            match piece {
                Piece::Text(text) => out.push_str(text),
                Piece::Variable(name) => out.push_str(
                    values
                        .get(name)
                        .ok_or_else(|| TemplateError::Missing(name.clone()))?,
                ),
            }
        }
        Ok(out)
    }
}

impl fmt::Display for Template {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.pieces.iter().try_for_each(|piece| match piece {
            Piece::Text(text) => formatter.write_str(text),
            Piece::Variable(name) => write!(formatter, "{{{name}}}"),
        })
    }
}
