//! Who gets in: set-up, passwords, sessions, roles, and accounts elsewhere.

use jackfield_tests::{
    Answer, Backend, Browser, Identity, Person, Server, identity, person::PASSWORD, server::Builder,
};
use reqwest::{Method, header};
use url::Url;

on_both_databases!(
    a_server_is_set_up_with_its_link_only,
    who_guesses_has_to_wait_at_all_hosts,
    sessions_end_when_they_are_told_to,
    each_role_may_do_its_own,
    operators_come_and_go_by_links,
    what_other_sites_send_is_refused,
    an_account_elsewhere_signs_in,
);

const WRONG: &str = "correct horse battery stapler";

fn path_of(link: &str) -> String {
    Url::parse(link.trim()).expect("a link").path().to_owned()
}

fn set_cookies(answer: &Answer) -> Vec<&str> {
    let values = answer.headers.get_all(header::SET_COOKIE).iter();
    values.filter_map(|value| value.to_str().ok()).collect()
}

/// The link that a page shows once.
fn shown_link(answer: &Answer) -> String {
    assert_eq!(answer.status, 200, "{}", answer.text);
    let (_, rest) = answer
        .text
        .split_once("data-copy=\"")
        .expect("a link is shown");
    rest.split('"').next().expect("it ends").to_owned()
}

fn is_signed_out(answer: &Answer) {
    assert_eq!(answer.status, 303, "{}", answer.text);
    assert!(
        answer.leads_to().starts_with("/sign-in"),
        "{}",
        answer.leads_to()
    );
}

async fn a_server_is_set_up_with_its_link_only(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let nobody = Person::at(&server);
    let answer = nobody.get("/dashboard/operators?x=y").await;
    assert_eq!(
        answer.leads_to(),
        "/sign-in?next=%2Fdashboard%2Foperators%3Fx%3Dy"
    );
    assert_eq!(nobody.get("/sign-in").await.leads_to(), "/set-up");
    let help = nobody.get("/set-up").await;
    assert!(
        help.text.contains("jackfield operator setup-link"),
        "{}",
        help.text
    );

    let log = server.log();
    let link = log.split('"').find(|word| word.contains("/set-up/"));
    let path = path_of(link.unwrap_or_else(|| panic!("no link: {log}")));
    let fields = [
        ("name", "Eve"),
        ("email", "eve@evil.example"),
        ("password", PASSWORD),
    ];
    for guessed in [
        format!("/set-up/{}", "a".repeat(43)),
        "/set-up/x".to_owned(),
    ] {
        assert_eq!(nobody.post(&guessed, &fields).await.status, 404);
        assert_eq!(
            nobody
                .post(&guessed.replace("set-up", "invitation"), &fields)
                .await
                .status,
            404
        );
    }
    assert_eq!(nobody.sign_in("eve@evil.example").await.status, 422);

    // Looking does not use it up, and neither does a password that is too short.
    assert_eq!(nobody.get(&path).await.status, 200);
    let short = [
        ("name", "Ada"),
        ("email", "ada@example.com"),
        ("password", "short"),
    ];
    let answer = nobody.post(&path, &short).await;
    assert_eq!(answer.status, 422);
    assert!(
        answer.text.contains("at least 12 characters"),
        "{}",
        answer.text
    );
    assert!(
        answer.text.contains("value=\"ada@example.com\""),
        "{}",
        answer.text
    );
    let good = [
        ("name", "Ada"),
        ("email", "Ada@Example.com"),
        ("password", PASSWORD),
    ];
    let answer = nobody.post(&path, &good).await;
    assert_eq!((answer.status, answer.leads_to()), (303, "/dashboard"));
    let cookies = set_cookies(&answer);
    for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
        assert!(
            cookies[0].split("; ").any(|part| part == attribute),
            "{cookies:?}"
        );
    }
    assert_eq!(nobody.get("/dashboard/operators").await.status, 200);

    // Home is the project that was looked at last, and says so where there is none.
    let home = nobody.get("/dashboard").await;
    assert!(
        home.text.contains("There is no project yet"),
        "{}",
        home.text
    );
    let project = server.new_project("App");
    let home = nobody.get("/dashboard").await;
    assert_eq!(home.leads_to(), format!("/dashboard/{project}"));

    let late = Person::at(&server);
    assert_eq!(late.post(&path, &fields).await.status, 404);
    let refused = server.refused_command(&["operator", "setup-link"]);
    assert!(refused.contains("jackfield operator list"), "{refused}");
    assert_eq!(late.get("/set-up").await.leads_to(), "/sign-in");
    assert!(!server.log().contains(PASSWORD));
}

