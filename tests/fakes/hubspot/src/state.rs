//! What the fake remembers, and the rules for changing it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use axum::http::StatusCode;
use jiff::Timestamp;

use crate::Options;
use crate::error::Failure;
use crate::seed;

/// A record as HubSpot stores it.
#[derive(Clone, Debug)]
pub struct Record {
    /// `hs_object_id`. Unique within a type only.
    pub id: u64,
    /// Properties that have a value.
    pub properties: BTreeMap<String, String>,
    /// Milliseconds since 1970.
    pub created: i64,
    /// Milliseconds since 1970.
    pub modified: i64,
    /// Deleted, as HubSpot says it.
    pub archived: bool,
}

/// A request that came in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Seen {
    /// In capitals.
    pub method: String,
    /// Without the query.
    pub path: String,
    /// As it was sent, without the question mark.
    pub query: String,
}

/// One direction of an association.
#[derive(Clone, Debug)]
pub(crate) struct Link {
    pub(crate) to: u64,
    pub(crate) types: Vec<u32>,
}

/// An authorisation code that has not been used.
#[derive(Debug)]
pub(crate) struct Code {
    pub(crate) redirect_uri: String,
}

#[derive(Debug)]
struct Planned {
    status: u16,
    retry_after: Option<u32>,
}

#[derive(Debug)]
pub(crate) struct State {
    pub(crate) options: Options,
    pub(crate) seen: Vec<Seen>,
    pub(crate) codes: HashMap<String, Code>,
    pub(crate) refresh_tokens: BTreeSet<String>,
    /// Access token to the time it expires at.
    access_tokens: HashMap<String, i64>,
    planned: Vec<Planned>,
    records: BTreeMap<&'static str, BTreeMap<u64, Record>>,
    custom_properties: BTreeMap<String, BTreeSet<String>>,
    /// (from type, from id, to type) to links, oldest first.
    links: BTreeMap<(&'static str, u64, &'static str), Vec<Link>>,
    latest: i64,
    secrets: u64,
}

/// The lock, also after a panic elsewhere: a failed test must not hide behind a
/// poisoned one.
pub(crate) fn lock(state: &Mutex<State>) -> MutexGuard<'_, State> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}

/// RFC 3339 with milliseconds, as HubSpot writes times.
pub(crate) fn iso(milliseconds: i64) -> String {
    let time = Timestamp::from_millisecond(milliseconds).expect("a time of this age");
    time.strftime("%Y-%m-%dT%H:%M:%S%.3fZ").to_string()
}

/// Milliseconds of a time that is written as such or in RFC 3339.
pub(crate) fn milliseconds(text: &str) -> Option<i64> {
    text.parse().ok().or_else(|| {
        text.parse::<Timestamp>()
            .ok()
            .map(Timestamp::as_millisecond)
    })
}

impl State {
    pub(crate) fn new(options: Options) -> Self {
        let mut state = Self {
            options,
            seen: Vec::new(),
            codes: HashMap::new(),
            refresh_tokens: BTreeSet::new(),
            access_tokens: HashMap::new(),
            planned: Vec::new(),
            records: seed::TYPES
                .iter()
                .map(|name| (*name, BTreeMap::new()))
                .collect(),
            custom_properties: BTreeMap::new(),
            links: BTreeMap::new(),
            latest: 0,
            secrets: 0,
        };
        seed::fill(&mut state);
        state
    }

    /// Now, later than every time given out before, so that two writes never
    /// share a modification date.
    pub(crate) fn tick(&mut self) -> i64 {
        self.latest = now().max(self.latest + 1);
        self.latest
    }

    // Records

    pub(crate) fn records(&self, object: &str) -> Vec<&Record> {
        self.records
            .get(object)
            .map(|records| records.values().collect())
            .unwrap_or_default()
    }

    /// A record that is not archived.
    pub(crate) fn live(&self, object: &str, id: u64) -> Option<&Record> {
        self.records
            .get(object)?
            .get(&id)
            .filter(|record| !record.archived)
    }

    pub(crate) fn put(&mut self, object: &'static str, record: Record) {
        self.records
            .entry(object)
            .or_default()
            .insert(record.id, record);
    }

