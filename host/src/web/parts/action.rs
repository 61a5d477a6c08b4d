//! What can be done.

use maud::{Markup, html};

use super::Tone;

/// A button that sends a request which changes something. With `confirm`, a dialog asks first.
#[must_use]
pub fn post_button(href: &str, label: &str, tone: Tone, confirm: Option<&str>) -> Markup {
    post_button_with(href, label, tone, confirm, &[])
}

/// The same with fields.
#[must_use]
pub fn post_button_with(
    href: &str,
    label: &str,
    tone: Tone,
    confirm: Option<&str>,
    fields: &[(&str, &str)],
) -> Markup {
    let class = match tone {
        Tone::Bad => "button danger",
        Tone::Good | Tone::Info => "button primary",
        Tone::Neutral | Tone::Warn => "button",
    };
    html! {
        form.inline method="post" action=(href) data-confirm=[confirm] {
            @for (name, value) in fields { input type="hidden" name=(name) value=(value); }
            button class=(class) type="submit" { (label) }
        }
    }
}

/// Links to the views of one thing; the one that is shown is marked.
#[must_use]
pub fn tabs(views: &[(&str, &str, bool)]) -> Markup {
    html! {
        nav.tabs aria-label="Views" {
            @for (label, href, current) in views {
                a href=(href) aria-current=[current.then_some("page")] { (label) }
            }
        }
    }
}
