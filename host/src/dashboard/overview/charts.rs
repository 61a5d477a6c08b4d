//! The last day or week in charts, loaded after the page stands.

use maud::{Markup, html};

use crate::{
    dashboard::{
        address::address,
        desk::ProjectDesk,
        runs::range::{self, Range},
    },
    store::RunChart,
    web,
    web::parts::{self, Chart, Series, Tone},
};

pub(super) async fn body(desk: &ProjectDesk, asked: &str) -> Result<Markup, web::Error> {
    let range = Range::parse(asked).unwrap_or(Range::Day);
    let span = range.span(desk.services.clock.now());
    let (store, project) = (&desk.services.store, desk.project.id);
    let runs = store.run_chart(project, &RunChart::default(), span).await?;
    let deliveries = store.delivery_chart(project, span).await?;
    let requests = store
        .request_counts(Some(project), span.since, span.until(), span.step)
        .await?;
    let at = range::moments(span);
    let series = |label: &str, tone, values: Vec<u64>| Series {
        label: label.to_owned(),
        tone,
        values: values
            .into_iter()
            .map(|count| Some(range::value(count)))
            .collect(),
    };
    let of_request = |pick: fn(&crate::store::RequestBucket) -> u64| {
        let at = at.iter();
        at.map(|at| {
            let bucket = requests.iter().find(|bucket| bucket.from == *at);
            bucket.map_or(0, pick)
        })
        .collect::<Vec<u64>>()
    };
    let chart = |title: &str, series| Chart {
        title: title.to_owned(),
        unit: "",
        at: at.clone(),
        bars: true,
        series,
    };
    let of = |pick: fn(&crate::store::RunBucket) -> u64| runs.iter().map(pick).collect();
    let syncs = chart(
        "Sync runs by result",
        vec![
            series("completed", Tone::Good, of(|one| one.completed())),
            series("failed", Tone::Bad, of(|one| one.failed_runs())),
            series(
                "stopped or cancelled",
                Tone::Warn,
                of(|one| one.runs() - one.completed() - one.failed_runs()),
            ),
        ],
    );
    let records = chart(
        "Records changed by syncs",
        vec![
            series("created", Tone::Good, of(|one| one.created)),
            series("updated", Tone::Info, of(|one| one.updated)),
            series("deleted", Tone::Warn, of(|one| one.deleted)),
            series("failed", Tone::Bad, of(|one| one.failed)),
        ],
    );
    let buckets = deliveries.buckets.iter();
    let sent = chart(
        "Webhook deliveries",
        vec![
            series(
                "delivered",
                Tone::Good,
                buckets.clone().map(|one| one.delivered).collect(),
            ),
            series(
                "waiting",
                Tone::Info,
                buckets.clone().map(|one| one.pending).collect(),
            ),
            series("given up", Tone::Bad, buckets.map(|one| one.dead).collect()),
        ],
    );
    let requests = chart(
        "API requests",
        vec![
            series("served", Tone::Good, of_request(|one| one.served)),
            series("refused", Tone::Warn, of_request(|one| one.refused)),
            series("failed", Tone::Bad, of_request(|one| one.failed)),
        ],
    );
    let path = desk.href("");
    let link = |range: &Range| address(&path, &[("range", range.as_str())]);
    let shown = [Range::Day, Range::Week, Range::Month];
    let links: Vec<String> = shown.iter().map(link).collect();
    let tabs: Vec<(&str, &str, bool)> = shown
        .iter()
        .zip(&links)
        .map(|(one, href)| (one.label(), href.as_str(), *one == range))
        .collect();
    Ok(html! {
        (parts::tabs(&tabs))
        div.grid.two {
            (parts::chart("chart-runs", &syncs))
            (parts::chart("chart-records", &records))
            div {
                (parts::chart("chart-deliveries", &sent))
                @if deliveries.is_partial {
                    p.muted.small { "Only the newest deliveries of each endpoint are counted: there are too many to add up." }
                }
            }
            (parts::chart("chart-requests", &requests))
        }
    })
}
