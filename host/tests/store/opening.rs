use std::sync::Arc;

use jackfield::{
    model::SystemEntropy,
    store::{Error, Store},
};

use crate::support::{World, contact, present};

pub(crate) async fn a_reopened_database_has_everything(world: World) {
    let scope = world.connection(&[contact()]).await;
    world.write(&scope, &[present("1", "Ada")]).await;
    let id = world.store.record_id(&scope, contact(), "1");
    world.store.close().await;

    let store = world.another().await;
    let found = store
        .scope_by_id(scope.project(), scope.connection().id)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(found.connection().settings, scope.connection().settings);
    assert_eq!(store.record_id(&found, contact(), "1"), id);
    let record = store
        .record(&found, contact(), id, true)
        .await
        .unwrap()
        .unwrap();
    assert_eq!(record.unified, r#"{"first_name":"Ada"}"#);
    assert_eq!(record.remote.as_deref(), Some(r#"{"id":"1","n":"Ada"}"#));
    assert_eq!(store.sync_states(&found).await.unwrap().len(), 1);
    assert_eq!(store.events(scope.project(), 1, 10).await.unwrap().len(), 2);
    store.close().await;
}

pub(crate) async fn several_processes_may_open_a_new_database_at_once(world: World) {
    // A new database each: the world's own has been migrated already.
    let url = if world.url.starts_with("sqlite:") {
        format!("{}-new", world.url)
    } else {
        world.store.close().await;
        world
            .tamper(
                "DO $$ DECLARE name text; BEGIN
                     FOR name IN SELECT tablename FROM pg_tables WHERE schemaname = current_schema()
                     LOOP EXECUTE 'DROP TABLE ' || quote_ident(name) || ' CASCADE'; END LOOP;
                 END $$",
            )
            .await;
        world.url.clone()
    };
    let openings: Vec<_> = (0..8)
        .map(|_| {
            let (url, clock) = (url.clone(), Arc::new(world.clock.clone()));
            tokio::spawn(async move { Store::open(&url, clock, Arc::new(SystemEntropy)).await })
        })
        .collect();
    for opening in openings {
        let store = opening.await.unwrap().unwrap();
        store.ping().await.unwrap();
        store.close().await;
    }
}

pub(crate) async fn migrating_twice_does_nothing_the_second_time(world: World) {
    assert_eq!(
        Store::migrate(&world.url).await.unwrap(),
        Vec::<String>::new()
    );
    if world.url.starts_with("sqlite:") {
        let url = format!("{}-new", world.url);
        assert_eq!(Store::migrate(&url).await.unwrap()[0], "0001_init");
    }
}

pub(crate) async fn a_newer_schema_is_refused_with_a_sentence(world: World) {
    world
        .tamper(
            "INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
             SELECT 9999, 'of tomorrow', success, checksum, 0 FROM _sqlx_migrations WHERE version = 1",
        )
        .await;
    let error = Store::migrate(&world.url).await.unwrap_err();
    assert!(matches!(error, Error::Migration(_)), "{error:?}");
    assert!(error.to_string().contains("newer version"), "{error}");
}

pub(crate) async fn a_changed_migration_is_refused_with_a_sentence(world: World) {
    let empty = if world.url.starts_with("sqlite:") {
        "x'00'"
    } else {
        r"'\x00'"
    };
    world
        .tamper(&format!("UPDATE _sqlx_migrations SET checksum = {empty}"))
        .await;
    let error = Store::migrate(&world.url).await.unwrap_err();
    assert!(matches!(error, Error::Migration(_)), "{error:?}");
    assert!(error.to_string().contains("another text"), "{error}");
}

pub(crate) async fn ping_writes_until_the_store_is_closed(world: World) {
    world.store.ping().await.unwrap();
    world.store.ping().await.unwrap();
    world.store.close().await;
    let error = world.store.ping().await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
}

#[tokio::test]
async fn a_file_that_is_no_database_is_refused() {
    let file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(
        file.path(),
        "a long text that is certainly not a database ".repeat(100),
    )
    .unwrap();
    let error = Store::migrate(&format!("sqlite:{}", file.path().display()))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Corrupt(_)), "{error:?}");
}

#[tokio::test]
async fn a_folder_that_is_not_there_is_named() {
    let error = Store::migrate("sqlite:/nowhere/at/all/jackfield.db")
        .await
        .unwrap_err();
    assert!(matches!(error, Error::Unsuitable(_)), "{error:?}");
    assert!(error.to_string().contains("/nowhere/at/all"), "{error}");
}

#[tokio::test]
async fn a_server_that_does_not_answer_is_unavailable_and_its_password_stays_secret() {
    let free = std::net::TcpListener::bind("127.0.0.1:0")
        .unwrap()
        .local_addr()
        .unwrap()
        .port();
    let url = format!("postgres://somebody:hunter2@127.0.0.1:{free}/jackfield");
    let error = Store::migrate(&url).await.unwrap_err();
    assert!(matches!(error, Error::Unavailable(_)), "{error:?}");
    assert!(!format!("{error:?} {error}").contains("hunter2"));
}

#[cfg(unix)]
#[tokio::test]
async fn a_new_file_is_readable_for_its_owner_only() {
    use std::os::unix::fs::PermissionsExt as _;
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("jackfield.db");
    Store::migrate(&format!("sqlite:{}", path.display()))
        .await
        .unwrap();
    assert_eq!(
        std::fs::metadata(path).unwrap().permissions().mode() & 0o777,
        0o600
    );
}
