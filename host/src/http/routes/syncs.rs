//! Syncs: what the background reads of one object of one connection do, and when.

use std::{borrow::Cow, collections::BTreeMap, sync::Arc};

use axum::{
    extract::{Path, State},
    response::Response,
};
use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};
use uuid::Uuid;

use super::{
    connections::scope,
    json,
    sync_runs::{self, RunBody},
};
use crate::{
    http::{
        Services,
        body::{Json, OptionalJson},
        caller::{Actor, Caller},
        error::{Code, Error},
        operation::{Operation, Parameter},
        query::Query,
    },
    model::{
        ConflictPolicy, Connection, DEFAULT_LIMIT, Direction, MAX_LIMIT, ObjectKind, ProjectId,
        RunId, Schedule, Scope, SyncConfig, SyncConfigError, Trigger, Violation,
    },
    store::{NEVER, SyncFilter, SyncState, planned},
};

/// How many coming runs are shown.
const UPCOMING: usize = 3;

pub(super) fn operations() -> Vec<Operation> {
    let one = |operation: Operation| {
        operation
            .tag("Sync")
            .path::<Uuid>("id", "The `id_connection`.")
            .path::<String>("object", "Such as `crm.contact`.")
            .gives::<SyncBody>(200, "The sync as it is now.")
            .fails(&[Code::ConnectionNotFound, Code::SyncNotFound])
    };
    vec![
        Operation::get("/syncs", list)
            .id("listSyncs")
            .tag("Sync")
            .summary("List the syncs of the project: one for each object of each connection.")
            .query::<Uuid>("connection_id", "Only those of this connection.")
            .query::<String>("object", "Only those of this object, such as `crm.contact`.")
            .parameter(
                Parameter::query::<String>("status", "Only those that stand so.")
                    .rule("enum", SyncState::STATUSES.to_vec()),
            )
            .query::<String>("cursor", "From where: `next_cursor` of another page.")
            .parameter(
                Parameter::query::<u32>("limit", "How many; more count as 200.")
                    .rule("minimum", 1)
                    .rule("default", DEFAULT_LIMIT),
            )
            .gives::<PageBody>(200, "A page."),
        one(Operation::get("/connections/{id}/syncs/{object}", get)
            .id("retrieveSync")
            .summary("One sync: how it stands, what it does, and when it runs next.")),
        one(Operation::patch("/connections/{id}/syncs/{object}", change)
            .id("changeSync")
            .summary("Change what a sync does; what is not named stays.")
            .describe("`null` sets a key back to its default; for `full_every` it means never. Where `filters` change, everything is read again at once.")
            .takes::<Change>()),
        one(Operation::post("/connections/{id}/syncs/{object}/run", run)
            .id("runSync")
            .summary("Run a sync now, before those that only their schedules ask for.")
            .describe("One that runs already runs once more afterwards. One that was given up is tried again. A paused one waits until it is resumed.")
            .takes_optional::<Run>()),
        one(Operation::post("/connections/{id}/syncs/{object}/pause", pause)
            .id("pauseSync")
            .summary("Pause a sync: the page at work is finished, and nothing is read until it is resumed.")),
        one(Operation::post("/connections/{id}/syncs/{object}/resume", resume)
            .id("resumeSync")
            .summary("Let a paused sync go on, in the middle of its run where it was.")),
        one(Operation::post("/connections/{id}/syncs/{object}/confirm", confirm)
            .id("confirmSync")
            .summary("Answer what a sync asks: whether records that the provider no longer has are deleted.")
            .describe("A sync that is `stopped` asks. With `delete` they are deleted, now, but for those that were seen again meanwhile. Otherwise they stay, and are not asked about again until the provider has shown them again.")
            .takes::<Confirm>()
            .fails(&[Code::Conflict])),
    ]
}

/// A page of syncs.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncPage")]
struct PageBody {
    next_cursor: Option<String>,
    data: Vec<SyncBody>,
}

