use std::{sync::Arc, time::Duration};

use jackfield::{
    diagnosis::{ChangeKind, Diagnoses, Kind, Problem, Spread, facts_of},
    model::{
        AuditEntry, Clock as _, ConnectionStatus, ErrorClass, NewWebhook, ProjectId, RunBy,
        RunDirection, RunError, Scope, SystemEntropy, Timestamp, WebhookId,
    },
    store::{Among, ClaimedSync, SyncOutcome, TroubledRun},
};
use serde_json::json;

use crate::support::{MINUTE, START, World, contact};

const HOUR: Duration = Duration::from_secs(3600);

fn diagnoses(world: &World) -> Diagnoses {
    Diagnoses::new(world.store.clone(), Arc::new(world.clock.clone()))
}

impl World {
    /// All syncs that are due, claimed.
    async fn due(&self) -> Vec<ClaimedSync> {
        let claimed = self.store.claim_syncs("worker", Duration::ZERO, 10).await;
        claimed.unwrap()
    }

    async fn end(&self, claimed: &ClaimedSync, version: &str, outcome: SyncOutcome) {
        claimed.usage.by(RunBy {
            version: version.into(),
            digest: format!("digest of {version}"),
        });
        let next = self.clock.now().plus(MINUTE);
        let ended = self.store.finish_sync(claimed, outcome, next).await;
        assert!(ended.unwrap());
    }

    async fn note(&self, project: Option<ProjectId>, action: &str, subject: &str) {
        let entry = AuditEntry {
            at: self.clock.now(),
            project,
            actor: "cli".into(),
            action: action.into(),
            subject: subject.into(),
            details: json!({ "version": "2.0.0" }),
        };
        self.store.audit(&entry).await.unwrap();
    }
}

fn good() -> SyncOutcome {
    SyncOutcome::Completed { since: Some(START) }
}

fn bad(class: ErrorClass, message: &str) -> SyncOutcome {
    SyncOutcome::GivenUp {
        error: RunError::new(class, message),
        restart: false,
    }
}

async fn only(diagnoses: &Diagnoses, project: ProjectId) -> Problem {
    let mut problems = diagnoses.project(project).await.unwrap().problems;
    assert_eq!(problems.len(), 1, "{problems:#?}");
    problems.remove(0)
}

pub(crate) async fn a_problem_tells_since_when_how_often_and_after_what(world: World) {
    let scope = world.connection(&[contact()]).await;
    let project = scope.project();
    let diagnoses = diagnoses(&world);
    assert!(
        diagnoses
            .project(project)
            .await
            .unwrap()
            .problems
            .is_empty()
    );

    // It goes well with one version; another follows, and then it fails, twice.
    let claimed = world.due().await.remove(0);
    world.end(&claimed, "1.0.0", good()).await;
    let worked = world.clock_now();
    world.clock.advance(24 * HOUR);
    world.note(None, "connector.version", "demo-crm").await;
    // What concerns another project is not told.
    let stranger = world.project().await.id;
    world
        .note(Some(stranger), "oauth_app.change", "demo-crm")
        .await;
    world.clock.advance(MINUTE);
    let since = world.clock_now();
    for seconds in [37, 41] {
        world.clock.advance(MINUTE);
        let claimed = world.due().await.remove(0);
        let message = format!("the provider's answer makes no sense: HTTP 200 after {seconds} s");
        let outcome = bad(ErrorClass::Provider, &message);
        world.end(&claimed, "2.0.0", outcome).await;
    }

    let problem = only(&diagnoses, project).await;
    assert_eq!(problem.kind, Kind::Class(ErrorClass::Provider));
    assert_eq!(
        problem.pattern,
        "the provider's answer makes no sense: HTTP 200 after N s"
    );
    assert_eq!(problem.status, Some(200));
    assert_eq!((problem.counts.here, problem.counts.connections), (2, 1));
    assert_eq!(problem.spread, Spread::One);
    assert_eq!(problem.last_success_at, Some(worked));
    assert!(
        problem
            .since
            .is_some_and(|at| at >= since && at <= problem.last_seen_at)
    );
    assert_eq!(problem.connections, [scope.connection().id]);
    let changes: Vec<ChangeKind> = problem.changes.iter().map(|change| change.kind).collect();
    assert_eq!(changes, [ChangeKind::Version]);
    assert_eq!(problem.rule.id, "provider_after_version");
    assert!(
        problem.cause.contains("Version 2.0.0 of demo-crm"),
        "{}",
        problem.cause
    );
    assert_eq!(problem.daily.iter().sum::<u64>(), 2);
    let run = problem.run.unwrap();
    let of_run = diagnoses.run(project, run).await.unwrap().unwrap();
    assert_eq!(of_run.problems[0].fingerprint, problem.fingerprint);
    assert!(diagnoses.run(stranger, run).await.unwrap().is_none());
    let of_connection = diagnoses.connection(&scope).await.unwrap();
    assert_eq!(of_connection.problems[0].fingerprint, problem.fingerprint);

    // Once it goes well again, nothing is wrong now; what was stays told of.
    world.clock.advance(MINUTE);
    let claimed = world.due().await.remove(0);
    world.end(&claimed, "2.0.1", good()).await;
    assert!(
        diagnoses
            .project(project)
            .await
            .unwrap()
            .problems
            .is_empty()
    );
    let of_run = diagnoses.run(project, run).await.unwrap().unwrap();
    assert_eq!(of_run.problems[0].counts.here, 2);
}

