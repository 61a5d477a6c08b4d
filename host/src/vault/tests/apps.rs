//! Projects' own OAuth apps.

use super::*;
use crate::model::OAuthAppKey;

fn key(environment: Environment) -> OAuthAppKey {
    OAuthAppKey {
        connector: "demo-crm".parse().unwrap(),
        scheme: "oauth".to_owned(),
        environment,
    }
}

fn new(client_id: &str, secret: &str) -> NewProjectApp {
    NewProjectApp {
        client_id: client_id.to_owned(),
        secret: AppSecret::New(secret.into()),
        scopes: Some(vec!["own.read".to_owned()]),
    }
}

impl World {
    async fn set(&self, environment: Environment, new: NewProjectApp) -> Result<(), Error> {
        let key = key(environment);
        let set = self.vault.set_oauth_app(self.project, &key, new, "test");
        set.await.map(drop)
    }

    /// What the token endpoint was asked last.
    fn last(&self) -> String {
        self.provider.requests().pop().unwrap()
    }

    /// A connection by the browser, with the app that is set.
    async fn logged_in(&self, account: &str) -> Scope {
        let state = parameter(&self.start().await, "state");
        let finished = self.finish(&state).await.unwrap();
        self.connect_account(account, &finished.credentials).await
    }

    async fn connect_account(&self, account: &str, credentials: &Credentials) -> Scope {
        let new = NewConnection {
            account: Some(account.to_owned()),
            ..self.new_connection("oauth")
        };
        let connected = self.vault.connect(self.project, new, credentials, &[]);
        connected.await.unwrap().0
    }

    async fn refreshed(&self, scope: &Scope) -> Result<String, AuthorizeError> {
        self.clock.advance(Duration::from_secs(3600));
        let scheme = self.scheme("oauth");
        sent(&self.vault.authorizer(scope, scheme)).await
    }
}

#[tokio::test]
async fn a_projects_app_goes_before_the_servers() {
    let world = World::new().await;
    assert_eq!(parameter(&world.start().await, "client_id"), "app");
    // Connections are made in production here.
    world
        .set(Environment::Sandbox, new("sandbox-app", "s"))
        .await
        .unwrap();
    assert_eq!(parameter(&world.start().await, "client_id"), "app");
    world
        .set(Environment::Production, new("own-app", "canary-own-secret"))
        .await
        .unwrap();
    let address = world.start().await;
    assert_eq!(parameter(&address, "client_id"), "own-app");
    assert_eq!(parameter(&address, "scope"), "own.read");

    // A login that began ends with the app it began with, and with no other.
    world.finish(&parameter(&address, "state")).await.unwrap();
    assert!(world.last().contains("client_id=own-app"));
    let address = world.start().await;
    let asked = world.provider.requests().len();
    world.take_away().await;
    let error = world
        .finish(&parameter(&address, "state"))
        .await
        .unwrap_err();
    assert!(matches!(error, Error::OtherApp(_)), "{error}");
    assert_eq!(world.provider.requests().len(), asked, "nobody was asked");
}

impl World {
    async fn take_away(&self) {
        let key = key(Environment::Production);
        let removed = self.vault.remove_oauth_app(self.project, &key, "test");
        assert!(removed.await.unwrap());
    }

    /// The same manifest with a variable that names a host, and a vault whose operator has an app
    /// and says where these addresses are.
    fn open(&mut self, addresses: &[&str]) {
        let text = MANIFEST
            .replace("\"label\"", "\"url\"")
            .replace("https://{region}.example.com/", "{region}/");
        self.manifest = Arc::new(Manifest::parse(&text).unwrap());
        let port = self.provider.port;
        let mut lines = vec![
            "[connectors.demo-crm.oauth]".to_owned(),
            "client_id = \"app\"".to_owned(),
            "client_secret = \"canary-app-secret\"".to_owned(),
        ];
        let fixed = |name: &&str| format!("{name} = \"http://127.0.0.1:{port}/fixed\"");
        lines.extend(addresses.iter().map(fixed));
        let file = lines.join("\n");
        self.vault = vault_of(&self.store, &self.clock, &file, &self.key);
    }

