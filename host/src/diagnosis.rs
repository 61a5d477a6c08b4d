//! From what is stored to causes and next steps: for runs, deliveries and connections that fail,
//! and for a project as a whole. The rules are data, `diagnosis/rules.toml`.

mod ask;
mod change;
mod facts;
mod pattern;
mod rule;
mod sighting;

use std::{
    collections::{BTreeMap, BTreeSet, HashMap, HashSet},
    sync::Arc,
    time::Duration,
};

use crate::{
    model::{
        Clock, Connection, ConnectionId, ConnectionStatus, Delivery, DeliveryId, ErrorClass,
        ProjectId, Run, RunId, Scope, Slug, Timestamp, Webhook, WebhookId,
    },
    store::{self, Among, DeadLogin, FailureReason, GoodRun, Store, TroubledRun},
};
use sighting::{Messages, Place, Sighting};

pub use ask::{Answer, AskError, Assistant, Options as AssistantOptions};
pub use change::Change;
pub use facts::{Fact, facts_of, facts_of_project};
pub use pattern::normalised;
pub use rule::{ChangeKind, Kind, Rule, Spread, Step, Who};

/// How far back is looked.
pub const WINDOW_DAYS: u64 = 14;
const DAY: Duration = Duration::from_secs(86_400);
/// What fails this close to each other fails at the same time.
const TOGETHER: Duration = Duration::from_secs(3600);
/// Things of one kind that are read at most.
const MOST: u32 = 5000;
/// Groups that are shown at most.
const MOST_GROUPS: usize = 50;
/// Connections that a problem names at most.
const MOST_NAMED: usize = 20;
/// Patterns of failing records that one answer tells of at most.
const MOST_PATTERNS: usize = 5;

/// Finds out. Cheap to clone.
#[derive(Clone)]
pub struct Diagnoses {
    store: Store,
    clock: Arc<dyn Clock>,
}

impl std::fmt::Debug for Diagnoses {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.debug_struct("Diagnoses").finish_non_exhaustive()
    }
}

/// What is asked about.
#[derive(Clone, Debug)]
pub enum Subject {
    /// A run of a sync.
    Run(Box<Run>),
    /// A delivery to an endpoint.
    Delivery(Box<Delivery>, WebhookId),
    /// A connection.
    Connection(Box<Connection>),
}

/// What was found about a run, a delivery or a connection.
#[derive(Clone, Debug)]
pub struct Diagnosis {
    /// The project.
    pub project: ProjectId,
    /// What was asked about.
    pub subject: Subject,
    /// What is wrong with it, the most important first; empty where nothing is.
    pub problems: Vec<Problem>,
}

/// What goes wrong in a project now.
#[derive(Clone, Debug)]
pub struct Overview {
    /// The project.
    pub project: ProjectId,
    /// What is wrong, what concerns most connections first.
    pub problems: Vec<Problem>,
    /// Whether there is more than is told: only the newest things were looked at.
    pub is_cut: bool,
}

/// One error pattern at one place: what is known of it, and what to do.
#[derive(Clone, Debug)]
pub struct Problem {
    /// The same for the same pattern at the same connector or endpoint.
    pub fingerprint: String,
    /// What kind of thing fails.
    pub kind: Kind,
    /// The last message, as it came. It may repeat what is in a record.
    pub message: String,
    /// The message without ids, numbers, times and what was quoted.
    pub pattern: String,
    /// The status that was answered, where one was.
    pub status: Option<u16>,
    /// How often.
    pub counts: Counts,
    /// How many suffer at the same time.
    pub spread: Spread,
    /// When it began, as far as is known.
    pub since: Option<Timestamp>,
    /// When it happened last.
    pub last_seen_at: Timestamp,
    /// When the same thing went well last.
    pub last_success_at: Option<Timestamp>,
    /// What was changed between the last success and the beginning, the last first.
    pub changes: Vec<Change>,
    /// The rule that fits.
    pub rule: &'static Rule,
    /// The likely cause, in sentences.
    pub cause: String,
    /// What to do, with links that lead somewhere.
    pub steps: Vec<Step>,
    /// Which connector fails, where one does.
    pub connector: Option<Slug>,
    /// Connections that suffer from it, at most twenty.
    pub connections: Vec<ConnectionId>,
    /// The endpoint that suffers from it.
    pub webhook: Option<WebhookId>,
    /// The last run that failed so.
    pub run: Option<RunId>,
    /// The last delivery that failed so.
    pub delivery: Option<DeliveryId>,
    /// How often on each day of the window, the oldest first; the last is today.
    pub daily: Vec<u64>,
}

