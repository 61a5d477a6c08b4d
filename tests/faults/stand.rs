//! The test stand: a provider, a server and a receiver; killing, looking, starting again.

use std::{
    collections::HashMap,
    time::{Duration, Instant},
};

use jackfield::demo::{CLIENT_ID, CLIENT_SECRET};
use jackfield_tests::{
    Api, Backend, Connection, FaultyProvider, Server,
    api::text,
    ledger::{self, Ledger, Reader},
    receiver::Receiver,
    server::Builder,
    until, until_within,
};
use serde_json::{Value, json};

use crate::{compare, figures::Figures, traffic::Traffic};

/// How long a process that died keeps others from its work, seconds.
pub(crate) const LEASE: i64 = 2;

/// Everything that a test needs.
pub(crate) struct Stand {
    pub(crate) backend: Backend,
    pub(crate) provider: FaultyProvider,
    pub(crate) receiver: Receiver,
    pub(crate) server: Server,
    /// With the key of the project and the token of the connection.
    pub(crate) api: Api,
    pub(crate) connection: Connection,
    pub(crate) figures: Figures,
    endpoint: String,
    /// Secrets that may be in no file in clear.
    canaries: Vec<String>,
    /// What the database held after the last kill.
    before: Ledger,
    /// Events that the database knew as delivered after a kill, and how often they had come then.
    acknowledged: HashMap<String, usize>,
}

/// A server for faults: short leases, small pages, syncs all the time.
pub(crate) async fn builder(backend: Backend, provider: &FaultyProvider) -> Builder {
    hurried(provider.known_to(Server::on(backend).await))
}

/// The same settings for a server of another kind.
pub(crate) fn hurried(builder: Builder) -> Builder {
    let lease = LEASE.to_string();
    builder
        .with("demo-crm")
        .set("JACKFIELD_SYNC__WORKERS", "4")
        .set("JACKFIELD_SYNC__PAGE_SIZE", "10")
        .set("JACKFIELD_SYNC__INTERVAL_SECONDS", "1")
        .set("JACKFIELD_SYNC__LEASE_SECONDS", &lease)
        .set("JACKFIELD_RUNTIME__CALL_TIMEOUT_SECONDS", "3")
        .set("JACKFIELD_EGRESS__TIMEOUT_SECONDS", "2")
        .set("JACKFIELD_WEBHOOKS__TIMEOUT_SECONDS", "2")
        .set("JACKFIELD_WEBHOOKS__LEASE_SECONDS", "3")
        .set(
            "JACKFIELD_WEBHOOKS__SCHEDULE_SECONDS",
            "0,1,1,1,1,1,1,1,1,1",
        )
        .set("JACKFIELD_HTTP__DRAIN_SECONDS", "10")
        .set("JACKFIELD_LOG__FILTER", "warn,jackfield::app=info")
}

impl Stand {
    /// A server that was just connected to a provider with so many people.
    pub(crate) async fn new(backend: Backend, people: usize) -> Self {
        let provider = FaultyProvider::start(people).await;
        let server = builder(backend, &provider).await.start().await;
        Self::around(backend, provider, server).await
    }

