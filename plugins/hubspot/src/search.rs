//! The way through everything that changed since a point in time.
//!
//! HubSpot's search gives at most 10,000 results, takes one sort key, and pages
//! by position, so that a record that changes meanwhile moves to the end and
//! makes the others slide past a position already read. So no page here asks by
//! position: each one asks for what follows the last record of the page before,
//! by modification date. Records that share a date with it come twice, which is
//! harmless. Where a whole page has one and the same date, the records of that
//! date are read by their ids, and then what is later.

use jackfield_sdk::{Failure, Raw};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::object::Object;
use crate::value;
use crate::wire::Key;

/// As many results as HubSpot gives at once.
pub(crate) const MOST: u32 = 200;

/// What the next page asks for. Times are milliseconds since 1970.
#[derive(Clone, Copy, Debug, Deserialize, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Step {
    /// Modified at this time or later, by time.
    From(i64),
    /// Modified at exactly this time, with an id above this one, by id.
    At { time: i64, id: u64 },
    /// Modified later than this, by time.
    Past(i64),
}

impl Step {
    /// The body of the search.
    pub(crate) fn body(self, object: &Object, properties: &[&str], limit: u32) -> Value {
        let date = |operator, time: i64| filter(object.modified, operator, &time);
        let (filters, sort) = match self {
            Self::From(time) => (vec![date("GTE", time)], object.modified),
            Self::Past(time) => (vec![date("GT", time)], object.modified),
            Self::At { time, id } => (
                vec![
                    date("GTE", time),
                    date("LTE", time),
                    filter("hs_object_id", "GT", &id),
                ],
                "hs_object_id",
            ),
        };
        json!({
            "filterGroups": [{"filters": filters}],
            "sorts": [{"propertyName": sort, "direction": "ASCENDING"}],
            "properties": properties,
            "limit": limit.clamp(1, MOST),
        })
    }

    /// What comes after a page with these results; none at the end. Every step
    /// is later than the one before, so the way ends.
    pub(crate) fn next(
        self,
        object: &Object,
        results: &[Raw<Key>],
        more: bool,
    ) -> Result<Option<Self>, Failure> {
        let last = match (results.last(), self) {
            (Some(last), _) => last,
            (None, Self::At { time, .. }) => return Ok(Some(Self::Past(time))),
            (None, _) => return Ok(None),
        };
        match self {
            Self::At { time, .. } if !more => Ok(Some(Self::Past(time))),
            Self::At { time, id: before } => match last.id.parse() {
                Ok(id) if id > before => Ok(Some(Self::At { time, id })),
                _ => Err(out_of_order(&last.id)),
            },
            _ if !more => Ok(None),
            Self::From(bound) => match modified(object, last)? {
                time if time > bound => Ok(Some(Self::From(time))),
                _ => Ok(Some(Self::At { time: bound, id: 0 })),
            },
            Self::Past(bound) => match modified(object, last)? {
                time if time > bound => Ok(Some(Self::From(time))),
                _ => Err(out_of_order(&last.id)),
            },
        }
    }
}

fn filter(property: &str, operator: &str, value: &impl ToString) -> Value {
    json!({"propertyName": property, "operator": operator, "value": value.to_string()})
}

fn modified(object: &Object, record: &Key) -> Result<i64, Failure> {
    let properties = &record.properties;
    let date = if object.modified == "lastmodifieddate" {
        &properties.lastmodifieddate
    } else {
        &properties.hs_lastmodifieddate
    };
    let time = value::instant(object.modified, &date.clone().into())?;
    time.ok_or_else(|| {
        Failure::unexpected(format!("record {} has no {}", record.id, object.modified))
    })
}

