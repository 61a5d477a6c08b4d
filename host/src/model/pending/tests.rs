//! Any interleaving of edits on both sides, reads and pushes, with crashes and repeated deliveries,
//! ends with both sides equal; and no edit is dropped where a person is to decide.

use std::collections::HashSet;

use proptest::prelude::*;
use serde_json::json;

use super::*;

const FIELDS: [&str; 3] = ["a", "b", "c"];

/// Something that happens.
#[derive(Clone, Debug)]
enum Step {
    /// An application sets a field to one of a few values.
    Ours(usize, u8),
    OursDelete,
    /// Somebody at the provider does.
    Theirs(usize, u8),
    TheirsDelete,
    /// A sync asks for the record.
    Fetch,
    /// What it was answered is applied, perhaps late, perhaps again.
    Apply,
    /// A change is pushed; the request may be lost on its way.
    Send {
        lost: bool,
    },
    /// The answer comes in.
    Answer,
    /// The process ends: whatever it had in its hands is gone.
    Crash,
    /// The last request arrives once more, or late.
    Repeat,
    /// A person decides everything that is in conflict.
    Resolve(u8),
    /// Time passes; without it, things happen in the same millisecond.
    Tick,
}

fn step() -> impl Strategy<Value = Step> {
    let field = 0..FIELDS.len();
    prop_oneof![
        6 => (field.clone(), 0..4_u8).prop_map(|(field, value)| Step::Ours(field, value)),
        6 => (field, 0..4_u8).prop_map(|(field, value)| Step::Theirs(field, value)),
        1 => Just(Step::OursDelete),
        1 => Just(Step::TheirsDelete),
        4 => Just(Step::Fetch),
        4 => Just(Step::Apply),
        4 => any::<bool>().prop_map(|lost| Step::Send { lost }),
        4 => Just(Step::Answer),
        1 => Just(Step::Crash),
        2 => Just(Step::Repeat),
        1 => (0..3_u8).prop_map(Step::Resolve),
        4 => Just(Step::Tick),
    ]
}

/// The record at the provider.
#[derive(Clone, Debug)]
struct Remote {
    side: Side,
    at: Timestamp,
    version: u64,
}

#[derive(Clone, Debug)]
struct Request {
    push: Push,
    /// The version that it was made for, at a provider that checks it.
    version: Option<u64>,
}

/// Both sides, and what is between them.
struct World {
    policy: ConflictPolicy,
    versioned: bool,
    now: i64,
    remote: Remote,
    /// Whether the provider has seen the key of the creation that is under way.
    created: bool,
    record: Side,
    seen: Remote,
    pending: Option<Pending>,
    fetched: Option<Remote>,
    last_request: Option<Request>,
    /// A push under way and its answer; none of that where the provider refused it.
    at_work: Option<(Push, Option<Remote>)>,
    /// Every edit has a value of its own here, and these were not replaced knowingly.
    alive: Option<HashSet<Value>>,
    serial: u64,
}

impl World {
    fn new(policy: ConflictPolicy, versioned: bool, unique: bool) -> Self {
        let side = Side::Present(
            FIELDS
                .iter()
                .map(|name| ((*name).to_owned(), json!(0)))
                .collect(),
        );
        let remote = Remote {
            side: side.clone(),
            at: Timestamp::from_millis(0),
            version: 1,
        };
        Self {
            policy,
            versioned,
            now: 0,
            seen: remote.clone(),
            remote,
            created: false,
            record: side,
            pending: None,
            fetched: None,
            last_request: None,
            at_work: None,
            alive: unique.then(HashSet::new),
            serial: 100,
        }
    }

    fn time(&self) -> Timestamp {
        Timestamp::from_millis(self.now)
    }

    fn value(&mut self, value: u8) -> Value {
        if self.alive.is_none() {
            return json!(value);
        }
        self.serial += 1;
        json!(self.serial)
    }

    /// Somebody who saw `side` replaces a field of it, or all.
    fn replaces(&mut self, side: &Side, field: Option<&str>, by: Option<&Value>) {
        let Some(alive) = &mut self.alive else { return };
        if let Side::Present(fields) = side {
            for (name, value) in fields {
                if field.is_none_or(|field| field == name) {
                    alive.remove(value);
                }
            }
        }
        alive.extend(by.cloned());
    }

