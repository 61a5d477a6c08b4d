//! The vault over a real database and a real token endpoint on this machine.

use std::{
    sync::{
        Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{TcpListener, TcpStream},
};

use super::*;
use crate::{
    config::Config,
    egress::{AuthorizeError, Authorizer, HeaderMap, Method, Policy, Request},
    model::{ConnectionStatus, Environment, ManualClock, SystemEntropy, Timestamp},
};

const MANIFEST: &str = r#"
    slug = "demo-crm"
    name = "Demo"
    version = "0.1.0"
    description = "A demo."
    [variables.region]
    type = "label"
    title = "Region"
    [endpoints.api]
    production = "https://api.example.com"
    [auth.oauth]
    type = "oauth2_code"
    title = "Account"
    authorize_url = "https://{region}.example.com/authorize"
    token_url = "https://{region}.example.com/token"
    revoke_url = "https://{region}.example.com/revoke"
    scopes = ["read", "write"]
    scope_separator = ","
    authorize_parameters = { access_type = "offline" }
    token_parameters = { audience = "api" }
    [auth.machine]
    type = "oauth2_client_credentials"
    title = "Machine"
    token_url = "https://{region}.example.com/token"
    scopes = ["read"]
    client_authentication = "basic"
    [auth.key]
    type = "api_key"
    title = "Key"
    in = "header"
    name = "X-Key"
    [[settings]]
    id = "pin"
    type = "password"
    title = "PIN"
    [objects."crm.contact"]
    operations = ["read"]
    fields = ["first_name"]
    [permissions]
    http = ["https://api.example.com/"]
"#;

/// A token endpoint that counts requests, remembers their bodies, and hands out `access-1`,
/// `access-2`, …, or what `answer` says.
struct Provider {
    port: u16,
    requests: Arc<Mutex<Vec<String>>>,
    answer: Arc<Mutex<(u16, String)>>,
    answered: Arc<AtomicUsize>,
}

impl Provider {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let provider = Self {
            port: listener.local_addr().unwrap().port(),
            requests: Arc::default(),
            answer: Arc::new(Mutex::new((200, String::new()))),
            answered: Arc::default(),
        };
        let requests = Arc::clone(&provider.requests);
        let answer = Arc::clone(&provider.answer);
        let answered = Arc::clone(&provider.answered);
        tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                let request = read_request(&mut stream).await;
                requests.lock().unwrap().push(request);
                let number = answered.fetch_add(1, Ordering::SeqCst) + 1;
                let (status, fixed) = answer.lock().unwrap().clone();
                let body = if fixed.is_empty() {
                    format!(
                        r#"{{"access_token":"access-{number}","refresh_token":"refresh-{number}","expires_in":3600}}"#
                    )
                } else {
                    fixed
                };
                let text = format!(
                    "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{body}",
                    body.len()
                );
                stream.write_all(text.as_bytes()).await.ok();
            }
        });
        provider
    }

    fn answers(&self, status: u16, body: &str) {
        *self.answer.lock().unwrap() = (status, body.to_owned());
    }

    fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }
}

async fn read_request(stream: &mut TcpStream) -> String {
    let mut text = String::new();
    let mut buffer = [0; 4096];
    loop {
        let read = stream.read(&mut buffer).await.unwrap_or(0);
        text.push_str(&String::from_utf8_lossy(&buffer[..read]));
        let complete = text.split_once("\r\n\r\n").is_some_and(|(head, body)| {
            let length = head.lines().find_map(|line| {
                line.to_lowercase()
                    .strip_prefix("content-length: ")?
                    .parse()
                    .ok()
            });
            body.len() >= length.unwrap_or(0)
        });
        if read == 0 || complete {
            return text;
        }
    }
}

