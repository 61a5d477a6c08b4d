//! What is asked of the records, and what is found.

use serde::Deserialize;

use crate::{
    dashboard::{address::address, board, desk::ProjectDesk},
    model::{ObjectKind, Record, RecordId, Scope, Timestamp},
    store::{Presence, RecordFilter},
    web,
};

/// What is asked.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Asked {
    pub(super) object: String,
    pub(super) connection: String,
    pub(super) remote_id: String,
    pub(super) since: String,
    pub(super) until: String,
    pub(super) presence: String,
    pub(super) before: String,
}

/// What is found.
pub(super) struct Found {
    pub(super) records: Vec<(Scope, Record)>,
    /// The place behind the last of them, where there are more.
    pub(super) next: Option<String>,
    /// Whether there are records at other connections.
    pub(super) is_partial: bool,
}

impl Asked {
    /// The address of the same list with other parameters.
    pub(super) fn at(&self, path: &str, other: &[(&str, &str)]) -> String {
        let parameters = [
            ("object", self.object.as_str()),
            ("connection", &self.connection),
            ("remote_id", &self.remote_id),
            ("since", &self.since),
            ("until", &self.until),
            ("presence", &self.presence),
            ("before", &self.before),
        ];
        let parameters = parameters.map(|(name, value)| {
            let replaced = other.iter().find(|(key, _)| *key == name);
            (name, replaced.map_or(value, |(_, value)| value))
        });
        address(path, &parameters)
    }

    fn filter(&self) -> Result<RecordFilter, web::Error> {
        let presence = |word: &str| match word {
            "deleted" => Some(Presence::Deleted),
            "any" => Some(Presence::Any),
            _ => None,
        };
        let day = |text: &str| Timestamp::parse(&format!("{text}T00:00:00Z"));
        Ok(RecordFilter {
            presence: board::word(&self.presence, "choice", presence)?.unwrap_or_default(),
            since: board::word(&self.since, "day", day)?,
            until: board::word(&self.until, "day", day)?,
            before: board::word(&self.before, board::PLACE, place)?,
            limit: board::PAGE + 1,
        })
    }
}

pub(super) async fn find(
    desk: &ProjectDesk,
    asked: &Asked,
    scope: Option<&Scope>,
    kind: ObjectKind,
) -> Result<Found, web::Error> {
    let (store, project) = (&desk.services.store, desk.project.id);
    let remote_id = asked.remote_id.trim();
    if !remote_id.is_empty() {
        let mut records = store.records_by_remote_id(project, kind, remote_id).await?;
        if let Some(scope) = scope {
            let number = scope.connection().number;
            records.retain(|(of, _)| of.connection().number == number);
        }
        return Ok(Found {
            records,
            next: None,
            is_partial: false,
        });
    }
    let filter = asked.filter()?;
    let (mut records, others) = match scope {
        Some(scope) => {
            let records = store.newest_records(scope, kind, &filter).await?;
            let records = records.into_iter().map(|record| (scope.clone(), record));
            (records.collect(), false)
        }
        None => {
            store
                .newest_records_of_project(project, kind, &filter)
                .await?
        }
    };
    let is_more = records.len() > board::PAGE as usize;
    records.truncate(board::PAGE as usize);
    let next = records.last().filter(|_| is_more);
    let next = next.map(|(_, last)| format!("{}_{}", last.modified_at.as_millis(), last.id));
    Ok(Found {
        records,
        next,
        is_partial: others,
    })
}

fn place(text: &str) -> Option<(Timestamp, RecordId)> {
    let (at, id) = text.split_once('_')?;
    Some((Timestamp::from_millis(at.parse().ok()?), id.parse().ok()?))
}
