//! What the dashboard counts and lists, and that the databases walk indexes for it.

use std::time::Duration;

use jackfield::{
    model::{ConnectionStatus, ErrorClass, RunError, RunStatus, Scope, Upsert},
    store::{
        Backend, Counted, LogFilter, Presence, RecordFilter, RunChart, Source, Span, SyncOutcome,
    },
};

use crate::support::{START, World, company, contact, deleted, present};

const HOUR: Duration = Duration::from_secs(3600);

impl World {
    /// Puts finished runs of a connection into the log: one a minute before now, `number` of
    /// them, of which every tenth failed.
    async fn past_runs(&self, scope: &Scope, number: u32) {
        let (project, connection) = (scope.project(), scope.connection().number);
        let now = self.clock_now().as_millis();
        let is_full = match self.store.backend() {
            Backend::Sqlite => "1",
            Backend::Postgres => "TRUE",
        };
        let id = match self.store.backend() {
            Backend::Sqlite => "printf('%012x', at)",
            Backend::Postgres => "lpad(to_hex(at), 12, '0')",
        };
        let sql = format!(
            "WITH RECURSIVE made (number, at) AS (
                 SELECT 1, CAST({now} AS BIGINT) - 60000
                 UNION ALL SELECT number + 1, at - 60000 FROM made WHERE number < {number})
             INSERT INTO sync_run (id, project, connection, object, direction, trigger, status,
                 is_full, resumed, attempts, pages, records_read, created, updated, unchanged,
                 deleted, failed, conflicts, pushed, requests, bytes, error_class, error, errors,
                 started_at, updated_at, finished_at)
             SELECT substr({id}, 1, 8) || '-' || substr({id}, 9, 4) || '-7000-8000-000000000000',
                 '{project}', {connection},
                 (SELECT number FROM object_kind WHERE name = 'crm.contact'), 'inbound',
                 'schedule', CASE WHEN number % 10 = 0 THEN 'failed' ELSE 'completed' END,
                 {is_full}, NOT {is_full}, 1, 1, 5, 1, 2, 0, 3, 0, 0, 0, 1, 10,
                 CASE WHEN number % 10 = 0 THEN 'provider' END,
                 CASE WHEN number % 10 = 0 THEN 'it is down' END, '{{}}', at, at + 500, at + 1000
             FROM made"
        );
        self.tamper(&sql).await;
    }
}

fn all() -> LogFilter {
    LogFilter {
        limit: 50,
        ..LogFilter::default()
    }
}

pub(crate) async fn runs_are_added_up_in_steps(world: World) {
    let scope = world.connection(&[contact()]).await;
    let other = world.connection(&[contact()]).await;
    world.past_runs(&scope, 120).await;
    let span = Span {
        since: START.minus(HOUR * 2),
        step: HOUR,
        steps: 2,
    };
    let chart = |project, chart: RunChart| {
        let store = world.store.clone();
        async move { store.run_chart(project, &chart, span).await.unwrap() }
    };
    let buckets = chart(scope.project(), RunChart::default()).await;
    let runs: Vec<u64> = buckets.iter().map(|bucket| bucket.runs()).collect();
    assert_eq!(runs, [60, 60]);
    for bucket in &buckets {
        assert_eq!((bucket.completed(), bucket.failed_runs()), (54, 6));
        assert_eq!(
            (bucket.created, bucket.updated, bucket.deleted, bucket.read),
            (60, 120, 180, 300)
        );
        assert_eq!((bucket.total_ms, bucket.longest_ms), (60_000, 1000));
    }
    let of_connector = RunChart {
        connector: Some("demo-crm".parse().unwrap()),
        connection: Some(scope.connection().number),
        kind: Some(contact()),
    };
    assert_eq!(chart(scope.project(), of_connector).await, buckets);
    let of_another = RunChart {
        connector: Some("hubspot".parse().unwrap()),
        ..RunChart::default()
    };
    let none = chart(scope.project(), of_another).await;
    assert!(none.iter().all(|bucket| bucket.runs() == 0));
    let none = chart(other.project(), RunChart::default()).await;
    assert!(none.iter().all(|bucket| bucket.runs() == 0));
}