struct World {
    provider: Provider,
    store: Store,
    vault: Vault,
    clock: ManualClock,
    manifest: Arc<Manifest>,
    project: ProjectId,
    linked_user: crate::model::LinkedUserId,
    key: String,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::open(&url, Arc::new(clock.clone()), Arc::new(SystemEntropy))
            .await
            .unwrap();
        let project = store
            .create_project("p", Environment::Sandbox)
            .await
            .unwrap();
        let linked_user = store
            .create_linked_user(project.id, "user-1", "User")
            .await
            .unwrap();
        let provider = Provider::start().await;
        let key = "07".repeat(32);
        let vault = vault(&store, &clock, &provider, &key);
        Self {
            provider,
            store,
            vault,
            clock,
            manifest: Arc::new(Manifest::parse(MANIFEST).unwrap()),
            project: project.id,
            linked_user: linked_user.id,
            key,
            _folder: folder,
        }
    }

    fn scheme(&self, name: &str) -> AuthScheme {
        self.manifest.scheme(name).unwrap().clone()
    }

    fn new_connection(&self, scheme: &str) -> NewConnection {
        NewConnection {
            id: ConnectionId::generate(&SystemEntropy),
            linked_user: self.linked_user,
            connector: self.manifest.slug.clone(),
            vertical: "crm".to_owned(),
            scheme: scheme.to_owned(),
            environment: Environment::Production,
            account: None,
            account_name: None,
            settings: settings(),
        }
    }

    async fn connect(&self, scheme: &str, credentials: &Credentials) -> Scope {
        let new = self.new_connection(scheme);
        let connected = self.vault.connect(self.project, new, credentials, &[]);
        connected.await.unwrap().0
    }

    /// A connection whose access token lives for an hour.
    async fn connect_oauth(&self) -> Scope {
        let mut credentials = Credentials::default();
        credentials.set("access_token", "access-0".into());
        credentials.set("refresh_token", "refresh-0".into());
        credentials.set_expiry(Some(self.clock.now().plus(Duration::from_secs(3600))));
        self.connect("oauth", &credentials).await
    }

    async fn status(&self, scope: &Scope) -> ConnectionStatus {
        let id = scope.connection().id;
        let scope = self.store.scope_by_id(self.project, id).await.unwrap();
        scope.unwrap().connection().status
    }

    async fn start(&self) -> Url {
        self.vault
            .start_oauth(
                self.project,
                self.linked_user,
                &self.manifest,
                &self.scheme("oauth"),
                Environment::Production,
                settings(),
                "crm",
                Some("https://app.example.com/done".parse().unwrap()),
                None,
                &redirect_uri(),
            )
            .await
            .unwrap()
            .address
    }

    async fn finish(&self, state: &str) -> Result<FinishedOAuth, Error> {
        let manifest_of = |_: &Slug| Some(Arc::clone(&self.manifest));
        self.vault
            .finish_oauth(
                self.vault.take_oauth(state, None).await?,
                "canary-code",
                manifest_of,
                &redirect_uri(),
            )
            .await
    }
}

/// A vault as another process would have it.
fn vault(store: &Store, clock: &ManualClock, provider: &Provider, key: &str) -> Vault {
    let port = provider.port;
    let file = format!(
        "[connectors.demo-crm.oauth]\n\
         client_id = \"app\"\n\
         client_secret = \"canary-app-secret\"\n\
         token_url = \"http://127.0.0.1:{port}/token\"\n\
         revoke_url = \"http://127.0.0.1:{port}/revoke\"\n"
    );
    vault_of(store, clock, &file, key)
}

/// The same with a configuration of its own.
fn vault_of(store: &Store, clock: &ManualClock, file: &str, key: &str) -> Vault {
    let config = Config::from_layers(Some(("test.toml", file)), []).unwrap();
    let policy = Policy {
        allow_private: vec!["127.0.0.0/8".parse().unwrap()],
    };
    Vault::new(
        store.clone(),
        Egress::new(policy).unwrap(),
        Key::parse(key).unwrap(),
        Arc::new(clock.clone()),
        Arc::new(SystemEntropy),
        OAuthApps::from_config(&config),
    )
}

fn settings() -> BTreeMap<String, String> {
    BTreeMap::from([("region".to_owned(), "eu".to_owned())])
}

fn redirect_uri() -> Url {
    "https://jackfield.example.com/callback".parse().unwrap()
}

fn parameter(url: &Url, name: &str) -> String {
    let found = url.query_pairs().find(|(key, _)| key == name);
    found.unwrap().1.into_owned()
}

async fn sent(authorizer: &Arc<dyn Authorizer>) -> Result<String, AuthorizeError> {
    authorizer.current().await.map(|found| header(&found))
}

fn header(authorization: &crate::egress::Authorization) -> String {
    let mut request = Request {
        method: Method::GET,
        url: "https://api.example.com/".parse().unwrap(),
        headers: HeaderMap::new(),
        body: None,
    };
    authorization.apply(&mut request);
    let value = request.headers.get("authorization");
    value.unwrap().to_str().unwrap().to_owned()
}