    /// With a server that runs.
    pub(crate) async fn around(backend: Backend, provider: FaultyProvider, server: Server) -> Self {
        let receiver = Receiver::start().await;
        let project = server.project("App");
        project.active("demo-crm").await;
        let body = json!({ "url": receiver.url(), "scope": ["*"], "description": "ledger" });
        let endpoint = project.post("/webhooks", &body).await.json(201);
        let connection = project
            .connect(
                "demo-crm",
                "client",
                json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET }),
            )
            .await;
        let mut canaries: Vec<String> = provider.ledger().tokens.concat();
        canaries.push(text(&endpoint["secret"]));
        canaries.push(project.key().to_owned());
        canaries.push(connection.token.clone());
        let stand = Self {
            backend,
            provider,
            receiver,
            api: project.with_token(&connection.token),
            server,
            connection,
            figures: Figures::default(),
            endpoint: text(&endpoint["id_webhook_endpoint"]),
            canaries,
            before: Ledger::default(),
            acknowledged: HashMap::new(),
        };
        stand.provider.aim_at(stand.server.process_id());
        stand
    }

    /// One more connection, of another customer.
    pub(crate) async fn connect(&self, customer: &str) -> Connection {
        let user = self.api.linked_user(customer).await;
        let fields = json!({ "client_id": CLIENT_ID, "client_secret": CLIENT_SECRET });
        let body = json!({
            "connector": "demo-crm", "scheme": "client", "linked_user_id": user,
            "fields": fields,
        });
        self.api.post("/connections", &body).await.connection()
    }

    /// Our applications' changes of contacts and companies go out.
    pub(crate) async fn two_way(&self) {
        for (object, direction) in [
            ("crm.contact", "bidirectional"),
            ("crm.company", "outbound"),
        ] {
            let path = format!("/connections/{}/syncs/{object}", self.connection.id);
            let patch = json!({ "direction": direction, "conflicts": "last_write_wins" });
            self.api.patch(&path, &patch).await.json(200);
        }
    }

    /// Ends the process at once and looks at what it left behind.
    pub(crate) async fn kill(&mut self) {
        self.server.kill();
        self.look().await;
    }

    /// Waits until somebody else has killed the process, and looks at what it left behind.
    pub(crate) async fn killed(&mut self, what: &str) {
        let start = Instant::now();
        let status = loop {
            if let Some(status) = self.server.ended() {
                break status;
            }
            assert!(start.elapsed().as_secs() < 60, "never killed: {what}");
            tokio::time::sleep(Duration::from_millis(5)).await;
        };
        assert!(!status.success(), "{what}: {status}");
        self.look().await;
    }

    /// Checks everything that has to hold after a kill, with nobody running.
    async fn look(&mut self) {
        self.figures.kills += 1;
        let mut reader = Reader::of(&self.server).await;
        assert_eq!(reader.integrity().await, "ok");
        let after = reader.ledger().await;
        compare::steps(&self.before, &after, &self.provider).await;
        compare::leases(&after);
        let times = self.received();
        for (id, state) in &after.deliveries {
            if state == "delivered" && !self.acknowledged.contains_key(id) {
                let times = times.get(id).copied();
                let times = times.unwrap_or_else(|| panic!("{id} was never delivered"));
                self.acknowledged.insert(id.clone(), times);
            }
        }
        self.look_for_secrets(&mut reader).await;
        self.before = after;
    }

    async fn look_for_secrets(&self, reader: &mut Reader) {
        let mut canaries = self.canaries.clone();
        canaries.extend(self.provider.ledger().tokens.concat());
        let found = ledger::places_of(&canaries, &self.server, reader).await;
        assert!(found.is_empty(), "{found:?}");
    }

    /// How often each event came.
    fn received(&self) -> HashMap<String, usize> {
        let mut times = HashMap::new();
        for id in self.receiver.ids() {
            *times.entry(id).or_default() += 1;
        }
        times
    }

    /// Starts the server so that it kills itself when it reaches a place for the so-manieth time.
    pub(crate) async fn start_to_die_at(&mut self, point: &str, count: u64) {
        self.server
            .set("FAULT_POINT", Some(&format!("{point}:{count}")));
        self.start_anew().await;
        self.server.set("FAULT_POINT", None);
    }

    /// Starts the server, which may be killed at once.
    pub(crate) async fn start_anew(&mut self) {
        self.server.spawn_again();
        self.provider.aim_at(self.server.process_id());
        if let Some(address) = self.server.listens().await {
            self.api = self.api.at(&address);
        }
    }

    /// Starts the server and measures how long it takes until it reads pages again.
    pub(crate) async fn start_again(&mut self) {
        let start = Instant::now();
        self.start_anew().await;
        let patience = Duration::from_secs(30);
        let first = until_within(patience, "pages are read again", async || {
            self.provider.first_list_after(start)
        });
        self.figures.recoveries.push(first.await - start);
    }

    /// Waits until nothing is left to push or deliver and all that the provider has is read.
    pub(crate) async fn rest(&self) {
        let begin = jackfield_now();
        let patience = Duration::from_secs(120);
        let what = "everything is pushed, read and delivered";
        until_within(patience, what, async || {
            for state in ["queued", "pushing", "conflict"] {
                let path = format!("/changes?state={state}");
                if !is_empty(&self.api.get(&path).await.json(200)) {
                    return None;
                }
            }
            let page = self.api.get("/syncs?limit=200").await.json(200);
            for sync in page["data"].as_array()? {
                // A run that began before may have read what was changed afterwards.
                let last = &sync["last_run"];
                let over = last["status"] == "completed"
                    && last["started_at"]
                        .as_str()
                        .is_some_and(|at| at > begin.as_str());
                if !over || sync["complete"] != true {
                    return None;
                }
            }
            let path = format!("/webhooks/{}/deliveries?state=pending", self.endpoint);
            is_empty(&self.api.get(&path).await.json(200)).then_some(())
        })
        .await;
    }

    /// Lets everything end, compares all ledgers and prints the figures.
    pub(crate) async fn end(&mut self, name: &str, traffic: &mut Traffic) {
        let done = traffic.stop().await;
        self.rest().await;
        self.compare().await;
        let (lost, doubled) = done.compare(&self.provider);
        self.figures.edits = done.len();
        self.figures.lost += lost.len();
        self.figures.doubled += doubled.len();
        self.figures.print(name, self.backend);
        assert!(
            lost.is_empty() && doubled.is_empty(),
            "{lost:?} {doubled:?}"
        );
    }

    /// Stops the server in order and compares the three ledgers.
    pub(crate) async fn compare(&mut self) {
        self.server.stop();
        let mut reader = Reader::of(&self.server).await;
        assert_eq!(reader.integrity().await, "ok");
        let after = reader.ledger().await;
        compare::steps(&self.before, &after, &self.provider).await;
        self.look_for_secrets(&mut reader).await;
        let mut problems = compare::provider_and_database(&self.provider, &after).await;
        self.figures.records = after.records.len();
        self.figures.events = after.events.len();
        let times = self.received();
        for event in &after.events {
            match times.get(&event.id) {
                // The server was stopped before it could try.
                None if after.under_way.contains(&event.id) => {}
                None => problems.lost.push(format!("{} at the receiver", event.id)),
                Some(1) => {}
                Some(more) => self.figures.redelivered += more - 1,
            }
        }
        for (id, then) in &self.acknowledged {
            if times.get(id) > Some(then) {
                let again = format!("{id} was delivered again after it was written down");
                problems.doubled.push(again);
            }
        }
        self.figures.lost += problems.lost.len();
        self.figures.doubled += problems.doubled.len();
        assert!(
            problems.lost.is_empty() && problems.doubled.is_empty(),
            "{problems:#?}"
        );
    }
}

fn is_empty(page: &Value) -> bool {
    page["data"].as_array().is_some_and(Vec::is_empty)
}

fn jackfield_now() -> String {
    use jackfield::model::Clock as _;
    jackfield::model::SystemClock.now().to_string()
}

/// Waits until a sync of this server is under way in the first read.
pub(crate) async fn amid(stand: &Stand, least: u64) {
    until("a part is read", async || {
        let states = stand.api.sync_states("crm").await;
        let read = |state: &Value| state["records_read"].as_u64();
        let read: u64 = states.iter().filter_map(read).sum();
        (read >= least).then_some(())
    })
    .await;
}
