use std::time::Duration;

use jackfield::store::{Backend, SealedKind, WrappedKey};

use crate::support::World;

fn key(number: i64, world: &World) -> WrappedKey {
    WrappedKey {
        number,
        id: [0, 0, 0, u8::try_from(number).unwrap()],
        wrapped: format!("wrapped {number}").into_bytes(),
        wrapped_by: "0a0b0c0d".to_owned(),
        created_at: world.clock_now(),
        seals: false,
    }
}

pub(crate) async fn a_data_key_waits_seals_and_goes_when_nothing_needs_it(world: World) {
    let store = &world.store;
    assert!(store.data_keys().await.unwrap().is_empty());
    assert!(
        store
            .add_data_key(&key(1, &world), Duration::ZERO)
            .await
            .unwrap()
    );
    let taken = WrappedKey {
        id: [9; 4],
        ..key(1, &world)
    };
    assert!(!store.add_data_key(&taken, Duration::ZERO).await.unwrap());
    let hour = Duration::from_secs(3600);
    assert!(store.add_data_key(&key(2, &world), hour).await.unwrap());
    let read = store.data_keys().await.unwrap();
    let seen: Vec<_> = read.iter().map(|key| (key.number, key.seals)).collect();
    // By the database's clock: a host whose clock is wrong seals neither too soon nor too late.
    world.clock.advance(2 * hour);
    assert_eq!(seen, [(1, true), (2, false)]);
    assert_eq!(read[1].wrapped, b"wrapped 2");
    assert_eq!(
        (read[1].id, &*read[1].wrapped_by),
        ([0, 0, 0, 2], "0a0b0c0d")
    );

    world.connection(&[]).await;
    let value = match store.backend() {
        Backend::Sqlite => "x'010000000161'",
        Backend::Postgres => "'\\x010000000161'",
    };
    world
        .tamper(&format!("UPDATE credential SET sealed = {value}"))
        .await;
    let under = store.sealed_under().await.unwrap();
    assert!(under.contains(&([0, 0, 0, 1], 1)), "{under:?}");
    // In use, and then the newest: neither goes.
    assert_eq!(store.drop_data_key(&read[0]).await.unwrap(), 1);
    assert_eq!(store.drop_data_key(&read[1]).await.unwrap(), 0);
    assert_eq!(store.data_keys().await.unwrap().len(), 2);
    world.tamper("DELETE FROM credential").await;
    assert_eq!(store.drop_data_key(&read[0]).await.unwrap(), 0);
    let left = store.data_keys().await.unwrap();
    assert_eq!(left.iter().map(|key| key.number).collect::<Vec<_>>(), [2]);
}

pub(crate) async fn sealed_values_are_found_in_pages_and_replaced_if_unchanged(world: World) {
    let store = &world.store;
    for _ in 0..5 {
        world.connection(&[]).await;
    }
    let header = [1, 0, 0, 0, 7];
    let kind = SealedKind::Credential;
    let (mut after, mut found) = (kind.start(), 0);
    loop {
        let page = store.sealed_values(kind, &after, &header, 2).await.unwrap();
        let Some(last) = page.last() else { break };
        after = last.place.clone();
        found += page.len();
        let replaced: Vec<_> = page
            .into_iter()
            .enumerate()
            .map(|(index, mut value)| {
                if index == 1 {
                    // Somebody refreshed the credentials meanwhile.
                    value.sealed.push(0);
                }
                (value, [&header[..], b"again"].concat())
            })
            .collect();
        let count = store.reseal(kind, &replaced).await.unwrap();
        assert_eq!(count, 1);
    }
    assert_eq!(found, 5);
    let under = store.sealed_under().await.unwrap();
    assert!(under.contains(&([0, 0, 0, 7], 3)), "{under:?}");
    let left = store
        .sealed_values(kind, &kind.start(), &header, 100)
        .await
        .unwrap();
    assert_eq!(left.len(), 2);
    for kind in SealedKind::ALL {
        let page = store.sealed_values(kind, &kind.start(), &header, 100).await;
        assert!(page.is_ok(), "{kind:?}");
    }
}
