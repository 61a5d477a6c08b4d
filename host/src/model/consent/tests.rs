use super::*;

const ASK: ConsentPolicy = ConsentPolicy::Ask;

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1000)
}

fn book() -> Book {
    Book::new("acme".parse().unwrap())
}

fn candidate(version: &str, publisher: &str, lines: &[&str]) -> Candidate {
    Candidate {
        digest: Digest::of(format!("{version} {publisher}")),
        version: version.to_owned(),
        publisher: publisher.to_owned(),
        asked: Asked::of(lines.iter().map(|line| (*line).to_owned()).collect()),
        bytes: 1,
        source: "acme.wasm".to_owned(),
    }
}

/// What a host does with a file.
fn put(book: &mut Book, candidate: &Candidate, now: i64) -> Judgement {
    let judgement = book.judge(candidate, false, ASK);
    match &judgement {
        Judgement::Admit => drop(book.admit(candidate, "placed", at(now))),
        Judgement::Wait(reason) => {
            let serving = book.serving().map(|known| known.digest);
            book.wait(candidate, reason, serving, at(now));
        }
        Judgement::Serve | Judgement::Refuse(_) => {}
    }
    judgement
}

#[test]
fn the_first_file_is_granted_by_placing_it() {
    let mut book = book();
    let first = candidate("1.0.0", UNSIGNED, &["http https://a/"]);
    assert_eq!(put(&mut book, &first, 1), Judgement::Admit);
    assert_eq!(put(&mut book, &first, 2), Judgement::Serve);
    assert_eq!(book.grants[0].granted_by, "placed");
    // Less, and nothing else, goes live at once.
    let second = candidate("1.1.0", UNSIGNED, &["http https://a/b"]);
    assert_eq!(put(&mut book, &second, 3), Judgement::Admit);
    assert_eq!(book.serving().unwrap().version, "1.1.0");
    assert_eq!(book.grants.len(), 1);
    // Back to the file before.
    assert_eq!(put(&mut book, &first, 4), Judgement::Admit);
    assert_eq!(book.serving().unwrap().version, "1.0.0");
}

#[test]
fn more_waits_while_the_old_version_serves() {
    let mut book = book();
    let first = candidate("1.0.0", UNSIGNED, &["http https://a/"]);
    let more = candidate("2.0.0", UNSIGNED, &["http https://a/", "http https://b/"]);
    put(&mut book, &first, 1);
    let Judgement::Wait(reason) = put(&mut book, &more, 2) else {
        panic!("it serves");
    };
    assert!(reason.contains("http https://b/"), "{reason}");
    assert_eq!(book.serving().unwrap().version, "1.0.0");
    assert_eq!(book.pin.unwrap().origin, PinOrigin::Held);
    // The folder has the new file only, and the old version is the pinned one.
    assert_eq!(book.judge(&first, true, ASK), Judgement::Serve);
    assert!(book.grant(Some(first.asked.hash()), "cli", at(3)).is_err());
    book.grant(Some(more.asked.hash()), "cli", at(3)).unwrap();
    assert_eq!(book.pin, None);
    assert_eq!(put(&mut book, &more, 4), Judgement::Admit);
    assert_eq!(book.serving().unwrap().version, "2.0.0");
    assert!(book.grant(None, "cli", at(5)).is_err());
}

#[test]
fn a_file_that_may_serve_ends_the_wait_of_another() {
    let mut book = book();
    put(&mut book, &candidate("1.0.0", UNSIGNED, &["a"]), 1);
    put(&mut book, &candidate("2.0.0", UNSIGNED, &["a", "b"]), 2);
    put(&mut book, &candidate("2.0.1", UNSIGNED, &["a"]), 3);
    assert_eq!(book.serving().unwrap().version, "2.0.1");
    assert_eq!(book.pin, None);
}

#[test]
fn another_publisher_waits_even_for_the_same() {
    let mut book = book();
    put(&mut book, &candidate("1.0.0", "ed25519:one", &["a"]), 1);
    for other in ["ed25519:two", UNSIGNED] {
        let Judgement::Wait(reason) = put(&mut book, &candidate("1.0.1", other, &["a"]), 2) else {
            panic!("it serves");
        };
        assert!(reason.contains("ed25519:one"), "{reason}");
    }
    let auto = book.judge(
        &candidate("1.0.2", UNSIGNED, &["a"]),
        false,
        ConsentPolicy::Auto,
    );
    assert_eq!(auto, Judgement::Admit);
}

