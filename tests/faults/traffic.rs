//! Changes on both sides while servers come and go: every one of ours is sent until it is
//! answered, under one `Idempotency-Key`.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use jackfield::demo::{Collection, Demo};
use jackfield_tests::{Answer, Api, FaultyProvider, api::text};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::task::JoinSet;

/// Time between two requests of an application.
const PACE: Duration = Duration::from_millis(50);

/// What our applications did, to be found at the provider.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Field at the provider and value of each edit and creation.
    pub(crate) written: Vec<(&'static str, String)>,
    /// Remote ids of people who were deleted.
    pub(crate) deleted: Vec<u64>,
}

/// Traffic that goes on until it is stopped.
pub(crate) struct Traffic {
    shared: Shared,
    tasks: JoinSet<()>,
}

/// What an application does next.
struct Step {
    method: Method,
    path: String,
    body: Option<Value>,
    /// Field at the provider and value.
    writes: (&'static str, String),
}

impl Traffic {
    /// Begins: contacts and companies of a connection are changed here, people at the provider.
    pub(crate) fn start(api: &Api, demo: &Demo, connection: &str) -> Self {
        let shared = Shared {
            api: Arc::new(Mutex::new(api.clone())),
            stop: Arc::default(),
            done: Arc::default(),
            broken: Arc::default(),
            demo: demo.clone(),
        };
        let mut tasks = JoinSet::new();
        tasks.spawn(theirs(shared.clone()));
        let path = format!("/connections/{connection}/syncs/crm.contact/run");
        tasks.spawn(poke(shared.clone(), path));
        for lane in [
            Lane::People,
            Lane::Create(1),
            Lane::Create(2),
            Lane::Companies,
        ] {
            tasks.spawn(lane.run(shared.clone()));
        }
        Self { shared, tasks }
    }

    /// The server is at another address now.
    pub(crate) fn moves_to(&self, api: &Api) {
        *self.shared.api.lock().expect("nobody panics with it") = api.clone();
    }

    /// Lets everything that was begun be answered.
    pub(crate) async fn stop(&mut self) -> Done {
        self.shared.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no lane panics");
        }
        let broken = self.shared.broken.load(Ordering::SeqCst);
        assert_eq!(broken, 0, "answers were refused that nothing explains");
        std::mem::take(&mut *self.shared.done.lock().expect("nobody panics with it"))
    }
}

impl Done {
    /// What did not reach the provider, and what did so more than once.
    pub(crate) fn compare(&self, provider: &FaultyProvider) -> (Vec<String>, Vec<String>) {
        let ledger = provider.ledger();
        let (mut lost, mut doubled) = (Vec::new(), Vec::new());
        for (field, value) in &self.written {
            match ledger.effects(field, value) {
                0 => lost.push(format!("{field} = {value}")),
                1 => {}
                _ => {
                    let writes = ledger.writes.iter();
                    let again: Vec<_> = writes
                        .filter(|write| write.body[field] == value.as_str())
                        .collect();
                    doubled.push(format!("{field} = {value}: {again:?}"));
                }
            }
        }
        for id in &self.deleted {
            if provider.demo.record(Collection::People, *id).is_some() {
                lost.push(format!("the deletion of {id}"));
            }
        }
        doubled.extend(ledger.keys_used_twice().into_iter().map(str::to_owned));
        (lost, doubled)
    }

    /// How many there were.
    pub(crate) fn len(&self) -> usize {
        self.written.len() + self.deleted.len()
    }
}

fn current(api: &Mutex<Api>) -> Api {
    api.lock().expect("nobody panics with it").clone()
}

/// People and companies with such ids are changed by our side.
const fn is_ours(id: u64) -> bool {
    id % 4 < 2
}

/// Asks for syncs all the time, now and then for one of everything.
async fn poke(shared: Shared, path: String) {
    for turn in 0_u32.. {
        if shared.stop.load(Ordering::SeqCst) {
            return;
        }
        let body = json!({ "full": turn % 8 == 7 });
        let asked = current(&shared.api);
        // Nobody may be there.
        drop(asked.try_send(Method::POST, &path, Some(&body)).await);
        tokio::time::sleep(Duration::from_millis(400)).await;
    }
}

