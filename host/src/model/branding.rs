//! How a project's connect pages look: whose they are, and a colour that can be read.

use base64::{Engine as _, engine::general_purpose::STANDARD};

const MAX_NAME: usize = 80;
/// 64 KiB of image, as base64.
const MAX_LOGO: usize = 88 * 1024;
const LOGO_TYPES: [&str; 5] = [
    "image/svg+xml",
    "image/png",
    "image/jpeg",
    "image/webp",
    "image/gif",
];

/// The pages' own backgrounds, light and dark.
const LIGHT: Color = Color(0xff, 0xff, 0xff);
const DARK: Color = Color(0x16, 0x1a, 0x20);
/// What WCAG 2.2 asks of a button against what it lies on (1.4.11).
const SEEN: f64 = 3.0;

/// What a project chose; nothing where it chose nothing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Branding {
    /// What the pages call the integrator; the project's name otherwise.
    pub name: Option<String>,
    /// An image as `data:` URI: the pages load nothing from elsewhere.
    pub logo: Option<String>,
    /// Of buttons.
    pub primary_color: Option<Color>,
}

/// Why a branding is refused.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum BrandingError {
    /// The name is empty or too long.
    #[error("a name has 1 to {MAX_NAME} characters")]
    Name,
    /// The logo is no image in a `data:` URI.
    #[error(
        "a logo is an image as `data:image/svg+xml;base64,…` (or png, jpeg, webp, gif) of at most 64 KiB: the pages load nothing from elsewhere"
    )]
    Logo,
    /// The colour is none.
    #[error("a colour is written #rrggbb")]
    Color,
    /// The colour cannot be told from the page.
    #[error(
        "{color} has a contrast of {contrast:.1} to 1 with a white page, and a button needs 3 to 1: choose a darker colour"
    )]
    Contrast {
        /// Which.
        color: Color,
        /// How little.
        contrast: f64,
    },
}

impl Branding {
    /// Checks what was typed; an empty text counts as nothing.
    ///
    /// # Errors
    /// The first thing that is wrong.
    pub fn parse(
        name: Option<&str>,
        logo: Option<&str>,
        primary_color: Option<&str>,
    ) -> Result<Self, BrandingError> {
        let given = |text: Option<&str>| {
            let text = text.map(str::trim).filter(|text| !text.is_empty());
            text.map(ToOwned::to_owned)
        };
        let name = given(name);
        if name
            .as_ref()
            .is_some_and(|name| name.chars().count() > MAX_NAME)
        {
            return Err(BrandingError::Name);
        }
        let logo = given(logo);
        if logo.as_deref().is_some_and(|logo| !is_image(logo)) {
            return Err(BrandingError::Logo);
        }
        let primary_color = given(primary_color);
        let primary_color = primary_color.as_deref().map(Color::parse).transpose()?;
        if let Some(color) = primary_color {
            let contrast = color.contrast(LIGHT);
            if contrast < SEEN {
                return Err(BrandingError::Contrast { color, contrast });
            }
        }
        Ok(Self {
            name,
            logo,
            primary_color,
        })
    }
}

fn is_image(uri: &str) -> bool {
    let Some((kind, content)) = uri
        .strip_prefix("data:")
        .and_then(|rest| rest.split_once(";base64,"))
    else {
        return false;
    };
    uri.len() <= MAX_LOGO
        && LOGO_TYPES.contains(&kind)
        && STANDARD
            .decode(content)
            .is_ok_and(|bytes| !bytes.is_empty())
}

/// A colour, `#rrggbb`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Color(u8, u8, u8);

impl std::fmt::Display for Color {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "#{:02x}{:02x}{:02x}", self.0, self.1, self.2)
    }
}

impl Color {
    /// Reads `#rrggbb`.
    ///
    /// # Errors
    /// It is none.
    pub fn parse(text: &str) -> Result<Self, BrandingError> {
        let digits = text.strip_prefix('#').filter(|digits| digits.len() == 6);
        let number = digits.and_then(|digits| u32::from_str_radix(digits, 16).ok());
        let [_, red, green, blue] = number.ok_or(BrandingError::Color)?.to_be_bytes();
        Ok(Self(red, green, blue))
    }

    /// The contrast with another, from 1 to 21 (WCAG 2.2).
    #[must_use]
    pub fn contrast(self, other: Self) -> f64 {
        let (one, two) = (self.luminance(), other.luminance());
        (one.max(two) + 0.05) / (one.min(two) + 0.05)
    }

    /// White or nearly black, whichever is easier to read on it: at least 4.5 to 1.
    #[must_use]
    pub fn text(self) -> Self {
        let dark = Self(0x0b, 0x0d, 0x10);
        if self.contrast(LIGHT) >= self.contrast(dark) {
            LIGHT
        } else {
            dark
        }
    }

    /// Itself on a light page.
    #[must_use]
    pub fn on_light(self) -> Self {
        self
    }

    /// As much lighter as it has to be to be seen on a dark page.
    #[must_use]
    pub fn on_dark(self) -> Self {
        let mut color = self;
        while color.contrast(DARK) < SEEN {
            let lighter = |part: u8| part.saturating_add(12);
            color = Self(lighter(color.0), lighter(color.1), lighter(color.2));
        }
        color
    }

    fn luminance(self) -> f64 {
        let linear = |part: u8| {
            let part = f64::from(part) / 255.0;
            if part <= 0.040_45 {
                part / 12.92
            } else {
                ((part + 0.055) / 1.055).powf(2.4)
            }
        };
        0.2126 * linear(self.0) + 0.7152 * linear(self.1) + 0.0722 * linear(self.2)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_read_or_seen_is_refused() {
        let color = |text| Branding::parse(None, None, Some(text));
        assert!(color("#1a237e").is_ok());
        assert!(matches!(
            color("#ffee00"),
            Err(BrandingError::Contrast { .. })
        ));
        for bad in ["red", "#12345", "#1234567", "#gggggg", "1a237e"] {
            assert_eq!(color(bad), Err(BrandingError::Color), "{bad}");
        }
        let logo = |text| Branding::parse(None, Some(text), None);
        assert!(logo("data:image/png;base64,iVBORw0KGgo=").is_ok());
        for bad in [
            "https://cdn.example/logo.png",
            "data:text/html;base64,PGI+",
            "data:image/png;base64,***",
            "data:image/png;base64,",
            "data:image/svg+xml,<svg/>",
        ] {
            assert_eq!(logo(bad), Err(BrandingError::Logo), "{bad}");
        }
        assert_eq!(
            Branding::parse(Some(&"x".repeat(81)), None, None),
            Err(BrandingError::Name)
        );
        assert_eq!(
            Branding::parse(Some(" "), Some(""), None),
            Ok(Branding::default())
        );
    }

    #[test]
    fn texts_on_every_colour_and_every_colour_on_both_pages_can_be_made_out() {
        for red in (0..=255).step_by(51) {
            for green in (0..=255).step_by(51) {
                for blue in (0..=255).step_by(51) {
                    let color = Color(red, green, blue);
                    for shown in [color.on_light(), color.on_dark()] {
                        assert!(shown.contrast(shown.text()) >= 4.4, "{shown}");
                    }
                    assert!(color.on_dark().contrast(DARK) >= SEEN, "{color}");
                }
            }
        }
        assert!((Color(0, 0, 0).contrast(LIGHT) - 21.0).abs() < 0.01);
    }
}
