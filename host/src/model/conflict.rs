//! Three-way comparison of a record: what both sides last agreed on ("base"), what our
//! applications made of it ("ours") and what the provider has ("theirs"). Pure.
//!
//! Fields are compared one by one: those of the unified object as wholes, lists and objects too,
//! and each custom field for itself, under the name [`custom_name`] gives it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::{ConflictPolicy, Timestamp};

/// The fields of a record, each with its value.
pub type Fields = Map<String, Value>;

/// The field under which a record that one side deleted and the other changed is in conflict. No
/// unified object has a field of that name.
pub const DELETED: &str = "deleted_at";

/// What the names of custom fields begin with.
pub const CUSTOM: &str = "field_mappings.";

/// A side of a record.
#[derive(Clone, Debug, PartialEq)]
pub enum Side {
    /// It is there.
    Present(Fields),
    /// It is deleted.
    Deleted,
}

/// Who is right where both sides changed the same thing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Winner {
    Ours,
    Theirs,
    /// A person decides.
    Nobody,
}

/// A field that both sides changed to different values, until a person decides.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct FieldConflict {
    /// The value that both sides had.
    pub base: Value,
    /// Ours.
    pub ours: Value,
    /// The provider's.
    pub theirs: Value,
    /// When ours was set.
    pub ours_at: Timestamp,
    /// Who set ours: the id of an API key, or what else writes.
    #[serde(default)]
    pub ours_by: Option<String>,
    /// When the provider changed the record; none where it does not say.
    pub theirs_at: Option<Timestamp>,
}

/// What a comparison says.
#[derive(Clone, Debug, PartialEq)]
pub struct Merge {
    /// The record as our side shows it from now on. Where a person is to decide, that is ours.
    pub record: Side,
    /// Fields whose value is to be sent to the provider.
    pub push: BTreeSet<String>,
    /// Fields that changed here, since the provider changed them.
    pub take: BTreeSet<String>,
    /// Fields whose change on our side gave way to the provider's.
    pub lost: BTreeSet<String>,
    /// Fields that wait for a person; [`DELETED`] where the record itself does.
    pub conflicts: BTreeMap<String, FieldConflict>,
}

/// When each side changed what.
#[derive(Clone, Copy, Debug)]
pub struct Times<'a> {
    /// Our edits, by field.
    pub ours: &'a BTreeMap<String, Timestamp>,
    /// When the provider changed the record last; none where it does not say, which then counts as
    /// later than any edit of ours: it was found out after it.
    pub theirs: Option<Timestamp>,
}

impl Times<'_> {
    fn winner(&self, policy: ConflictPolicy, ours_at: Timestamp) -> Winner {
        match policy {
            ConflictPolicy::SourceWins => Winner::Theirs,
            ConflictPolicy::TargetWins => Winner::Ours,
            ConflictPolicy::Manual => Winner::Nobody,
            ConflictPolicy::LastWriteWins if self.theirs.is_some_and(|theirs| ours_at > theirs) => {
                Winner::Ours
            }
            ConflictPolicy::LastWriteWins => Winner::Theirs,
        }
    }

    fn ours_at(&self, field: &str) -> Timestamp {
        let of_field = self.ours.get(field).copied();
        of_field.unwrap_or(Timestamp::from_millis(0))
    }

    /// Our latest edit.
    fn latest(&self) -> Timestamp {
        let latest = self.ours.values().copied().max();
        latest.unwrap_or(Timestamp::from_millis(0))
    }
}