#[tokio::test]
async fn fifty_callers_on_an_expired_token_ask_once() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    // A second vault stands for a second process: it shares the database and nothing else.
    let other = vault(&world.store, &world.clock, &world.provider, &world.key);
    let callers: Vec<_> = (0..50)
        .map(|number| {
            let vault = if number % 2 == 0 {
                &world.vault
            } else {
                &other
            };
            let authorizer = vault.authorizer(&scope, world.scheme("oauth"));
            tokio::spawn(async move { sent(&authorizer).await })
        })
        .collect();
    for caller in callers {
        assert_eq!(caller.await.unwrap().unwrap(), "Bearer access-1");
    }
    let requests = world.provider.requests();
    assert_eq!(requests.len(), 1);
    assert!(
        requests[0].ends_with(
            "grant_type=refresh_token&refresh_token=refresh-0&audience=api&client_id=app&client_secret=canary-app-secret"
        ),
        "{}",
        requests[0]
    );
    let stored = world.store.credentials(&scope).await.unwrap().unwrap();
    assert_eq!(stored.generation, 2);
    assert_eq!(
        stored.expires_at,
        Some(world.clock.now().plus(Duration::from_secs(3600)))
    );
}

#[tokio::test]
async fn another_process_is_waited_for_and_replaced_when_it_died() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    let held = Duration::from_secs(30);
    let lease = world.store.lease_refresh(&scope, 1, "other", held).await;
    assert_eq!(lease.unwrap(), store::RefreshLease::Acquired);
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    let waiting = tokio::spawn(async move { sent(&authorizer).await });
    let mut theirs = Credentials::default();
    theirs.set("access_token", "theirs".into());
    let id = scope.connection().id;
    let sealed = world.vault.seal_credentials(world.project, id, &theirs);
    let stored = world
        .store
        .store_refreshed(&scope, 1, "other", sealed, None);
    assert!(stored.await.unwrap());
    assert_eq!(waiting.await.unwrap().unwrap(), "Bearer theirs");
    assert_eq!(world.provider.requests().len(), 0);

    // One that took the lease and died is waited for no longer than the lease.
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    let held = Duration::from_millis(300);
    let lease = world.store.lease_refresh(&scope, 3, "dead", held).await;
    assert_eq!(lease.unwrap(), store::RefreshLease::Acquired);
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    assert_eq!(sent(&authorizer).await.unwrap(), "Bearer access-1");
}

#[tokio::test]
async fn a_caller_that_goes_away_loses_no_rotated_token() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    {
        let mut asked = authorizer.current();
        // Polled until the provider has been asked, then dropped.
        while world.provider.requests().is_empty() {
            tokio::select! {
                _ = &mut asked => break,
                () = tokio::task::yield_now() => {}
            }
        }
    }
    world.vault.close().await;
    let stored = world.store.credentials(&scope).await.unwrap().unwrap();
    assert_eq!(stored.generation, 2);
}

#[tokio::test]
async fn an_apps_secret_goes_to_no_host_that_a_customer_chose() {
    let world = World::new().await;
    let text = MANIFEST.replace("\"label\"", "\"host\"");
    let mut manifest = Manifest::parse(&text).unwrap();
    manifest.slug = "other".parse().unwrap();
    let file = "[connectors.other.oauth]\nclient_id = \"a\"\nclient_secret = \"b\"\n";
    let redirect_uri = redirect_uri();
    let mut outcomes = Vec::new();
    for token_url in ["", "token_url = \"https://id.example.com/token\"\n"] {
        let text = format!("{file}{token_url}");
        let config = Config::from_layers(Some(("test.toml", &text)), []).unwrap();
        let vault = Vault::new(
            world.store.clone(),
            Egress::new(Policy::default()).unwrap(),
            Key::parse(&world.key).unwrap(),
            Arc::new(world.clock.clone()),
            Arc::new(SystemEntropy),
            OAuthApps::from_config(&config),
        );
        let started = vault.start_oauth(
            world.project,
            world.linked_user,
            &manifest,
            manifest.scheme("oauth").unwrap(),
            Environment::Production,
            BTreeMap::from([("region".to_owned(), "evil.example.com".to_owned())]),
            "crm",
            None,
            None,
            &redirect_uri,
        );
        outcomes.push(started.await);
    }
    assert!(matches!(outcomes[0], Err(Error::OpenTokenAddress(_))));
    assert!(outcomes[1].is_ok());
}

mod apps;

