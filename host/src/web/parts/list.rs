//! Lists and facts.

use maud::{Markup, html};

/// What stands where a list is empty: why, and what to do, with a link where there is one.
#[must_use]
pub fn empty(title: &str, text: &str, action: Option<(&str, &str)>) -> Markup {
    html! {
        div.empty {
            p.empty-title { (title) }
            p.muted { (text) }
            @if let Some((label, href)) = action {
                p { a.button.primary href=(href) { (label) } }
            }
        }
    }
}

/// A number that matters, with what it is.
#[must_use]
pub fn stat(label: &str, value: &str, hint: &str) -> Markup {
    html! {
        div.stat {
            div.stat-label { (label) }
            div.stat-value { (value) }
            @if !hint.is_empty() { div.muted { (hint) } }
        }
    }
}

/// Links to the pages beside this one.
#[must_use]
pub fn pager(next: Option<&str>, previous: Option<&str>) -> Markup {
    if next.is_none() && previous.is_none() {
        return Markup::default();
    }
    html! {
        nav.pager aria-label="Pages of this list" {
            @if let Some(href) = previous { a.button rel="prev" href=(href) { "← Previous" } }
            @if let Some(href) = next { a.button rel="next" href=(href) { "Next →" } }
        }
    }
}

/// Facts: a term and what is true of it, line by line.
#[must_use]
pub fn definition(facts: &[(&str, Markup)]) -> Markup {
    html! {
        dl.facts {
            @for (term, fact) in facts {
                div { dt { (term) } dd { (fact) } }
            }
        }
    }
}

/// A table with a name for readers of the screen; `rows` are the `tr`s. It scrolls by itself
/// where the screen is narrow.
#[must_use]
pub fn table(name: &str, columns: &[&str], rows: &Markup) -> Markup {
    html! {
        div.table-wrap tabindex="0" role="region" aria-label=(name) {
            table.list {
                thead { tr { @for column in columns { th scope="col" { (column) } } } }
                tbody { (rows) }
            }
        }
    }
}