/// Compares a record's three states. A record that was deleted on one side and changed on the
/// other is in conflict as a whole, by the same policies.
#[must_use]
pub fn merge(
    base: &Fields,
    ours: &Side,
    theirs: &Side,
    policy: ConflictPolicy,
    times: &Times<'_>,
) -> Merge {
    let settled = |record: Side| Merge {
        record,
        push: BTreeSet::new(),
        take: BTreeSet::new(),
        lost: BTreeSet::new(),
        conflicts: BTreeMap::new(),
    };
    let deletion = || BTreeSet::from([DELETED.to_owned()]);
    match (ours, theirs) {
        (Side::Deleted, Side::Deleted) => settled(Side::Deleted),
        (Side::Present(ours), Side::Present(theirs)) => {
            merge_fields(base, ours, theirs, policy, times)
        }
        (Side::Deleted, Side::Present(theirs)) => {
            let winner = if differing(base, theirs).is_empty() {
                Winner::Ours
            } else {
                times.winner(policy, times.ours_at(DELETED))
            };
            match winner {
                Winner::Ours => Merge {
                    push: deletion(),
                    ..settled(Side::Deleted)
                },
                Winner::Theirs => Merge {
                    take: theirs.keys().cloned().collect(),
                    lost: deletion(),
                    ..settled(Side::Present(theirs.clone()))
                },
                Winner::Nobody => {
                    let conflict = FieldConflict {
                        base: Value::Object(base.clone()),
                        ours: Value::Null,
                        theirs: Value::Object(theirs.clone()),
                        ours_at: times.ours_at(DELETED),
                        ours_by: None,
                        theirs_at: times.theirs,
                    };
                    Merge {
                        conflicts: BTreeMap::from([(DELETED.to_owned(), conflict)]),
                        ..settled(Side::Deleted)
                    }
                }
            }
        }
        (Side::Present(ours), Side::Deleted) => {
            let edited = differing(base, ours);
            if edited.is_empty() {
                return Merge {
                    take: deletion(),
                    ..settled(Side::Deleted)
                };
            }
            match times.winner(policy, times.latest()) {
                // All of it, since the provider has nothing of it any more.
                Winner::Ours => Merge {
                    push: ours.keys().cloned().collect(),
                    ..settled(Side::Present(ours.clone()))
                },
                Winner::Theirs => Merge {
                    take: deletion(),
                    lost: edited,
                    ..settled(Side::Deleted)
                },
                Winner::Nobody => {
                    let conflict = FieldConflict {
                        base: Value::Object(base.clone()),
                        ours: Value::Object(ours.clone()),
                        theirs: Value::Null,
                        ours_at: times.latest(),
                        ours_by: None,
                        theirs_at: times.theirs,
                    };
                    Merge {
                        conflicts: BTreeMap::from([(DELETED.to_owned(), conflict)]),
                        ..settled(Side::Present(ours.clone()))
                    }
                }
            }
        }
    }
}

fn merge_fields(
    base: &Fields,
    ours: &Fields,
    theirs: &Fields,
    policy: ConflictPolicy,
    times: &Times<'_>,
) -> Merge {
    let mut record = theirs.clone();
    let mut merge = Merge {
        record: Side::Deleted,
        push: BTreeSet::new(),
        take: BTreeSet::new(),
        lost: BTreeSet::new(),
        conflicts: BTreeMap::new(),
    };
    for field in names([base, ours, theirs]) {
        let (was, our, their) = (base.get(&field), ours.get(&field), theirs.get(&field));
        let (we_did, they_did) = (!same(was, our), !same(was, their));
        if !we_did || same(our, their) {
            if they_did && !we_did {
                merge.take.insert(field);
            }
            continue;
        }
        let winner = if they_did {
            times.winner(policy, times.ours_at(&field))
        } else {
            Winner::Ours
        };
        let value = |one: Option<&Value>| one.cloned().unwrap_or_default();
        match winner {
            Winner::Theirs => {
                merge.take.insert(field.clone());
                merge.lost.insert(field);
            }
            Winner::Ours => {
                record.insert(field.clone(), value(our));
                merge.push.insert(field);
            }
            Winner::Nobody => {
                record.insert(field.clone(), value(our));
                let conflict = FieldConflict {
                    base: value(was),
                    ours: value(our),
                    theirs: value(their),
                    ours_at: times.ours_at(&field),
                    ours_by: None,
                    theirs_at: times.theirs,
                };
                merge.conflicts.insert(field, conflict);
            }
        }
    }
    merge.record = Side::Present(record);
    merge
}

/// The fields in which two states differ.
#[must_use]
pub fn differing(before: &Fields, after: &Fields) -> BTreeSet<String> {
    let mut names = names([before, after]);
    names.retain(|name| !same(before.get(name), after.get(name)));
    names
}

fn names<'a>(states: impl IntoIterator<Item = &'a Fields>) -> BTreeSet<String> {
    states.into_iter().flat_map(Fields::keys).cloned().collect()
}

/// Whether two values say the same. What is not there, null, an empty list and an empty object
/// say nothing; 12 and 12.0 are one number.
#[must_use]
pub fn same(one: Option<&Value>, other: Option<&Value>) -> bool {
    let (one, other) = (meaning(one), meaning(other));
    match (one, other) {
        (None, None) => true,
        (Some(one), Some(other)) => equal(one, other),
        _ => false,
    }
}