    fn base(&self) -> Fields {
        match &self.record {
            Side::Present(fields) => fields.clone(),
            Side::Deleted => Fields::new(),
        }
    }

    fn step(&mut self, step: &Step) {
        match step {
            Step::Tick => self.now += 1,
            Step::Ours(field, value) => {
                if self.record == Side::Deleted {
                    return;
                }
                let value = self.value(*value);
                let name = FIELDS[*field];
                let shown = self.record.clone();
                self.replaces(&shown, Some(name), Some(&value));
                let (at, base) = (self.time(), self.base());
                let pending = self.pending.get_or_insert_with(|| Pending::over(base));
                let fields = Fields::from_iter([(name.to_owned(), value)]);
                pending.edit(&fields, at, Some("application"));
                self.record = pending.record();
            }
            Step::OursDelete => {
                if self.record == Side::Deleted {
                    return;
                }
                let shown = self.record.clone();
                self.replaces(&shown, None, None);
                let (at, base) = (self.time(), self.base());
                let pending = self.pending.get_or_insert_with(|| Pending::over(base));
                pending.delete(at, None);
                self.record = Side::Deleted;
                self.settle();
            }
            Step::Theirs(field, value) => {
                let value = self.value(*value);
                let before = self.remote.side.clone();
                let Side::Present(fields) = &mut self.remote.side else {
                    return;
                };
                fields.insert(FIELDS[*field].to_owned(), value.clone());
                self.touch();
                self.replaces(&before, Some(FIELDS[*field]), Some(&value));
            }
            Step::TheirsDelete => {
                let before = self.remote.side.clone();
                if before != Side::Deleted {
                    self.replaces(&before, None, None);
                    self.remote.side = Side::Deleted;
                    self.touch();
                }
            }
            Step::Fetch => self.fetched = Some(self.remote.clone()),
            Step::Apply => {
                if let Some(page) = self.fetched.clone() {
                    self.apply(&page);
                }
            }
            Step::Send { lost } => self.send(*lost),
            Step::Answer => self.answer(),
            Step::Crash => {
                self.at_work = None;
                self.fetched = None;
            }
            Step::Repeat => {
                if let Some(request) = self.last_request.clone() {
                    self.deliver(&request);
                }
            }
            Step::Resolve(decision) => self.resolve(*decision),
        }
    }

    fn touch(&mut self) {
        self.remote.version += 1;
        self.remote.at = self.time();
    }

    /// What the store does with a page. One that is older than what is known is of no use.
    fn apply(&mut self, page: &Remote) {
        if page.version < self.seen.version {
            return;
        }
        self.seen = page.clone();
        match &mut self.pending {
            None => self.record = page.side.clone(),
            Some(pending) => {
                pending.reconcile(&page.side, Some(page.at), self.policy);
                self.record = pending.record();
                if pending.anew && pending.deletion.is_none() {
                    // A new creation has a new key.
                    self.created &= !pending.sent.is_empty();
                }
                self.settle();
            }
        }
    }

    fn settle(&mut self) {
        if let Some(pending) = &self.pending
            && pending.is_settled()
        {
            self.record = if pending.anew {
                Side::Deleted
            } else {
                pending.record()
            };
            self.pending = None;
        }
    }

    /// What a worker does with a claimed change.
    fn send(&mut self, lost: bool) {
        if self.at_work.is_some() {
            return;
        }
        let unsure = |pending: &Pending| !pending.sent.is_empty() || pending.sent_deletion;
        if !self.versioned || self.pending.as_ref().is_some_and(unsure) {
            let fresh = self.remote.clone();
            self.apply(&fresh);
        }
        let Some(pending) = &mut self.pending else {
            return;
        };
        let push = pending.to_push();
        if push == Push::Nothing {
            return;
        }
        pending.sending(&push);
        let request = Request {
            push: push.clone(),
            version: self.versioned.then_some(self.seen.version),
        };
        self.last_request = Some(request.clone());
        if !lost {
            let answer = self.deliver(&request);
            self.at_work = Some((push, answer));
        }
    }

