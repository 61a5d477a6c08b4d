//! Numbers for operators, in the text form that Prometheus reads.
//!
//! Label values come from closed sets (routes, connectors, objects, statuses), never from
//! callers: each new combination costs memory for ever.

use std::{
    collections::BTreeMap,
    fmt::{self, Write as _},
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

/// The numbers of this process.
pub static METRICS: Metrics = Metrics {
    http_requests: Counter::new(
        "jackfield_http_requests_total",
        "Requests answered.",
        ["method", "route", "status"],
    ),
    http_seconds: Histogram::new(
        "jackfield_http_request_seconds",
        "Time from the head of a request to the head of its answer.",
        ["route"],
    ),
    guest_calls: Counter::new(
        "jackfield_guest_calls_total",
        "Calls into connectors; outcome is ok, failure, or what stopped the call.",
        ["connector", "operation", "outcome"],
    ),
    guest_seconds: Histogram::new(
        "jackfield_guest_call_seconds",
        "Time of a call into a connector, waiting for the provider included.",
        ["connector", "operation"],
    ),
    sync_pages: Counter::new(
        "jackfield_sync_pages_total",
        "Pages of records stored by syncs.",
        ["connector", "object"],
    ),
    sync_records: Counter::new(
        "jackfield_sync_records_total",
        "Records in those pages, by what became of them.",
        ["connector", "object", "change"],
    ),
    sync_runs: Counter::new(
        "jackfield_sync_runs_total",
        "Syncs that ended.",
        ["connector", "outcome"],
    ),
    egress_requests: Counter::new(
        "jackfield_egress_requests_total",
        "Requests to providers; status is the provider's, or why there is none.",
        ["connector", "status"],
    ),
    rate_limited: Counter::new(
        "jackfield_rate_limited_total",
        "Requests that a provider's limit met: refused before they were sent, because the budget of the bucket was used up, or told by the provider to wait (limited).",
        ["connector", "bucket", "outcome"],
    ),
    inbound: Counter::new(
        "jackfield_inbound_total",
        "Webhooks of providers by what became of them (accepted, forged, malformed, unsupported, throttled, unrouted), and records read after them (read, retried, dead).",
        ["connector", "outcome"],
    ),
    webhook_attempts: Counter::new(
        "jackfield_webhook_attempts_total",
        "Attempts to deliver an event, by what came of them.",
        ["outcome"],
    ),
    webhook_backlog_seconds: Gauge::new(
        "jackfield_webhook_backlog_seconds",
        "How long the oldest due delivery of an active endpoint has waited.",
    ),
    passthrough_requests: Counter::new(
        "jackfield_passthrough_requests_total",
        "Requests of applications that were passed through; outcome is answered, queued, streamed or refused.",
        ["connector", "outcome"],
    ),
    exchanges: Counter::new(
        "jackfield_exchange_log_total",
        "Exchanges with providers for the log of exchanges: written, or dropped where they came faster than they could be written or the database failed.",
        ["outcome"],
    ),
    passthrough_retries: Counter::new(
        "jackfield_passthrough_retries_total",
        "Passed-through requests that a provider's 429 put into the queue (queued), and how they ended (done, failed).",
        ["connector", "outcome"],
    ),
    connector_swaps: Counter::new(
        "jackfield_connector_swaps_total",
        "Files in the plugins folder that were taken up, by outcome.",
        ["connector", "outcome"],
    ),
};

/// The numbers of a process.
#[derive(Debug)]
pub struct Metrics {
    /// Requests answered: method, route, status.
    pub http_requests: Counter<3>,
    /// Their time: route.
    pub http_seconds: Histogram<1>,
    /// Calls into connectors: connector, operation, outcome.
    pub guest_calls: Counter<3>,
    /// Their time: connector, operation.
    pub guest_seconds: Histogram<2>,
    /// Pages stored by syncs: connector, object.
    pub sync_pages: Counter<2>,
    /// Records in them: connector, object, change.
    pub sync_records: Counter<3>,
    /// Syncs that ended: connector, outcome.
    pub sync_runs: Counter<2>,
    /// Requests to providers: connector, status.
    pub egress_requests: Counter<2>,
    /// Requests that a limit met: connector, bucket, outcome.
    pub rate_limited: Counter<3>,
    /// Webhooks of providers: connector, outcome.
    pub inbound: Counter<2>,
    /// Attempts to deliver an event: outcome.
    pub webhook_attempts: Counter<1>,
    /// How long the oldest due delivery has waited, seconds.
    pub webhook_backlog_seconds: Gauge,
    /// Passed-through requests: connector, outcome.
    pub passthrough_requests: Counter<2>,
    /// Exchanges for their log: outcome.
    pub exchanges: Counter<1>,
    /// Passed-through requests that were queued: connector, outcome.
    pub passthrough_retries: Counter<2>,
    /// Files taken up: connector, outcome.
    pub connector_swaps: Counter<2>,
}

impl Metrics {
    /// The text that Prometheus reads (exposition format 0.0.4).
    #[must_use]
    pub fn render(&self) -> String {
        let mut out = String::new();
        let write = |out: &mut String| -> fmt::Result {
            self.http_requests.render(out)?;
            self.http_seconds.render(out)?;
            self.guest_calls.render(out)?;
            self.guest_seconds.render(out)?;
            self.sync_pages.render(out)?;
            self.sync_records.render(out)?;
            self.sync_runs.render(out)?;
            self.egress_requests.render(out)?;
            self.rate_limited.render(out)?;
            self.inbound.render(out)?;
            self.webhook_attempts.render(out)?;
            self.webhook_backlog_seconds.render(out)?;
            self.passthrough_requests.render(out)?;
            self.exchanges.render(out)?;
            self.passthrough_retries.render(out)?;
            self.connector_swaps.render(out)
        };
        write(&mut out).expect("writing to a string cannot fail");
        out
    }
}

/// A number that goes up and down.
#[derive(Debug)]
pub struct Gauge {
    name: &'static str,
    help: &'static str,
    value: AtomicU64,
}

impl Gauge {
    const fn new(name: &'static str, help: &'static str) -> Self {
        Self {
            name,
            help,
            value: AtomicU64::new(0),
        }
    }

    /// What it is now.
    pub fn set(&self, value: u64) {
        self.value.store(value, Ordering::Relaxed);
    }

    fn render(&self, out: &mut String) -> fmt::Result {
        let Self { name, help, value } = self;
        let value = value.load(Ordering::Relaxed);
        writeln!(
            out,
            "# HELP {name} {help}\n# TYPE {name} gauge\n{name} {value}"
        )
    }
}

/// Counts that only grow, one for each combination of label values.
#[derive(Debug)]
pub struct Counter<const N: usize> {
    family: Family<N, u64>,
}

impl<const N: usize> Counter<N> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self {
            family: Family::new(name, help, labels),
        }
    }

    /// Adds to the count of these label values.
    pub fn add(&self, labels: [&str; N], more: u64) {
        self.family.change(labels, |count| *count += more);
    }

    /// The count of these label values.
    #[must_use]
    pub fn value(&self, labels: [&str; N]) -> u64 {
        let values = self
            .family
            .values
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        values
            .get(&labels.map(ToOwned::to_owned))
            .copied()
            .unwrap_or_default()
    }

    fn render(&self, out: &mut String) -> fmt::Result {
        self.family.render_head(out, "counter")?;
        self.family.each(|labels, count| {
            writeln!(
                out,
                "{}{{{}}} {count}",
                self.family.name,
                self.family.pairs(labels)
            )
        })
    }
}