    pub(crate) fn insert(&mut self, object: &str, properties: &[(&str, &str)]) -> u64 {
        let object = seed::type_name(object).expect("a known type");
        let now = self.tick();
        let id = self.records[object]
            .last_key_value()
            .map_or(seed::ID_BASE, |(id, _)| id + 1);
        let properties = properties
            .iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| ((*name).to_owned(), normal(name, value)))
            .collect();
        let mut record = Record {
            id,
            properties,
            created: now,
            modified: now,
            archived: false,
        };
        complete(object, &mut record);
        self.put(object, record);
        id
    }

    pub(crate) fn update(
        &mut self,
        object: &str,
        id: u64,
        properties: &[(&str, Option<&str>)],
    ) -> bool {
        let now = self.tick();
        let Some(object) = seed::type_name(object) else {
            return false;
        };
        let Some(record) = self
            .records
            .get_mut(object)
            .and_then(|records| records.get_mut(&id))
        else {
            return false;
        };
        if record.archived {
            return false;
        }
        for (name, value) in properties {
            match value {
                Some(value) if !value.is_empty() => {
                    record
                        .properties
                        .insert((*name).to_owned(), normal(name, value));
                }
                _ => {
                    record.properties.remove(*name);
                }
            }
        }
        record.modified = now;
        complete(object, record);
        true
    }

    pub(crate) fn archive(&mut self, object: &str, id: u64) -> bool {
        let now = self.tick();
        let Some(record) = self
            .records
            .get_mut(object)
            .and_then(|records| records.get_mut(&id))
        else {
            return false;
        };
        record.archived = true;
        record.modified = now;
        true
    }

    // Properties

    pub(crate) fn define_property(&mut self, object: &str, name: &str) {
        self.custom_properties
            .entry(object.to_owned())
            .or_default()
            .insert(name.to_owned());
    }

    /// The names of a type's properties, the standard ones first.
    pub(crate) fn properties(&self, object: &str) -> Vec<(&str, bool)> {
        let standard = seed::properties(object).iter().map(|name| (*name, false));
        let custom = self.custom_properties.get(object).into_iter().flatten();
        standard
            .chain(custom.map(|name| (name.as_str(), true)))
            .collect()
    }

    /// The first of these that the type does not have.
    pub(crate) fn unknown_property<'a>(
        &self,
        object: &str,
        names: impl Iterator<Item = &'a str>,
    ) -> Option<&'a str> {
        let custom = self.custom_properties.get(object);
        let standard = seed::properties(object);
        names.into_iter().find(|name| {
            !standard.contains(name) && !custom.is_some_and(|custom| custom.contains(*name))
        })
    }

    // Associations

    pub(crate) fn associated(&self, from: &str, id: u64, to: &str) -> Vec<Link> {
        let (Some(from), Some(to)) = (seed::type_name(from), seed::type_name(to)) else {
            return Vec::new();
        };
        let links = self.links.get(&(from, id, to)).cloned().unwrap_or_default();
        links
            .into_iter()
            .filter(|link| self.live(to, link.to).is_some())
            .collect()
    }

    /// Adds a type of association in both directions. `primary` where the
    /// pair has such a type; the record's other primary then loses it.
    pub(crate) fn associate(
        &mut self,
        from: &'static str,
        id: u64,
        to: &'static str,
        to_id: u64,
        primary: bool,
    ) {
        for (from, id, to, to_id) in [(from, id, to, to_id), (to, to_id, from, id)] {
            let Some(kind) = seed::association(from, to) else {
                continue;
            };
            let links = self.links.entry((from, id, to)).or_default();
            let primary = kind.primary.filter(|_| primary);
            // Only the company's side of a pair is "the primary company".
            if let Some(primary) = primary.filter(|_| to == "companies") {
                for link in links.iter_mut() {
                    link.types.retain(|kind| *kind != primary);
                }
            }
            let position = links
                .iter()
                .position(|link| link.to == to_id)
                .unwrap_or_else(|| {
                    links.push(Link {
                        to: to_id,
                        types: Vec::new(),
                    });
                    links.len() - 1
                });
            for kind in primary.into_iter().chain([kind.unlabelled]) {
                if !links[position].types.contains(&kind) {
                    links[position].types.push(kind);
                }
            }
        }
    }

    pub(crate) fn dissociate(&mut self, from: &'static str, id: u64, to: &'static str, to_id: u64) {
        for (from, id, to, to_id) in [(from, id, to, to_id), (to, to_id, from, id)] {
            if let Some(links) = self.links.get_mut(&(from, id, to)) {
                links.retain(|link| link.to != to_id);
            }
        }
    }

    // Login and failures

    pub(crate) fn new_secret(&mut self, kind: &str) -> String {
        self.secrets += 1;
        format!("fake-{kind}-{}", self.secrets)
    }

    pub(crate) fn new_access_token(&mut self) -> String {
        let token = self.new_secret("access");
        self.access_tokens.insert(
            token.clone(),
            now() + whole_milliseconds(self.options.access_token_life),
        );
        token
    }

    pub(crate) fn check_token(&self, token: Option<&str>) -> Result<(), Failure> {
        let refuse = |category, message: &str| {
            Err(Failure::new(StatusCode::UNAUTHORIZED, category, message))
        };
        let Some(token) = token else {
            return refuse(
                "INVALID_AUTHENTICATION",
                "Authentication credentials not found.",
            );
        };
        if token == self.options.private_app_token {
            return Ok(());
        }
        let now = now();
        match self.access_tokens.get(token) {
            Some(end) if *end > now => Ok(()),
            Some(end) => {
                let seconds = (now - end) / 1000;
                let message = format!(
                    "The OAuth token used to make this call expired {seconds} second(s) ago."
                );
                refuse("EXPIRED_AUTHENTICATION", &message)
            }
            None => refuse(
                "INVALID_AUTHENTICATION",
                "The OAuth token used to make this call is invalid.",
            ),
        }
    }

    pub(crate) fn expire_access_tokens(&mut self) {
        let now = now();
        self.access_tokens.values_mut().for_each(|end| *end = now);
    }

    pub(crate) fn revoke_refresh_tokens(&mut self) {
        self.refresh_tokens.clear();
    }

    pub(crate) fn fail_next(&mut self, count: usize, status: u16, retry_after: Option<u32>) {
        self.planned.extend((0..count).map(|_| Planned {
            status,
            retry_after,
        }));
    }

    pub(crate) fn planned_failure(&mut self) -> Option<Failure> {
        if self.planned.is_empty() {
            return None;
        }
        let planned = self.planned.remove(0);
        Some(Failure::planned(planned.status, planned.retry_after))
    }
}