pub(crate) async fn what_fails_at_once_is_told_from_what_fails_alone(world: World) {
    let project = world.project().await.id;
    let first = world.connection_in(project, &[contact()]).await;
    let second = world.connection_in(project, &[contact()]).await;
    let outcome = || {
        bad(
            ErrorClass::Network,
            "no connection to crm.example.com: refused",
        )
    };
    let claimed = world.due().await;
    assert_eq!(claimed.len(), 2);
    world.end(&claimed[0], "1", outcome()).await;
    let diagnoses = diagnoses(&world);
    let alone = only(&diagnoses, project).await;
    assert_eq!(
        (alone.spread, alone.rule.id.as_str()),
        (Spread::One, "network_refused")
    );
    world.clock.advance(MINUTE);
    world.end(&claimed[1], "1", outcome()).await;
    let both = only(&diagnoses, project).await;
    assert_eq!(
        (both.spread, both.rule.id.as_str()),
        (Spread::Several, "provider_down_many")
    );
    let mut connections = [&first, &second].map(|scope: &Scope| scope.connection().id);
    connections.sort();
    assert_eq!(both.connections, connections);
}

pub(crate) async fn a_dead_login_is_a_problem_of_its_connection(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.clock.advance(72 * HOUR);
    let died: Timestamp = world.clock_now();
    let status = ConnectionStatus::NeedsReconnect;
    let reason = "invalid_grant: the token of \"Zaphod\" was revoked";
    world
        .store
        .set_connection_status(&scope, status, reason)
        .await
        .unwrap();
    world.clock.advance(HOUR);
    let diagnoses = diagnoses(&world);
    let scopes = world
        .store
        .scope_by_id(scope.project(), scope.connection().id);
    let scope = scopes.await.unwrap().unwrap();
    let found = diagnoses.connection(&scope).await.unwrap();
    let [problem] = found.problems.as_slice() else {
        panic!("{found:?}");
    };
    assert_eq!(problem.rule.id, "login_revoked");
    assert_eq!(problem.since, Some(died));
    let link = problem.steps[0].link.as_deref().unwrap();
    assert!(link.ends_with(&scope.connection().id.to_string()), "{link}");
    // An assistant is told the pattern, but no value.
    let facts = format!("{:?}", facts_of(&found, world.clock_now()));
    assert!(
        facts.contains("invalid_grant") && !facts.contains("Zaphod"),
        "{facts}"
    );
    assert!(!facts.contains("Acme"), "{facts}");

    // Events go after some time; the login stays dead, since nobody knows when.
    world.tamper("DELETE FROM event").await;
    let (store, connection) = (&world.store, scope.connection());
    let dead = store.dead_logins(scope.project(), Some(connection.number), 10);
    let [dead] = <[_; 1]>::try_from(dead.await.unwrap()).unwrap();
    assert_eq!(
        (dead.connection, dead.connected_at, dead.died_at),
        (connection.id, connection.created_at, None)
    );
    let other = store.dead_logins(scope.project(), Some(connection.number + 1), 10);
    assert!(other.await.unwrap().is_empty());
    assert_eq!(only(&diagnoses, scope.project()).await.since, None);
}