fn out_of_order(id: &str) -> Failure {
    Failure::unexpected(format!(
        "HubSpot's search answered record {id} out of order"
    ))
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use jackfield_sdk::Raw;
    use serde_json::{Value, json};

    use super::Step;
    use crate::contact::OBJECT;
    use crate::wire::Key;

    /// HubSpot's search as documented: filters, one sort, the cap. Ties come in
    /// an order that has nothing to do with ids.
    fn search(records: &[(u64, i64)], body: &Value) -> (Vec<Raw<Key>>, bool) {
        assert!(
            body.get("after").is_none(),
            "the cap cannot be met without paging by position"
        );
        let key = |record: &(u64, i64), property: &Value| match property.as_str().unwrap() {
            "hs_object_id" => i64::try_from(record.0).unwrap(),
            "lastmodifieddate" => record.1,
            other => panic!("{other}"),
        };
        let filters = body["filterGroups"][0]["filters"].as_array().unwrap();
        let mut found: Vec<_> = records
            .iter()
            .filter(|record| {
                filters.iter().all(|filter| {
                    let (have, wanted) = (
                        key(record, &filter["propertyName"]),
                        filter["value"].as_str().unwrap().parse::<i64>().unwrap(),
                    );
                    match filter["operator"].as_str().unwrap() {
                        "GTE" => have >= wanted,
                        "GT" => have > wanted,
                        "LTE" => have <= wanted,
                        other => panic!("{other}"),
                    }
                })
            })
            .collect();
        assert_eq!(body["sorts"].as_array().unwrap().len(), 1);
        found.sort_by_key(|record| {
            (
                key(record, &body["sorts"][0]["propertyName"]),
                record.0.wrapping_mul(0x9e37_79b9),
            )
        });
        let limit = usize::try_from(body["limit"].as_u64().unwrap()).unwrap();
        let more = found.len() > limit;
        let page = found.into_iter().take(limit).map(|(id, time)| {
            let record =
                json!({"id": id.to_string(), "properties": {"lastmodifieddate": time.to_string()}});
            serde_json::from_value(record).unwrap()
        });
        (page.collect(), more)
    }

    /// Ids found, and how many requests and records that took.
    fn walk(records: &[(u64, i64)], since: i64, limit: u32) -> (BTreeSet<u64>, usize, usize) {
        let (mut step, mut found, mut requests, mut received) =
            (Some(Step::From(since)), BTreeSet::new(), 0, 0);
        while let Some(at) = step {
            requests += 1;
            assert!(requests < 10_000, "the way does not end: {at:?}");
            let (page, more) = search(records, &at.body(&OBJECT, &["email"], limit));
            received += page.len();
            found.extend(page.iter().map(|record| record.id.parse::<u64>().unwrap()));
            step = at.next(&OBJECT, &page, more).unwrap();
        }
        (found, requests, received)
    }

    #[test]
    fn far_more_than_ten_thousand_results_are_all_read() {
        let records: Vec<_> = (1..=25_000)
            .map(|id| (id, 1_000 + i64::try_from(id).unwrap()))
            .collect();
        let (found, requests, received) = walk(&records, 2_000, 200);
        assert_eq!(found, (1_000..=25_000).collect());
        // One record of each page comes twice.
        assert_eq!((requests, received), (121, 24_001 + 120));
    }

    #[test]
    fn twelve_thousand_records_of_one_instant_are_all_read() {
        let records: Vec<_> = (1..=12_000)
            .map(|id| (id, 5_000))
            .chain([(20_000, 5_001), (20_001, 4_999)])
            .collect();
        let (found, ..) = walk(&records, 0, 200);
        assert_eq!(found.len(), 12_002);
    }

    #[test]
    fn every_pattern_of_equal_dates_is_read_whole() {
        for same in 1..=12 {
            for limit in 1..=7 {
                let records: Vec<_> = (1..=40)
                    .map(|id| (id * 7 % 41, i64::try_from(id / same).unwrap()))
                    .collect();
                let (found, ..) = walk(&records, 0, limit);
                assert_eq!(found.len(), 40, "{same} of a date, {limit} a page");
            }
        }
    }

    #[test]
    fn a_record_that_changes_on_the_way_makes_no_other_one_slide_past() {
        let mut records: Vec<_> = (1..=50)
            .map(|id| (id, i64::try_from(id).unwrap()))
            .collect();
        let (mut step, mut found) = (Some(Step::From(0)), BTreeSet::new());
        let mut change = 1_000;
        while let Some(at) = step {
            let (page, more) = search(&records, &at.body(&OBJECT, &[], 10));
            found.extend(page.iter().map(|record| record.id.parse::<u64>().unwrap()));
            step = at.next(&OBJECT, &page, more).unwrap();
            if change < 1_020 {
                // Somebody edits three records that were read already.
                for _ in 0..3 {
                    let index = records
                        .iter()
                        .position(|record| found.contains(&record.0))
                        .unwrap();
                    let (id, _) = records.remove(index);
                    change += 1;
                    records.push((id, change));
                }
            }
        }
        assert_eq!(found, (1..=50).collect());
    }

    #[test]
    fn an_answer_that_makes_no_sense_is_no_endless_loop() {
        let record =
            json!({"id": "1", "properties": {"lastmodifieddate": "2024-01-01T00:00:00.000Z"}});
        let record: Raw<Key> = serde_json::from_value(record).unwrap();
        assert!(
            Step::Past(1_800_000_000_000)
                .next(&OBJECT, std::slice::from_ref(&record), true)
                .is_err()
        );
        assert!(
            Step::At { time: 0, id: 1 }
                .next(&OBJECT, &[record], true)
                .is_err()
        );
    }
}
