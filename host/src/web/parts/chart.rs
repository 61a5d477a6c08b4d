//! Charts over time.

use std::time::Duration;

use maud::{Markup, html};
use serde_json::json;

use super::number;
use crate::model::Timestamp;

const DAY: Duration = Duration::from_secs(24 * 3600);

/// A line or a row of bars.
#[derive(Clone, Debug)]
pub struct Series {
    /// What it counts.
    pub label: String,
    /// Its colour: `good`, `bad`, `warn`, `info` or `neutral`, as in `app.css`.
    pub tone: super::Tone,
    /// A value for each moment; none where nothing is known.
    pub values: Vec<Option<f64>>,
}

/// A chart.
#[derive(Clone, Debug)]
pub struct Chart {
    /// What it shows, in a few words.
    pub title: String,
    /// What the values are, such as `ms` or `%`; empty for counts.
    pub unit: &'static str,
    /// Moments, the oldest first.
    pub at: Vec<Timestamp>,
    /// Bars that stand on each other, rather than lines.
    pub bars: bool,
    /// What is drawn, each as long as `at`.
    pub series: Vec<Series>,
}

/// A chart; where JavaScript does not run, and for readers of the screen, a table with the same
/// numbers. A page with charts needs the script [`super::super::assets::UPLOT`].
#[must_use]
pub fn chart(id: &str, chart: &Chart) -> Markup {
    let series: Vec<_> = chart
        .series
        .iter()
        .map(|one| json!({"label": one.label, "tone": one.tone.class(), "values": one.values}))
        .collect();
    let seconds: Vec<i64> = chart.at.iter().map(|at| at.as_millis() / 1000).collect();
    let data = json!({"unit": chart.unit, "bars": chart.bars, "at": seconds, "series": series});
    // Days are told from each other by their dates alone.
    let by_day = chart
        .at
        .windows(2)
        .all(|pair| matches!(pair, [one, next] if next.since(*one) >= DAY));
    html! {
        figure.chart id=(id) {
            figcaption { (chart.title) }
            div.chart-canvas data-chart=(data) aria-hidden="true" {}
            details {
                summary { "The numbers of “" (chart.title) "”" }
                div.table-wrap tabindex="0" role="region" aria-label=(chart.title) {
                    table.list {
                        thead { tr {
                            th scope="col" { "Time" }
                            @for one in &chart.series { th scope="col" { (one.label) @if !chart.unit.is_empty() { " (" (chart.unit) ")" } } }
                        } }
                        tbody {
                            @for (index, at) in chart.at.iter().enumerate() {
                                tr {
                                    th scope="row" {
                                        @if by_day { (day(*at)) } @else { (super::time(*at)) }
                                    }
                                    @for one in &chart.series { td { (value(one, index)) } }
                                }
                            }
                        }
                    }
                }
            }
        }
    }
}

/// `2026-11-09` of a moment.
fn day(at: Timestamp) -> String {
    at.to_string().chars().take(10).collect()
}

fn value(series: &Series, index: usize) -> String {
    match series.values.get(index).copied().flatten() {
        None => "–".to_owned(),
        Some(value) if value.fract() == 0.0 && (0.0..1e15).contains(&value) => {
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "a whole number between 0 and 1e15"
            )]
            let whole = value as u64;
            number(whole)
        }
        Some(value) => format!("{value:.1}"),
    }
}