#[tokio::test]
async fn a_rejected_token_is_refreshed_once_and_the_rotated_one_is_used_next() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    let first = authorizer.current().await.unwrap();
    assert_eq!(header(&first), "Bearer access-0");

    let second = authorizer.refreshed(first.generation()).await.unwrap();
    assert_eq!(header(&second), "Bearer access-1");
    assert_eq!(second.generation(), first.generation() + 1);
    // A caller that was refused with the old token finds the new one.
    let late = world.vault.authorizer(&scope, world.scheme("oauth"));
    let found = late.refreshed(first.generation()).await.unwrap();
    assert_eq!(header(&found), "Bearer access-1");
    assert_eq!(world.provider.requests().len(), 1);

    let third = late.refreshed(found.generation()).await.unwrap();
    assert_eq!(header(&third), "Bearer access-2");
    assert!(world.provider.requests()[1].contains("refresh_token=refresh-1"));
}

#[tokio::test]
async fn a_token_is_refreshed_a_minute_before_its_end_but_used_to_the_end() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    let current = || async {
        let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
        sent(&authorizer).await
    };
    world.clock.advance(Duration::from_secs(3539));
    assert_eq!(current().await.unwrap(), "Bearer access-0");
    assert_eq!(world.provider.requests().len(), 0);

    world.clock.advance(Duration::from_secs(1));
    world.provider.answers(503, "busy");
    assert_eq!(current().await.unwrap(), "Bearer access-0");
    assert_eq!(world.provider.requests().len(), 1);

    world.clock.advance(Duration::from_secs(60));
    let error = current().await.unwrap_err();
    assert!(
        matches!(&error, AuthorizeError::Unavailable(text) if text.contains("503")),
        "{error:?}"
    );
    assert_eq!(world.status(&scope).await, ConnectionStatus::Valid);

    world.provider.answers(200, "");
    assert_eq!(current().await.unwrap(), "Bearer access-3");
}

#[tokio::test]
async fn a_refused_refresh_ends_the_login_and_is_not_tried_again() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    world.provider.answers(
        400,
        r#"{"error":"invalid_grant","error_description":"refresh-0 was revoked"}"#,
    );
    let callers: Vec<_> = (0..10)
        .map(|_| {
            let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
            tokio::spawn(async move { sent(&authorizer).await })
        })
        .collect();
    for caller in callers {
        let error = caller.await.unwrap().unwrap_err();
        let AuthorizeError::Dead(text) = &error else {
            panic!("{error:?}");
        };
        assert!(!text.contains("refresh-0"), "{text}");
    }
    assert_eq!(world.provider.requests().len(), 1);
    assert_eq!(world.status(&scope).await, ConnectionStatus::NeedsReconnect);

    // Logging in again mends it, and the connection keeps its token.
    let (_, before) = world
        .store
        .connections(world.project)
        .await
        .unwrap()
        .remove(0);
    let again = world.connect_oauth().await;
    assert_eq!(again.connection().id, scope.connection().id);
    assert_eq!(again.connection().status, ConnectionStatus::Valid);
    let (_, after) = world
        .store
        .connections(world.project)
        .await
        .unwrap()
        .remove(0);
    assert_eq!(before, after);
    let authorizer = world.vault.authorizer(&again, world.scheme("oauth"));
    assert_eq!(sent(&authorizer).await.unwrap(), "Bearer access-0");
}

#[tokio::test]
async fn a_wrong_app_of_the_operator_ends_no_login() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    world.clock.advance(Duration::from_secs(3600));
    world.provider.answers(401, r#"{"error":"invalid_client"}"#);
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    let error = sent(&authorizer).await.unwrap_err();
    assert!(
        matches!(&error, AuthorizeError::Unavailable(text) if text.contains("connectors.demo-crm.oauth")),
        "{error:?}"
    );
    assert_eq!(world.status(&scope).await, ConnectionStatus::Valid);
}

#[tokio::test]
async fn static_credentials_are_dead_once_refused() {
    let world = World::new().await;
    let fields = BTreeMap::from([("apikey".to_owned(), "canary-key".to_owned())]);
    let scheme = world.scheme("key");
    let credentials = world
        .vault
        .credentials_from_fields(&world.manifest, &scheme, &fields)
        .unwrap();
    let provisional = world.vault.provisional_authorizer(
        &world.manifest,
        &scheme,
        "crm",
        &settings(),
        &credentials,
    );
    let scope = world.connect("key", &credentials).await;
    for authorizer in [provisional, world.vault.authorizer(&scope, scheme)] {
        let found = authorizer.current().await.unwrap();
        assert_eq!(found.secret_names(), ["api_key"]);
        let error = authorizer.refreshed(found.generation()).await.unwrap_err();
        assert!(matches!(error, AuthorizeError::Dead(_)), "{error:?}");
    }
    assert_eq!(world.status(&scope).await, ConnectionStatus::Valid);
}

