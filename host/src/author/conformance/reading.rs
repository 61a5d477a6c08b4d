//! Reading: pages, empty ones, single records, and what a provider's bad days become.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Map, Value};

use super::{Bench, Check, Verdict, failures, stage::Forced};
use crate::{
    author::lab::fetch,
    model::{ObjectKind, Timestamp},
    runtime::{CallError, Failure, FetchRequest, RecordPage},
};

/// Numbers of records to ask for, until one is found that the fixtures answer.
const LIMITS: [u32; 8] = [100, 2, 1, 3, 5, 10, 20, 50];
/// More pages than this are taken for a loop.
const MOST_PAGES: usize = 100;
const SPEC: &str = "See docs/connector-spec.md, Reading.";

/// What the fixtures have of an object: pages that were read from the first one on.
pub(super) struct Read {
    pub(super) kind: ObjectKind,
    pub(super) limit: u32,
    /// Whether the requests differ from the recorded ones in their query.
    pub(super) lenient: bool,
    pub(super) pages: Vec<Page>,
    /// What was asked for, first of all.
    pub(super) first_request: String,
    /// The request that nothing was recorded for.
    missing: Option<String>,
}

pub(super) struct Page {
    pub(super) records: Vec<Map<String, Value>>,
    pub(super) cursor: Option<String>,
}

/// The ids of the records that were read, by object.
pub(super) type Ids = BTreeMap<&'static str, Vec<String>>;

pub(super) async fn all(bench: &Bench<'_>) -> (Vec<Check>, Ids) {
    let mut ids = Ids::new();
    let mut checks = vec![Check::of("account", "", account(bench).await)];
    let mut best: Option<Read> = None;
    for object in &bench.lab.manifest().objects {
        let name = object.kind.name();
        let read = match first_read(bench, object.kind).await {
            Ok(read) => read,
            Err(verdict) => {
                checks.push(Check::of("paging", name, verdict));
                continue;
            }
        };
        ids.insert(name, read.ids());
        checks.push(Check::of("paging", name, paging(&read)));
        checks.push(Check::of(
            "empty page",
            name,
            empty_page(bench, &read).await,
        ));
        checks.push(Check::of("one record", name, one(bench, &read).await));
        checks.push(Check::of("deleted record", name, gone(bench, &read).await));
        if object.incremental {
            checks.push(Check::of(
                "incremental",
                name,
                incremental(bench, &read).await,
            ));
        }
        best = best.or(Some(read));
    }
    match best {
        Some(read) => checks.extend(failures::all(bench, &read).await),
        None => checks.push(Check::of(
            "failures",
            "",
            Verdict::skipped(
                "no fixture has the first page of an object",
                "Record one: jackfield connector record.",
            ),
        )),
    }
    (checks, ids)
}

impl Read {
    pub(super) fn request(&self) -> FetchRequest {
        FetchRequest {
            limit: self.limit,
            ..fetch(self.kind.name())
        }
    }

    /// The ids of its first records.
    fn ids(&self) -> Vec<String> {
        let records = self.pages.iter().flat_map(|page| &page.records);
        let ids = records.filter_map(|record| record.get("remote_id")?.as_str());
        ids.take(10).map(str::to_owned).collect()
    }

    /// The first record that is there.
    fn first(&self) -> Option<&Map<String, Value>> {
        let records = self.pages.iter().flat_map(|page| &page.records);
        records
            .into_iter()
            .find(|record| record.contains_key("data"))
    }
}

/// Reads as many pages as the fixtures have.
async fn first_read(bench: &Bench<'_>, kind: ObjectKind) -> Result<Read, Verdict> {
    let tries = LIMITS
        .map(|limit| (limit, false))
        .into_iter()
        .chain([(100, true)]);
    let mut missing = String::new();
    let mut shortest: Option<Read> = None;
    for (limit, lenient) in tries {
        if lenient && shortest.is_some() {
            break;
        }
        let read = pages(bench, kind, limit, lenient).await?;
        if read.pages.is_empty() {
            if missing.is_empty() {
                missing = read.missing.unwrap_or_default();
            }
            continue;
        }
        // Two pages say more than one.
        if read.pages.len() > 1 {
            return Ok(read);
        }
        shortest = shortest.or(Some(read));
    }
    shortest.ok_or_else(|| Verdict::unrecorded(&missing))
}

