use std::time::Duration;

use jackfield::{
    model::{Exchange, ExchangeCause, ExchangeReason, Scope},
    store::ExchangeFilter,
};

use crate::support::{MINUTE, World, contact};

const ALL: ExchangeFilter = ExchangeFilter {
    failed: false,
    cause: None,
    subject: None,
    before: None,
    limit: 100,
};

fn exchange(world: &World, scope: &Scope, path: &str, status: Option<u16>) -> Exchange {
    Exchange {
        reason: ExchangeReason {
            connection: scope.connection().number,
            cause: ExchangeCause::Sync,
            subject: Some("run-1".to_owned()),
        },
        at: world.clock_now(),
        method: "GET".to_owned(),
        url: format!("https://provider.example/{path}"),
        status,
        error: status.is_none().then(|| "timeout".to_owned()),
        message: status.is_none().then(|| "too long\0".to_owned()),
        duration_ms: 17,
        bytes_out: 3,
        bytes_in: Some(5),
        attempt: 2,
        request_headers: "accept: application/json\n".to_owned(),
        response_headers: String::new(),
        request_body: None,
        response_body: Some("{}".to_owned()),
    }
}

async fn paths(world: &World, scope: &Scope, filter: &ExchangeFilter) -> Vec<String> {
    let rows = world.store.exchanges(scope, filter).await.unwrap();
    let path = |url: &str| url.rsplit('/').next().unwrap().to_owned();
    rows.iter().map(|row| path(&row.exchange.url)).collect()
}

pub(crate) async fn exchanges_are_listed_by_connection_in_pages(world: World) {
    let store = &world.store;
    let (ours, theirs) = (
        world.connection(&[contact()]).await,
        world.connection(&[contact()]).await,
    );
    let mut written = Vec::new();
    for number in 0..70 {
        world.clock.advance(Duration::from_millis(1));
        let status = [Some(200), Some(404), None][number % 3];
        written.push(exchange(&world, &ours, &number.to_string(), status));
        written.push(exchange(&world, &theirs, "theirs", Some(200)));
    }
    store.write_exchanges(&written).await.unwrap();
    store.write_exchanges(&[]).await.unwrap();

    let mut seen = Vec::new();
    let mut before = None;
    loop {
        let filter = ExchangeFilter {
            before,
            limit: 30,
            ..ALL
        };
        let page = store.exchanges(&ours, &filter).await.unwrap();
        let Some(last) = page.last() else { break };
        before = Some(last.id);
        seen.extend(page.into_iter().map(|row| row.exchange));
    }
    let mut expected: Vec<Exchange> = written.iter().step_by(2).rev().cloned().collect();
    for exchange in &mut expected {
        exchange.message = exchange.message.take().map(|text| text.replace('\0', ""));
    }
    assert_eq!(seen, expected);

    let failed = ExchangeFilter {
        failed: true,
        limit: 3,
        ..ALL
    };
    assert_eq!(paths(&world, &ours, &failed).await, ["68", "67", "65"]);
    for (filter, found) in [
        (
            ExchangeFilter {
                cause: Some(ExchangeCause::Refresh),
                ..ALL
            },
            0,
        ),
        (
            ExchangeFilter {
                cause: Some(ExchangeCause::Sync),
                ..ALL
            },
            70,
        ),
        (
            ExchangeFilter {
                subject: Some("run-2".to_owned()),
                ..ALL
            },
            0,
        ),
        (
            ExchangeFilter {
                subject: Some("run-1".to_owned()),
                ..ALL
            },
            70,
        ),
    ] {
        assert_eq!(
            paths(&world, &ours, &filter).await.len(),
            found,
            "{filter:?}"
        );
    }
    let one = store.exchanges(&ours, &ALL).await.unwrap().remove(0);
    assert_eq!(
        store.exchange(&ours, one.id).await.unwrap(),
        Some(one.clone())
    );
    assert_eq!(store.exchange(&theirs, one.id).await.unwrap(), None);
}

pub(crate) async fn old_exchanges_and_too_many_go(world: World) {
    let store = &world.store;
    let (busy, quiet) = (
        world.connection(&[contact()]).await,
        world.connection(&[contact()]).await,
    );
    let old = [
        exchange(&world, &busy, "old", None),
        exchange(&world, &quiet, "old", None),
    ];
    store.write_exchanges(&old).await.unwrap();
    world.clock.advance(MINUTE);
    let moment = world.clock_now();
    for number in 0..6 {
        world.clock.advance(Duration::from_millis(1));
        let one = exchange(&world, &busy, &number.to_string(), Some(200));
        store.write_exchanges(&[one]).await.unwrap();
    }
    let one = exchange(&world, &quiet, "new", Some(200));
    store.write_exchanges(&[one]).await.unwrap();
    let pruned = store
        .prune_exchanges(moment, 4, Duration::ZERO)
        .await
        .unwrap();
    assert_eq!(pruned, 4);
    assert_eq!(paths(&world, &busy, &ALL).await, ["5", "4", "3", "2"]);
    assert_eq!(paths(&world, &quiet, &ALL).await, ["new"]);
    store.delete_connection(&busy).await.unwrap();
    assert!(paths(&world, &busy, &ALL).await.is_empty());
    assert_eq!(paths(&world, &quiet, &ALL).await, ["new"]);
}