/// How often a pattern was seen within the window.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// At this connection, or this endpoint.
    pub here: u64,
    /// At all connections of the connector in this project.
    pub connector: u64,
    /// In the project, whichever connector.
    pub project: u64,
    /// Connections of the connector that it was seen at.
    pub connections: u64,
}

/// Why nothing was found out.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The database failed.
    #[error(transparent)]
    Store(#[from] store::Error),
}

impl Diagnoses {
    /// Looks at what `store` has.
    #[must_use]
    pub fn new(store: Store, clock: Arc<dyn Clock>) -> Self {
        Self { store, clock }
    }

    /// What goes wrong in a project now, in groups of one pattern at one place.
    ///
    /// # Errors
    /// The database failed.
    pub async fn project(&self, project: ProjectId) -> Result<Overview, Error> {
        let seen = self.seen(project).await?;
        let mut groups: HashMap<_, Vec<&Sighting>> = HashMap::new();
        for sighting in seen.all.iter().filter(|sighting| sighting.is_current) {
            let group = groups.entry(sighting.likeness()).or_default();
            group.push(sighting);
        }
        let mut groups: Vec<Vec<&Sighting>> = groups.into_values().collect();
        for group in &mut groups {
            group.sort_by_key(|sighting| std::cmp::Reverse(sighting.at));
        }
        groups.sort_by_cached_key(|group| {
            let last = group
                .first()
                .map(|sighting| (sighting.at, sighting.fingerprint()));
            std::cmp::Reverse((connections_of(group.iter().copied()).len(), last))
        });
        let is_cut = seen.is_cut || groups.len() > MOST_GROUPS;
        let mut problems = Vec::new();
        for group in groups.into_iter().take(MOST_GROUPS) {
            let Some(last) = group.first() else { continue };
            let named = connections_of(group.iter().copied());
            let mut problem = self.problem(project, last, &seen.all).await?;
            problem.connections = named.into_iter().take(MOST_NAMED).collect();
            problems.push(problem);
        }
        Ok(Overview {
            project,
            problems,
            is_cut,
        })
    }

    /// What is wrong with a run; none where the project has no such run.
    ///
    /// # Errors
    /// The database failed.
    pub async fn run(&self, project: ProjectId, id: RunId) -> Result<Option<Diagnosis>, Error> {
        let Some(run) = self.store.run(project, id).await? else {
            return Ok(None);
        };
        let mut problems = Vec::new();
        if run.error.is_some() || run.counts.failed > 0 {
            let history = self.seen(project).await?.all;
            let messages = &mut Messages::default();
            if let Some(sighting) = troubled(&run).map(|run| Sighting::of_run(run, messages)) {
                problems.push(self.problem(project, &sighting, &history).await?);
            }
            let reasons = self.store.failure_reasons(project, None, Some(id), MOST);
            let reasons = reasons.await?.into_iter();
            let seen: Vec<Sighting> = reasons
                .map(|reason| Sighting::of_record(reason, messages))
                .collect();
            self.patterns(project, &seen, &history, &mut problems)
                .await?;
        }
        Ok(Some(Diagnosis {
            project,
            subject: Subject::Run(Box::new(run)),
            problems,
        }))
    }

    /// What is wrong with a delivery; none where the endpoint has no such delivery.
    ///
    /// # Errors
    /// The database failed.
    pub async fn delivery(
        &self,
        webhook: &Webhook,
        id: DeliveryId,
    ) -> Result<Option<Diagnosis>, Error> {
        let Some((delivery, attempts)) = self.store.delivery(webhook, id).await? else {
            return Ok(None);
        };
        let mut problems = Vec::new();
        if let Some(sighting) = Sighting::of_attempts(webhook.id, &delivery, &attempts) {
            let history = self.seen(webhook.project).await?.all;
            problems.push(self.problem(webhook.project, &sighting, &history).await?);
        }
        Ok(Some(Diagnosis {
            project: webhook.project,
            subject: Subject::Delivery(Box::new(delivery), webhook.id),
            problems,
        }))
    }