pub(crate) async fn the_log_is_looked_through_by_every_filter(world: World) {
    let scope = world.connection(&[contact()]).await;
    let project = scope.project();
    world.past_runs(&scope, 120).await;
    let log = |filter: LogFilter| {
        let store = world.store.clone();
        async move { store.run_log(project, &filter).await.unwrap() }
    };
    let first = log(all()).await;
    assert_eq!(first.len(), 50);
    assert!(first.is_sorted_by(|one, next| one.id > next.id));
    let second = log(LogFilter {
        before: Some(first[49].id),
        ..all()
    })
    .await;
    assert!(second[0].id < first[49].id);
    let back = log(LogFilter {
        after: Some(second[0].id),
        ..all()
    })
    .await;
    assert_eq!(back, first);
    for filter in [
        LogFilter {
            status: Some(RunStatus::Failed),
            ..all()
        },
        LogFilter {
            class: Some(ErrorClass::Provider),
            ..all()
        },
        LogFilter {
            connection: Some(scope.connection().number),
            status: Some(RunStatus::Failed),
            kind: Some(contact()),
            connector: Some("demo-crm".parse().unwrap()),
            ..all()
        },
    ] {
        let failed = log(filter.clone()).await;
        assert_eq!(failed.len(), 12, "{filter:?}");
        assert!(failed.iter().all(|run| run.status == RunStatus::Failed));
    }
    let recent = log(LogFilter {
        since: Some(START.minus(Duration::from_secs(5 * 60))),
        ..all()
    })
    .await;
    assert_eq!(recent.len(), 5);
    for none in [
        LogFilter {
            kind: Some(company()),
            ..all()
        },
        LogFilter {
            connector: Some("hubspot".parse().unwrap()),
            ..all()
        },
        LogFilter {
            status: Some(RunStatus::Stopped),
            ..all()
        },
    ] {
        assert_eq!(log(none).await, []);
    }
}

pub(crate) async fn what_needs_attention_is_counted_by_cause(world: World) {
    let scope = world.connection(&[contact()]).await;
    let project = scope.project();
    let store = &world.store;
    let dead = world.connection_in(project, &[company()]).await;
    store
        .set_connection_status(&dead, ConnectionStatus::NeedsReconnect, "revoked")
        .await
        .unwrap();
    let counts = store.connection_counts(project).await.unwrap();
    assert_eq!((counts.valid, counts.needs_reconnect), (1, 1));
    let waiting = store.connections_to_reconnect(project, 5).await.unwrap();
    assert_eq!(waiting.len(), 1);
    assert_eq!(waiting[0].id, dead.connection().id);

    let claimed = store
        .claim_syncs("worker", Duration::from_secs(60), 10)
        .await
        .unwrap();
    let (at_work, counted) = store.runs_at_work(project, 5).await.unwrap();
    assert_eq!((at_work.len(), counted.number), (1, 1));
    assert_eq!(at_work[0].id, claimed[0].run);
    let outcome = SyncOutcome::GivenUp {
        error: RunError::new(ErrorClass::Provider, "it is down"),
        restart: false,
    };
    store
        .finish_sync(&claimed[0], outcome, START.plus(HOUR))
        .await
        .unwrap();
    let failing = store.failing_syncs(project).await.unwrap();
    assert_eq!(failing.len(), 1);
    assert_eq!(
        (failing[0].class, failing[0].syncs, failing[0].given_up),
        (Some(ErrorClass::Provider), 1, 1)
    );
    assert_eq!(failing[0].run, Some(claimed[0].run));
    let none = store.open_conflicts(project, None, None).await.unwrap();
    assert!(none.is_zero());
    assert_eq!(store.failing_records(project).await.unwrap().number, 0);
    assert!(store.asking_syncs(project, 5).await.unwrap().is_empty());
    let troubled = store.troubled_endpoints(project, START).await.unwrap();
    assert!(troubled.is_empty());
    let other = world.project().await;
    assert_eq!(store.failing_syncs(other.id).await.unwrap(), []);
}