/// Upper bounds of the buckets, in seconds.
const BOUNDS: [f64; 11] = [
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

#[derive(Clone, Copy, Debug, Default)]
struct Distribution {
    buckets: [u64; BOUNDS.len()],
    count: u64,
    sum: f64,
}

/// Distributions of times, one for each combination of label values.
#[derive(Debug)]
pub struct Histogram<const N: usize> {
    family: Family<N, Distribution>,
}

impl<const N: usize> Histogram<N> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self {
            family: Family::new(name, help, labels),
        }
    }

    /// Adds a time to the distribution of these label values.
    pub fn observe(&self, labels: [&str; N], time: Duration) {
        let seconds = time.as_secs_f64();
        self.family.change(labels, |distribution| {
            for (bucket, bound) in distribution.buckets.iter_mut().zip(BOUNDS) {
                *bucket += u64::from(seconds <= bound);
            }
            distribution.count += 1;
            distribution.sum += seconds;
        });
    }

    fn render(&self, out: &mut String) -> fmt::Result {
        let name = self.family.name;
        self.family.render_head(out, "histogram")?;
        self.family.each(|labels, distribution| {
            let pairs = self.family.pairs(labels);
            for (count, bound) in distribution.buckets.iter().zip(BOUNDS) {
                writeln!(out, "{name}_bucket{{{pairs},le=\"{bound}\"}} {count}")?;
            }
            let Distribution { count, sum, .. } = distribution;
            writeln!(out, "{name}_bucket{{{pairs},le=\"+Inf\"}} {count}")?;
            writeln!(out, "{name}_sum{{{pairs}}} {sum}")?;
            writeln!(out, "{name}_count{{{pairs}}} {count}")
        })
    }
}