    /// The provider gets a request; none where it refuses.
    fn deliver(&mut self, request: &Request) -> Option<Remote> {
        let fresh = request
            .version
            .is_none_or(|version| version == self.remote.version);
        match (&request.push, &mut self.remote.side) {
            (Push::Create(_), _) if self.created => return Some(self.remote.clone()),
            (Push::Create(fields), side @ Side::Deleted) if fresh => {
                *side = Side::Present(fields.clone());
                self.created = true;
            }
            (Push::Update(fields), Side::Present(known)) if fresh => {
                for (name, value) in fields {
                    known.insert(name.clone(), value.clone());
                }
            }
            (Push::Delete, side @ Side::Present(_)) if fresh => *side = Side::Deleted,
            (Push::Delete, Side::Deleted) => return Some(self.remote.clone()),
            _ => return None,
        }
        self.touch();
        Some(self.remote.clone())
    }

    fn answer(&mut self) {
        let Some((push, answer)) = self.at_work.take() else {
            return;
        };
        let Some(answer) = answer else {
            // Refused: read again, merge again, try again.
            let fresh = self.remote.clone();
            return self.apply(&fresh);
        };
        if answer.version < self.seen.version {
            // A sync was faster, and it has seen the echo or what came after it.
            return;
        }
        self.seen = answer.clone();
        match &mut self.pending {
            None => self.record = answer.side,
            Some(pending) => {
                pending.pushed(&push, &answer.side, Some(answer.at), self.policy);
                self.record = pending.record();
                self.settle();
            }
        }
    }

    fn resolve(&mut self, decision: u8) {
        let at = self.time();
        let value = self.value(decision);
        let Some(pending) = &mut self.pending else {
            return;
        };
        let conflicts = pending.conflicts.clone();
        let mut decisions = BTreeMap::new();
        for (name, conflict) in &conflicts {
            let decision = match decision {
                0 => Decision::Ours,
                2 if name != DELETED => Decision::Value(value.clone()),
                _ => Decision::Theirs,
            };
            if let Some(alive) = &mut self.alive {
                let gone = match decision {
                    Decision::Ours => vec![&conflict.theirs],
                    Decision::Theirs => vec![&conflict.ours],
                    Decision::Value(_) => vec![&conflict.ours, &conflict.theirs],
                };
                for value in gone.into_iter().flat_map(values) {
                    alive.remove(&value);
                }
                if let Decision::Value(value) = &decision {
                    alive.insert(value.clone());
                }
            }
            decisions.insert(name.clone(), decision);
        }
        pending.resolve(&decisions, at, Some("person"));
        self.record = pending.record();
        self.settle();
    }

    /// Nothing new happens any more; everything that is under way comes to its end.
    fn come_to_rest(&mut self) {
        for _ in 0..20 {
            for step in [
                Step::Tick,
                Step::Fetch,
                Step::Apply,
                Step::Send { lost: false },
                Step::Answer,
            ] {
                self.step(&step);
            }
        }
    }

    /// All values that are somewhere to be seen.
    fn visible(&self) -> HashSet<Value> {
        let mut visible = HashSet::new();
        for side in [&self.record, &self.remote.side] {
            if let Side::Present(fields) = side {
                visible.extend(fields.values().cloned());
            }
        }
        for conflict in self
            .pending
            .iter()
            .flat_map(|pending| pending.conflicts.values())
        {
            visible.extend(values(&conflict.ours));
            visible.extend(values(&conflict.theirs));
        }
        visible
    }
}

/// A value, or all values of a record.
fn values(value: &Value) -> Vec<Value> {
    match value {
        Value::Object(fields) => fields.values().cloned().collect(),
        value => vec![value.clone()],
    }
}