pub(crate) async fn counts_of_many_end_at_a_thousand(world: World) {
    let scope = world.connection(&[contact()]).await;
    let upserts: Vec<Upsert> = (0..1001)
        .map(|number| present(&number.to_string(), "Ada"))
        .collect();
    world.write(&scope, &upserts).await;
    let store = &world.store;
    let places = store
        .objects_with_records(scope.project(), Some(&scope))
        .await
        .unwrap();
    assert_eq!(places.len(), 1);
    let counted = places[0].records.unwrap();
    assert_eq!(counted.to_string(), "1000+");
    assert_eq!(
        (counted.number, counted.more),
        (u64::from(Counted::MOST), true)
    );
}

pub(crate) async fn records_are_shown_newest_first_and_found_by_remote_id(world: World) {
    let scope = world.connection(&[contact()]).await;
    let project = scope.project();
    let store = &world.store;
    assert_eq!(store.objects_with_records(project, None).await.unwrap(), []);
    world
        .write(&scope, &[present("1", "Ada"), present("2", "Grace")])
        .await;
    world.clock.advance(HOUR);
    world
        .write(&scope, &[present("3", "Joan"), deleted("1")])
        .await;
    let second = world.connection_in(project, &[contact()]).await;
    world.clock.advance(HOUR);
    let page = Source::Read(world.clock_now());
    let upserts = [present("3", "Other")];
    store
        .apply_page(&second, contact(), &upserts, page)
        .await
        .unwrap();

    let filter = RecordFilter {
        limit: 10,
        ..RecordFilter::default()
    };
    let names = |filter: RecordFilter| {
        let (store, scope) = (store.clone(), scope.clone());
        async move {
            let found = store.newest_records(&scope, contact(), &filter).await;
            let found = found.unwrap().into_iter();
            found.map(|record| record.remote_id).collect::<Vec<_>>()
        }
    };
    assert_eq!(names(filter).await, ["3", "2"]);
    let with = |presence| RecordFilter { presence, ..filter };
    assert_eq!(names(with(Presence::Deleted)).await, ["1"]);
    assert_eq!(names(with(Presence::Any)).await.len(), 3);
    let early = RecordFilter {
        until: Some(START.plus(HOUR)),
        ..filter
    };
    assert_eq!(names(early).await, ["2"]);
    let late = RecordFilter {
        since: Some(START.plus(HOUR)),
        ..filter
    };
    assert_eq!(names(late).await, ["3"]);

    let (both, is_more) = store
        .newest_records_of_project(project, contact(), &filter)
        .await
        .unwrap();
    let found: Vec<_> = both
        .iter()
        .map(|(scope, record)| (scope.connection().number, record.remote_id.as_str()))
        .collect();
    let (one, other) = (scope.connection().number, second.connection().number);
    assert_eq!(found, [(other, "3"), (one, "3"), (one, "2")]);
    assert!(!is_more);
    let found = store
        .records_by_remote_id(project, contact(), "3")
        .await
        .unwrap();
    assert_eq!(found.len(), 2);
    let gone = store
        .records_by_remote_id(project, contact(), "1")
        .await
        .unwrap();
    assert!(gone[0].1.deleted_at.is_some());
    let place = store
        .record_place(project, gone[0].1.id)
        .await
        .unwrap()
        .unwrap();
    let documents = store.documents(&place).await.unwrap().unwrap();
    assert!(documents.remote.is_some());
    let events = store.events_of_record(project, place.id).await.unwrap();
    let kinds: Vec<_> = events.iter().map(|event| event.kind.0.as_str()).collect();
    assert_eq!(kinds, ["crm.contact.deleted", "crm.contact.created"]);
    assert!(events.iter().all(|event| event.deliveries.is_empty()));
}

pub(crate) async fn the_first_sight_of_a_project_walks_indexes(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.past_runs(&scope, 3000).await;
    world.tamper("ANALYZE").await;
    let lines = world.store.explain_summary(scope.project()).await.unwrap();
    let plan = lines.join("\n");
    let scans = match world.store.backend() {
        Backend::Sqlite => lines
            .iter()
            .any(|line| line.starts_with("SCAN r") || line.starts_with("SCAN connection")),
        Backend::Postgres => plan.contains("Seq Scan on sync_run"),
    };
    assert!(!scans, "{plan}");
    assert!(plan.contains("sync_run_by_status"), "{plan}");
}
