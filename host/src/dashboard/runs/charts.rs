//! Success, duration and records of the runs that the log's filter leaves.

use maud::{Markup, html};

use super::{Wanted, range};
use crate::{
    dashboard::desk::ProjectDesk,
    store::RunBucket,
    web,
    web::parts::{self, Chart, Series, Tone},
};

pub(super) async fn body(desk: &ProjectDesk, wanted: &Wanted) -> Result<Markup, web::Error> {
    let span = wanted.range.span(desk.services.clock.now());
    let store = &desk.services.store;
    let buckets = store
        .run_chart(desk.project.id, &wanted.chart(), span)
        .await?;
    let series = |label: &str, tone, pick: &dyn Fn(&RunBucket) -> Option<f64>| Series {
        label: label.to_owned(),
        tone,
        values: buckets.iter().map(pick).collect(),
    };
    let count = |pick: fn(&RunBucket) -> u64| move |one: &RunBucket| Some(range::value(pick(one)));
    let at = range::moments(span);
    let chart = |title: &str, unit, bars, series| Chart {
        title: title.to_owned(),
        unit,
        at: at.clone(),
        bars,
        series,
    };
    let completed: u64 = buckets.iter().map(RunBucket::completed).sum();
    let failed: u64 = buckets.iter().map(RunBucket::failed_runs).sum();
    let runs: u64 = buckets.iter().map(RunBucket::runs).sum();
    let total: u64 = buckets.iter().map(|one| one.total_ms).sum();
    let changed: u64 = buckets
        .iter()
        .map(|one| one.created + one.updated + one.deleted)
        .sum();
    let rate = chart(
        "Success rate",
        "%",
        false,
        vec![series("of runs that ended", Tone::Good, &|one| {
            ratio(one.completed() * 100, one.completed() + one.failed_runs())
        })],
    );
    let length = chart(
        "Duration",
        "s",
        false,
        vec![
            series("mean", Tone::Info, &|one| {
                ratio(one.total_ms, one.runs() * 1000)
            }),
            series("longest", Tone::Warn, &|one| {
                ratio(one.longest_ms, if one.runs() == 0 { 0 } else { 1000 })
            }),
        ],
    );
    let records = chart(
        "Records changed",
        "",
        true,
        vec![
            series("created", Tone::Good, &count(|one| one.created)),
            series("updated", Tone::Info, &count(|one| one.updated)),
            series("deleted", Tone::Warn, &count(|one| one.deleted)),
            series("failed", Tone::Bad, &count(|one| one.failed)),
        ],
    );
    let results = chart(
        "Runs by result",
        "",
        true,
        vec![
            series("completed", Tone::Good, &count(RunBucket::completed)),
            series("failed", Tone::Bad, &count(RunBucket::failed_runs)),
            series(
                "stopped or cancelled",
                Tone::Warn,
                &count(|one| one.runs() - one.completed() - one.failed_runs()),
            ),
        ],
    );
    let percent = ratio(completed * 100, completed + failed);
    let percent = percent.map_or_else(|| "–".to_owned(), |percent| format!("{percent:.1} %"));
    let mean = match total.checked_div(runs) {
        Some(mean) => parts::duration(std::time::Duration::from_millis(mean)),
        None => "–".to_owned(),
    };
    Ok(html! {
        div.stats {
            (parts::stat("Runs that ended", &parts::number(runs), ""))
            (parts::stat("Success rate", &percent, &match failed {
                0 => "none failed".to_owned(),
                failed => format!("{} failed", parts::number(failed)),
            }))
            (parts::stat("Mean duration", &mean, ""))
            (parts::stat("Records changed", &parts::number(changed), ""))
        }
        @if runs > 0 {
            div.grid.two {
                (parts::chart("chart-rate", &rate))
                (parts::chart("chart-results", &results))
                (parts::chart("chart-duration", &length))
                (parts::chart("chart-changes", &records))
            }
        }
    })
}

/// One number divided by another; none where that is nothing.
fn ratio(part: u64, whole: u64) -> Option<f64> {
    match whole {
        0 => None,
        whole => Some(range::value(part) / range::value(whole)),
    }
}