#[derive(Debug)]
struct Family<const N: usize, T> {
    name: &'static str,
    help: &'static str,
    labels: [&'static str; N],
    values: Mutex<BTreeMap<[String; N], T>>,
}

impl<const N: usize, T: Default> Family<N, T> {
    const fn new(name: &'static str, help: &'static str, labels: [&'static str; N]) -> Self {
        Self {
            name,
            help,
            labels,
            values: Mutex::new(BTreeMap::new()),
        }
    }

    fn change(&self, labels: [&str; N], change: impl FnOnce(&mut T)) {
        let mut values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        change(values.entry(labels.map(ToOwned::to_owned)).or_default());
    }

    fn each(&self, mut show: impl FnMut(&[String; N], &T) -> fmt::Result) -> fmt::Result {
        let values = self.values.lock().unwrap_or_else(PoisonError::into_inner);
        values
            .iter()
            .try_for_each(|(labels, value)| show(labels, value))
    }

    fn render_head(&self, out: &mut String, kind: &str) -> fmt::Result {
        let Self { name, help, .. } = self;
        writeln!(out, "# HELP {name} {help}\n# TYPE {name} {kind}")
    }

    fn pairs(&self, values: &[String; N]) -> String {
        let escaped = |value: &str| {
            let value = value.replace('\\', "\\\\").replace('"', "\\\"");
            value.replace('\n', "\\n")
        };
        self.labels
            .iter()
            .zip(values)
            .map(|(label, value)| format!("{label}=\"{}\"", escaped(value)))
            .collect::<Vec<_>>()
            .join(",")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counters_and_histograms_are_written_as_prometheus_reads_them() {
        let counter = Counter::new("c_total", "Help.", ["a", "b"]);
        counter.add(["x\"y", "1"], 2);
        counter.add(["x\"y", "1"], 1);
        let mut out = String::new();
        counter.render(&mut out).unwrap();
        assert_eq!(
            out,
            "# HELP c_total Help.\n# TYPE c_total counter\nc_total{a=\"x\\\"y\",b=\"1\"} 3\n"
        );
        let histogram = Histogram::new("h", "Help.", ["a"]);
        histogram.observe(["x"], Duration::from_millis(20));
        let mut out = String::new();
        histogram.render(&mut out).unwrap();
        for line in [
            "h_bucket{a=\"x\",le=\"0.01\"} 0",
            "h_bucket{a=\"x\",le=\"0.025\"} 1",
            "h_bucket{a=\"x\",le=\"+Inf\"} 1",
            "h_sum{a=\"x\"} 0.02",
            "h_count{a=\"x\"} 1",
        ] {
            assert!(out.lines().any(|other| other == line), "{line} in {out}");
        }
    }
}