async fn pages(
    bench: &Bench<'_>,
    kind: ObjectKind,
    limit: u32,
    lenient: bool,
) -> Result<Read, Verdict> {
    bench.stage.begin([], lenient);
    let mut read = Read {
        kind,
        limit,
        lenient,
        pages: Vec::new(),
        first_request: String::new(),
        missing: None,
    };
    let mut request = read.request();
    let mut cursors = BTreeSet::new();
    while read.pages.len() < MOST_PAGES {
        let answer = bench
            .lab
            .version
            .fetch_records(bench.lab.context(), request.clone())
            .await;
        let sent = bench.stage.sent();
        if read.first_request.is_empty() {
            read.first_request = sent.heard.first().cloned().unwrap_or_default();
        }
        if let Some(unknown) = sent.unknown.first() {
            read.missing = Some(unknown.clone());
            return Ok(read);
        }
        let page = answer.map_err(|error| Verdict::broken("a recorded page", &error))?;
        let page = good_page(page, kind)?;
        let next = page.cursor.clone();
        read.pages.push(page);
        match next {
            None => return Ok(read),
            Some(cursor) if cursors.insert(cursor.clone()) => request.cursor = Some(cursor),
            Some(cursor) => {
                return Err(Verdict::failed(
                    format!(
                        "the cursor {cursor:?} is answered for a second time: it would never end"
                    ),
                    "Answer a cursor that leads on, and none on the last page.",
                ));
            }
        }
    }
    Err(Verdict::failed(
        format!("after {MOST_PAGES} pages there is still a cursor"),
        "Answer no cursor on the last page.",
    ))
}

/// The records of a page, where each has the form that `wit/types.wit` gives.
pub(super) fn good_page(page: RecordPage, kind: ObjectKind) -> Result<Page, Verdict> {
    let wrong = |text: String| Verdict::failed(text, SPEC);
    let records: Vec<Map<String, Value>> =
        serde_json::from_str(&page.records).map_err(|error| {
            wrong(format!(
                "the records of a page are no array of objects: {error}"
            ))
        })?;
    for record in &records {
        let id = match record.get("remote_id") {
            Some(Value::String(id)) if !id.is_empty() => id,
            other => {
                let other = other.unwrap_or(&Value::Null);
                return Err(wrong(format!(
                    "remote_id is {other}; it must be a text, also where the provider has numbers"
                )));
            }
        };
        let deleted = record.get("deleted") == Some(&Value::Bool(true));
        if !deleted && !record.get("data").is_some_and(Value::is_object) {
            return Err(wrong(format!(
                "{kind} {id}: data is no object; it must be the provider's document, whole"
            )));
        }
        if let Some(time) = record.get("modified_at").filter(|time| !time.is_null())
            && time.as_str().and_then(Timestamp::parse).is_none()
        {
            return Err(wrong(format!(
                "{kind} {id}: modified_at is {time}; it must be RFC 3339 with an offset"
            )));
        }
    }
    Ok(Page {
        records,
        cursor: page.next_cursor,
    })
}

async fn account(bench: &Bench<'_>) -> Verdict {
    bench.stage.begin([], false);
    let answer = bench.lab.version.authenticate(bench.lab.context()).await;
    let sent = bench.stage.sent();
    if let Some(unknown) = sent.unknown.first() {
        return Verdict::unrecorded(unknown);
    }
    match answer {
        Ok(accounts) if accounts.is_empty() => Verdict::failed(
            "authenticate answers no account",
            "Answer at least one, or a failure.",
        ),
        Ok(accounts) if accounts.iter().any(|account| account.remote_id.is_empty()) => {
            Verdict::failed(
                "an account has no remote_id",
                "Answer the provider's own id.",
            )
        }
        Ok(_) if sent.heard.is_empty() => Verdict::failed(
            "authenticate sends no request, so bad credentials are taken for good ones",
            "Ask the provider something cheap, for example who the credentials belong to.",
        ),
        Ok(accounts) => Verdict::ok(format!("{} is told", accounts.len())),
        Err(error) => Verdict::broken("authenticate", &error),
    }
}