    /// What is wrong with a connection: its login, its syncs, records that cannot be unified.
    ///
    /// # Errors
    /// The database failed.
    pub async fn connection(&self, scope: &Scope) -> Result<Diagnosis, Error> {
        let (project, connection) = (scope.project(), scope.connection());
        let mine = self.seen_at(project, connection.number).await?;
        let mut problems = Vec::new();
        if !mine.is_empty() {
            let history = self.seen(project).await?.all;
            self.patterns(project, &mine, &history, &mut problems)
                .await?;
        }
        // A dead login is why the rest fails.
        problems.sort_by_key(|problem| {
            let is_login = connection.status == ConnectionStatus::NeedsReconnect
                && problem.kind == Kind::Class(ErrorClass::Auth);
            (!is_login, problem.kind == Kind::Record)
        });
        Ok(Diagnosis {
            project,
            subject: Subject::Connection(Box::new(connection.clone())),
            problems,
        })
    }

    /// One problem for each pattern of what was seen, but not of what is told already.
    async fn patterns(
        &self,
        project: ProjectId,
        seen: &[Sighting],
        history: &[Sighting],
        problems: &mut Vec<Problem>,
    ) -> Result<(), Error> {
        let mut last: BTreeMap<String, &Sighting> = BTreeMap::new();
        for sighting in seen {
            let known = last.entry(sighting.fingerprint()).or_insert(sighting);
            if known.at < sighting.at {
                *known = sighting;
            }
        }
        let mut last: Vec<&Sighting> = last.into_values().collect();
        last.sort_by_key(|sighting| std::cmp::Reverse(sighting.at));
        for sighting in last.into_iter().take(MOST_PATTERNS) {
            let print = sighting.fingerprint();
            if problems.iter().all(|known| known.fingerprint != print) {
                problems.push(self.problem(project, sighting, history).await?);
            }
        }
        Ok(())
    }

    /// What failed within the window, and what is wrong since before.
    async fn seen(&self, project: ProjectId) -> Result<Seen, Error> {
        let since = self.clock.now().minus(DAY * window());
        let (store, messages) = (&self.store, &mut Messages::default());
        let mut runs = store
            .troubled_runs(project, since, Among::All, MOST)
            .await?;
        if runs.len() >= MOST as usize {
            // What is wrong now may be older than so many that came right.
            let told: HashSet<RunId> = runs.iter().map(|run| run.id).collect();
            let current = store.troubled_runs(project, since, Among::Current, MOST);
            let current = current.await?.into_iter();
            runs.extend(current.filter(|run| !told.contains(&run.id)));
        }
        let deliveries = store.troubled_deliveries(project, since, MOST).await?;
        let reasons = store.failure_reasons(project, None, None, MOST).await?;
        let dead = store.dead_logins(project, None, MOST).await?;
        let lengths = [runs.len(), deliveries.len(), reasons.len(), dead.len()];
        let deliveries = deliveries.into_iter();
        let mut all = of_connections(runs, reasons, dead, messages);
        all.extend(deliveries.map(|delivery| Sighting::of_delivery(delivery, messages)));
        let is_cut = lengths.iter().any(|length| *length >= MOST as usize);
        Ok(Seen { all, is_cut })
    }

    /// What is wrong at one connection now.
    async fn seen_at(&self, project: ProjectId, connection: u32) -> Result<Vec<Sighting>, Error> {
        let since = self.clock.now().minus(DAY * window());
        let store = &self.store;
        let among = Among::Connection(connection);
        let mut runs = store.troubled_runs(project, since, among, MOST).await?;
        runs.retain(|run| run.is_current);
        let reasons = store.failure_reasons(project, Some(connection), None, MOST);
        let reasons = reasons.await?;
        let dead = store.dead_logins(project, Some(connection), 1).await?;
        Ok(of_connections(
            runs,
            reasons,
            dead,
            &mut Messages::default(),
        ))
    }

