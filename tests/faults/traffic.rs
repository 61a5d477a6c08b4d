//! Changes on both sides while servers come and go: every one of ours is sent until it is
//! answered, under one `Idempotency-Key`.

use std::{
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

/// What our applications did, to be found at the provider.
#[derive(Debug, Default)]
pub(crate) struct Done {
    /// Field at the provider and value of each edit and creation.
    pub(crate) written: Vec<(&'static str, String)>,
    /// Remote ids of people who were deleted.
    pub(crate) deleted: Vec<String>,
}

/// Traffic that goes on until it is stopped.
pub(crate) struct Traffic {
    api: Arc<Mutex<Api>>,
    stop: Arc<AtomicBool>,
    done: Arc<Mutex<Done>>,
    /// Answers that no kill explains.
    pub(crate) broken: Arc<AtomicUsize>,
    tasks: JoinSet<()>,
}

/// What an application does next.
struct Step {
    method: Method,
    path: String,
    body: Option<Value>,
    writes: Option<(&'static str, String)>,
    deletes: Option<String>,
}

impl Traffic {
    /// Begins. `people` and `companies` are what our applications may change, each once.
    pub(crate) fn start(api: &Api, demo: &Demo, connection: &str) -> Self {
        let mut traffic = Self {
            api: Arc::new(Mutex::new(api.clone())),
            stop: Arc::default(),
            done: Arc::default(),
            broken: Arc::default(),
            tasks: JoinSet::new(),
        };
        let (stop, demo) = (Arc::clone(&traffic.stop), demo.clone());
        traffic
            .tasks
            .spawn(async move { theirs(&demo, &stop).await });
        for lane in [Lane::People, Lane::Create, Lane::Rest] {
            let lane = lane.run(
                Arc::clone(&traffic.api),
                Arc::clone(&traffic.stop),
                Arc::clone(&traffic.done),
                Arc::clone(&traffic.broken),
            );
            traffic.tasks.spawn(lane);
        }
        let (api, stop) = (Arc::clone(&traffic.api), Arc::clone(&traffic.stop));
        let path = format!("/connections/{connection}/syncs/crm.contact/run");
        traffic.tasks.spawn(async move {
            loop {
                if stop.load(Ordering::SeqCst) {
                    return;
                }
                let api = current(&api);
                let body = json!({ "full": false });
                drop(api.try_send(Method::POST, &path, Some(&body)).await);
                tokio::time::sleep(Duration::from_millis(400)).await;
            }
        });
        traffic
    }

    /// The server is at another address now.
    pub(crate) fn moves_to(&self, api: &Api) {
        *self.api.lock().expect("nobody panics with it") = api.clone();
    }

    /// Lets everything that was begun be answered.
    pub(crate) async fn stop(&mut self) -> Done {
        self.stop.store(true, Ordering::SeqCst);
        while let Some(ended) = self.tasks.join_next().await {
            ended.expect("no lane panics");
        }
        std::mem::take(&mut *self.done.lock().expect("nobody panics with it"))
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
                times => doubled.push(format!("{field} = {value}, {times} times")),
            }
        }
        for id in &self.deleted {
            let number = id.parse().expect("ids at the provider are numbers");
            if provider.demo.record(Collection::People, number).is_some() {
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

/// People whose id ends so are changed by this side.
const fn is_ours(id: u64) -> bool {
    id % 4 < 2
}

/// Changes at the provider: fields that ours never touch, new people, and people who go.
async fn theirs(demo: &Demo, stop: &AtomicBool) {
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

#[derive(Clone, Copy)]
enum Lane {
    /// Updates and deletes people.
    People,
    /// Creates people.
    Create,
    /// Updates companies.
    Rest,
}

impl Lane {
    async fn run(
        self,
        api: Arc<Mutex<Api>>,
        stop: Arc<AtomicBool>,
        done: Arc<Mutex<Done>>,
        broken: Arc<AtomicUsize>,
    ) {
        let pool = match self {
            Self::People => pool(&api, "/crm/contacts", &stop).await,
            Self::Create => Vec::new(),
            Self::Rest => pool(&api, "/crm/companies", &stop).await,
        };
        let mut pool = pool.into_iter();
        for turn in 0.. {
            if stop.load(Ordering::SeqCst) {
                return;
            }
            let Some(step) = self.step(turn, &mut pool) else {
                return;
            };
            let key = format!("{}-{turn}", self.name());
            send(&api, &step, &key, &broken).await;
            {
                let mut done = done.lock().expect("nobody panics with it");
                done.written.extend(step.writes);
                done.deleted.extend(step.deletes);
            }
            tokio::time::sleep(Duration::from_millis(30)).await;
        }
    }

    const fn name(self) -> &'static str {
        match self {
            Self::People => "people",
            Self::Create => "create",
            Self::Rest => "rest",
        }
    }

    fn step(self, turn: usize, pool: &mut impl Iterator<Item = (String, String)>) -> Option<Step> {
        let value = format!("ours-{}-{turn}", self.name());
        let step = match self {
            Self::Create => Step {
                method: Method::POST,
                path: "/crm/contacts".to_owned(),
                body: Some(json!({ "first_name": value, "last_name": "Made" })),
                writes: Some(("given_name", value)),
                deletes: None,
            },
            Self::People if turn % 10 == 9 => {
                let (path, remote) = pool.next()?;
                Step {
                    method: Method::DELETE,
                    path,
                    body: None,
                    writes: None,
                    deletes: Some(remote),
                }
            }
            Self::People => Step {
                method: Method::PATCH,
                path: pool.next()?.0,
                body: Some(json!({ "first_name": value })),
                writes: Some(("given_name", value)),
                deletes: None,
            },
            Self::Rest => Step {
                method: Method::PATCH,
                path: pool.next()?.0,
                body: Some(json!({ "name": value })),
                writes: Some(("label", value)),
                deletes: None,
            },
        };
        Some(step)
    }
}

/// Paths and remote ids of the records that our side changes, once the first read is over.
async fn pool(api: &Mutex<Api>, list: &str, stop: &AtomicBool) -> Vec<(String, String)> {
    while !stop.load(Ordering::SeqCst) {
        if let Some(records) = all(&current(api), list).await {
            let ours = records.iter().filter(|record| {
                let id = text(&record["remote_id"]).parse();
                is_ours(id.expect("ids at the provider are numbers"))
            });
            let pair = |record: &Value| {
                let path = format!("{list}/{}", text(&record["id"]));
                (path, text(&record["remote_id"]))
            };
            return ours.map(pair).collect();
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    Vec::new()
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

/// Sends a request until it is taken.
async fn send(api: &Mutex<Api>, step: &Step, key: &str, broken: &AtomicUsize) {
    let mut sent = 0_u32;
    loop {
        sent += 1;
        let api = current(api).once(key);
        let answer = api.try_send(step.method.clone(), &step.path, step.body.as_ref());
        match answer.await {
            Ok(Answer { status, .. }) if (200..300).contains(&status) => return,
            // An earlier try was taken, and nobody was there to say so.
            Ok(Answer { status: 404, .. }) if step.deletes.is_some() && sent > 1 => return,
            Ok(answer) if answer.status == 500 || answer.status == 404 || answer.status == 422 => {
                broken.fetch_add(1, Ordering::SeqCst);
                eprintln!("{}: {} {}", answer.request, answer.status, answer.text);
                return;
            }
            Ok(_) | Err(_) => {}
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