/// The sync of one object of one connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Sync")]
struct SyncBody {
    #[schemars(with = "Uuid")]
    id_connection: String,
    provider: String,
    #[schemars(with = "Uuid")]
    id_linked_user: String,
    #[schemars(example = &"crm.contact")]
    object: &'static str,
    /// `waiting` before the first run; `rate_limited` where it goes on at `next_run_at`, when the
    /// provider allows it; `failed` where it is tried again soon; `given_up` where it failed too
    /// often and waits for its schedule or for somebody to ask; `cancelled` where somebody ended its
    /// run; `stopped` where it asks whether records are to be deleted, while runs go on.
    #[schemars(extend("enum" = SyncState::STATUSES))]
    status: &'static str,
    /// Why the next run is made, or the one at work was.
    trigger: Trigger,
    /// Whether everything was read at least once.
    complete: bool,
    /// Claims since the last page that was written.
    attempt: u32,
    /// Of the run that runs, or of the last one.
    records_read: u64,
    pages: u64,
    last_error: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    last_finished_at: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    given_up_at: Option<String>,
    /// Whether the run at work, or else the next one, was told to read everything.
    full: bool,
    /// Completed runs since the last one that read everything.
    runs_since_full: u32,
    /// What a `stopped` sync asks; `POST …/confirm` answers.
    question: Option<QuestionBody>,
    /// When it is due; none where it waits to be asked, or is paused.
    #[schemars(extend("format" = "date-time"))]
    next_run_at: Option<String>,
    /// That, and the times after it by the schedule as if runs took no time.
    next_runs: Vec<String>,
    /// What holds where `config` says nothing: the project's pull frequency, or else the server's
    /// interval.
    schedule: Schedule,
    /// How far stored documents have been unified again, after the connector or the mapping of a
    /// custom field changed; none where nothing is to be done.
    reunify: Option<ReunifyBody>,
    config: ConfigBody,
    /// The run that runs, or the last one, while it is kept.
    last_run: Option<RunBody>,
}

/// How far stored documents have been unified again.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Reunify")]
struct ReunifyBody {
    done: u64,
    total: u64,
}

/// What a sync does.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncConfig")]
struct ConfigBody {
    /// Which way changes go; with `outbound` the applications win every conflict.
    direction: Direction,
    /// When it runs by itself; none takes the project's pull frequency, or else the server's
    /// interval.
    schedule: Option<Schedule>,
    /// Who wins where the provider ("source") and the applications ("target") changed one field.
    conflicts: ConflictPolicy,
    /// Unified fields with one value each, and the value that a record must have to be there.
    filters: BTreeMap<String, Value>,
    /// Every so many runs, one reads everything although the connector can tell what changed;
    /// none: only the first.
    full_every: Option<u32>,
    /// The share of the stored records, in percent, that a run may delete because the provider no
    /// longer has them; where it would be more, it stops and asks. 100 never asks.
    delete_guard_percent: u32,
    /// How often a failed run is tried again before it waits for the schedule.
    max_retries: u32,
    /// For how many days the history of records is kept; 0: none is.
    history_days: u32,
}

/// What a sync asks that would delete too much.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "SyncQuestion")]
struct QuestionBody {
    /// How many records the provider no longer has.
    missing: u64,
    /// Of how many that are stored.
    stored: u64,
    /// Since when it is asked.
    #[schemars(extend("format" = "date-time"))]
    asked_at: String,
    /// The same as a sentence.
    message: String,
}

/// What changes of a sync. The keys are read by [`SyncConfig::merge`], which tells `null` from
/// what is not there; this is what they look like.
#[derive(JsonSchema)]
#[schemars(rename = "ChangeSync", deny_unknown_fields)]
#[expect(dead_code, reason = "it is there for its schema")]
struct ChangeBody {
    direction: Option<Direction>,
    schedule: Option<Schedule>,
    conflicts: Option<ConflictPolicy>,
    filters: Option<BTreeMap<String, Value>>,
    #[schemars(range(min = 1, max = 1_000_000))]
    full_every: Option<u32>,
    #[schemars(range(min = 0, max = 100))]
    delete_guard_percent: Option<u32>,
    #[schemars(range(min = 0, max = 100))]
    max_retries: Option<u32>,
    #[schemars(range(min = 0, max = 365))]
    history_days: Option<u32>,
}

#[derive(Deserialize)]
pub(super) struct Change(Map<String, Value>);

impl JsonSchema for Change {
    fn schema_name() -> Cow<'static, str> {
        ChangeBody::schema_name()
    }

    fn json_schema(generator: &mut SchemaGenerator) -> Schema {
        ChangeBody::json_schema(generator)
    }
}

/// How a sync is run.
#[derive(Default, Deserialize, JsonSchema)]
#[schemars(rename = "RunSync")]
#[serde(deny_unknown_fields)]
pub(super) struct Run {
    /// Whether everything is read, not only what changed.
    #[serde(default)]
    full: bool,
}

/// What becomes of records that the provider no longer has.
#[derive(Deserialize, JsonSchema)]
#[schemars(rename = "ConfirmSync")]
#[serde(deny_unknown_fields)]
pub(super) struct Confirm {
    /// Whether they are deleted.
    delete: bool,
}