    /// Everything about one sighting, which is compared with all of the window.
    async fn problem(
        &self,
        project: ProjectId,
        sighting: &Sighting,
        history: &[Sighting],
    ) -> Result<Problem, Error> {
        let alike: Vec<&Sighting> = history
            .iter()
            .filter(|other| other.kind == sighting.kind && other.pattern == sighting.pattern)
            .collect();
        let of_connector = alike
            .iter()
            .copied()
            .filter(|other| other.connector == sighting.connector);
        let of_connector: Vec<&Sighting> = of_connector.collect();
        let here: Vec<&Sighting> = of_connector
            .iter()
            .copied()
            .filter(|other| other.place == sighting.place)
            .collect();
        let together = |other: &&&Sighting| {
            let apart = other.at.as_millis().abs_diff(sighting.at.as_millis());
            u128::from(apart) <= TOGETHER.as_millis()
        };
        let spread = if sighting.webhook().is_some() || sighting.kind == Kind::Record {
            Spread::One
        } else {
            let connectors: BTreeSet<_> = alike
                .iter()
                .filter(together)
                .filter_map(|other| other.connector.as_ref())
                .collect();
            let at_once = of_connector.iter().filter(together).copied();
            let connections = connections_of(at_once);
            match (connectors.len(), connections.len()) {
                (2.., _) => Spread::Everywhere,
                (_, 2..) => Spread::Several,
                _ => Spread::One,
            }
        };
        let last_good = self.last_good(project, sighting).await?;
        let last_success_at = last_good.as_ref().map(|good| good.at);
        let began = here
            .iter()
            .filter(|other| other.is_dated)
            .map(|other| other.began_at)
            .filter(|at| last_success_at.is_none_or(|good| *at >= good))
            .min();
        let since = match (sighting.is_dated, began) {
            (false, began) => began,
            (true, began) => Some(began.map_or(sighting.began_at, |at| at.min(sighting.began_at))),
        };
        let changes = match since {
            Some(since) => {
                let before = change::Before {
                    project,
                    since,
                    last_success_at,
                };
                let good = last_good.and_then(|good| good.version);
                self.changes(&before, sighting, good.as_ref()).await?
            }
            None => Vec::new(),
        };
        let kinds: Vec<ChangeKind> = changes.iter().map(|change| change.kind).collect();
        let rule = rule::rule_for(&rule::Evidence {
            kind: sighting.kind,
            status: sighting.status,
            message: &sighting.message,
            spread,
            changes: &kinds,
        });
        let connections = connections_of(of_connector.iter().copied());
        let counts = Counts {
            here: here.len().max(1) as u64,
            connector: of_connector.len().max(1) as u64,
            project: alike.len().max(1) as u64,
            connections: connections.len() as u64,
        };
        let blamed = changes
            .iter()
            .find(|change| rule.blames().contains(&change.kind));
        let places = Places {
            project,
            sighting,
            blamed,
            connections: counts.connections,
        };
        let steps = rule.steps.iter().map(|step| Step {
            text: places.fill(&step.text),
            link: step.link.as_deref().and_then(|link| places.link(link)),
        });
        let now = self.clock.now();
        Ok(Problem {
            fingerprint: sighting.fingerprint(),
            kind: sighting.kind,
            message: sighting.message.clone(),
            pattern: sighting.pattern.to_string(),
            status: sighting.status,
            counts,
            spread,
            since,
            last_seen_at: sighting.at,
            last_success_at,
            cause: places.fill(&rule.cause),
            steps: steps.collect(),
            rule,
            changes,
            connector: sighting.connector.clone(),
            connections: connections.into_iter().take(MOST_NAMED).collect(),
            webhook: sighting.webhook(),
            run: sighting.run,
            delivery: sighting.delivery,
            daily: daily(&of_connector, now),
        })
    }

    /// When the same thing went well last, and by which version.
    async fn last_good(
        &self,
        project: ProjectId,
        sighting: &Sighting,
    ) -> Result<Option<GoodRun>, Error> {
        match (sighting.place, sighting.sync, sighting.run) {
            (Place::Webhook(id), ..) => {
                let Some(webhook) = self.store.webhook(project, id).await? else {
                    return Ok(None);
                };
                let at = self.store.last_delivered(&webhook).await?;
                Ok(at.map(|at| GoodRun { at, version: None }))
            }
            (Place::Connection(id), Some((kind, direction)), Some(run)) => {
                let good = self.store.last_good_run(project, id, kind, direction, run);
                Ok(good.await?)
            }
            (Place::Connection(_), ..) => Ok(None),
        }
    }
}

