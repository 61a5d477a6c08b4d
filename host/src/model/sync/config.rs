//! What a sync is told to do: one of these for each object of each connection.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Map, Value};

use super::{Schedule, words};
use crate::model::{ObjectKind, Scalar, Timestamp, filterable};

words! {
    /// Which way changes go.
    Direction {
        /// From the provider to us; a write of an application goes through to the provider at
        /// once.
        Inbound = "inbound",
        /// From us to the provider, where our side always wins. What only the provider changes is
        /// still read.
        Outbound = "outbound",
        /// Both.
        Bidirectional = "bidirectional",
    }
}

words! {
    /// Who wins where the provider and our applications changed the same field.
    ConflictPolicy {
        /// The later change.
        LastWriteWins = "last_write_wins",
        /// The provider ("theirs").
        SourceWins = "source_wins",
        /// Our applications ("ours").
        TargetWins = "target_wins",
        /// Nobody until a person decides.
        Manual = "manual",
    }
}

/// What the sync of one object of one connection does. The default works untouched.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct SyncConfig {
    /// Which way changes go; `inbound`.
    pub direction: Direction,
    /// When it runs by itself; none takes the project's pull frequency, or else the server's
    /// interval.
    pub schedule: Option<Schedule>,
    /// Who wins where both sides changed a field; `last_write_wins`.
    pub conflicts: ConflictPolicy,
    /// Unified fields with one value each, and the value that a record must have to be stored.
    /// Records that do not match are treated as if they were not there. Empty: all are stored.
    pub filters: BTreeMap<String, Value>,
    /// Every so many runs, one reads everything although the connector can tell what changed: a
    /// provider's own account of changes may have gaps. None: only the first run does.
    pub full_every: Option<u32>,
    /// The share of the stored records, in percent, that a run which reads everything may delete
    /// because the provider no longer has them; where it would be more, it stops and asks. 100
    /// never asks.
    pub delete_guard_percent: u32,
    /// How often a failed run is tried again before it is given up until the schedule's next time.
    pub max_retries: u32,
    /// For how many days the values that fields had before are kept; 0: they are not.
    pub history_days: u32,
}

impl Default for SyncConfig {
    fn default() -> Self {
        Self {
            direction: Direction::Inbound,
            schedule: None,
            conflicts: ConflictPolicy::LastWriteWins,
            filters: BTreeMap::new(),
            full_every: Some(24),
            delete_guard_percent: 30,
            max_retries: 5,
            history_days: 30,
        }
    }
}

/// A configuration that cannot be.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
#[error("{key}: {problem}")]
pub struct SyncConfigError {
    /// Where, such as `filters.status`.
    pub key: String,
    /// What is wrong there and what would be right.
    pub problem: String,
}

impl SyncConfigError {
    fn new(key: impl Into<String>, problem: impl Into<String>) -> Self {
        Self {
            key: key.into(),
            problem: problem.into(),
        }
    }
}

/// The keys, in the order of the documentation.
const KEYS: [&str; 8] = [
    "direction",
    "schedule",
    "conflicts",
    "filters",
    "full_every",
    "delete_guard_percent",
    "max_retries",
    "history_days",
];

impl SyncConfig {
    /// This one with the keys of `patch` in place of its own. `null` sets a key back to its
    /// default, except `full_every`, where it means never.
    ///
    /// # Errors
    /// A key that is not there, or a value that is not of the key's type.
    pub fn merge(&self, patch: Map<String, Value>) -> Result<Self, SyncConfigError> {
        let (mut merged, default) = (self.clone(), Self::default());
        for (key, value) in patch {
            match key.as_str() {
                "direction" => merged.direction = typed(&key, value, default.direction)?,
                "schedule" => merged.schedule = typed(&key, value, None)?,
                "conflicts" => merged.conflicts = typed(&key, value, default.conflicts)?,
                "filters" => merged.filters = typed(&key, value, BTreeMap::new())?,
                "full_every" => merged.full_every = typed(&key, value, None)?,
                "delete_guard_percent" => {
                    merged.delete_guard_percent = typed(&key, value, default.delete_guard_percent)?;
                }
                "max_retries" => merged.max_retries = typed(&key, value, default.max_retries)?,
                "history_days" => merged.history_days = typed(&key, value, default.history_days)?,
                _ => {
                    let problem = format!("there is no such key; the keys are {}", KEYS.join(", "));
                    return Err(SyncConfigError::new(
                        key.chars().take(80).collect::<String>(),
                        problem,
                    ));
                }
            }
        }
        Ok(merged)
    }

    /// Who wins where both sides changed a field: with changes going out only, our side.
    #[must_use]
    pub const fn policy(&self) -> ConflictPolicy {
        match self.direction {
            Direction::Outbound => ConflictPolicy::TargetWins,
            Direction::Inbound | Direction::Bidirectional => self.conflicts,
        }
    }