    /// Where somebody evil listens: the provider's own listener stands for them.
    fn evil(&self) -> BTreeMap<String, String> {
        let port = self.provider.port;
        BTreeMap::from([("region".to_owned(), format!("http://127.0.0.1:{port}/evil"))])
    }

    async fn start_at(&self, settings: BTreeMap<String, String>) -> Result<Url, Error> {
        let (scheme, redirect_uri) = (self.scheme("oauth"), redirect_uri());
        let started = self.vault.start_oauth(
            self.project,
            self.linked_user,
            &self.manifest,
            &scheme,
            Environment::Production,
            settings,
            "crm",
            None,
            None,
            &redirect_uri,
        );
        started.await.map(|begun| begun.address)
    }

    async fn connect_at(&self, settings: BTreeMap<String, String>, by: &str) -> Scope {
        let mut credentials = Credentials::default();
        credentials.set("client_id", by.into());
        credentials.set("access_token", "access-0".into());
        credentials.set("refresh_token", "refresh-0".into());
        credentials.set_expiry(Some(self.clock.now().plus(Duration::from_secs(60))));
        let new = NewConnection {
            settings,
            ..self.new_connection("oauth")
        };
        let connected = self.vault.connect(self.project, new, &credentials, &[]);
        connected.await.unwrap().0
    }
}

#[tokio::test]
async fn a_revocation_takes_no_secret_to_a_host_that_a_customer_chose() {
    for (addresses, place, has_secret) in [
        (["token_url"].as_slice(), "POST /evil/revoke", false),
        (["token_url", "revoke_url"].as_slice(), "POST /fixed", true),
    ] {
        let mut world = World::new().await;
        world.open(addresses);
        let evil = world.evil();
        assert!(world.start_at(evil.clone()).await.is_ok());
        let scope = world.connect_at(evil, "app").await;
        let scheme = world.scheme("oauth");
        world.vault.revoke(&scope, &scheme).await.unwrap();
        let request = world.last();
        assert!(request.starts_with(place), "{request}");
        assert!(request.contains("token=refresh-0"), "{request}");
        let leaked = request.contains("canary-app-secret");
        assert_eq!(leaked, has_secret, "{request}");
    }
}

#[tokio::test]
async fn an_app_that_is_taken_away_leaves_no_way_to_the_servers_secret() {
    let mut world = World::new().await;
    world.open(&[]);
    let evil = world.evil();
    let public = NewProjectApp {
        secret: AppSecret::None,
        ..new("x", "")
    };
    world.set(Environment::Production, public).await.unwrap();
    let scope = world.connect_at(evil.clone(), "x").await;
    world.refreshed(&scope).await.unwrap();
    assert!(world.last().starts_with("POST /evil/token"));
    let begun = world.start_at(evil.clone()).await.unwrap();
    world.take_away().await;

    let error = world.finish(&parameter(&begun, "state")).await.unwrap_err();
    assert!(matches!(error, Error::OtherApp(_)), "{error}");
    assert!(world.refreshed(&scope).await.is_err());
    let scheme = world.scheme("oauth");
    assert!(world.vault.revoke(&scope, &scheme).await.is_err());
    assert!(world.start_at(evil).await.is_err());
    let asked = world.provider.requests().join("\n");
    assert!(!asked.contains("canary-app-secret"), "{asked}");
}