/// Changes at the provider: fields that ours never touch, new people, and people who go.
async fn theirs(Shared { demo, stop, .. }: Shared) {
    let first = 10_001;
    let count = demo.count(Collection::People) as u64;
    for turn in 0_u64.. {
        if stop.load(Ordering::SeqCst) {
            return;
        }
        let id = first + turn % count;
        if turn % 23 == 0 {
            let person = json!({ "given_name": "New", "family_name": format!("theirs-{turn}") });
            demo.add(Collection::People, person).expect("a good person");
        } else if turn % 37 == 0 && !is_ours(id) {
            // It may have gone already.
            drop(demo.delete(Collection::People, id));
        } else {
            let change = json!({ "family_name": format!("theirs-{turn}") });
            drop(demo.change(Collection::People, id, change));
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// A record that our side changes.
struct Ours {
    path: String,
    remote: u64,
    /// What was written last.
    value: Option<String>,
}

#[derive(Clone, Copy)]
enum Lane {
    /// Updates people.
    People,
    /// Creates people, and deletes some of them.
    Create(u8),
    /// Updates companies.
    Companies,
}

/// What lanes share.
#[derive(Clone)]
struct Shared {
    api: Arc<Mutex<Api>>,
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Done>>,
    broken: Arc<AtomicUsize>,
    demo: Demo,
}

impl Lane {
    async fn run(self, shared: Shared) {
        let mut pool = match self {
            Self::People => pool(&shared, "/crm/contacts").await,
            Self::Create(_) => VecDeque::new(),
            Self::Companies => pool(&shared, "/crm/companies").await,
        };
        for turn in 0_usize.. {
            if shared.stop.load(Ordering::SeqCst) {
                return;
            }
            if let Some(step) = self.step(turn, &mut pool, &shared.demo) {
                let key = format!("{}-{turn}", self.name());
                let answer = send(&shared, &step, &key).await;
                shared.note(|done| done.written.push(step.writes));
                // Some of what is created goes again. Nobody else changes those: of an edit
                // there and a deletion here the later one would win.
                if let (Self::Create(1), Some(made)) = (self, answer) {
                    delete(&shared, &made, &format!("{key}-deleted")).await;
                }
            }
            tokio::time::sleep(PACE).await;
        }
    }

    fn name(self) -> String {
        match self {
            Self::People => "people".to_owned(),
            Self::Create(number) => format!("create{number}"),
            Self::Companies => "companies".to_owned(),
        }
    }

    fn step(self, turn: usize, pool: &mut VecDeque<Ours>, demo: &Demo) -> Option<Step> {
        let value = format!("ours-{}-{turn}", self.name());
        let (collection, theirs, ours) = match self {
            Self::Create(_) => {
                return Some(Step {
                    method: Method::POST,
                    path: "/crm/contacts".to_owned(),
                    body: Some(json!({ "first_name": value, "last_name": "Made" })),
                    writes: ("given_name", value),
                });
            }
            Self::People => (Collection::People, "given_name", "first_name"),
            Self::Companies => (Collection::Companies, "label", "name"),
        };
        let mut record = pool.pop_front()?;
        // What has not arrived could be overtaken by another value, and then never would.
        let there = demo.record(collection, record.remote)?[theirs].clone();
        if record
            .value
            .as_ref()
            .is_some_and(|value| there != value.as_str())
        {
            pool.push_back(record);
            return None;
        }
        let step = Step {
            method: Method::PATCH,
            path: record.path.clone(),
            body: Some(json!({ ours: value })),
            writes: (theirs, value.clone()),
        };
        record.value = Some(value);
        pool.push_back(record);
        Some(step)
    }
}

/// Paths and remote ids of the records that our side changes, once the first read is over.
async fn pool(shared: &Shared, list: &str) -> VecDeque<Ours> {
    while !shared.stop.load(Ordering::SeqCst) {
        if let Some(records) = all(&current(&shared.api), list).await {
            let ours = |record: &Value| {
                let remote = text(&record["remote_id"]).parse();
                let remote = remote.expect("ids at the provider are numbers");
                is_ours(remote).then(|| Ours {
                    path: format!("{list}/{}", text(&record["id"])),
                    remote,
                    value: None,
                })
            };
            return records.iter().filter_map(ours).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    VecDeque::new()
}

/// All records of a list once it was read completely; none where the server is away or not so far.
async fn all(api: &Api, list: &str) -> Option<Vec<Value>> {
    let get = async |path: &str| {
        let answer = api.try_send(Method::GET, path, None).await.ok()?;
        (answer.status == 200).then(|| answer.json(200))
    };
    let states = get("/sync/status/crm").await?;
    if states
        .as_array()?
        .iter()
        .any(|state| state["complete"] != true)
    {
        return None;
    }
    let mut records = Vec::new();
    let mut cursor = String::new();
    loop {
        let page = get(&format!("{list}?limit=200{cursor}")).await?;
        records.extend(page["data"].as_array()?.iter().cloned());
        match page["next_cursor"].as_str() {
            Some(next) => cursor = format!("&cursor={}", jackfield_tests::api::encode(next)),
            None => return Some(records),
        }
    }
}

async fn delete(shared: &Shared, made: &Value, key: &str) {
    let step = Step {
        method: Method::DELETE,
        path: format!("/crm/contacts/{}", text(&made["id"])),
        body: None,
        writes: ("", String::new()),
    };
    send(shared, &step, key).await;
    let remote = text(&made["remote_id"]).parse();
    let remote = remote.expect("ids at the provider are numbers");
    shared.note(|done| done.deleted.push(remote));
}

impl Shared {
    fn note(&self, what: impl FnOnce(&mut Done)) {
        what(&mut self.done.lock().expect("nobody panics with it"));
    }
}

/// Sends a request until it is taken; gives the record where there is one in the answer.
async fn send(shared: &Shared, step: &Step, key: &str) -> Option<Value> {
    let mut sent = 0_u32;
    loop {
        sent += 1;
        let api = current(&shared.api).once(key);
        let answer = api.try_send(step.method.clone(), &step.path, step.body.as_ref());
        match answer.await {
            Ok(answer) if (200..300).contains(&answer.status) => {
                return serde_json::from_str(&answer.text).ok();
            }
            // An earlier try was taken, and nobody was there to say so.
            Ok(Answer { status: 404, .. }) if step.method == Method::DELETE && sent > 1 => {
                return None;
            }
            Ok(answer) if answer.status == 500 || answer.status == 404 || answer.status == 422 => {
                shared.broken.fetch_add(1, Ordering::SeqCst);
                eprintln!("{}: {} {}", answer.request, answer.status, answer.text);
                return None;
            }
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