impl Record {
    /// The value of a property, those that HubSpot computes included.
    pub(crate) fn property(&self, object: &str, name: &str) -> Option<String> {
        let (created, modified) = seed::date_properties(object);
        match name {
            "hs_object_id" => Some(self.id.to_string()),
            _ if name == created => Some(iso(self.created)),
            _ if name == modified => Some(iso(self.modified)),
            _ => self.properties.get(name).cloned(),
        }
    }

    /// The same, to compare with.
    pub(crate) fn comparable(&self, object: &str, name: &str) -> Option<Comparable> {
        let (created, modified) = seed::date_properties(object);
        match name {
            "hs_object_id" => i64::try_from(self.id).ok().map(Comparable::Number),
            _ if name == created => Some(Comparable::Number(self.created)),
            _ if name == modified => Some(Comparable::Number(self.modified)),
            _ => self.properties.get(name).map(|text| Comparable::new(text)),
        }
    }
}

/// What a property is compared by: numbers and times as such, everything else
/// as text without regard to case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Comparable {
    Number(i64),
    Text(String),
}

impl Comparable {
    pub(crate) fn new(text: &str) -> Self {
        milliseconds(text).map_or_else(|| Self::Text(text.to_lowercase()), Self::Number)
    }
}

/// Datetime properties may be written as milliseconds and are read as RFC 3339.
fn normal(name: &str, value: &str) -> String {
    if seed::DATE_TIMES.contains(&name)
        && let Some(time) = milliseconds(value)
    {
        return iso(time);
    }
    value.to_owned()
}

/// What HubSpot fills in by itself.
fn complete(object: &str, record: &mut Record) {
    match object {
        "tasks"
            if record
                .properties
                .get("hs_task_status")
                .is_some_and(|status| status == "COMPLETED") =>
        {
            let modified = iso(record.modified);
            record
                .properties
                .entry("hs_task_completion_date".to_owned())
                .or_insert(modified);
        }
        "tasks" => {
            record.properties.remove("hs_task_completion_date");
        }
        "contacts" => {
            if let Some(email) = record.properties.get_mut("email") {
                *email = email.to_lowercase();
            }
        }
        _ => {}
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "the fake is compared with a server that has the real time"
)]
pub(crate) fn now() -> i64 {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .expect("the clock is past 1970");
    whole_milliseconds(since)
}

pub(crate) fn whole_milliseconds(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).expect("a duration of this age")
}