/// What was seen of a project.
struct Seen {
    all: Vec<Sighting>,
    /// Whether there is more.
    is_cut: bool,
}

/// What runs, records and logins tell. Of a dead login only where no run does, which knows more.
fn of_connections(
    runs: Vec<TroubledRun>,
    reasons: Vec<FailureReason>,
    dead: Vec<DeadLogin>,
    messages: &mut Messages,
) -> Vec<Sighting> {
    let refused = runs
        .iter()
        .filter(|run| run.is_current && run.error.class == ErrorClass::Auth);
    let refused: HashSet<ConnectionId> = refused.map(|run| run.connection).collect();
    let mut seen = Vec::with_capacity(runs.len() + reasons.len() + dead.len());
    seen.extend(runs.into_iter().map(|run| Sighting::of_run(run, messages)));
    let reasons = reasons.into_iter();
    seen.extend(reasons.map(|reason| Sighting::of_record(reason, messages)));
    let dead = dead
        .into_iter()
        .filter(|login| !refused.contains(&login.connection));
    seen.extend(dead.map(|login| Sighting::of_login(login, messages)));
    seen
}

/// None where the run has no error.
fn troubled(run: &Run) -> Option<TroubledRun> {
    Some(TroubledRun {
        id: run.id,
        connection: run.connection,
        connector: run.connector.clone(),
        kind: run.kind,
        direction: run.direction,
        version: run.by.as_ref().map(|by| by.version.clone()),
        error: run.error.clone()?,
        started_at: run.started_at,
        at: run.finished_at.unwrap_or(run.updated_at),
        is_current: true,
    })
}

/// What is put in the places of a rule's texts.
struct Places<'a> {
    project: ProjectId,
    sighting: &'a Sighting,
    blamed: Option<&'a Change>,
    connections: u64,
}

impl Places<'_> {
    fn values(&self) -> [(&'static str, Option<String>); 8] {
        let Self { sighting, .. } = self;
        let connection = match &sighting.place {
            Place::Connection(id) => Some(id.to_string()),
            Place::Webhook(_) => None,
        };
        [
            ("{project}", Some(self.project.to_string())),
            ("{connection}", connection),
            (
                "{connector}",
                sighting.connector.as_ref().map(ToString::to_string),
            ),
            ("{run}", sighting.run.map(|id| id.to_string())),
            ("{webhook}", sighting.webhook().map(|id| id.to_string())),
            ("{status}", sighting.status.map(|status| status.to_string())),
            ("{connections}", Some(self.connections.to_string())),
            ("{change}", self.blamed.map(|change| change.what.clone())),
        ]
    }

    /// A sentence with its places filled.
    fn fill(&self, text: &str) -> String {
        let values = self.values().into_iter();
        let filled = values.fold(text.to_owned(), |text, (place, value)| {
            text.replace(place, value.as_deref().unwrap_or_default())
        });
        filled.trim_end().to_owned()
    }

    /// A link, where all its places are known.
    fn link(&self, link: &str) -> Option<String> {
        let mut filled = link.to_owned();
        for (place, value) in self.values() {
            if filled.contains(place) {
                filled = filled.replace(place, &value?);
            }
        }
        Some(filled)
    }
}

fn connections_of<'a>(seen: impl Iterator<Item = &'a Sighting>) -> BTreeSet<ConnectionId> {
    seen.filter_map(|sighting| match sighting.place {
        Place::Connection(id) => Some(id),
        Place::Webhook(_) => None,
    })
    .collect()
}

fn window() -> u32 {
    u32::try_from(WINDOW_DAYS).unwrap_or(u32::MAX)
}

/// How often on each day of the window.
fn daily(seen: &[&Sighting], now: Timestamp) -> Vec<u64> {
    let mut days = vec![0; usize::try_from(WINDOW_DAYS).unwrap_or(0)];
    for sighting in seen {
        let age = now
            .as_millis()
            .saturating_sub(sighting.at.as_millis())
            .max(0);
        let days_ago = u128::from(age.unsigned_abs()) / DAY.as_millis();
        let index = usize::try_from(days_ago).unwrap_or(usize::MAX);
        if let Some(day) = days.iter_mut().rev().nth(index) {
            *day += 1;
        }
    }
    days
}
