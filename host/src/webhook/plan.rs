//! What follows from an attempt: done, again later, or never.

use std::time::Duration;

use crate::{
    egress::HeaderMap,
    model::{Entropy, Timestamp},
    store::Verdict,
};

/// The longest that a receiver may ask us to wait.
const LONGEST_WAIT: Duration = Duration::from_hours(24);

/// Waits before each attempt, in order; after the last one a delivery is dead.
#[derive(Clone, Debug)]
pub struct Schedule(Vec<Duration>);

impl Schedule {
    /// From waits. The first is the one before the first attempt.
    #[must_use]
    pub fn new(waits: Vec<Duration>) -> Self {
        Self(waits)
    }

    /// The wait before the first attempt.
    #[must_use]
    pub fn first(&self) -> Duration {
        self.0.first().copied().unwrap_or_default()
    }

    /// When a delivery is tried again after `tries` failures; never, where the schedule ended.
    /// Up to a fifth more or less than planned, so that what failed together does not come back
    /// together; never before `asked`, what the receiver asked for, which counts up to 24 hours.
    pub(super) fn next(
        &self,
        tries: u32,
        asked: Option<Duration>,
        now: Timestamp,
        entropy: &dyn Entropy,
    ) -> Verdict {
        let Some(planned) = self.0.get(tries as usize) else {
            return Verdict::Dead;
        };
        let mut byte = [0; 2];
        entropy.fill(&mut byte);
        let share = f64::from(u16::from_be_bytes(byte)) / f64::from(u16::MAX);
        let planned = planned.mul_f64(0.8 + 0.4 * share);
        let asked = asked.unwrap_or_default().min(LONGEST_WAIT);
        Verdict::Retry(now.plus(planned.max(asked)))
    }
}

/// What `Retry-After` asks for: seconds, or until a date.
pub(super) fn retry_after(headers: &HeaderMap, now: Timestamp) -> Option<Duration> {
    let text = headers.get("retry-after")?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse::<u64>() {
        return Some(Duration::from_secs(seconds));
    }
    let date = jiff::fmt::rfc2822::parse(text).ok()?;
    let millis = date.timestamp().as_millisecond() - now.as_millis();
    Some(Duration::from_millis(u64::try_from(millis).unwrap_or(0)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        egress::HeaderValue,
        model::{Clock as _, ManualClock, SystemEntropy},
    };

    fn wait(verdict: Verdict, now: Timestamp) -> Option<i64> {
        match verdict {
            Verdict::Retry(at) => Some(at.as_millis() - now.as_millis()),
            _ => None,
        }
    }

    #[test]
    fn waits_are_as_planned_give_or_take_a_fifth() {
        let now = ManualClock::new(Timestamp::from_millis(1000)).now();
        let schedule = Schedule::new([0, 5, 300].map(Duration::from_secs).to_vec());
        for _ in 0..100 {
            let first = wait(schedule.next(1, None, now, &SystemEntropy), now).unwrap();
            assert!((4000..=6000).contains(&first), "{first}");
            let second = wait(schedule.next(2, None, now, &SystemEntropy), now).unwrap();
            assert!((240_000..=360_000).contains(&second), "{second}");
        }
        assert_eq!(schedule.next(3, None, now, &SystemEntropy), Verdict::Dead);
    }

    #[test]
    fn a_receiver_may_ask_for_more_time_but_not_for_less() {
        let now = Timestamp::from_millis(0);
        let schedule = Schedule::new([0, 5, 300].map(Duration::from_secs).to_vec());
        let next = |tries, asked| {
            let asked = Some(Duration::from_secs(asked));
            wait(schedule.next(tries, asked, now, &SystemEntropy), now).unwrap()
        };
        assert_eq!(next(1, 100), 100_000);
        assert!(next(2, 100) >= 240_000);
        assert_eq!(next(1, 1_000_000), 86_400_000);
    }

    #[test]
    fn retry_after_is_seconds_or_a_date() {
        let now = Timestamp::parse("2026-01-01T00:00:00Z").unwrap();
        let parse = |text: &'static str| {
            let mut headers = HeaderMap::new();
            headers.insert("retry-after", HeaderValue::from_static(text));
            retry_after(&headers, now)
        };
        assert_eq!(parse("120"), Some(Duration::from_secs(120)));
        let date = "Thu, 01 Jan 2026 00:01:00 GMT";
        assert_eq!(parse(date), Some(Duration::from_secs(60)));
        assert_eq!(parse("Wed, 31 Dec 2025 00:00:00 GMT"), Some(Duration::ZERO));
        assert_eq!(parse("soon"), None);
    }
}