pub(crate) async fn runs_that_failed_tell_which_came_right(world: World) {
    let project = world.project().await.id;
    let first = world.connection_in(project, &[contact()]).await;
    let second = world.connection_in(project, &[contact()]).await;
    let begun = world.clock_now();
    let outcome = || bad(ErrorClass::Provider, "the provider answered 503");
    for _ in 0..2 {
        world.clock.advance(MINUTE);
        for claimed in &world.due().await {
            world.end(claimed, "1.0.0", outcome()).await;
        }
    }
    world.clock.advance(MINUTE);
    let due = world.due().await;
    let well = due
        .iter()
        .find(|one| one.scope.connection().id == first.connection().id);
    world.end(well.unwrap(), "1.0.1", good()).await;
    let came_right = world.clock_now();

    let store = &world.store;
    let found = async |project, since, among, limit| {
        let runs = store.troubled_runs(project, since, among, limit).await;
        runs.unwrap()
    };
    let told = |runs: &[TroubledRun]| -> Vec<_> {
        let told = runs.iter().map(|run| (run.connection, run.is_current));
        told.collect()
    };
    let [one, two] = [&first, &second].map(|scope| scope.connection().id);
    let all = found(project, begun, Among::All, 10).await;
    let mut pairs = told(&all);
    pairs.sort();
    let mut expected = [(one, false), (one, false), (two, true), (two, true)];
    expected.sort();
    assert_eq!(pairs, expected);
    assert!(all.is_sorted_by_key(|run| std::cmp::Reverse(run.id)));
    assert_eq!(all[0].error.message, "the provider answered 503");
    assert_eq!(all[0].version.as_deref(), Some("1.0.0"));
    assert_eq!(found(project, begun, Among::All, 3).await.len(), 3);
    let current = found(project, begun, Among::Current, 10).await;
    assert_eq!(told(&current), [(two, true), (two, true)]);
    let number = first.connection().number;
    let of_first = found(project, begun, Among::Connection(number), 10).await;
    assert_eq!(told(&of_first), [(one, false), (one, false)]);
    assert!(
        found(project, came_right, Among::All, 10).await.is_empty(),
        "all of them began before"
    );
    let stranger = world.project().await.id;
    assert!(found(stranger, begun, Among::All, 10).await.is_empty());

    // The last success, as a run after it sees it.
    let last = async |project, run: &TroubledRun| {
        let good = store.last_good_run(
            project,
            one,
            run.kind,
            RunDirection::Inbound,
            jackfield::model::RunId::first_at(came_right.plus(MINUTE)),
        );
        good.await.unwrap()
    };
    let good = last(project, &of_first[0]).await.unwrap();
    assert_eq!(
        (good.at, good.version.as_deref()),
        (came_right, Some("1.0.1"))
    );
    assert!(last(stranger, &of_first[0]).await.is_none());
    let before = store.last_good_run(
        project,
        one,
        contact(),
        RunDirection::Inbound,
        of_first[0].id,
    );
    assert!(before.await.unwrap().is_none(), "it came later");

    store.delete_connection(&second).await.unwrap();
    assert!(found(project, begun, Among::Current, 10).await.is_empty());
}

pub(crate) async fn the_newest_dead_deliveries_of_each_endpoint_are_told(world: World) {
    let project = world.project().await.id;
    let mut endpoints = Vec::new();
    for _ in 0..2 {
        let new = NewWebhook {
            id: WebhookId::generate(&SystemEntropy),
            url: "https://app.example.com/".into(),
            description: String::new(),
            scopes: vec!["*".parse().unwrap()],
            sealed_secret: b"sealed".to_vec(),
        };
        endpoints.push(world.store.create_webhook(project, new).await.unwrap());
    }
    let at = world.clock_now();
    // Four dead ones each, and one that waits after an attempt; of each the first attempt was good.
    for webhook in &endpoints {
        for event in 1..=5 {
            let (endpoint, millis) = (webhook.number, at.as_millis());
            let state = if event == 5 { "pending" } else { "dead" };
            world
                .tamper(&format!(
                    "INSERT INTO webhook_delivery (endpoint, event, state, attempt, next_at,
                         created_at, updated_at)
                     VALUES ({endpoint}, {event}, '{state}', 2, 0, {millis}, {millis})"
                ))
                .await;
            for number in 1..=2 {
                let error = if number == 1 {
                    "NULL"
                } else {
                    "'the receiver answered 500'"
                };
                world
                    .tamper(&format!(
                        "INSERT INTO webhook_attempt (endpoint, event, number, cause, at, status,
                             error, duration_ms, response)
                         VALUES ({endpoint}, {event}, {number}, 'schedule', {millis}, 500, {error},
                             1, '')"
                    ))
                    .await;
            }
        }
    }
    let found = async |project, since, limit| {
        let found = world.store.troubled_deliveries(project, since, limit).await;
        let mut found: Vec<_> = found.unwrap().into_iter().map(|one| one.id).collect();
        found.sort();
        found
    };
    assert_eq!(found(project, at, 100).await.len(), 10);
    let few = found(project, at, 2).await;
    let few: Vec<_> = few.iter().map(|id| (id.endpoint, id.event)).collect();
    let [first, second] = [endpoints[0].number, endpoints[1].number];
    assert_eq!(few, [(first, 4), (first, 5), (second, 4), (second, 5)]);
    assert!(found(project, at.plus(MINUTE), 100).await.is_empty());
    let stranger = world.project().await.id;
    assert!(found(stranger, at, 100).await.is_empty());
}