#[tokio::test]
async fn client_credentials_are_asked_for_before_and_after_connecting() {
    let world = World::new().await;
    let scheme = world.scheme("machine");
    let fields = BTreeMap::from([
        ("client_id".to_owned(), "mine".to_owned()),
        ("client_secret".to_owned(), "s%".to_owned()),
    ]);
    let credentials = world
        .vault
        .credentials_from_fields(&world.manifest, &scheme, &fields)
        .unwrap();
    let provisional = world.vault.provisional_authorizer(
        &world.manifest,
        &scheme,
        "crm",
        &settings(),
        &credentials,
    );
    assert_eq!(sent(&provisional).await.unwrap(), "Bearer access-1");
    assert_eq!(sent(&provisional).await.unwrap(), "Bearer access-1");
    let request = &world.provider.requests()[0];
    assert!(
        request.ends_with("grant_type=client_credentials&scope=read"),
        "{request}"
    );
    // mine:s%25
    assert!(
        request.contains("authorization: Basic bWluZTpzJTI1"),
        "{request}"
    );

    let scope = world.connect("machine", &credentials).await;
    let authorizer = world.vault.authorizer(&scope, scheme.clone());
    assert_eq!(sent(&authorizer).await.unwrap(), "Bearer access-2");
    assert_eq!(sent(&authorizer).await.unwrap(), "Bearer access-2");

    world.provider.answers(401, r#"{"error":"invalid_client"}"#);
    world.clock.advance(Duration::from_secs(3600));
    let error = sent(&authorizer).await.unwrap_err();
    assert!(matches!(error, AuthorizeError::Dead(_)), "{error:?}");
    assert_eq!(world.status(&scope).await, ConnectionStatus::NeedsReconnect);
}

#[tokio::test]
async fn a_browser_login_goes_there_and_back_once() {
    let world = World::new().await;
    let url = world.start().await;
    assert!(
        url.as_str()
            .starts_with("https://eu.example.com/authorize?")
    );
    assert_eq!(parameter(&url, "response_type"), "code");
    assert_eq!(parameter(&url, "client_id"), "app");
    assert_eq!(parameter(&url, "scope"), "read,write");
    assert_eq!(parameter(&url, "access_type"), "offline");
    assert_eq!(parameter(&url, "redirect_uri"), redirect_uri().as_str());
    assert_eq!(parameter(&url, "code_challenge_method"), "S256");
    assert!(!url.as_str().contains("canary"));
    let state = parameter(&url, "state");
    assert_eq!(state.len(), 43);

    let finished = world.finish(&state).await.unwrap();
    assert_eq!(finished.project, world.project);
    assert_eq!(finished.linked_user, world.linked_user);
    assert_eq!(finished.settings, settings());
    assert_eq!(
        finished.return_url.as_ref().unwrap().as_str(),
        "https://app.example.com/done"
    );
    assert!(finished.credentials.expires_at().is_some());
    let request = world.provider.requests().remove(0);
    let (_, body) = request.split_once("\r\n\r\n").unwrap();
    let body: BTreeMap<_, _> = url::form_urlencoded::parse(body.as_bytes()).collect();
    assert_eq!(body["grant_type"], "authorization_code");
    assert_eq!(body["code"], "canary-code");
    assert_eq!(body["redirect_uri"], redirect_uri().as_str());
    let challenge = base64::Engine::encode(
        &base64::engine::general_purpose::URL_SAFE_NO_PAD,
        Digest::of(body["code_verifier"].as_bytes()).as_bytes(),
    );
    assert_eq!(challenge, parameter(&url, "code_challenge"));

    // Again, forged, abandoned, or late: none works.
    for state in [&state, "forged", ""] {
        let error = world.finish(state).await.unwrap_err();
        assert!(matches!(error, Error::UnknownState), "{error:?}");
    }
    let state = parameter(&world.start().await, "state");
    let returned = world.vault.take_oauth(&state, None).await.unwrap();
    assert_eq!(returned.connector(), &finished.connector);
    assert!(world.finish(&state).await.is_err());
    let state = parameter(&world.start().await, "state");
    world.clock.advance(Duration::from_secs(600));
    assert!(world.finish(&state).await.is_err());
    assert_eq!(world.provider.requests().len(), 1);
}

#[tokio::test]
async fn a_refused_code_says_why_and_quotes_no_secret() {
    let world = World::new().await;
    let state = parameter(&world.start().await, "state");
    world.provider.answers(
        400,
        r#"{"error":"invalid_grant","error_description":"canary-code or canary-app-secret is wrong"}"#,
    );
    let error = world.finish(&state).await.unwrap_err();
    let Error::Refused(text) = &error else {
        panic!("{error:?}");
    };
    assert!(
        text.contains("invalid_grant") && !text.contains("canary"),
        "{text}"
    );
}

#[tokio::test]
async fn sealed_values_open_only_in_their_own_row() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    let mut other = world.new_connection("oauth");
    other.account = Some("other".to_owned());
    let credentials = Credentials::default();
    let (other, token) = world
        .vault
        .connect(world.project, other, &credentials, &[])
        .await
        .unwrap();
    let stored = world.store.credentials(&scope).await.unwrap().unwrap();
    let open = |connection| {
        world
            .vault
            .open_credentials(world.project, connection, &stored.sealed)
    };
    assert!(open(scope.connection().id).is_ok());
    assert!(matches!(open(other.connection().id), Err(Error::Sealed(_))));

    let listed = world.store.connections(world.project).await.unwrap();
    let (connection, sealed) = &listed[1];
    let shown = world.vault.connection_token(connection, sealed).unwrap();
    assert_eq!(shown.expose_secret(), token.expose_secret());
    let hash = Vault::parse_connection_token(shown.expose_secret()).unwrap();
    let found = world.store.scope_by_token(world.project, &hash).await;
    assert_eq!(
        found.unwrap().unwrap().connection().id,
        other.connection().id
    );
    assert!(world.vault.connection_token(&listed[0].0, sealed).is_err());
}

