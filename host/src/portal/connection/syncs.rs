//! What is read of a connection, how it stands, and what to do where it does not.

use maud::{Markup, html};

use super::Own;
use crate::{
    store::SyncState,
    web::parts::{self, Tone},
};

/// All syncs; it loads itself anew while something is under way.
pub(super) fn section(own: &Own, states: &[SyncState]) -> Markup {
    let texts = own.open.texts;
    if states.is_empty() {
        return Markup::default();
    }
    let busy = states
        .iter()
        .any(|state| matches!(state.status(), "waiting" | "running"));
    html! {
        section id="syncs" aria-live="polite"
            hx-get=[busy.then(|| own.href("/syncs"))] hx-trigger=[busy.then_some("every 3s")]
            hx-swap=[busy.then_some("outerHTML")] {
            h2 { (texts.get("manage.syncs")) }
            ul.plain-list { @for state in states { (one(own, state)) } }
        }
    }
}

fn one(own: &Own, state: &SyncState) -> Markup {
    let texts = own.open.texts;
    let status = state.status();
    let tone = match status {
        "completed" => Tone::Good,
        "running" | "waiting" => Tone::Info,
        "failed" | "rate_limited" | "stopped" => Tone::Warn,
        "given_up" => Tone::Bad,
        _ => Tone::Neutral,
    };
    let names = [("connector", own.name()), ("brand", own.open.brand())];
    let help = match status {
        "failed" | "given_up" | "rate_limited" | "stopped" => {
            Some(texts.with(&format!("manage.sync.{status}.help"), &names))
        }
        _ => None,
    };
    html! {
        li.card {
            p {
                strong { (texts.object_heading(state.kind)) } " "
                (parts::badge(tone, texts.get(&format!("manage.sync.{status}"))))
            }
            p.muted {
                @match state.last_finished_at {
                    Some(at) => { (texts.get("manage.last")) " " (parts::time(at)) }
                    None => { (texts.get("manage.never")) }
                }
                @if state.records_read > 0 {
                    @let key = if state.run_started_at.is_some() { "manage.read_so_far" } else { "manage.read" };
                    " · " (texts.with(key, &[("count", &parts::number(state.records_read))]))
                }
            }
            @if let Some(help) = help { p { (help) } }
        }
    }
}