pub(super) async fn list(
    State(services): State<Arc<Services>>,
    caller: Caller,
    query: Query,
) -> Result<Response, Error> {
    let wrong = |name: &str, is: &str| {
        let detail = format!("The parameter `{name}` is not valid: {is}.");
        Error::new(Code::InvalidParameter, detail)
    };
    let connection = query.get("connection_id").map(str::parse).transpose();
    let object = query.get("object").map(|name| {
        ObjectKind::parse(name).ok_or_else(|| wrong("object", "there is no such object"))
    });
    let status = query.get("status").map(|text| {
        let mut words = SyncState::STATUSES.into_iter();
        let words_text = || format!("it is none of {}", SyncState::STATUSES.join(", "));
        words
            .find(|word| *word == text)
            .ok_or_else(|| wrong("status", &words_text()))
    });
    let after = query.get("cursor").map(|text| {
        decode(text).ok_or_else(|| wrong("cursor", "it is none that this server gave out"))
    });
    let filter = SyncFilter {
        connection: connection.map_err(|_| wrong("connection_id", "it is no id"))?,
        object: object.transpose()?,
        status: status.transpose()?,
        after: after.transpose()?.unwrap_or_default(),
    };
    let limit = query.count("limit", DEFAULT_LIMIT)?.min(MAX_LIMIT);
    let project = caller.project.id;
    let (syncs, next) = services.store.syncs(project, filter, limit).await?;
    let frequencies = services.store.pull_frequencies(project).await?;
    let remaps = services.store.remaps_under_way(project).await?;
    let last: Vec<RunId> = syncs.iter().filter_map(|(_, state)| state.run).collect();
    let mut runs = services.store.runs_by_id(project, &last).await?;
    let now = services.clock.now();
    let data = syncs.into_iter().map(|(connection, state)| {
        let vertical = connection.vertical.as_str();
        let schedule = match (&state.config.schedule, frequencies.get(vertical)) {
            (Some(own), _) => own.clone(),
            (None, Some(0)) => Schedule::Manual {},
            (None, Some(seconds)) => Schedule::Interval {
                seconds: (*seconds).into(),
            },
            (None, None) => Schedule::Interval {
                seconds: services.sync_interval.as_secs(),
            },
        };
        let remap = remaps.get(&(connection.number, state.kind)).copied();
        let run = state.run.and_then(|run| runs.remove(&run));
        let run = run.map(|run| sync_runs::body(run, now));
        body(&connection, state, schedule, remap, run)
    });
    json(&PageBody {
        data: data.collect(),
        next_cursor: next.map(encode),
    })
}

pub(super) async fn get(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(place): Path<(String, String)>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, caller.project.id, &place).await?;
    shown(&services, &scope, kind).await
}

pub(super) async fn change(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(place): Path<(String, String)>,
    Json(Change(patch)): Json<Change>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, actor.project.id, &place).await?;
    let now = services.clock.now();
    let store = &services.store;
    let before = store.sync_config(&scope, kind).await?;
    let patched = patch.clone();
    let config = before.merge(patch).map_err(refused)?;
    config.validate(kind, now).map_err(refused)?;
    let next = if config.schedule == before.schedule {
        None
    } else {
        let interval = services.sync_interval;
        let schedule = store.schedule_of(&scope, &config, interval).await?;
        Some(planned(&schedule, now))
    };
    store.set_sync_config(&scope, kind, &config, next).await?;
    let changed = serde_json::json!({ "config": patched });
    actor
        .audit_sync(&services, "sync.change", (&scope, kind), changed)
        .await?;
    if config.filters != before.filters {
        store
            .request_run(&scope, kind, Trigger::Manual, true)
            .await?;
        services.unify.work().notify_one();
    }
    shown(&services, &scope, kind).await
}

pub(super) async fn run(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(place): Path<(String, String)>,
    OptionalJson(run): OptionalJson<Run>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, caller.project.id, &place).await?;
    let full = run.unwrap_or_default().full;
    let store = &services.store;
    store
        .request_run(&scope, kind, Trigger::Manual, full)
        .await?;
    services.unify.work().notify_one();
    shown(&services, &scope, kind).await
}

pub(super) async fn pause(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(place): Path<(String, String)>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, actor.project.id, &place).await?;
    services.store.pause_sync(&scope, kind).await?;
    let none = serde_json::json!({});
    actor
        .audit_sync(&services, "sync.pause", (&scope, kind), none)
        .await?;
    shown(&services, &scope, kind).await
}

pub(super) async fn resume(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(place): Path<(String, String)>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, actor.project.id, &place).await?;
    services.store.resume_sync(&scope, kind).await?;
    let none = serde_json::json!({});
    actor
        .audit_sync(&services, "sync.resume", (&scope, kind), none)
        .await?;
    services.unify.work().notify_one();
    shown(&services, &scope, kind).await
}

