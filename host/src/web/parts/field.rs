//! Fields of forms, with label, help and what is wrong with them.

use maud::{Markup, html};

/// A field: its label, the `input` (whose id and described-by come from [`input`] and the others,
/// made with the same `id`), a hint, and what is wrong with what was typed.
#[must_use]
pub fn field(id: &str, label: &str, hint: &str, error: Option<&str>, input: &Markup) -> Markup {
    html! {
        div class=(if error.is_some() { "field wrong" } else { "field" }) {
            label for=(id) { (label) }
            (input)
            // An input names its hint, also where there is none to read.
            @if hint.is_empty() { span id={ (id) "-hint" } hidden {} }
            @else { p.hint id={ (id) "-hint" } { (hint) } }
            @if let Some(error) = error { p.error id={ (id) "-error" } { (error) } }
        }
    }
}

/// Attributes that tie an input to its hint and its error.
fn described(id: &str, wrong: bool) -> String {
    if wrong {
        format!("{id}-hint {id}-error")
    } else {
        format!("{id}-hint")
    }
}

/// A line of text; `kind` is the type of an HTML input.
#[must_use]
pub fn input(id: &str, kind: &str, value: &str, required: bool, wrong: bool) -> Markup {
    html! {
        input id=(id) name=(id) type=(kind) value=(value) required[required]
            aria-describedby=(described(id, wrong)) aria-invalid=[wrong.then_some("true")];
    }
}

/// A secret: never filled in, with a button that shows what is typed.
#[must_use]
pub fn secret_input(id: &str, required: bool, wrong: bool) -> Markup {
    html! {
        span.reveal {
            input id=(id) name=(id) type="password" required[required] autocomplete="off" spellcheck="false"
                aria-describedby=(described(id, wrong)) aria-invalid=[wrong.then_some("true")];
            button.button.small type="button" data-reveal=(id) aria-pressed="false" hidden { "Show" }
        }
    }
}

/// Lines of text.
#[must_use]
pub fn textarea(id: &str, value: &str, required: bool, wrong: bool) -> Markup {
    html! {
        textarea id=(id) name=(id) rows="4" required[required]
            aria-describedby=(described(id, wrong)) aria-invalid=[wrong.then_some("true")] { (value) }
    }
}

/// One of a [`select`]'s values.
#[derive(Clone, Debug)]
pub struct Choice {
    /// What is sent.
    pub value: String,
    /// What is shown.
    pub label: String,
}

impl Choice {
    /// With both.
    #[must_use]
    pub fn new(value: impl Into<String>, label: impl Into<String>) -> Self {
        Self {
            value: value.into(),
            label: label.into(),
        }
    }
}

/// One of several values.
#[must_use]
pub fn select(id: &str, choices: &[Choice], chosen: &str, wrong: bool) -> Markup {
    html! {
        select id=(id) name=(id) aria-describedby=(described(id, wrong)) aria-invalid=[wrong.then_some("true")] {
            @for choice in choices {
                option value=(choice.value) selected[choice.value == chosen] { (choice.label) }
            }
        }
    }
}

/// Yes or no; sent as `true` where it is checked.
#[must_use]
pub fn checkbox(id: &str, label: &str, checked: bool) -> Markup {
    html! {
        label.check for=(id) {
            input id=(id) name=(id) type="checkbox" value="true" checked[checked];
            span { (label) }
        }
    }
}

/// What is sent and not shown.
#[must_use]
pub fn hidden(name: &str, value: &str) -> Markup {
    html! { input type="hidden" name=(name) value=(value); }
}
