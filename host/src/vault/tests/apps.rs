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

    // A login that began ends with the app it began with.
    world
        .vault
        .remove_oauth_app(world.project, &key(Environment::Production), "test")
        .await
        .unwrap();
    world.finish(&parameter(&address, "state")).await.unwrap();
    assert!(world.last().contains("client_id=app"), "{}", world.last());
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