fn equal(one: &Value, other: &Value) -> bool {
    match (one, other) {
        (Value::Number(one), Value::Number(other)) => {
            one == other
                || matches!((one.as_f64(), other.as_f64()), (Some(one), Some(other)) if one.total_cmp(&other).is_eq())
        }
        (Value::Array(one), Value::Array(other)) => {
            let pairs = one.iter().zip(other);
            one.len() == other.len()
                && pairs
                    .into_iter()
                    .all(|(one, other)| same(Some(one), Some(other)))
        }
        (Value::Object(one), Value::Object(other)) => names([one, other])
            .iter()
            .all(|name| same(one.get(name), other.get(name))),
        _ => one == other,
    }
}

/// Whether `theirs` has at least what `sent` says: providers add to what they are sent.
#[must_use]
pub fn covers(theirs: Option<&Value>, sent: &Value) -> bool {
    match (meaning(theirs), meaning(Some(sent))) {
        (None, None) => true,
        (Some(Value::Object(theirs)), Some(Value::Object(sent))) => sent
            .iter()
            .all(|(name, sent)| covers(theirs.get(name), sent)),
        (Some(Value::Array(theirs)), Some(Value::Array(sent))) => {
            let mut pairs = theirs.iter().zip(sent);
            theirs.len() == sent.len() && pairs.all(|(theirs, sent)| covers(Some(theirs), sent))
        }
        (Some(theirs), Some(sent)) => equal(theirs, sent),
        _ => false,
    }
}

fn meaning(value: Option<&Value>) -> Option<&Value> {
    value.filter(|value| match value {
        Value::Null => false,
        Value::Array(items) => !items.is_empty(),
        Value::Object(members) => members
            .values()
            .any(|member| meaning(Some(member)).is_some()),
        _ => true,
    })
}

/// The name under which a custom field is compared.
#[must_use]
pub fn custom_name(slug: &str) -> String {
    format!("{CUSTOM}{slug}")
}

/// A record's fields from its unified object and the values of its custom fields; what is no JSON
/// object has none.
#[must_use]
pub fn fields_of(unified: &str, custom: &str) -> Fields {
    let parse = |text| serde_json::from_str::<Fields>(text).unwrap_or_default();
    let mut fields = parse(unified);
    let custom = parse(custom).into_iter();
    fields.extend(custom.map(|(slug, value)| (custom_name(&slug), value)));
    fields
}

