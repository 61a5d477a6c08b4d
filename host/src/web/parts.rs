//! The parts that pages are made of. Their look is in `assets/app.css`, what they do where
//! JavaScript runs in `assets/app.js`.

mod action;
mod chart;
mod field;
mod list;
mod text;

pub use action::{post_button, post_button_with, tabs};
pub use chart::{Chart, Series, chart};
pub use field::{Choice, checkbox, field, hidden, input, secret_input, select, textarea};
pub use list::{definition, empty, pager, stat, table};
pub use text::{alert, badge, bytes, copyable, diff_text, duration, icon, json, number, time};

/// What a part means, beside its words: its colour is never the only sign.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// Nothing in particular.
    Neutral,
    /// As it should be.
    Good,
    /// Look at it some time.
    Warn,
    /// Something is broken.
    Bad,
    /// Worth knowing.
    Info,
}

impl Tone {
    /// The class in `app.css`.
    #[must_use]
    pub const fn class(self) -> &'static str {
        match self {
            Self::Neutral => "neutral",
            Self::Good => "good",
            Self::Warn => "warn",
            Self::Bad => "bad",
            Self::Info => "info",
        }
    }
}