#[test]
fn what_is_revoked_waits_and_is_no_first_file() {
    let mut book = book();
    let first = candidate("1.0.0", UNSIGNED, &["a"]);
    put(&mut book, &first, 1);
    book.revoke(at(2)).unwrap();
    assert!(book.revoke(at(3)).is_err());
    assert!(matches!(put(&mut book, &first, 3), Judgement::Wait(_)));
    book.grant(None, "cli", at(4)).unwrap();
    assert_eq!(put(&mut book, &first, 5), Judgement::Serve);
}

#[test]
fn a_version_that_is_rolled_back_stays_away_until_another_comes() {
    let mut book = book();
    let versions: Vec<Candidate> = ["1.0.0", "2.0.0", "3.0.0"]
        .map(|version| candidate(version, UNSIGNED, &["a"]))
        .into();
    put(&mut book, &versions[0], 1);
    assert!(book.roll_back(None, "a test", at(1)).is_err());
    put(&mut book, &versions[1], 2);
    book.roll_back(None, "a test", at(3)).unwrap();
    assert_eq!(book.serving().unwrap().version, "1.0.0");
    let Judgement::Refuse(reason) = put(&mut book, &versions[1], 4) else {
        panic!("it serves");
    };
    assert!(reason.contains("a test"), "{reason}");
    assert_eq!(book.judge(&versions[0], true, ASK), Judgement::Serve);
    put(&mut book, &versions[2], 5);
    assert_eq!(book.serving().unwrap().version, "3.0.0");
    assert_eq!(book.pin, None);
    book.roll_back(Some("2.0.0"), "a test", at(6)).unwrap();
    assert_eq!(book.serving().unwrap().version, "2.0.0");
    // And the one that was rolled back may come back.
    book.grant(None, "cli", at(7)).unwrap();
    put(&mut book, &versions[2], 8);
    assert_eq!(book.serving().unwrap().version, "3.0.0");
}

#[test]
fn what_is_installed_goes_before_files_and_is_not_downgraded() {
    let mut book = book();
    let file = candidate("1.0.0", UNSIGNED, &["a"]);
    put(&mut book, &file, 1);
    let installed = candidate("2.0.0", UNSIGNED, &["a", "b"]);
    book.install(&installed, "cli", Wanted::default(), at(2))
        .unwrap();
    assert!(matches!(put(&mut book, &file, 3), Judgement::Refuse(_)));
    let newer = candidate("3.0.0", UNSIGNED, &["a"]);
    assert!(matches!(put(&mut book, &newer, 3), Judgement::Refuse(_)));
    assert_eq!(book.judge(&installed, true, ASK), Judgement::Serve);
    let old = candidate("1.5.0", UNSIGNED, &["a"]);
    assert!(book.install(&old, "cli", Wanted::default(), at(4)).is_err());
    let back = Wanted {
        downgrade: true,
        ..Wanted::default()
    };
    book.install(&old, "cli", back, at(4)).unwrap();
    let stranger = candidate("9.0.0", "ed25519:stranger", &["a"]);
    let error = book.install(&stranger, "cli", back, at(4)).unwrap_err();
    assert!(error.contains("--new-publisher"), "{error}");
    assert_eq!(book.serving().unwrap().version, "1.5.0");
    book.uninstall().unwrap();
    assert!(matches!(put(&mut book, &file, 5), Judgement::Admit));
}

#[test]
fn crashes_lead_back_or_to_a_pause() {
    let mut book = book();
    let (first, second) = (
        candidate("1.0.0", UNSIGNED, &["a"]),
        candidate("2.0.0", UNSIGNED, &["a"]),
    );
    put(&mut book, &first, 1);
    let change = book.trip(first.digest, "it crashed", at(100), at(2));
    assert_eq!(change.unwrap().0, "connector.suspend");
    assert!(book.stopped(at(3)).unwrap().contains("it crashed"));
    assert_eq!(book.stopped(at(100)), None);
    // Another version gets its own chance.
    put(&mut book, &second, 4);
    assert_eq!(book.stopped(at(5)), None);
    assert_eq!(book.trip(first.digest, "late", at(100), at(6)), None);
    let change = book.trip(second.digest, "it crashed", at(100), at(7));
    assert_eq!(change.unwrap().0, "connector.rollback");
    assert_eq!(book.serving().unwrap().version, "1.0.0");
}

#[test]
fn the_book_stays_short() {
    let mut book = book();
    for number in 0..50 {
        put(
            &mut book,
            &candidate(&format!("1.0.{number}"), UNSIGNED, &["a"]),
            number,
        );
    }
    assert_eq!(book.versions.len(), KEPT);
    assert_eq!(book.serving().unwrap().version, "1.0.49");
}