/// The reverse: the unified object and the values of custom fields.
#[must_use]
pub fn split(fields: &Fields) -> (Fields, Fields) {
    let (mut unified, mut custom) = (Fields::new(), Fields::new());
    for (name, value) in fields {
        match name.strip_prefix(CUSTOM) {
            Some(slug) => custom.insert(slug.to_owned(), value.clone()),
            None => unified.insert(name.clone(), value.clone()),
        };
    }
    (unified, custom)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn fields(value: Value) -> Fields {
        let Value::Object(fields) = value else {
            panic!("not an object")
        };
        fields
    }

    fn present(value: Value) -> Side {
        Side::Present(fields(value))
    }

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    /// Ours changed `a` at 10, theirs the record at `theirs`.
    fn merged(ours: &Side, theirs: &Side, policy: ConflictPolicy, theirs_at: Option<i64>) -> Merge {
        let base = fields(json!({"a": 1, "b": "x", "c": [1]}));
        let ours_at = BTreeMap::from([("a".to_owned(), at(10)), (DELETED.to_owned(), at(10))]);
        let times = Times {
            ours: &ours_at,
            theirs: theirs_at.map(at),
        };
        merge(&base, ours, theirs, policy, &times)
    }

    #[test]
    fn one_side_that_changed_a_field_is_that_field() {
        for policy in ConflictPolicy::ALL {
            let ours = present(json!({"a": 2, "b": "x", "c": [1]}));
            let theirs = present(json!({"a": 1.0, "b": "y", "c": [1, 2], "d": null}));
            let merge = merged(&ours, &theirs, *policy, Some(5));
            let Side::Present(record) = &merge.record else {
                panic!("{merge:?}")
            };
            assert_eq!((&record["a"], &record["b"]), (&json!(2), &json!("y")));
            assert_eq!(merge.push, BTreeSet::from(["a".to_owned()]));
            assert_eq!(merge.take, BTreeSet::from(["b".to_owned(), "c".to_owned()]));
            assert!(merge.conflicts.is_empty() && merge.lost.is_empty());
        }
    }

    #[test]
    fn both_at_the_same_value_agree() {
        let both = json!({"a": 2, "b": "x", "c": [1]});
        let merge = merged(
            &present(both.clone()),
            &present(both),
            ConflictPolicy::Manual,
            None,
        );
        assert!(merge.conflicts.is_empty() && merge.push.is_empty() && merge.take.is_empty());
    }

    #[test]
    fn a_policy_decides_where_both_changed_a_field() {
        let both = |policy, theirs_at| {
            let ours = present(json!({"a": 2, "b": "x", "c": [1]}));
            let theirs = present(json!({"a": 3, "b": "x", "c": [1]}));
            merged(&ours, &theirs, policy, theirs_at)
        };
        for (policy, theirs_at, ours_win) in [
            (ConflictPolicy::SourceWins, Some(1), false),
            (ConflictPolicy::TargetWins, Some(99), true),
            (ConflictPolicy::LastWriteWins, Some(9), true),
            (ConflictPolicy::LastWriteWins, Some(10), false),
            (ConflictPolicy::LastWriteWins, Some(11), false),
            (ConflictPolicy::LastWriteWins, None, false),
        ] {
            let merge = both(policy, theirs_at);
            assert_eq!(merge.push.contains("a"), ours_win, "{policy} {theirs_at:?}");
            assert_eq!(
                merge.lost.contains("a"),
                !ours_win,
                "{policy} {theirs_at:?}"
            );
            assert!(merge.conflicts.is_empty());
        }
        let merge = both(ConflictPolicy::Manual, Some(1));
        assert_eq!(merge.conflicts["a"].theirs, json!(3));
        assert_eq!(merge.conflicts["a"].base, json!(1));
        let Side::Present(record) = merge.record else {
            panic!("it is there")
        };
        assert_eq!(record["a"], json!(2));
        assert!(merge.push.is_empty());
    }

    #[test]
    fn a_deletion_and_a_change_are_in_conflict() {
        let unchanged = present(json!({"a": 1, "b": "x", "c": [1]}));
        let changed = present(json!({"a": 2, "b": "x", "c": [1]}));
        let deletion = BTreeSet::from([DELETED.to_owned()]);
        let manual = ConflictPolicy::Manual;
        assert_eq!(
            merged(&Side::Deleted, &unchanged, manual, None).push,
            deletion
        );
        assert_eq!(
            merged(&unchanged, &Side::Deleted, manual, None).record,
            Side::Deleted
        );
        for (ours, theirs) in [(Side::Deleted, changed.clone()), (changed, Side::Deleted)] {
            let with = |policy| merged(&ours.clone(), &theirs.clone(), policy, Some(10));
            assert_eq!(with(ConflictPolicy::SourceWins).record, theirs);
            assert_eq!(with(ConflictPolicy::LastWriteWins).record, theirs);
            assert_eq!(with(ConflictPolicy::TargetWins).record, ours);
            assert!(!with(ConflictPolicy::TargetWins).push.is_empty());
            let merge = with(manual);
            assert_eq!(merge.record, ours);
            assert!(merge.conflicts.contains_key(DELETED) && merge.push.is_empty());
        }
    }

    #[test]
    fn what_says_nothing_is_the_same() {
        let same = |one: Value, other: Value| same(Some(&one), Some(&other));
        assert!(same(json!(null), json!([])));
        assert!(same(json!({"a": null, "b": [1.0]}), json!({"b": [1]})));
        assert!(!same(json!([1, 2]), json!([2, 1])));
        assert!(!same(json!(""), json!(null)));
        assert!(super::same(None, Some(&json!({"a": null}))));
        let sent = json!([{"email": "a@b.c"}]);
        assert!(covers(
            Some(&json!([{"email": "a@b.c", "kind": "WORK"}])),
            &sent
        ));
        assert!(!covers(Some(&json!([])), &sent));
    }

    #[test]
    fn fields_are_split_as_they_were_joined() {
        let fields = fields_of(r#"{"name": "Ada"}"#, r#"{"tier": 1}"#);
        assert_eq!(fields["field_mappings.tier"], 1);
        let (unified, custom) = split(&fields);
        assert_eq!(
            (unified["name"].as_str(), custom["tier"].as_i64()),
            (Some("Ada"), Some(1))
        );
    }
}