async fn who_guesses_has_to_wait_at_all_hosts(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let owner = Person::owner_of(&server).await;
    let eve = Person::at(&server);
    // Who has an account is not told.
    let known = eve.sign_in_with("owner@example.com", WRONG).await;
    let unknown = eve.sign_in_with("other@example.com", WRONG).await;
    assert_eq!((known.status, unknown.status), (422, 422));
    assert!(
        known
            .text
            .contains("The e-mail address or the password is wrong.")
    );
    assert!(
        unknown
            .text
            .contains("The e-mail address or the password is wrong.")
    );
    for _ in 0..4 {
        let answer = eve.sign_in_with("owner@example.com", WRONG).await;
        assert_eq!(answer.status, 422, "{}", answer.text);
    }
    let beside = server.beside().await;
    for host in [&server, &beside] {
        // Even what is right; the message says how long.
        let answer = Person::at(host).sign_in("owner@example.com").await;
        assert_eq!(answer.status, 429, "{}", answer.text);
        assert!(answer.text.contains("try again in "), "{}", answer.text);
        let wait: u64 = answer.headers["retry-after"]
            .to_str()
            .expect("text")
            .parse()
            .expect("seconds");
        assert!((1..=31).contains(&wait), "{wait}");
    }
    // Who is in stays in, another account waits for nothing, and a link opens.
    assert_eq!(owner.get("/dashboard/account").await.status, 200);
    assert_eq!(eve.sign_in("third@example.com").await.status, 422);
    let link = server.command_line(&["operator", "reset-link", "owner@example.com"]);
    let fields = [("password", "another horse battery staple")];
    let answer = Person::at(&server).post(&path_of(&link), &fields).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    is_signed_out(&owner.get("/dashboard/account").await);

    // The address is counted too, whatever the accounts: twenty in all.
    let mut waits = false;
    for number in 0..20 {
        let answer = eve.sign_in(&format!("person{number}@example.com")).await;
        waits |= answer.status == 429;
    }
    assert!(waits, "an address may guess at any number of accounts");
}

async fn sessions_end_when_they_are_told_to(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let here = Person::owner_of(&server).await;
    let (there, third) = (Person::at(&server), Person::at(&server));
    for person in [&there, &third] {
        assert_eq!(person.sign_in("owner@example.com").await.status, 303);
    }
    let account = here.get("/dashboard/account").await;
    assert_eq!(
        account.text.matches("/dashboard/account/sessions/").count(),
        3,
        "{}",
        account.text
    );

    // A session is one for all hosts, and a new one at every sign-in.
    let beside = server.beside().await;
    let moved = there.with_cookies_at(&beside);
    assert_eq!(moved.get("/dashboard/account").await.status, 200);
    let before = there.cookie_header();
    assert_eq!(there.sign_in("owner@example.com").await.status, 303);
    assert_ne!(there.cookie_header(), before);
    is_signed_out(&moved.get("/dashboard/account").await);

    // Signed out is signed out, for a copy of the cookie too.
    let copy = third.with_cookies_at(&server);
    let answer = third.post("/sign-out", &[]).await;
    assert_eq!(answer.leads_to(), "/sign-in");
    is_signed_out(&copy.get("/dashboard/account").await);

    let ended = here.post("/dashboard/account/sessions/end", &[]).await;
    assert_eq!(ended.leads_to(), "/dashboard/account");
    assert!(
        here.get("/dashboard/account")
            .await
            .text
            .contains("One other session was ended.")
    );
    is_signed_out(&there.get("/dashboard/account").await);

    // A new password ends all others, and takes the one before.
    assert_eq!(there.sign_in("owner@example.com").await.status, 303);
    let new = "another horse battery staple";
    let wrong = [("current", WRONG), ("password", new)];
    let answer = here.post("/dashboard/account/password", &wrong).await;
    assert_eq!(answer.status, 422);
    assert!(
        answer
            .text
            .contains("This is not the password that you have now.")
    );
    let right = [("current", PASSWORD), ("password", new)];
    let copy = here.with_cookies_at(&server);
    assert_eq!(
        here.post("/dashboard/account/password", &right)
            .await
            .status,
        303
    );
    for gone in [&there, &copy] {
        is_signed_out(&gone.get("/dashboard/account").await);
    }
    assert_eq!(here.get("/dashboard/account").await.status, 200);
    assert_eq!(there.sign_in("owner@example.com").await.status, 422);
    assert_eq!(
        there.sign_in_with("owner@example.com", new).await.status,
        303
    );
}