pub(super) async fn confirm(
    State(services): State<Arc<Services>>,
    actor: Actor,
    Path(place): Path<(String, String)>,
    Json(Confirm { delete }): Json<Confirm>,
) -> Result<Response, Error> {
    let (scope, kind) = found(&services, actor.project.id, &place).await?;
    let store = &services.store;
    if !store.answer_question(&scope, kind, delete).await? {
        let detail = format!("The sync of {kind} asks nothing: it is not `stopped`.");
        return Err(Error::new(Code::Conflict, detail));
    }
    let answer = serde_json::json!({ "delete": delete });
    actor
        .audit_sync(&services, "sync.confirm", (&scope, kind), answer)
        .await?;
    if delete {
        store
            .request_run(&scope, kind, Trigger::Manual, false)
            .await?;
        services.unify.work().notify_one();
    }
    shown(&services, &scope, kind).await
}

/// The connection, and the object where it has a sync of it.
async fn found(
    services: &Services,
    project: ProjectId,
    (id, object): &(String, String),
) -> Result<(Scope, ObjectKind), Error> {
    let scope = scope(services, project, id).await?;
    let states = services.store.sync_states(&scope).await?;
    let kind = ObjectKind::parse(object);
    match states.into_iter().find(|state| Some(state.kind) == kind) {
        Some(state) => Ok((scope, state.kind)),
        None => Err(no_sync(object)),
    }
}

fn no_sync(object: &str) -> Error {
    let object: String = object.chars().take(80).collect();
    let detail = format!("This connection has no sync of {object:?}.");
    Error::new(Code::SyncNotFound, detail)
}

fn refused(error: SyncConfigError) -> Error {
    let detail = format!("{error}.");
    let path = format!("/{}", error.key.replace('.', "/"));
    let message = error.problem;
    Error::new(Code::ValidationFailed, detail).with_violations(vec![Violation { path, message }])
}

async fn shown(services: &Services, scope: &Scope, kind: ObjectKind) -> Result<Response, Error> {
    let states = services.store.sync_states(scope).await?;
    let state = states.into_iter().find(|state| state.kind == kind);
    let state = state.ok_or_else(|| no_sync(kind.name()))?;
    let schedule = services
        .store
        .schedule_of(scope, &state.config, services.sync_interval)
        .await?;
    let remaps = services.store.remaps_under_way(scope.project()).await?;
    let remap = remaps.get(&(scope.connection().number, kind)).copied();
    let run = match state.run {
        Some(run) => services.store.run(scope.project(), run).await?,
        None => None,
    };
    let run = run.map(|run| sync_runs::body(run, services.clock.now()));
    json(&body(scope.connection(), state, schedule, remap, run))
}

fn body(
    connection: &Connection,
    state: SyncState,
    schedule: Schedule,
    remap: Option<(u64, u64)>,
    last_run: Option<RunBody>,
) -> SyncBody {
    let due = Some(state.next_run_at).filter(|time| !state.paused && *time < NEVER);
    let mut next_runs = Vec::with_capacity(UPCOMING);
    if let Some(due) = due {
        next_runs.push(due.to_string());
        let later = schedule.upcoming(due, UPCOMING - 1);
        next_runs.extend(later.iter().map(ToString::to_string));
    }
    SyncBody {
        id_connection: connection.id.to_string(),
        provider: connection.connector.to_string(),
        id_linked_user: connection.linked_user.to_string(),
        object: state.kind.name(),
        status: state.status(),
        trigger: state.trigger,
        complete: state.full_done,
        attempt: state.attempt,
        records_read: state.records_read,
        pages: state.pages,
        last_error: state.last_error,
        last_finished_at: state.last_finished_at.map(|time| time.to_string()),
        given_up_at: state.given_up_at.map(|time| time.to_string()),
        full: state.run_full || state.full_next || !state.full_done,
        runs_since_full: state.runs_since_full,
        question: state.question.map(|question| QuestionBody {
            missing: question.missing,
            stored: question.stored,
            asked_at: question.asked_at.to_string(),
            message: question.sentence(),
        }),
        next_run_at: due.map(|time| time.to_string()),
        next_runs,
        schedule,
        reunify: remap.map(|(done, total)| ReunifyBody { done, total }),
        config: config_body(state.config),
        last_run,
    }
}

fn config_body(config: SyncConfig) -> ConfigBody {
    let SyncConfig {
        direction,
        schedule,
        conflicts,
        filters,
        full_every,
        delete_guard_percent,
        max_retries,
        history_days,
    } = config;
    ConfigBody {
        direction,
        schedule,
        conflicts,
        filters,
        full_every,
        delete_guard_percent,
        max_retries,
        history_days,
    }
}

fn encode((connection, object): (u32, u16)) -> String {
    let bytes = [connection.to_be_bytes().as_slice(), &object.to_be_bytes()].concat();
    URL_SAFE_NO_PAD.encode(bytes)
}

fn decode(text: &str) -> Option<(u32, u16)> {
    let bytes = URL_SAFE_NO_PAD.decode(text).ok()?;
    let (connection, object) = bytes.split_first_chunk()?;
    let object = u16::from_be_bytes(object.try_into().ok()?);
    Some((u32::from_be_bytes(*connection), object))
}