fn automatic() -> impl Strategy<Value = ConflictPolicy> {
    prop_oneof![
        Just(ConflictPolicy::LastWriteWins),
        Just(ConflictPolicy::SourceWins),
        Just(ConflictPolicy::TargetWins),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig {
        // More where PROPTEST_CASES says so.
        cases: ProptestConfig::default().cases.max(4000),
        failure_persistence: None,
        ..ProptestConfig::default()
    })]

    #[test]
    fn both_sides_end_equal_under_each_automatic_policy(
        policy in automatic(),
        versioned in any::<bool>(),
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(policy, versioned, false);
        for step in &steps {
            world.step(step);
        }
        world.come_to_rest();
        prop_assert!(world.pending.is_none(), "{:?}", world.pending);
        prop_assert_eq!(&world.record, &world.remote.side);
    }

    #[test]
    fn no_edit_is_dropped_silently_where_a_person_decides(
        steps in prop::collection::vec(step(), 1..60),
    ) {
        let mut world = World::new(ConflictPolicy::Manual, true, true);
        for step in &steps {
            world.step(step);
            let visible = world.visible();
            for value in world.alive.iter().flatten() {
                prop_assert!(visible.contains(value), "{value} is gone after {step:?}");
            }
        }
        world.come_to_rest();
        let visible = world.visible();
        for value in world.alive.iter().flatten() {
            prop_assert!(visible.contains(value), "{value} is gone at the end");
        }
        // What is not in conflict is the same on both sides.
        match (&world.pending, &world.record, &world.remote.side) {
            (None, ours, theirs) => prop_assert_eq!(ours, theirs),
            (Some(pending), Side::Present(ours), Side::Present(theirs)) => {
                prop_assert!(!pending.conflicts.is_empty());
                for name in FIELDS.into_iter().filter(|name| !pending.conflicts.contains_key(*name)) {
                    prop_assert_eq!(&ours[name], &theirs[name]);
                }
            }
            (Some(pending), ..) => prop_assert!(pending.conflicts.contains_key(DELETED)),
        }
        // A person decides, and then they are.
        for decision in [0, 1] {
            world.step(&Step::Resolve(decision));
            world.come_to_rest();
        }
        prop_assert!(world.pending.is_none(), "{:?}", world.pending);
        prop_assert_eq!(&world.record, &world.remote.side);
    }
}

#[test]
fn an_edit_made_while_a_push_is_under_way_is_pushed_next() {
    let mut pending = Pending::over(Fields::from_iter([("a".to_owned(), json!(0))]));
    let fields = |value: u8| Fields::from_iter([("a".to_owned(), json!(value))]);
    pending.edit(&fields(1), Timestamp::from_millis(1), None);
    let push = pending.to_push();
    pending.sending(&push);
    pending.edit(&fields(2), Timestamp::from_millis(2), None);
    let answer = Side::Present(fields(1));
    let policy = ConflictPolicy::Manual;
    let came = pending.pushed(&push, &answer, None, policy);
    assert!(came.arrived.contains("a") && came.lost.is_empty());
    assert_eq!(pending.to_push(), Push::Update(fields(2)));
    assert!(pending.conflicts.is_empty());
}

#[test]
fn what_a_crashed_push_left_at_the_provider_is_known_again() {
    let mail = |text: &str| json!([{ "email_address": text }]);
    let mut pending = Pending::over(Fields::from_iter([("mail".to_owned(), mail("a@b.c"))]));
    let edit = Fields::from_iter([("mail".to_owned(), mail("d@e.f"))]);
    pending.edit(&edit, Timestamp::from_millis(1), None);
    pending.sending(&pending.to_push());
    // The process ended here. The provider has it, with something of its own.
    let theirs = json!([{ "email_address": "d@e.f", "owner_type": "contact" }]);
    let theirs = Side::Present(Fields::from_iter([("mail".to_owned(), theirs)]));
    let came = pending.reconcile(&theirs, None, ConflictPolicy::Manual);
    assert!(came.arrived.contains("mail") && came.lost.is_empty());
    assert!(pending.is_settled());
    assert_eq!(pending.record(), theirs);
}

#[test]
fn a_deletion_that_both_sides_made_stays_one() {
    let deletions: [fn(&mut Pending, Timestamp); 2] = [
        |pending, now| pending.delete(now, None),
        // An edit that gives way to the provider's deletion.
        |pending, now| pending.edit(&Fields::from_iter([("a".into(), json!(2))]), now, None),
    ];
    for ours in deletions {
        let mut pending = Pending::over(Fields::from_iter([("a".into(), json!(1))]));
        let now = Timestamp::from_millis(1);
        ours(&mut pending, now);
        pending.reconcile(&Side::Deleted, Some(now), ConflictPolicy::SourceWins);
        assert_eq!(pending.record(), Side::Deleted);
        assert_eq!(pending.theirs(), Side::Deleted);
        assert!(pending.is_settled());
    }
}
