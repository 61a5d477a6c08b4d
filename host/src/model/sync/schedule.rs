//! When a sync runs by itself.

use std::time::Duration;

use croner::{Cron, parser::CronParser};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::model::Timestamp;

/// The longest time between two runs: 366 days, in seconds.
const LONGEST: u64 = 366 * 24 * 3600;
/// The longest cron expression, in bytes.
const LONGEST_EXPRESSION: usize = 120;

/// When a sync runs by itself. On the wire an object whose `type` is the variant's name in lower
/// case.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "type", rename_all = "snake_case", deny_unknown_fields)]
pub enum Schedule {
    /// A set time after the last run ended.
    Interval {
        /// From 1 second to 366 days.
        #[schemars(range(min = 1, max = 31_622_400))]
        seconds: u64,
    },
    /// At the times that a cron expression names, however long a run takes. Times that pass while
    /// a run is at work are left out.
    Cron {
        /// Five fields (minute, hour, day of month, month, day of week) or six with seconds
        /// first. `L`, `#`, `W`, names of days and months, and `@daily` and its like work.
        #[schemars(example = &"0 6 * * MON-FRI", length(max = 120))]
        expression: String,
        /// A name of the IANA time zone database. Where clocks go forward, a fixed time that is
        /// left out runs right after the gap; where they go back, it runs once.
        #[schemars(example = &"Europe/Berlin")]
        time_zone: String,
    },
    /// Only when asked. (It has braces so that unknown keys are refused.)
    Manual {},
    /// When the provider tells of changes, and at least once in a while, for webhooks get lost.
    Webhook {
        /// From 1 second to 366 days.
        #[schemars(range(min = 1, max = 31_622_400))]
        at_least_every_seconds: u64,
    },
}

/// A schedule that cannot be.
#[derive(Debug, thiserror::Error)]
pub enum ScheduleError {
    /// No time, or too long a time, between runs.
    #[error("{key} is {seconds}, but must be from 1 to {LONGEST}")]
    Seconds {
        /// Which key.
        key: &'static str,
        /// What it was.
        seconds: u64,
    },
    /// Not a cron expression.
    #[error(
        "expression: {text:?} is not a cron expression ({reason}); write minute, hour, day of month, month and day of week, for example \"0 6 * * MON-FRI\""
    )]
    Expression {
        /// What it was, cut off.
        text: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A date that never comes.
    #[error("expression: {0:?} names a time that never comes, such as 30 February")]
    Never(String),
    /// Not a time zone.
    #[error(
        "time_zone: {0:?} is not a name of the IANA time zone database, such as Europe/Berlin or UTC"
    )]
    TimeZone(String),
}

impl Schedule {
    /// Whether it can be.
    ///
    /// # Errors
    /// What is wrong with it, with the key's name; `now` is from when a cron time has to come.
    pub fn validate(&self, now: Timestamp) -> Result<(), ScheduleError> {
        let within = |key, seconds| match seconds {
            1..=LONGEST => Ok(()),
            _ => Err(ScheduleError::Seconds { key, seconds }),
        };
        match self {
            Self::Manual {} => Ok(()),
            Self::Interval { seconds } => within("seconds", *seconds),
            Self::Webhook {
                at_least_every_seconds,
            } => within("at_least_every_seconds", *at_least_every_seconds),
            Self::Cron {
                expression,
                time_zone,
            } => {
                let cron = parse_cron(expression)?;
                let zone = parse_zone(time_zone)?;
                match next_of(&cron, zone, now) {
                    Some(_) => Ok(()),
                    None => Err(ScheduleError::Never(expression.clone())),
                }
            }
        }
    }

    /// The first time after `after` at which a run is due: for an interval counted from `after`,
    /// for cron the next time it names. None where it waits to be asked, and for a schedule that
    /// does not pass [`Self::validate`].
    #[must_use]
    pub fn next(&self, after: Timestamp) -> Option<Timestamp> {
        match self {
            Self::Manual {} => None,
            Self::Interval { seconds: time }
            | Self::Webhook {
                at_least_every_seconds: time,
            } => Some(after.plus(Duration::from_secs(*time))),
            Self::Cron {
                expression,
                time_zone,
            } => {
                let cron = parse_cron(expression).ok()?;
                next_of(&cron, parse_zone(time_zone).ok()?, after)
            }
        }
    }

    /// The next `count` times after `after`, as if every run took no time.
    #[must_use]
    pub fn upcoming(&self, after: Timestamp, count: usize) -> Vec<Timestamp> {
        std::iter::successors(self.next(after), |last| self.next(*last))
            .take(count)
            .collect()
    }
}

fn parse_cron(text: &str) -> Result<Cron, ScheduleError> {
    let wrong = |reason: String| ScheduleError::Expression {
        text: text.chars().take(LONGEST_EXPRESSION).collect(),
        reason,
    };
    if text.len() > LONGEST_EXPRESSION {
        return Err(wrong(format!(
            "it is longer than {LONGEST_EXPRESSION} bytes"
        )));
    }
    let parsed = CronParser::new().parse(text);
    parsed.map_err(|error| wrong(error.to_string().trim_end_matches('.').to_owned()))
}

