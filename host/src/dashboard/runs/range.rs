//! Times that charts and the log are about: each ends now, so no zone matters to it.

use std::time::Duration;

use crate::{model::Timestamp, store::Span};

const MINUTE: u64 = 60;
const HOUR: u64 = 60 * MINUTE;
const DAY: u64 = 24 * HOUR;

/// A time that ends now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::dashboard) enum Range {
    Hour,
    Day,
    Week,
    Month,
    /// For lists; charts show the last month.
    All,
}

impl Range {
    pub(in crate::dashboard) const ALL: [Self; 5] =
        [Self::Hour, Self::Day, Self::Week, Self::Month, Self::All];

    pub(in crate::dashboard) const fn as_str(self) -> &'static str {
        match self {
            Self::Hour => "1h",
            Self::Day => "24h",
            Self::Week => "7d",
            Self::Month => "30d",
            Self::All => "all",
        }
    }

    pub(in crate::dashboard) const fn label(self) -> &'static str {
        match self {
            Self::Hour => "The last hour",
            Self::Day => "The last 24 hours",
            Self::Week => "The last 7 days",
            Self::Month => "The last 30 days",
            Self::All => "Any time",
        }
    }

    pub(in crate::dashboard) fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|range| range.as_str() == word)
    }

    const fn seconds(self) -> u64 {
        match self {
            Self::Hour => HOUR,
            Self::Day => DAY,
            Self::Week => 7 * DAY,
            Self::Month | Self::All => 30 * DAY,
        }
    }

    /// Where it begins; none where it has no beginning.
    pub(in crate::dashboard) fn since(self, now: Timestamp) -> Option<Timestamp> {
        match self {
            Self::All => None,
            _ => Some(now.minus(Duration::from_secs(self.seconds()))),
        }
    }

    /// The same in steps for a chart. Steps begin at whole multiples of their length, so the last
    /// one is not over yet.
    pub(in crate::dashboard) fn span(self, now: Timestamp) -> Span {
        let step = match self {
            Self::Hour => 2 * MINUTE,
            Self::Day => HOUR,
            Self::Week => 6 * HOUR,
            Self::Month | Self::All => DAY,
        };
        let steps = self.seconds() / step;
        let length = i64::try_from(step * 1000).unwrap_or(i64::MAX);
        let this = now.as_millis().div_euclid(length) * length;
        let step = Duration::from_secs(step);
        let before = u32::try_from(steps).unwrap_or(u32::MAX).saturating_sub(1);
        Span {
            since: Timestamp::from_millis(this).minus(step.saturating_mul(before)),
            step,
            steps: before + 1,
        }
    }
}

/// When each step of a chart begins.
pub(in crate::dashboard) fn moments(span: Span) -> Vec<Timestamp> {
    (0..span.steps).map(|step| span.start_of(step)).collect()
}

/// A count as charts take it.
#[expect(
    clippy::cast_precision_loss,
    reason = "no picture shows the sixteenth digit"
)]
pub(in crate::dashboard) fn value(count: u64) -> f64 {
    count as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chart_ends_with_the_step_that_is_under_way() {
        let now = Timestamp::parse("2026-03-04T05:06:07Z").unwrap();
        let span = Range::Day.span(now);
        assert_eq!(span.steps, 24);
        assert_eq!(span.since.to_string(), "2026-03-03T06:00:00.000Z");
        assert_eq!(span.until().to_string(), "2026-03-04T06:00:00.000Z");
        assert_eq!(moments(span).len(), 24);
        assert_eq!(Range::Week.span(now).steps, 28);
        assert_eq!(Range::parse("7d"), Some(Range::Week));
        assert_eq!(Range::All.since(now), None);
    }
}