#[tokio::test]
async fn revoking_names_the_refresh_token() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    let scheme = world.scheme("oauth");
    world.vault.revoke(&scope, &scheme).await.unwrap();
    let request = world.provider.requests().remove(0);
    assert!(request.starts_with("POST /revoke "), "{request}");
    assert!(request.contains("token=refresh-0&token_type_hint=refresh_token"));
    world.provider.answers(503, "busy");
    assert!(world.vault.revoke(&scope, &scheme).await.is_err());
}

#[tokio::test]
async fn nothing_prints_a_secret() {
    let world = World::new().await;
    let mut credentials = Credentials::default();
    credentials.set("access_token", "canary-token".into());
    let scope = world.connect("oauth", &credentials).await;
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    let authorization = authorizer.current().await.unwrap();
    let state = parameter(&world.start().await, "state");
    world.provider.answers(
        200,
        r#"{"access_token":"canary-access","refresh_token":"canary-refresh"}"#,
    );
    let finished = world.finish(&state).await.unwrap();
    let printed = format!(
        "{:?} {credentials:?} {scope:?} {authorization:?} {finished:?} {:?} {:?}",
        world.vault, world.vault.inner.oauth_apps, world.vault.inner.keys
    );
    assert!(!printed.contains("canary"), "{printed}");
    assert!(!printed.contains(&world.key));
}

#[tokio::test]
async fn a_denied_secret_is_in_the_audit_log_a_few_times() {
    let world = World::new().await;
    let scope = world.connect_oauth().await;
    let scheme = world.manifest.scheme("oauth").unwrap().clone();
    let authorizer = world.vault.authorizer(&scope, scheme);
    for _ in 0..50 {
        authorizer.denied("other\u{1b}[2J_slot").await;
    }
    let filter = store::AuditFilter {
        action: Some("secret.denied".to_owned()),
        limit: 100,
        ..Default::default()
    };
    let entries = world.store.audit_log(&filter).await.unwrap();
    assert_eq!(entries.len(), 10);
    let entry = &entries[0].entry;
    assert_eq!(entry.project, Some(world.project));
    assert_eq!(entry.subject, scope.connection().id.to_string());
    assert_eq!(entry.actor, "connector:demo-crm");
    assert_eq!(entry.details["secret"], "other\u{1b}[2J_slot");
}
