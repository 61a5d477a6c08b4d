//! Two sides that take turns, and what came of it.

#![expect(clippy::print_stdout, reason = "what a benchmark says is its purpose")]

use std::time::Duration;

use crate::Result;

/// How long one turn should last, so that the clock and other processes disturb little.
pub(crate) const TURN: Duration = Duration::from_millis(40);

/// Times of one operation, seconds: of the limit and of ours, round by round.
#[derive(Default)]
pub(crate) struct Comparison {
    limit: Vec<f64>,
    ours: Vec<f64>,
}

impl Comparison {
    /// A round: both sides, one right after the other.
    pub(crate) fn add(&mut self, limit: f64, ours: f64) {
        self.limit.push(limit);
        self.ours.push(ours);
    }

    /// Least and median time of the limit.
    pub(crate) fn limit(&self) -> (f64, f64) {
        (least(&self.limit), median(&self.limit))
    }

    /// Least and median time of ours.
    pub(crate) fn ours(&self) -> (f64, f64) {
        (least(&self.ours), median(&self.ours))
    }

    /// Ours by the limit: of the least times, and the median over the rounds.
    pub(crate) fn ratios(&self) -> (f64, f64) {
        let pairs = self.ours.iter().zip(&self.limit);
        let ratios: Vec<f64> = pairs.map(|(ours, limit)| ours / limit).collect();
        (least(&self.ours) / least(&self.limit), median(&ratios))
    }
}

/// Runs `round` so many times, after one that does not count.
pub(crate) fn rounds(
    count: usize,
    mut round: impl FnMut() -> Result<(f64, f64)>,
) -> Result<Comparison> {
    let mut comparison = Comparison::default();
    round()?;
    for _ in 0..count {
        let (limit, ours) = round()?;
        comparison.add(limit, ours);
    }
    Ok(comparison)
}

/// How many operations fill a turn.
pub(crate) fn times(one: f64) -> u32 {
    let times = TURN.as_secs_f64() / one.max(1e-9);
    // Clamped before: the fraction goes, nothing else.
    times.clamp(1.0, 1e6) as u32
}

fn least(values: &[f64]) -> f64 {
    values.iter().copied().fold(f64::INFINITY, f64::min)
}

pub(crate) fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    match (
        sorted.get(sorted.len() / 2),
        sorted.get(sorted.len().saturating_sub(1) / 2),
    ) {
        (Some(upper), Some(lower)) => f64::midpoint(*upper, *lower),
        _ => f64::NAN,
    }
}

/// A line of the report.
pub(crate) fn say(line: impl std::fmt::Display) {
    println!("{line}");
}

/// What the machine was doing meanwhile: other work makes both sides slower, and ratios worse or
/// better by chance.
pub(crate) fn say_load() {
    let load = std::fs::read_to_string("/proc/loadavg").unwrap_or_default();
    let processors = std::thread::available_parallelism().map_or(0, usize::from);
    let load: Vec<&str> = load.split(' ').take(3).collect();
    say(format_args!(
        "machine: {processors} processors, load {}",
        load.join(" ")
    ));
}

/// Whether the ratio of the least times keeps to the target.
pub(crate) fn say_verdict(what: &str, ratio: f64, target: f64, more_is_better: bool) {
    let met = if more_is_better {
        ratio >= target
    } else {
        ratio <= target
    };
    let relation = if more_is_better { "≥" } else { "≤" };
    let word = if met { "met" } else { "MISSED" };
    say(format_args!(
        "{what}: {ratio:.2}, target {relation} {target}: {word}"
    ));
}

/// Lets the compiler believe that a value is needed.
pub(crate) fn keep<T>(value: T) {
    drop(std::hint::black_box(value));
}