    /// Whether it can be, for an object.
    ///
    /// # Errors
    /// The first value that cannot be, with its key.
    pub fn validate(&self, kind: ObjectKind, now: Timestamp) -> Result<(), SyncConfigError> {
        if let Some(schedule) = &self.schedule {
            let valid = schedule.validate(now);
            valid.map_err(|error| SyncConfigError::new("schedule", error.to_string()))?;
        }
        let within = |key: &str, value: u32, least: u32, most: u32| match value {
            _ if (least..=most).contains(&value) => Ok(()),
            _ => {
                let problem = format!("it is {value}, but must be from {least} to {most}");
                Err(SyncConfigError::new(key, problem))
            }
        };
        within("full_every", self.full_every.unwrap_or(1), 1, 1_000_000)?;
        within("delete_guard_percent", self.delete_guard_percent, 0, 100)?;
        within("max_retries", self.max_retries, 0, 100)?;
        within("history_days", self.history_days, 0, 365)?;
        self.validate_filters(kind)
    }

    fn validate_filters(&self, kind: ObjectKind) -> Result<(), SyncConfigError> {
        let known: Vec<_> = filterable(kind)
            .into_iter()
            .filter(|(name, _)| *name != "remote_id")
            .collect();
        for (field, value) in &self.filters {
            let wrong = |problem: String| {
                let field: String = field.chars().take(80).collect();
                SyncConfigError::new(format!("filters.{field}"), problem)
            };
            let Some((_, scalar)) = known.iter().find(|(name, _)| name == field) else {
                let names: Vec<&str> = known.iter().map(|(name, _)| *name).collect();
                return Err(wrong(format!(
                    "{kind} has no such field with one value; those that it has are {}",
                    names.join(", ")
                )));
            };
            let (fits, expected) = match scalar {
                Scalar::Text => (value.is_string(), "a text"),
                Scalar::Reference => (value.is_string(), "the id of a record of this server"),
                Scalar::Number => (value.is_number(), "a number"),
                Scalar::Boolean => (value.is_boolean(), "true or false"),
            };
            if !fits {
                return Err(wrong(format!("it must be {expected}")));
            }
        }
        Ok(())
    }

    /// Whether a record with this unified object is to be stored.
    #[must_use]
    pub fn takes(&self, unified: &Map<String, Value>) -> bool {
        self.filters.iter().all(|(field, wanted)| {
            let Some(found) = unified.get(field) else {
                return false;
            };
            match (wanted.as_f64(), found.as_f64()) {
                // 12 and 12.0 are the same amount.
                (Some(wanted), Some(found)) => wanted.total_cmp(&found).is_eq(),
                _ => wanted == found,
            }
        })
    }
}

fn typed<T: DeserializeOwned>(key: &str, value: Value, default: T) -> Result<T, SyncConfigError> {
    if value.is_null() {
        return Ok(default);
    }
    serde_json::from_value(value).map_err(|error| SyncConfigError::new(key, error.to_string()))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const NOW: Timestamp = Timestamp::from_millis(1_767_330_000_000);

    fn merged(patch: Value) -> Result<SyncConfig, SyncConfigError> {
        let Value::Object(patch) = patch else {
            panic!("not an object")
        };
        let config = SyncConfig::default().merge(patch)?;
        config.validate(ObjectKind::parse("crm.deal").unwrap(), NOW)?;
        Ok(config)
    }

    #[test]
    fn a_patch_changes_what_it_names() {
        let config = merged(json!({
            "schedule": { "type": "cron", "expression": "0 6 * * *", "time_zone": "Europe/Berlin" },
            "filters": { "name": "Big", "amount": 12 },
            "full_every": null,
        }))
        .unwrap();
        assert_eq!(config.full_every, None);
        assert_eq!(config.max_retries, 5);
        let text = serde_json::to_string(&config).unwrap();
        assert_eq!(serde_json::from_str::<SyncConfig>(&text).unwrap(), config);
        let patch = json!({ "schedule": null, "max_retries": 0 });
        let again = config.merge(patch.as_object().unwrap().clone()).unwrap();
        assert_eq!((again.schedule, again.max_retries), (None, 0));
        assert_eq!(again.filters, config.filters);
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_key() {
        for (patch, key) in [
            (json!({ "shedule": null }), "shedule"),
            (json!({ "direction": "up" }), "direction"),
            (json!({ "conflicts": "mine" }), "conflicts"),
            (json!({ "schedule": { "type": "interval" } }), "schedule"),
            (json!({ "full_every": 0 }), "full_every"),
            (
                json!({ "delete_guard_percent": 101 }),
                "delete_guard_percent",
            ),
            (json!({ "max_retries": -1 }), "max_retries"),
            (json!({ "history_days": 366 }), "history_days"),
            (json!({ "filters": { "nmae": "x" } }), "filters.nmae"),
            (json!({ "filters": { "name": 1 } }), "filters.name"),
            (json!({ "filters": { "amount": "1" } }), "filters.amount"),
            (json!({ "filters": { "name": null } }), "filters.name"),
        ] {
            assert_eq!(merged(patch.clone()).unwrap_err().key, key, "{patch}");
        }
    }

    #[test]
    fn a_filter_takes_what_is_equal() {
        let config = merged(json!({ "filters": { "name": "Big", "amount": 12 } })).unwrap();
        let takes = |unified: Value| config.takes(unified.as_object().unwrap());
        assert!(takes(json!({ "name": "Big", "amount": 12.0, "more": 1 })));
        assert!(!takes(json!({ "name": "Big", "amount": 13 })));
        assert!(!takes(json!({ "name": "Big", "amount": null })));
        assert!(!takes(json!({ "amount": 12 })));
        assert!(SyncConfig::default().takes(&Map::new()));
    }
}