async fn each_role_may_do_its_own(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let owner = Person::owner_of(&server).await;
    let create = ["operator", "create", "vi@example.com", "--role", "viewer"];
    server.command_line_with(&create, &format!("{PASSWORD}\n"));
    let viewer = Person::at(&server);
    assert_eq!(viewer.sign_in("vi@example.com").await.status, 303);
    let page = viewer.get("/dashboard/operators").await;
    assert_eq!(page.status, 200);
    assert!(
        !page.text.contains("/dashboard/operators/invite"),
        "{}",
        page.text
    );
    assert_eq!(viewer.get("/dashboard/audit-log").await.status, 200);

    let owners = owner.get("/dashboard/operators").await.text;
    let id_of = |email: &str| {
        let (_, row) = owners
            .split_once(&format!("<td>{email}</td>"))
            .expect("a row");
        let (_, rest) = row.split_once("/dashboard/operators/").expect("a form");
        rest.split('/').next().expect("an id").to_owned()
    };
    let (own, theirs) = (id_of("owner@example.com"), id_of("vi@example.com"));
    let role = |id: &str| format!("/dashboard/operators/{id}/role");
    let invitation = [("email", "eve@evil.example"), ("role", "owner")];
    let refused = viewer
        .post("/dashboard/operators/invite", &invitation)
        .await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text.contains("This takes an owner"),
        "{}",
        refused.text
    );
    for (path, fields) in [
        (role(&theirs), &[("role", "owner")][..]),
        (format!("/dashboard/operators/{own}/remove"), &[]),
        (format!("/dashboard/operators/{own}/password-link"), &[]),
        (
            "/dashboard/operators/withdraw".to_owned(),
            &[("email", "x@example.com")],
        ),
    ] {
        assert_eq!(viewer.post(&path, fields).await.status, 403, "{path}");
    }

    // The last owner can neither be demoted nor removed, by whatever way.
    let demoted = owner.post(&role(&own), &[("role", "viewer")]).await;
    assert_eq!(demoted.status, 422);
    assert!(demoted.text.contains("last owner"), "{}", demoted.text);
    let removed = owner
        .post(&format!("/dashboard/operators/{own}/remove"), &[])
        .await;
    assert_eq!(removed.status, 422);
    for command in [
        &["operator", "set-role", "owner@example.com", "viewer"][..],
        &["operator", "remove", "owner@example.com"],
    ] {
        assert!(server.refused_command(command).contains("last owner"));
    }

    // A role counts at once, and so does a removal.
    assert_eq!(
        owner
            .post(&role(&theirs), &[("role", "owner")])
            .await
            .status,
        303
    );
    assert!(
        viewer
            .get("/dashboard/operators")
            .await
            .text
            .contains("/dashboard/operators/invite")
    );
    let removed = owner
        .post(&format!("/dashboard/operators/{theirs}/remove"), &[])
        .await;
    assert_eq!(removed.status, 303);
    is_signed_out(&viewer.get("/dashboard/operators").await);
    assert!(
        !server
            .command_line(&["operator", "list"])
            .contains("vi@example.com")
    );
    let log = owner
        .get("/dashboard/audit-log?action=operator.role")
        .await
        .text;
    assert!(
        log.contains("vi@example.com") && log.contains("operator.role"),
        "{log}"
    );
}

async fn operators_come_and_go_by_links(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let owner = Person::owner_of(&server).await;
    let invitation = [("email", "dev@example.com"), ("role", "developer")];
    let first = shown_link(&owner.post("/dashboard/operators/invite", &invitation).await);
    let second = shown_link(&owner.post("/dashboard/operators/invite", &invitation).await);
    let page = owner.get("/dashboard/operators").await.text;
    assert!(
        page.contains("Open invitations") && !page.contains(&path_of(&second)),
        "{page}"
    );

    let newcomer = Person::at(&server);
    assert_eq!(newcomer.get(&path_of(&first)).await.status, 404, "replaced");
    let shown = newcomer.get(&path_of(&second)).await;
    assert!(
        shown.text.contains("dev@example.com, as developer"),
        "{}",
        shown.text
    );
    let fields = [("name", "Dev"), ("password", PASSWORD)];
    assert_eq!(newcomer.post(&path_of(&second), &fields).await.status, 303);
    assert_eq!(newcomer.get("/dashboard/account").await.status, 200);
    assert_eq!(
        Person::at(&server)
            .post(&path_of(&second), &fields)
            .await
            .status,
        404
    );
    let taken = owner.post("/dashboard/operators/invite", &invitation).await;
    assert_eq!(taken.status, 422);
    assert!(taken.text.contains("already"), "{}", taken.text);

    let other = [("email", "other@example.com"), ("role", "viewer")];
    let link = shown_link(&owner.post("/dashboard/operators/invite", &other).await);
    let email = [("email", "other@example.com")];
    assert_eq!(
        owner
            .post("/dashboard/operators/withdraw", &email)
            .await
            .status,
        303
    );
    assert_eq!(newcomer.get(&path_of(&link)).await.status, 404);

    let log = owner.get("/dashboard/audit-log").await.text;
    for action in [
        "operator.invite",
        "operator.create",
        "operator.sign_in",
        "operator.withdraw_invitation",
    ] {
        assert!(log.contains(action), "{action}: {log}");
    }
}