fn paging(read: &Read) -> Verdict {
    let records: usize = read.pages.iter().map(|page| page.records.len()).sum();
    let mut ids = BTreeSet::new();
    for record in read.pages.iter().flat_map(|page| &page.records) {
        let id = record
            .get("remote_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        // A record that changed between two pages comes again; one page never has it twice.
        ids.insert(id);
    }
    for page in &read.pages {
        let mut seen = BTreeSet::new();
        for record in &page.records {
            let id = record
                .get("remote_id")
                .and_then(Value::as_str)
                .unwrap_or_default();
            if !seen.insert(id) {
                return Verdict::failed(format!("a page has the record {id} twice"), SPEC);
            }
        }
    }
    let seen = format!(
        "{} pages, {records} records, {} of them different",
        read.pages.len(),
        ids.len()
    );
    match (&read.missing, read.pages.len()) {
        (Some(missing), _) => {
            Verdict::ok(format!("{seen}; what follows was not recorded ({missing})"))
        }
        (None, 1) => Verdict::ok(format!("{seen}; a second page was not recorded")),
        (None, _) => Verdict::ok(format!("{seen}, to the end")),
    }
}

async fn empty_page(bench: &Bench<'_>, read: &Read) -> Verdict {
    // A connector may ask for more than one list, and may go on with the next question.
    let forced = std::iter::repeat_n(Forced::Empty, 20);
    bench.stage.begin(forced, true);
    let mut request = read.request();
    let mut cursors = BTreeSet::new();
    for _ in 0..5 {
        let answer = bench
            .lab
            .version
            .fetch_records(bench.lab.context(), request.clone())
            .await;
        if let Some(unknown) = bench.stage.sent().unknown.first() {
            return Verdict::unrecorded(unknown);
        }
        let page = match answer.map_err(|error| Verdict::broken("a page without records", &error)) {
            Ok(page) => good_page(page, read.kind),
            Err(verdict) => return verdict,
        };
        match page {
            Err(verdict) => return verdict,
            Ok(page) if !page.records.is_empty() => {
                return Verdict::skipped(
                    "the answer has records also where its lists are empty",
                    "Nothing is to do where an answer is one document, not a list.",
                );
            }
            Ok(Page { cursor: None, .. }) => return Verdict::ok("ends the reading"),
            Ok(Page {
                cursor: Some(cursor),
                ..
            }) => {
                if !cursors.insert(cursor.clone()) {
                    return Verdict::failed(
                        "an empty page answers the cursor that it was asked with: it would never end",
                        "Answer no cursor where the provider gives none.",
                    );
                }
                request.cursor = Some(cursor);
            }
        }
    }
    Verdict::ok("no record, and a cursor that leads on")
}

async fn one(bench: &Bench<'_>, read: &Read) -> Verdict {
    let ids = read.pages.iter().flat_map(|page| &page.records);
    let mut missing = String::new();
    for record in ids.filter(|record| record.contains_key("data")).take(50) {
        let id = record
            .get("remote_id")
            .and_then(Value::as_str)
            .unwrap_or_default();
        bench.stage.begin([], false);
        let request = FetchRequest {
            remote_id: Some(id.to_owned()),
            ..read.request()
        };
        let answer = bench
            .lab
            .version
            .fetch_records(bench.lab.context(), request)
            .await;
        if let Some(unknown) = bench.stage.sent().unknown.first() {
            if missing.is_empty() {
                missing.clone_from(unknown);
            }
            continue;
        }
        let page = match answer.map_err(|error| Verdict::broken("one record", &error)) {
            Ok(page) => good_page(page, read.kind),
            Err(verdict) => return verdict,
        };
        return match page {
            Err(verdict) => verdict,
            Ok(page) => match page.records.as_slice() {
                [one] if one.get("remote_id").and_then(Value::as_str) == Some(id) => {
                    Verdict::ok(format!("{id} is read by its id"))
                }
                records => Verdict::failed(
                    format!("{} records are answered for the id {id}", records.len()),
                    "Answer that record alone, or `not-found`.",
                ),
            },
        };
    }
    Verdict::unrecorded(&missing)
}

/// A record that is gone is told by `not-found`: so the host deletes it after a webhook.
async fn gone(bench: &Bench<'_>, read: &Read) -> Verdict {
    let Some(record) = read.first() else {
        return Verdict::skipped("the recorded pages have no record", "Record one.");
    };
    let id = record
        .get("remote_id")
        .and_then(Value::as_str)
        .unwrap_or_default();
    let not_found = || Forced::Status(404, vec![("content-type", "application/json")], "{}");
    bench
        .stage
        .begin(std::iter::repeat_with(not_found).take(20), true);
    let request = FetchRequest {
        remote_id: Some(id.to_owned()),
        ..read.request()
    };
    match bench
        .lab
        .version
        .fetch_records(bench.lab.context(), request)
        .await
    {
        Err(CallError::Failure(Failure::NotFound(_))) => Verdict::ok("404 becomes not-found"),
        Ok(page) => match good_page(page, read.kind) {
            Ok(page)
                if page
                    .records
                    .iter()
                    .all(|one| one.get("deleted") == Some(&Value::Bool(true))) =>
            {
                Verdict::ok("404 becomes a record that is deleted, or none")
            }
            Ok(_) => Verdict::failed(
                "a record is answered that the provider says is not there",
                "Answer `not-found`.",
            ),
            Err(verdict) => verdict,
        },
        Err(error @ CallError::Failure(_)) => Verdict::failed(
            format!("404 for one record becomes another failure: {error}"),
            "Answer `not-found`: the host then deletes the record.",
        ),
        Err(error) => Verdict::broken("404 for one record", &error),
    }
}

/// `since` must change what is asked for.
async fn incremental(bench: &Bench<'_>, read: &Read) -> Verdict {
    bench.stage.begin([], true);
    let request = FetchRequest {
        since: Some("2026-01-02T03:04:05.000Z".to_owned()),
        ..read.request()
    };
    let answer = bench
        .lab
        .version
        .fetch_records(bench.lab.context(), request)
        .await;
    let sent = bench.stage.sent();
    if let Err(error @ (CallError::Trap(_) | CallError::Cpu(_) | CallError::Memory(_))) = &answer {
        return Verdict::broken("a read with `since`", error);
    }
    let plain = {
        bench.stage.begin([], true);
        let answer = bench
            .lab
            .version
            .fetch_records(bench.lab.context(), read.request())
            .await;
        drop(answer);
        bench.stage.sent()
    };
    if sent.heard == plain.heard {
        return Verdict::failed(
            format!(
                "connector.toml says incremental = true, and the same is asked with and without `since`: {}",
                read.first_request
            ),
            "Send request.since to the provider, or take `incremental` out of connector.toml.",
        );
    }
    Verdict::ok("`since` changes what is asked for")
}
