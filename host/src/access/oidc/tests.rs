//! Who gets in from elsewhere, over a real database.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpListener,
};

use super::{claims::Expected, *};
use crate::{
    access::Proxies,
    egress::Policy,
    model::{Clock as _, ManualClock, SystemEntropy, Timestamp},
    store::{SessionEnd, Store},
};

struct World {
    access: Access,
    store: Store,
    clock: ManualClock,
    _folder: tempfile::TempDir,
}

impl World {
    /// A server that gives everybody of example.com an account, with roles by groups or without.
    async fn new(issuer: &str, by_groups: bool) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let clock = ManualClock::new(Timestamp::from_millis(1_700_000_000_000));
        let url = format!("sqlite:{}", folder.path().join("test.db").display());
        let store = Store::open(&url, Arc::new(clock.clone()), Arc::new(SystemEntropy))
            .await
            .unwrap();
        let options = Options {
            issuer: issuer.parse().unwrap(),
            client_id: "us".to_owned(),
            client_secret: "secret".into(),
            label: "Example".to_owned(),
            scopes: vec!["openid".to_owned()],
            allowed_domains: vec!["example.com".to_owned()],
            allowed_emails: Vec::new(),
            role: Role::Viewer,
            role_claim: by_groups.then(|| "groups".to_owned()),
            roles: BTreeMap::from([
                (Role::Owner, vec!["admins".to_owned()]),
                (Role::Developer, vec!["engineering".to_owned()]),
            ]),
        };
        let policy = Policy {
            allow_private: vec!["127.0.0.0/8".parse().unwrap()],
        };
        let access = Access::new(
            store.clone(),
            Egress::new(policy).unwrap(),
            Arc::new(clock.clone()),
            Arc::new(SystemEntropy),
            crate::access::Options {
                public_url: "https://jackfield.example.com".parse().unwrap(),
                session_end: SessionEnd {
                    idle: Duration::from_secs(3600),
                    absolute: Duration::from_secs(3600),
                },
                proxies: Proxies::default(),
                oidc: Some(options),
            },
        );
        Self {
            access,
            store,
            clock,
            _folder: folder,
        }
    }

    /// Somebody comes from elsewhere.
    async fn enters(&self, name: &str, groups: &[&str]) -> Result<Operator, Error> {
        let (issuer, now) = ("https://id.example.com", self.clock.now());
        let seconds = now.as_millis() / 1000;
        let claims = json!({
            "iss": issuer, "sub": name, "aud": "us", "nonce": "n", "iat": seconds, "exp": seconds + 60,
            "email": format!("{name}@example.com"), "email_verified": true, "groups": groups,
        });
        let token = format!("h.{}.s", URL_SAFE_NO_PAD.encode(claims.to_string()));
        let expected = Expected {
            issuer,
            client_id: "us",
            nonce: "n",
            now,
        };
        let claims = Claims::read(&token, &expected).unwrap();
        let oidc = self.access.oidc().unwrap();
        self.access.operator_of(oidc, &claims).await
    }
}

#[tokio::test]
async fn who_leaves_a_group_loses_its_role() {
    let world = World::new("https://id.example.com", true).await;
    let ada = world.enters("ada", &["admins"]).await.unwrap();
    let eve = world.enters("eve", &["admins"]).await.unwrap();
    assert_eq!((ada.role, eve.role), (Role::Owner, Role::Owner));
    let eve = world.enters("eve", &["engineering"]).await.unwrap();
    assert_eq!(eve.role, Role::Developer);
    // In no group any more: what everybody of the company is.
    let eve = world.enters("eve", &["others"]).await.unwrap();
    assert_eq!(eve.role, Role::Viewer);
    let eve = world.enters("eve", &[]).await.unwrap();
    assert_eq!(eve.role, Role::Viewer);
    // The last owner stays, or nobody could manage operators.
    let ada = world.enters("ada", &[]).await.unwrap();
    assert_eq!(ada.role, Role::Owner);
}

#[tokio::test]
async fn roles_that_are_given_here_stay_without_groups() {
    let world = World::new("https://id.example.com", false).await;
    let ada = world.enters("ada", &["admins"]).await.unwrap();
    assert_eq!(ada.role, Role::Viewer);
    world
        .access
        .set_role("test", ada.id, Role::Owner)
        .await
        .unwrap();
    let ada = world.enters("ada", &[]).await.unwrap();
    assert_eq!(ada.role, Role::Owner);
}

#[tokio::test]
async fn who_was_removed_comes_back_by_an_invitation_only() {
    let world = World::new("https://id.example.com", true).await;
    world.enters("ada", &["admins"]).await.unwrap();
    let eve = world.enters("eve", &["engineering"]).await.unwrap();
    world.access.remove("test", eve.id).await.unwrap();
    for groups in [["engineering"].as_slice(), &["admins"], &[]] {
        let refused = world.enters("eve", groups).await.unwrap_err().to_string();
        assert!(refused.contains("was removed"), "{refused}");
    }
    let email = eve.email.clone();
    let invited = world.access.invite("test", email, Role::Viewer);
    invited.await.unwrap();
    let eve = world.enters("eve", &["engineering"]).await.unwrap();
    assert_eq!(eve.role, Role::Developer);
    assert_eq!(world.store.operators().await.unwrap().len(), 2);
}

#[tokio::test]
async fn the_issuer_is_asked_for_its_description_now_and_then() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let issuer = format!("http://{}", listener.local_addr().unwrap());
    let document = json!({
        "issuer": issuer, "authorization_endpoint": format!("{issuer}/authorize"),
        "token_endpoint": format!("{issuer}/token"),
    })
    .to_string();
    let asked = Arc::new(AtomicUsize::new(0));
    let counter = Arc::clone(&asked);
    tokio::spawn(async move {
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut buffer = [0; 4096];
            if stream.read(&mut buffer).await.is_ok_and(|read| read == 0) {
                continue;
            }
            // The first answer is none.
            let status = match counter.fetch_add(1, Ordering::SeqCst) {
                0 => 503,
                _ => 200,
            };
            let text = format!(
                "HTTP/1.1 {status} X\r\nConnection: close\r\nContent-Length: {}\r\n\r\n{document}",
                document.len()
            );
            stream.write_all(text.as_bytes()).await.ok();
        }
    });
    let world = World::new(&issuer, false).await;
    let start = async || world.access.start_elsewhere("").await;
    for _ in 0..3 {
        assert!(start().await.is_err());
    }
    assert_eq!(asked.load(Ordering::SeqCst), 1);
    world.clock.advance(Duration::from_secs(10));
    for _ in 0..3 {
        start().await.unwrap();
    }
    assert_eq!(asked.load(Ordering::SeqCst), 2);
    world.clock.advance(Duration::from_secs(300));
    start().await.unwrap();
    assert_eq!(asked.load(Ordering::SeqCst), 3);
}

#[test]
fn a_login_follows_from_its_secret() {
    let (one, same, other) = (Login::of("a"), Login::of("a"), Login::of("b"));
    assert_eq!(one.state, same.state);
    assert_ne!(one.state, other.state);
    assert_ne!(one.state, one.nonce);
    assert_ne!(one.nonce, one.verifier);
    assert_eq!(one.verifier.len(), 43, "what RFC 7636 asks for at least");
    assert!(Login::cookie(&one.state).unwrap().starts_with(LOGIN));
    for bad in ["", "a; b=c", &"a".repeat(42)] {
        assert!(Login::cookie(bad).is_none(), "{bad}");
    }
}