async fn what_other_sites_send_is_refused(backend: Backend) {
    let server = Server::on(backend).await.start().await;
    let owner = Person::owner_of(&server).await;
    let invitation = [("email", "eve@evil.example"), ("role", "owner")];
    let path = "/dashboard/operators/invite";
    for headers in [
        &[("sec-fetch-site", "cross-site")][..],
        &[("sec-fetch-site", "same-site")],
        &[("origin", "https://evil.example")],
    ] {
        let answer = owner
            .send(Method::POST, path, Some(&invitation), headers)
            .await;
        assert_eq!(answer.status, 403, "{headers:?}: {}", answer.text);
        assert!(answer.text.contains("a proxy in front"), "{}", answer.text);
    }

    // What is typed wrongly into the address bar has a page too.
    let opened = owner.get(path).await;
    assert_eq!(opened.status, 405, "{}", opened.text);
    assert!(
        opened.text.contains("no page of its own"),
        "{}",
        opened.text
    );
    for (typed, page) in [
        ("/dashboard/", "/dashboard"),
        ("/sign-in/?next=x", "/sign-in?next=x"),
    ] {
        assert_eq!(owner.get(typed).await.leads_to(), page);
    }
    for lost in [
        "/dashboard/x/nothing",
        "/dashboard/x/nothing/at/all",
        "/sign-in/a/b",
        "/connect/",
    ] {
        let answer = owner.get(lost).await;
        let kind = answer.headers[header::CONTENT_TYPE].as_bytes();
        assert!(kind.starts_with(b"text/html"), "{lost}");
        assert_eq!(answer.status, 404, "{lost}: {}", answer.text);
        assert!(
            answer.headers.contains_key("content-security-policy"),
            "{lost}"
        );
    }
    assert!(
        !owner
            .get("/dashboard/operators")
            .await
            .text
            .contains("eve@evil.example")
    );

    // Nobody is led elsewhere by a link to the sign-in page.
    for (next, expected) in [
        (
            "/dashboard/audit-log?action=x",
            "/dashboard/audit-log?action=x",
        ),
        ("https://evil.example/", "/dashboard"),
        ("//evil.example/", "/dashboard"),
        ("/\\evil.example/", "/dashboard"),
        ("/dashboard/../connect/problem", "/dashboard"),
    ] {
        let person = Person::at(&server);
        let fields = [
            ("email", "owner@example.com"),
            ("password", PASSWORD),
            ("next", next),
        ];
        let answer = person.post("/sign-in", &fields).await;
        assert_eq!((answer.status, answer.leads_to()), (303, expected));
    }
    let page = Person::at(&server).get("/sign-in").await;
    let policy = page.headers["content-security-policy"]
        .to_str()
        .expect("text");
    assert!(policy.contains("frame-ancestors 'none'"), "{policy}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_cookie_is_for_scripts_networks_or_other_sites() {
    let identity = Identity::start().await;
    let server = known_at(&identity, Backend::Sqlite).await.start().await;
    let public = "https://jackfield.example.com";
    let encrypted = known_at(&identity, Backend::Sqlite).await;
    let encrypted = encrypted.set("JACKFIELD_PUBLIC_URL", public).start().await;
    for (server, prefix) in [(&server, ""), (&encrypted, "__Host-")] {
        let person = Person::owner_of(server).await;
        let project = format!("/dashboard/{}", server.new_project("App"));
        let answers = [
            (person.get("/sign-in/oidc").await, "jackfield-login-"),
            (person.sign_in("owner@example.com").await, "jackfield="),
            (person.get(&project).await, "jackfield-project="),
            (
                person.post("/dashboard/account/sessions/end", &[]).await,
                "jackfield-message=",
            ),
            (person.get("/dashboard/account").await, "jackfield-message="),
            (person.post("/sign-out", &[]).await, "jackfield="),
        ];
        for (answer, name) in answers {
            let cookies = set_cookies(&answer);
            assert_eq!(cookies.len(), 1, "{}: {cookies:?}", answer.request);
            for cookie in cookies {
                let mut parts = cookie.split("; ");
                let pair = parts.next().unwrap_or_default();
                assert!(pair.starts_with(&format!("{prefix}{name}")), "{cookie}");
                let attributes: Vec<_> = parts.collect();
                for attribute in ["HttpOnly", "SameSite=Lax", "Secure", "Path=/"] {
                    assert!(attributes.contains(&attribute), "{attribute}: {cookie}");
                }
                assert!(!cookie.contains("Domain"), "{cookie}");
            }
        }
        // Guesses, end customers and programs get none.
        for path in [
            "/sign-in",
            "/connect/cl_made-up",
            "/health",
            "/crm/contacts",
        ] {
            let answer = Person::at(server).get(path).await;
            assert_eq!(set_cookies(&answer), [""; 0], "{path}");
        }
        let wrong = Person::at(server)
            .sign_in_with("owner@example.com", WRONG)
            .await;
        assert_eq!(set_cookies(&wrong), [""; 0]);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_browser_signs_in_with_an_account_elsewhere() {
    let identity = Identity::start().await;
    let server = known_at(&identity, Backend::Sqlite).await.start().await;
    let _owner = Person::owner_of(&server).await;
    let project = server.new_project("App");
    let wanted = format!("/dashboard/{project}");

    let browser = Browser::open().await;
    browser
        .goto(&format!("{}{wanted}", server.base_url()))
        .await;
    browser.wait_for_url("/sign-in").await;
    browser.accessible("sign-in-elsewhere").await;
    browser.screenshot("sign-in-elsewhere").await;
    // No is an answer, and not the last one.
    browser.click_text("Sign in with Example & Sons").await;
    identity.deny(&browser).await;
    browser.wait_for_text("main", "ended the login").await;
    browser.accessible("sign-in-denied").await;
    browser
        .goto(&format!("{}{wanted}", server.base_url()))
        .await;
    browser.click_text("Sign in with Example & Sons").await;
    identity.log_in(&browser, "ada@example.com").await;
    identity.allow(&browser).await;
    browser.wait_for_url(&wanted).await;
    browser.wait_for_text("h1", "Overview").await;
    browser.no_complaints("signed in elsewhere").await;
    // A script sees nothing of it, and it lasts.
    assert_eq!(browser.evaluate("document.cookie").await, "");
    browser
        .goto(&format!("{}/dashboard/account", server.base_url()))
        .await;
    browser.wait_for_text("main", "ada@example.com").await;

    // Somebody of another company.
    let browser = Browser::open().await;
    browser
        .goto(&format!("{}/sign-in", server.base_url()))
        .await;
    browser.click_text("Sign in with Example & Sons").await;
    identity.log_in(&browser, "eve@evil.example").await;
    identity.allow(&browser).await;
    browser
        .wait_for_text("main", "ask an owner for an invitation")
        .await;
    browser.accessible("sign-in-refused").await;
    browser.screenshot("sign-in-refused").await;
    browser
        .goto(&format!("{}{wanted}", server.base_url()))
        .await;
    browser.wait_for_url("/sign-in").await;
}

/// A server whose operators may sign in there, if they are of example.com.
async fn known_at(identity: &Identity, backend: Backend) -> Builder {
    let set = |name: &str| format!("JACKFIELD_ACCESS__OIDC__{name}");
    Server::on(backend)
        .await
        .set(&set("ISSUER"), identity.base_url())
        .set(&set("CLIENT_ID"), identity::DASHBOARD)
        .set(&set("CLIENT_SECRET"), "dashboard-secret")
        .set(&set("LABEL"), "Example & Sons")
        .set(&set("SCOPES"), "openid,email")
        .set(&set("ALLOWED_DOMAINS"), "example.com")
        .set(&set("ROLE"), "developer")
}

async fn an_account_elsewhere_signs_in(backend: Backend) {
    let identity = Identity::start().await;
    let server = known_at(&identity, backend).await.start().await;
    let owner = Person::owner_of(&server).await;
    let page = Person::at(&server).get("/sign-in").await.text;
    assert!(page.contains("Sign in with Example &amp; Sons"), "{page}");

    // Somebody of the company has an account from now on, and comes to where he wanted.
    let ada = Person::at(&server);
    let start = "/sign-in/oidc?next=/dashboard/audit-log";
    let callback = log_in_elsewhere(&server, &ada, start, "ada@example.com").await;
    // Not in another browser, which somebody may have lured there.
    let other = Person::at(&server).get(&callback).await;
    assert_eq!(other.status, 403);
    assert!(
        other.text.contains("was not begun in this browser"),
        "{}",
        other.text
    );
    let entered = ada.get(&callback).await;
    assert_eq!(
        (entered.status, entered.leads_to()),
        (303, "/dashboard/audit-log")
    );
    let account = ada.get("/dashboard/account").await.text;
    assert!(
        account.contains("ada@example.com") && account.contains("developer"),
        "{account}"
    );
    // Once only.
    assert_eq!(ada.get(&callback).await.status, 403);

    // Two tabs do not disturb each other.
    let again = Person::at(&server);
    let first = log_in_elsewhere(&server, &again, "/sign-in/oidc", "ada@example.com").await;
    let second = log_in_elsewhere(&server, &again, "/sign-in/oidc", "ada@example.com").await;
    for callback in [first, second] {
        assert_eq!(again.get(&callback).await.status, 303);
    }

    // The owner's own account is found by its address; a stranger has none and gets none.
    let same = Person::at(&server);
    let callback = log_in_elsewhere(&server, &same, "/sign-in/oidc", "owner@example.com").await;
    assert_eq!(same.get(&callback).await.status, 303);
    assert!(
        same.get("/dashboard/account")
            .await
            .text
            .contains("Olga Owner")
    );
    let eve = Person::at(&server);
    let callback = log_in_elsewhere(&server, &eve, "/sign-in/oidc", "eve@evil.example").await;
    let refused = eve.get(&callback).await;
    assert_eq!(refused.status, 403);
    assert!(
        refused.text.contains("ask an owner for an invitation"),
        "{}",
        refused.text
    );
    is_signed_out(&eve.get("/dashboard/account").await);

    // Who says no there is told so here.
    let location = eve.get("/sign-in/oidc").await.leads_to().to_owned();
    let url = Url::parse(&location).expect("an address");
    let state = url
        .query_pairs()
        .find(|(name, _)| name == "state")
        .expect("a state")
        .1
        .into_owned();
    let denied = format!("/sign-in/oidc/callback?error=access_denied&state={state}");
    let denied = eve.get(&denied).await;
    assert!(
        denied.text.contains("ended the login: access_denied"),
        "{}",
        denied.text
    );

    let log = owner
        .get("/dashboard/audit-log?action=operator.create")
        .await
        .text;
    assert!(
        log.contains("ada@example.com") && log.contains("oidc"),
        "{log}"
    );
    assert!(!server.log().contains("dashboard-secret"));
}

/// Goes through the pages of the provider; the path that it sends the browser back to.
async fn log_in_elsewhere(server: &Server, person: &Person, start: &str, email: &str) -> String {
    let answer = person.get(start).await;
    assert_eq!(answer.status, 303, "{}", answer.text);
    let mut url = Url::parse(answer.leads_to()).expect("an address");
    // The provider's own cookies are kept apart: they would have the names of no page of ours.
    let there = Person::at(server);
    let mut answer = there.get(url.as_str()).await;
    for _ in 0..12 {
        if (300..400).contains(&answer.status) {
            url = url.join(answer.leads_to()).expect("an address");
            if url.as_str().starts_with(server.base_url()) {
                let query = url.query().unwrap_or_default();
                return format!("{}?{query}", url.path());
            }
            answer = there.get(url.as_str()).await;
            continue;
        }
        let attribute = |name: &str| {
            let (_, rest) = answer.text.split_once(&format!("{name}=\""))?;
            rest.split('"').next().map(ToOwned::to_owned)
        };
        let action = attribute("action").unwrap_or_else(|| panic!("no form: {}", answer.text));
        url = url.join(&action).expect("an address");
        let prompt = if answer.text.contains("value=\"login\"") {
            "login"
        } else {
            "consent"
        };
        let fields = [("prompt", prompt), ("login", email), ("password", "any")];
        let send = there.send(Method::POST, url.as_str(), Some(&fields), &[]);
        answer = send.await;
    }
    panic!("the login comes to no end: {} {}", url, answer.text);
}
