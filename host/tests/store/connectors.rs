use jackfield::{
    model::{
        Asked, Digest, Slug, Timestamp,
        consent::{Book, Candidate, PinOrigin, UNSIGNED, Wanted},
    },
    store::{AuditFilter, Store},
};

use crate::support::World;

fn slug() -> Slug {
    "acme".parse().unwrap()
}

fn candidate(bytes: &[u8], version: &str) -> Candidate {
    Candidate {
        digest: Digest::of(bytes),
        version: version.to_owned(),
        publisher: UNSIGNED.to_owned(),
        asked: Asked::of(vec![
            "http https://a/".to_owned(),
            "memory 64 MiB".to_owned(),
        ]),
        bytes: bytes.len() as u64,
        source: "acme.wasm".to_owned(),
    }
}

async fn install(store: &Store, bytes: &[u8], version: &str, now: Timestamp) -> Book {
    let candidate = candidate(bytes, version);
    let slug = slug();
    let altered = store.alter_connector(&slug, Some(bytes), |book| {
        let change = book.install(&candidate, "cli", Wanted::default(), now)?;
        Ok(book.entry(change, "cli", now))
    });
    altered.await.unwrap().unwrap()
}

pub(crate) async fn what_is_installed_is_there_for_all_hosts(world: World) {
    let (store, other) = (&world.store, world.another().await);
    let now = world.clock_now();
    let before = other.connector_generation().await.unwrap();
    // More than one part.
    let bytes: Vec<u8> = (0..2_500_000_u32).map(|number| number as u8).collect();
    let written = install(store, &bytes, "1.0.0", now).await;

    let books = other.connector_books().await.unwrap();
    assert!(books.generation > before);
    let book = &books.books[&slug()];
    assert_eq!(*book, written);
    assert_eq!(book.pin.unwrap().origin, PinOrigin::Installed);
    assert_eq!(book.grants[0].granted_by, "cli");
    let kept = other.connector_bytes(Digest::of(&bytes)).await.unwrap();
    assert!(kept.unwrap() == bytes);
    assert!(
        other
            .connector_bytes(Digest::of("?"))
            .await
            .unwrap()
            .is_none()
    );

    let filter = AuditFilter {
        subject: Some("acme".to_owned()),
        limit: 10,
        ..AuditFilter::default()
    };
    let entries = store.audit_log(&filter).await.unwrap();
    assert_eq!(entries[0].entry.action, "connector.install");
}

pub(crate) async fn what_is_refused_leaves_nothing(world: World) {
    let store = &world.store;
    let now = world.clock_now();
    install(store, b"new", "2.0.0", now).await;
    let before = store.connector_books().await.unwrap();
    let old = candidate(b"old", "1.0.0");
    let slug = slug();
    let altered = store.alter_connector(&slug, Some(b"old"), |book| {
        let change = book.install(&old, "cli", Wanted::default(), now)?;
        Ok(book.entry(change, "cli", now))
    });
    let refusal = altered.await.unwrap().unwrap_err();
    assert!(refusal.contains("--allow-downgrade"), "{refusal}");
    let after = store.connector_books().await.unwrap();
    assert_eq!(after.generation, before.generation);
    assert_eq!(after.books, before.books);
    assert!(store.connector_bytes(old.digest).await.unwrap().is_none());
}

pub(crate) async fn hosts_take_turns_and_old_bytes_go(world: World) {
    let store = &world.store;
    let mut tasks = tokio::task::JoinSet::new();
    for number in 0..10_u8 {
        let other = world.another().await;
        let now = Timestamp::from_millis(i64::from(number));
        tasks.spawn(async move {
            let bytes = [number];
            let candidate = candidate(&bytes, "1.0.0");
            let slug = slug();
            let altered = other.alter_connector(&slug, Some(&bytes), |book| {
                let change = book.admit(&candidate, "placed", now);
                Ok(book.entry(change, "host", now))
            });
            altered.await.unwrap().unwrap();
        });
    }
    while let Some(done) = tasks.join_next().await {
        done.unwrap();
    }
    let book = store.connector_books().await.unwrap().books[&slug()].clone();
    // One of them was the first.
    assert_eq!(book.grants.len(), 1);
    assert_eq!(book.versions.len(), jackfield::model::consent::KEPT);
    let mut kept = 0;
    for number in 0..10_u8 {
        let bytes = store.connector_bytes(Digest::of([number])).await.unwrap();
        kept += usize::from(bytes.is_some());
    }
    assert_eq!(kept, book.versions.len());
    assert_eq!(store.connector_generation().await.unwrap(), 10);
}

pub(crate) async fn changed_bytes_are_noticed(world: World) {
    install(&world.store, b"good", "1.0.0", world.clock_now()).await;
    let sql = match world.store.backend() {
        jackfield::store::Backend::Sqlite => "UPDATE connector_part SET bytes = x'00'",
        jackfield::store::Backend::Postgres => "UPDATE connector_part SET bytes = '\\x00'",
    };
    world.tamper(sql).await;
    let read = world.store.connector_bytes(Digest::of("good")).await;
    assert!(read.is_err());
}
