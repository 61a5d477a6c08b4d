//! Words, numbers and moments.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::Value;

use super::Tone;
use crate::model::Timestamp;

/// A word on a coloured ground.
#[must_use]
pub fn badge(tone: Tone, text: &str) -> Markup {
    html! { span class={ "badge " (tone.class()) } { (text) } }
}

/// A moment: UTC, which the browser turns into "3 minutes ago" with the exact time of its own
/// zone as a hint.
#[must_use]
pub fn time(at: Timestamp) -> Markup {
    let exact = at.to_string();
    let plain = exact.get(..16).unwrap_or(&exact).replace('T', " ");
    html! { time datetime=(exact) data-time { (plain) " UTC" } }
}

/// A length of time in one or two units: `350 ms`, `2.4 s`, `3 min 20 s`, `2 h 5 min`, `4 d`.
#[must_use]
pub fn duration(length: Duration) -> String {
    let millis = length.as_millis();
    let seconds = length.as_secs();
    let two = |large: u64, unit: &str, small: u64, rest: &str| match small {
        0 => format!("{large} {unit}"),
        _ => format!("{large} {unit} {small} {rest}"),
    };
    match seconds {
        0 => format!("{millis} ms"),
        1..60 => format!("{}.{} s", seconds, millis % 1000 / 100),
        60..3600 => two(seconds / 60, "min", seconds % 60, "s"),
        3600..86_400 => two(seconds / 3600, "h", seconds % 3600 / 60, "min"),
        _ => two(seconds / 86_400, "d", seconds % 86_400 / 3600, "h"),
    }
}

/// A count with thin spaces between its thousands.
#[must_use]
pub fn number(count: u64) -> String {
    let digits = count.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push('\u{202f}');
        }
        text.push(digit);
    }
    text
}

/// A size: `812 B`, `3.4 KiB`, `12.0 MiB`.
#[must_use]
pub fn bytes(count: u64) -> String {
    let tenths = |unit: u64| count.saturating_mul(10) / unit;
    match count {
        0..1024 => format!("{count} B"),
        1024..1_048_576 => format!("{}.{} KiB", tenths(1024) / 10, tenths(1024) % 10),
        _ => format!("{}.{} MiB", tenths(1_048_576) / 10, tenths(1_048_576) % 10),
    }
}

/// A message across the page.
#[must_use]
pub fn alert(tone: Tone, title: &str, body: &Markup) -> Markup {
    let role = if tone == Tone::Bad { "alert" } else { "status" };
    html! {
        div class={ "alert " (tone.class()) } role=(role) {
            strong { (title) }
            div { (body) }
        }
    }
}

/// A text with a button that copies it.
#[must_use]
pub fn copyable(text: &str) -> Markup {
    html! {
        span.copyable {
            code { (text) }
            button.button.small type="button" data-copy=(text) { "Copy" }
        }
    }
}

/// A JSON document, indented; it scrolls by itself.
#[must_use]
pub fn json(value: &Value) -> Markup {
    let text = serde_json::to_string_pretty(value).unwrap_or_default();
    html! { pre.code tabindex="0" { code { (text) } } }
}

/// What was and what is, where they differ.
#[must_use]
pub fn diff_text(before: &str, after: &str) -> Markup {
    html! {
        span.diff {
            @if !before.is_empty() { del { (before) } }
            @if !before.is_empty() && !after.is_empty() { " → " }
            @if !after.is_empty() { ins { (after) } }
        }
    }
}

/// A connector's picture, else the first letter of its name. The name stands beside it, so
/// readers of the screen skip it.
#[must_use]
pub fn icon(source: Option<&str>, name: &str) -> Markup {
    let letter: String = name.chars().take(1).collect();
    html! {
        @match source {
            Some(source) => img.icon src=(source) alt="" width="32" height="32";,
            None => span.icon.letter aria-hidden="true" { (letter) },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_readable() {
        assert_eq!(number(1_234_567), "1\u{202f}234\u{202f}567");
        assert_eq!(number(12), "12");
        assert_eq!(bytes(3_481), "3.3 KiB");
        assert_eq!(duration(Duration::from_millis(2_450)), "2.4 s");
        assert_eq!(duration(Duration::from_secs(7_500)), "2 h 5 min");
        assert_eq!(duration(Duration::from_secs(3_600)), "1 h");
    }
}
