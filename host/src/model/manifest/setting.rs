//! What the end customer may choose beyond the login.

use serde::Deserialize;

use crate::model::ObjectKind;

/// The most bytes of a value: a private key in PEM is the longest thing anyone has to type.
const MAX_VALUE: usize = 16 * 1024;

/// Something that the end customer may choose.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Setting {
    /// Its key, stable for ever.
    pub id: String,
    /// What may be typed.
    #[serde(rename = "type")]
    pub kind: SettingType,
    /// Its label.
    pub title: String,
    /// A hint.
    #[serde(default)]
    pub tooltip: Option<String>,
    /// Whether a connection needs it.
    #[serde(default)]
    pub required: bool,
    /// The choices of a `select`.
    #[serde(default)]
    pub options: Vec<String>,
    /// Who else knows the choices of a `select`.
    #[serde(default)]
    pub options_from: Option<OptionsFrom>,
    /// The object of a `field_mapping`, such as `crm.contact`.
    #[serde(default)]
    pub object: Option<String>,
    /// The value where nothing was chosen.
    #[serde(default)]
    pub default: Option<String>,
}

/// Who knows the choices of a `select` that does not list them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OptionsFrom {
    /// The provider: the connector's interface `choices` is asked.
    Discovery,
}

impl OptionsFrom {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Discovery => "discovery",
        }
    }
}

/// The type of a setting.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum SettingType {
    /// One line.
    Text,
    /// Several lines.
    LongText,
    /// A decimal number.
    Number,
    /// `true` or `false`.
    Boolean,
    /// Kept sealed, never given to the guest as text.
    Password,
    /// An absolute `http` or `https` URL.
    Url,
    /// An address with an `@`.
    Email,
    /// One of `options`, or of what the provider has.
    Select,
    /// How the project's custom fields of `object` are mapped. It has no value of its own: the
    /// mappings of the linked user are.
    FieldMapping,
}

impl SettingType {
    /// As the manifest spells it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Text => "text",
            Self::LongText => "long_text",
            Self::Number => "number",
            Self::Boolean => "boolean",
            Self::Password => "password",
            Self::Url => "url",
            Self::Email => "email",
            Self::Select => "select",
            Self::FieldMapping => "field_mapping",
        }
    }

    /// What a value of it is, for messages.
    const fn described(self) -> &'static str {
        match self {
            Self::Text => "one line of text",
            Self::LongText | Self::Password | Self::Select | Self::FieldMapping => "a text",
            Self::Number => "a number, such as 12 or 0.5",
            Self::Boolean => "true or false",
            Self::Url => "an address that starts with https:// or http://",
            Self::Email => "a mail address, such as name@example.com",
        }
    }
}

impl Setting {
    /// Whether it can be asked only once the login is there, because the provider is asked.
    #[must_use]
    pub fn is_after_login(&self) -> bool {
        self.options_from.is_some() || self.kind == SettingType::FieldMapping
    }

    /// The object of a `field_mapping`.
    #[must_use]
    pub fn object_kind(&self) -> Option<ObjectKind> {
        self.object.as_deref().and_then(ObjectKind::parse)
    }

    /// Checks a value that was typed. Whether the provider has a choice is not known here.
    ///
    /// # Errors
    /// What is wrong with it, a sentence without the value.
    pub fn check(&self, value: &str) -> Result<(), String> {
        if value.len() > MAX_VALUE {
            let title = &self.title;
            return Err(format!("{title} may have {MAX_VALUE} bytes at most"));
        }
        let one_line = || !value.contains(['\r', '\n']);
        let good = match self.kind {
            SettingType::Text => one_line(),
            SettingType::LongText | SettingType::Password => true,
            SettingType::Number => value.parse::<f64>().is_ok_and(f64::is_finite),
            SettingType::Boolean => matches!(value, "true" | "false"),
            SettingType::Url => url::Url::parse(value)
                .is_ok_and(|url| matches!(url.scheme(), "http" | "https") && url.has_host()),
            SettingType::Email => value
                .split_once('@')
                .is_some_and(|(name, host)| !name.is_empty() && host.contains('.')),
            SettingType::Select if self.options_from.is_some() => one_line(),
            SettingType::Select => self.options.iter().any(|option| option == value),
            SettingType::FieldMapping => false,
        };
        if good {
            return Ok(());
        }
        let title = &self.title;
        Err(match self.kind {
            SettingType::Select if self.options_from.is_none() => {
                format!("{title} must be one of {}", self.options.join(", "))
            }
            SettingType::FieldMapping => {
                format!("{title} has no value: it is the mapping of custom fields")
            }
            kind => format!("{title} must be {}", kind.described()),
        })
    }
}