#[tokio::test]
async fn tokens_stay_with_the_app_that_got_them() {
    let world = World::new().await;
    let before = world.logged_in("before").await;
    // One of which the app is not known: from before projects had any.
    let older = world.connect_of_another_account().await;
    world
        .set(Environment::Production, new("own-app", "canary-own-secret"))
        .await
        .unwrap();
    for scope in [&before, &older] {
        world.refreshed(scope).await.unwrap();
        assert!(world.last().contains("client_secret=canary-app-secret"));
    }
    let other = world.vault_of_another_project().await;
    assert!(other.is_empty(), "{other:?}");

    // Replaced by another: the provider decides, and the sentence says what happened.
    let own = world.logged_in("own").await;
    world.refreshed(&own).await.unwrap();
    assert!(world.last().contains("client_secret=canary-own-secret"));
    world
        .set(Environment::Production, new("third-app", "canary-third"))
        .await
        .unwrap();
    world.provider.answers(400, r#"{"error":"invalid_grant"}"#);
    let error = world.refreshed(&own).await.unwrap_err().to_string();
    assert!(error.contains("another OAuth app"), "{error}");
    assert!(!error.contains("canary"), "{error}");
    world.provider.answers(401, r#"{"error":"invalid_client"}"#);
    world
        .set(Environment::Production, new("app", "canary-wrong"))
        .await
        .unwrap();
    let error = world.refreshed(&before).await.unwrap_err().to_string();
    assert!(error.contains("the project's OAuth app"), "{error}");
    assert_eq!(world.status(&before).await, ConnectionStatus::Valid);
}

impl World {
    async fn connect_of_another_account(&self) -> Scope {
        let mut credentials = Credentials::default();
        credentials.set("access_token", "access-0".into());
        credentials.set("refresh_token", "refresh-0".into());
        credentials.set_expiry(Some(self.clock.now().plus(Duration::from_secs(60))));
        self.connect_account("older", &credentials).await
    }

    async fn vault_of_another_project(&self) -> Vec<ProjectApp> {
        let project = self
            .store
            .create_project("other", Environment::Production)
            .await
            .unwrap();
        self.vault.oauth_apps(project.id).await.unwrap()
    }
}

#[tokio::test]
async fn an_apps_secret_is_written_and_never_read() {
    let world = World::new().await;
    let environment = Environment::Production;
    for (wrong, field) in [
        (new(" ", "s"), "client_id"),
        (new("a b", "s"), "client_id"),
        (new("id", " "), "client_secret"),
        (
            NewProjectApp {
                secret: AppSecret::Keep,
                ..new("id", "")
            },
            "client_secret",
        ),
    ] {
        let error = world.set(environment, wrong).await.unwrap_err();
        assert!(
            matches!(&error, Error::Field { field: at, .. } if at == field),
            "{error}"
        );
    }
    world
        .set(environment, new("own-app", "canary-own-secret"))
        .await
        .unwrap();
    // The same client keeps its secret; another one cannot.
    let keep = |id| NewProjectApp {
        secret: AppSecret::Keep,
        scopes: None,
        ..new(id, "")
    };
    world.set(environment, keep("own-app")).await.unwrap();
    assert!(world.set(environment, keep("other")).await.is_err());
    let scope = world.logged_in("third").await;
    assert!(world.last().contains("client_secret=canary-own-secret"));
    let apps = world.vault.oauth_apps(world.project).await.unwrap();
    assert!(apps[0].has_secret && apps[0].scopes.is_none());

    // Sealed for its own place: another row's value does not open.
    let place = key(environment);
    let stored = world.store.oauth_app(world.project, &place).await;
    let mut moved = stored.unwrap().unwrap();
    let said = format!("{apps:?} {moved:?} {:?}", new("id", "canary-x"));
    assert!(!said.contains("canary"), "{said}");
    moved.key = key(Environment::Sandbox);
    let sealed = moved.sealed_secret.clone().unwrap();
    let context = [
        "oauth_app",
        &world.project.to_string(),
        &moved.key.to_string(),
    ];
    assert!(world.vault.open(&context, &sealed).is_err());

    // What the provider repeats of it is masked.
    let authorizer = world.vault.authorizer(&scope, world.scheme("oauth"));
    let authorization = authorizer.current().await.unwrap();
    let masked = authorization.masks().text("it said canary-own-secret");
    assert_eq!(masked, "it said [redacted]");
}