fn parse_zone(name: &str) -> Result<jiff::tz::TimeZone, ScheduleError> {
    jiff::tz::TimeZone::get(name)
        .map_err(|_| ScheduleError::TimeZone(name.chars().take(80).collect()))
}

fn next_of(cron: &Cron, zone: jiff::tz::TimeZone, after: Timestamp) -> Option<Timestamp> {
    let after = jiff::Timestamp::from_millisecond(after.as_millis()).ok()?;
    let next = cron
        .find_next_occurrence(&after.to_zoned(zone), false)
        .ok()?;
    Some(Timestamp::from_millis(next.timestamp().as_millisecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn time(text: &str) -> Timestamp {
        Timestamp::parse(text).unwrap()
    }

    fn cron(expression: &str, time_zone: &str) -> Schedule {
        Schedule::Cron {
            expression: expression.to_owned(),
            time_zone: time_zone.to_owned(),
        }
    }

    /// Says the next times in UTC, without seconds.
    fn check(expression: &str, zone: &str, after: &str, expected: &[&str]) {
        let schedule = cron(expression, zone);
        schedule.validate(time(after)).unwrap();
        let times = schedule.upcoming(time(after), expected.len());
        let texts: Vec<String> = times.iter().map(ToString::to_string).collect();
        let expected: Vec<String> = expected.iter().map(|text| time(text).to_string()).collect();
        assert_eq!(texts, expected, "{expression} in {zone} after {after}");
    }

    #[test]
    fn cron_times_are_those_of_the_zone() {
        check(
            "0 6 * * MON-FRI",
            "Europe/Berlin",
            "2026-01-02T05:00:00Z", // A Friday, and 6 o'clock itself is not after it.
            &["2026-01-05T05:00:00Z", "2026-01-06T05:00:00Z"],
        );
        check(
            "*/20 * * * * *",
            "UTC",
            "2026-01-02T05:00:00.500Z",
            &["2026-01-02T05:00:20Z", "2026-01-02T05:00:40Z"],
        );
        check(
            "@daily",
            "Asia/Kolkata",
            "2026-01-02T05:00:00Z",
            &["2026-01-02T18:30:00Z"],
        );
    }

    /// Berlin: 2026-03-29 has no time from 02:00 to 03:00.
    #[test]
    fn a_fixed_time_in_the_gap_runs_right_after_it() {
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-03-28T00:00:00Z",
            &[
                "2026-03-28T01:30:00Z",
                "2026-03-29T01:00:00Z",
                "2026-03-30T00:30:00Z",
            ],
        );
        check(
            "*/30 * * * *",
            "Europe/Berlin",
            "2026-03-29T00:30:00Z",
            &["2026-03-29T01:00:00Z", "2026-03-29T01:30:00Z"],
        );
    }

    /// Berlin: 2026-10-25 has the time from 02:00 to 03:00 twice.
    #[test]
    fn a_fixed_time_that_comes_twice_runs_once_and_an_hourly_one_twice() {
        check(
            "30 2 * * *",
            "Europe/Berlin",
            "2026-10-24T12:00:00Z",
            &["2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        );
        check(
            "30 * * * *",
            "Europe/Berlin",
            "2026-10-24T23:45:00Z",
            &[
                "2026-10-25T00:30:00Z",
                "2026-10-25T01:30:00Z",
                "2026-10-25T02:30:00Z",
            ],
        );
    }

    #[test]
    fn intervals_count_from_the_moment_and_manual_ones_wait() {
        let after = time("2026-01-02T05:00:00.250Z");
        let next = Schedule::Interval { seconds: 90 }.next(after);
        assert_eq!(next, Some(time("2026-01-02T05:01:30.250Z")));
        assert_eq!(Schedule::Manual {}.next(after), None);
    }

    #[test]
    fn what_cannot_be_is_refused_with_the_key() {
        let now = time("2026-01-02T05:00:00Z");
        let refuse = |schedule: Schedule| schedule.validate(now).unwrap_err().to_string();
        assert!(refuse(Schedule::Interval { seconds: 0 }).starts_with("seconds is 0"));
        let webhook = Schedule::Webhook {
            at_least_every_seconds: u64::MAX,
        };
        assert!(refuse(webhook).starts_with("at_least_every_seconds"));
        for bad in ["", "every day", "61 * * * *", "* * *", &"0,".repeat(100)] {
            let text = refuse(cron(bad, "UTC"));
            assert!(text.contains("is not a cron expression"), "{bad}: {text}");
        }
        assert!(refuse(cron("0 0 30 2 *", "UTC")).contains("never comes"));
        assert!(refuse(cron("0 0 * * *", "Mars/Base")).starts_with("time_zone: \"Mars/Base\""));
        let more = r#"{"type":"manual","seconds":1}"#;
        assert!(serde_json::from_str::<Schedule>(more).is_err());
    }
}
