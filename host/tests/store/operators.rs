use std::time::Duration;

use jackfield::{
    model::{Digest, EmailAddress, NewConnectLink, Operator, Place, Role},
    store::{Amended, AttemptRule, AttemptSubject, Error, LinkPurpose, NewOperator, SessionEnd},
};

use crate::support::{MINUTE, World};

const END: SessionEnd = SessionEnd {
    idle: Duration::from_secs(3600),
    absolute: Duration::from_secs(3 * 3600),
};

fn email(text: &str) -> EmailAddress {
    text.parse().unwrap()
}

fn new(address: &str, role: Role) -> NewOperator {
    NewOperator {
        email: email(address),
        name: "Somebody".to_owned(),
        role,
        password: Some("$argon2id$…".to_owned()),
        oidc_subject: None,
    }
}

fn place(address: &str) -> Place {
    Place {
        address: address.to_owned(),
        agent: "a browser".to_owned(),
    }
}

async fn somebody(world: &World, address: &str, role: Role) -> Operator {
    let made = world.store.create_operator(&new(address, role)).await;
    made.unwrap()
}

pub(crate) async fn an_address_has_one_account(world: World) {
    let store = &world.store;
    assert!(!store.has_operators().await.unwrap());
    let ada = somebody(&world, "Ada@Example.com", Role::Owner).await;
    assert!(store.has_operators().await.unwrap());
    let same = new("ada@example.com", Role::Viewer);
    let again = store.create_operator(&same).await;
    assert!(matches!(again, Err(Error::Conflict(_))));
    let (found, password) = store
        .operator_by_email(&email("ADA@example.com"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(
        (found, password.as_deref()),
        (ada.clone(), Some("$argon2id$…"))
    );

    assert!(
        store
            .set_operator_subject(ada.id, "issuer ada")
            .await
            .unwrap()
    );
    assert!(
        !store
            .set_operator_subject(ada.id, "issuer eve")
            .await
            .unwrap()
    );
    let bob = somebody(&world, "bob@example.com", Role::Viewer).await;
    let stolen = store.set_operator_subject(bob.id, "issuer ada").await;
    assert!(matches!(stolen, Err(Error::Conflict(_))));
    assert_eq!(
        store.operator_by_subject("issuer ada").await.unwrap(),
        Some(ada)
    );
}

pub(crate) async fn the_last_owner_stays(world: World) {
    let store = &world.store;
    let ada = somebody(&world, "ada@example.com", Role::Owner).await;
    let bob = somebody(&world, "bob@example.com", Role::Viewer).await;
    let demoted = store.set_operator_role(ada.id, Role::Viewer).await.unwrap();
    assert_eq!(demoted, Amended::LastOwner);
    assert_eq!(
        store.remove_operator(ada.id).await.unwrap(),
        Amended::LastOwner
    );
    let promoted = store.set_operator_role(bob.id, Role::Owner).await.unwrap();
    assert_eq!(promoted, Amended::Done);

    // Two owners who demote each other at the same time: one comes too late.
    let other = world.another().await;
    let (one, two) = tokio::join!(
        store.set_operator_role(ada.id, Role::Viewer),
        other.set_operator_role(bob.id, Role::Viewer),
    );
    let mut outcomes = [one.unwrap(), two.unwrap()];
    outcomes.sort_by_key(|outcome| *outcome == Amended::LastOwner);
    assert_eq!(outcomes, [Amended::Done, Amended::LastOwner]);
    let owners = store.operators().await.unwrap();
    let owners = owners.iter().filter(|row| row.operator.role == Role::Owner);
    assert_eq!(owners.count(), 1);
    other.close().await;
}

pub(crate) async fn a_session_ends_by_rest_by_age_and_by_word(world: World) {
    let store = &world.store;
    let ada = somebody(&world, "ada@example.com", Role::Owner).await;
    let (one, two) = (Digest::of("one"), Digest::of("two"));
    let begin = |hash, from| {
        let (store, id) = (store.clone(), ada.id);
        async move {
            let place = place(from);
            let begun = store.create_operator_session(hash, id, &place, END).await;
            begun.unwrap()
        }
    };
    let used = async |hash: &Digest, from: &str| {
        let place = place(from);
        let found = store.use_operator_session(hash, &place, END).await;
        found.unwrap().map(|(session, operator)| {
            assert_eq!(operator.email.as_str(), "ada@example.com");
            session
        })
    };
    let id = begin(one, "192.0.2.1").await;
    assert_eq!(used(&one, "192.0.2.1").await.unwrap().id, id);
    assert!(used(&two, "192.0.2.1").await.is_none());

    // Each use within the time of rest prolongs it, up to its age.
    for _ in 0..4 {
        world.clock.advance(40 * MINUTE);
        assert!(used(&one, "198.51.100.7").await.is_some());
    }
    let listed = store.operator_sessions(ada.id, END).await.unwrap();
    assert_eq!(listed[0].place.address, "198.51.100.7");
    world.clock.advance(20 * MINUTE);
    assert!(used(&one, "192.0.2.1").await.is_none(), "too old");

    begin(one, "192.0.2.1").await;
    world.clock.advance(60 * MINUTE);
    assert!(used(&one, "192.0.2.1").await.is_none(), "rested too long");
    assert!(
        store
            .operator_sessions(ada.id, END)
            .await
            .unwrap()
            .is_empty()
    );

    // A new password ends all.
    begin(Digest::of("three"), "192.0.2.1").await;
    begin(two, "192.0.2.1").await;
    assert!(store.set_operator_password(ada.id, "other").await.unwrap());
    assert!(used(&two, "192.0.2.1").await.is_none());
    assert!(used(&Digest::of("three"), "192.0.2.1").await.is_none());
    let kept = begin(Digest::of("three"), "192.0.2.1").await;

    // Nobody ends the session of another.
    let bob = somebody(&world, "bob@example.com", Role::Owner).await;
    assert!(!store.end_operator_session(bob.id, kept).await.unwrap());
    assert!(store.end_operator_session(ada.id, kept).await.unwrap());
    begin(two, "192.0.2.1").await;
    assert_eq!(store.remove_operator(ada.id).await.unwrap(), Amended::Done);
    assert!(used(&two, "192.0.2.1").await.is_none());
}

pub(crate) async fn what_lets_nobody_in_any_more_goes(world: World) {
    let store = &world.store;
    let ada = somebody(&world, "ada@example.com", Role::Owner).await;
    let project = world.project().await.id;
    let user = world.linked_user(project).await;
    let at = world.clock_now();
    let rest = place("192.0.2.1");
    for (number, name) in ["one", "two"].into_iter().enumerate() {
        let hash = Digest::of(name);
        let begun = store.create_operator_session(hash, ada.id, &rest, END);
        begun.await.unwrap();
        let ends = at.plus(END.idle * (1 + u32::try_from(number).unwrap()));
        let purpose = LinkPurpose::NewPassword(ada.clone());
        let put = store.put_operator_link(hash, &purpose, "cli", ends);
        put.await.unwrap();
        let state = store.put_oauth_state(hash, user.project, vec![1], ends);
        state.await.unwrap();
        let new = NewConnectLink {
            linked_user: user.id,
            connectors: Vec::new(),
            vertical: None,
            return_url: None,
            language: None,
            connection: None,
            email: None,
        };
        let link = store.create_connect_link(user.project, new, hash, ends);
        let link = link.await.unwrap().id;
        let login = store.put_pending_login(&hash, user.project, link, vec![1], ends);
        login.await.unwrap();
    }
    let prune = async |links| store.prune_ended(END, links, Duration::ZERO).await.unwrap();
    assert_eq!(prune(at).await, 0, "all of them are good");

    // One of each ends. The connect link is kept longer.
    let two = Digest::of("two");
    world.clock.advance(END.idle / 2);
    let used = store.use_operator_session(&two, &rest, END);
    assert!(used.await.unwrap().is_some());
    world.clock.advance(END.idle / 2);
    assert_eq!(prune(at).await, 4);
    let links = async || {
        store
            .connect_links(user.project, None, 10)
            .await
            .unwrap()
            .len()
    };
    assert_eq!(links().await, 2);
    assert_eq!(prune(world.clock_now().plus(MINUTE)).await, 1);
    assert_eq!(links().await, 1);
    let used = store.use_operator_session(&two, &rest, END);
    assert!(used.await.unwrap().is_some(), "nobody else is signed out");
    let link = store.operator_link(&two).await.unwrap();
    assert!(link.is_some());
    let state = store.take_oauth_state(&two).await.unwrap();
    assert!(state.is_some());
}

pub(crate) async fn who_was_removed_is_remembered_until_there_is_an_account_again(world: World) {
    let store = &world.store;
    somebody(&world, "bob@example.com", Role::Owner).await;
    let removed = async |email: &EmailAddress, subject: &str| {
        let was = store.was_removed(email, subject).await;
        was.unwrap()
    };
    for _ in 0..2 {
        let eve = somebody(&world, "eve@example.com", Role::Viewer).await;
        let bob: EmailAddress = "bob@example.com".parse().unwrap();
        assert!(store.set_operator_subject(eve.id, "id eve").await.unwrap());
        assert!(!removed(&eve.email, "id eve").await);
        assert_eq!(store.remove_operator(eve.id).await.unwrap(), Amended::Done);
        // By the address, and by the account elsewhere under another address.
        assert!(removed(&eve.email, "id other").await);
        let other: EmailAddress = "eva@example.com".parse().unwrap();
        assert!(removed(&other, "id eve").await);
        assert!(!removed(&other, "id other").await);
        assert!(!removed(&bob, "id bob").await);
    }
    let mut back = new("eva@example.com", Role::Viewer);
    back.oidc_subject = Some("id eve".to_owned());
    let back = store.create_operator(&back).await.unwrap();
    assert!(!removed(&back.email, "id eve").await);
}

pub(crate) async fn one_of_two_sets_a_server_up(world: World) {
    let store = &world.store;
    let other = world.another().await;
    let (one, two) = (Digest::of("one"), Digest::of("two"));
    let until = world.clock_now().plus(60 * MINUTE);
    for hash in [one, two] {
        let put = store.put_operator_link(hash, &LinkPurpose::SetUp, "host", until);
        put.await.unwrap();
    }
    let unknown = Digest::of("unknown");
    let eve = new("eve@example.com", Role::Owner);
    let guessed = store.use_set_up_link(&unknown, &eve).await;
    assert_eq!(guessed.unwrap(), None);
    assert!(
        store.operator_link(&one).await.unwrap().is_some(),
        "it is there still"
    );

    let (ada, bob) = (
        new("ada@example.com", Role::Owner),
        new("bob@example.com", Role::Owner),
    );
    let (first, second) = tokio::join!(
        store.use_set_up_link(&one, &ada),
        other.use_set_up_link(&two, &bob),
    );
    let made = [first.unwrap(), second.unwrap()];
    assert_eq!(made.iter().flatten().count(), 1, "{made:?}");
    assert_eq!(store.operators().await.unwrap().len(), 1);
    other.close().await;
}

pub(crate) async fn links_of_operators_work_once_and_in_time(world: World) {
    let store = &world.store;
    let ada = somebody(&world, "ada@example.com", Role::Owner).await;
    let until = world.clock_now().plus(60 * MINUTE);
    let purpose = LinkPurpose::Invitation {
        email: email("bob@example.com"),
        role: Role::Developer,
    };
    let (first, second) = (Digest::of("first"), Digest::of("second"));
    for hash in [first, second] {
        let put = store.put_operator_link(hash, &purpose, "operator:x", until);
        put.await.unwrap();
    }
    // The newer takes the older's place.
    assert_eq!(store.invitations().await.unwrap().len(), 1);
    assert_eq!(
        store.use_invitation(&first, "Bob", "hash").await.unwrap(),
        None
    );
    // A link for one thing is none for another.
    assert_eq!(
        store.use_password_link(&second, "hash").await.unwrap(),
        None
    );
    let bob = store
        .use_invitation(&second, "Bob", "hash")
        .await
        .unwrap()
        .unwrap();
    assert_eq!((bob.role, bob.name.as_str()), (Role::Developer, "Bob"));
    assert_eq!(
        store.use_invitation(&second, "Bob", "hash").await.unwrap(),
        None
    );

    let purpose = LinkPurpose::NewPassword(ada.clone());
    store
        .put_operator_link(first, &purpose, "cli", until)
        .await
        .unwrap();
    let looked = store.operator_link(&first).await.unwrap().unwrap();
    assert_eq!(looked.purpose, purpose);
    world.clock.advance(60 * MINUTE);
    assert_eq!(store.operator_link(&first).await.unwrap(), None);
    assert_eq!(store.use_password_link(&first, "late").await.unwrap(), None);
    let (_, password) = store.operator_by_email(&ada.email).await.unwrap().unwrap();
    assert_eq!(password.as_deref(), Some("$argon2id$…"));
}

pub(crate) async fn guesses_are_counted_for_all_hosts(world: World) {
    let (store, other) = (&world.store, world.another().await);
    let rule = AttemptRule {
        free: 3,
        first_wait: MINUTE,
        longest_wait: 3 * MINUTE,
        forget_after: 60 * MINUTE,
    };
    let account = (AttemptSubject::Account(email("ada@example.com")), rule);
    let wide = AttemptRule { free: 100, ..rule };
    let address = (AttemptSubject::Address("192.0.2.1".to_owned()), wide);
    let subjects = [account.clone(), address.clone()];

    // Many at once are many, not one.
    let attempts = (0..10).map(|number| {
        let store = if number % 2 == 0 {
            store.clone()
        } else {
            other.clone()
        };
        let subjects = subjects.clone();
        tokio::spawn(async move { store.begin_attempt(&subjects).await.unwrap() })
    });
    let mut let_through = 0;
    for attempt in attempts.collect::<Vec<_>>() {
        let_through += u32::from(attempt.await.unwrap().is_ok());
    }
    assert_eq!(let_through, 3);

    // The wait doubles, up to the longest.
    let mut last = None;
    for minutes in [1, 2, 3, 3] {
        let until = other.begin_attempt(&subjects).await.unwrap().unwrap_err();
        assert_eq!(until.since(world.clock_now()), minutes * MINUTE);
        world.clock.advance(minutes * MINUTE);
        last = Some(store.begin_attempt(&subjects).await.unwrap().unwrap());
    }
    // Another account waits for nothing.
    let elsewhere = [
        (AttemptSubject::Account(email("bob@example.com")), rule),
        address,
    ];
    let begun = store.begin_attempt(&elsewhere).await.unwrap();
    assert!(begun.is_ok(), "{begun:?}");
    // Success, or time, makes it as new.
    store.end_attempt(&last.unwrap()).await.unwrap();
    for _ in 0..3 {
        let begun = store.begin_attempt(std::slice::from_ref(&account));
        assert!(begun.await.unwrap().is_ok());
    }
    assert!(
        store
            .begin_attempt(std::slice::from_ref(&account))
            .await
            .unwrap()
            .is_err()
    );
    world.clock.advance(61 * MINUTE);
    for _ in 0..3 {
        let begun = store.begin_attempt(std::slice::from_ref(&account));
        assert!(begun.await.unwrap().is_ok());
    }

    // A right password is no guess of its address: the next may come at once, and a wrong one
    // blocks as long as if there had been no right ones.
    let office = [(AttemptSubject::Address("192.0.2.2".to_owned()), rule)];
    for _ in 0..3 {
        let wrong = store.begin_attempt(&office).await.unwrap();
        assert!(wrong.is_ok(), "{wrong:?}");
    }
    world.clock.advance(MINUTE);
    for _ in 0..5 {
        let right = store.begin_attempt(&office).await.unwrap().unwrap();
        other.end_attempt(&right).await.unwrap();
    }
    let wrong = store.begin_attempt(&office).await.unwrap();
    assert!(wrong.is_ok(), "{wrong:?}");
    let until = other.begin_attempt(&office).await.unwrap().unwrap_err();
    assert_eq!(until.since(world.clock_now()), 2 * MINUTE);
    other.close().await;
}
