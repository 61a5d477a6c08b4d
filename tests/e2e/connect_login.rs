//! Logins of connect pages on a provider's own pages: they come back to their page, and to the
//! browser that began them only.

use jackfield_tests::{
    Answer, Backend, DemoProvider, Person, Server, api::http, demo::redirect_back,
};
use reqwest::Method;
use serde_json::json;

use crate::connect_links::{link, next, page, says};

on_both_databases!(
    a_login_in_the_browser_comes_back_to_its_page,
    a_login_is_finished_by_the_browser_that_began_it,
);

/// The page is open at the login in the browser, which is not the first of the connector's.
fn at_oauth(shown: &Answer) {
    let (_, after) = shown
        .text
        .split_once("aria-current=\"page\">")
        .expect("one login is open");
    assert!(after.starts_with("Demo account"), "{after:.200}");
    assert!(shown.text.contains("data-popup"), "{}", shown.text);
}

/// Begins a login at the provider's page; gives the page's address.
async fn begin(person: &Person, url: &str) -> String {
    let begun = person
        .get(&format!("{url}/oauth/demo-crm?scheme=oauth"))
        .await;
    begun.expect(303);
    begun.location()
}

/// The secrets of logins that a person's browser has.
fn of_logins(person: &Person) -> usize {
    let cookies = person.cookie_header();
    cookies.matches("jackfield-connect-").count()
}

async fn a_login_is_finished_by_the_browser_that_began_it(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = server.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let (_, url) = link(&project, json!({})).await;
    let begins = format!("{url}/oauth/demo-crm?scheme=oauth");

    // Whoever has the link begins, and sends somebody else the provider's page.
    let (attacker, victim) = (Person::at(&server), Person::at(&server));
    let back = redirect_back(&begin(&attacker, &url).await, "allow").await;
    begin(&victim, &url).await;
    let landed = victim.get(&back).await;
    landed.expect(303);
    assert!(
        landed
            .location()
            .ends_with("/connect/problem?code=state_invalid"),
        "{}",
        landed.location()
    );
    // The state is used up: the code that came with it is of no use to the other either.
    attacker.get(&back).await.expect(303);
    assert_eq!(project.get("/connections").await.json(200), json!([]));

    // Two tabs of one browser do not disturb each other, and what is over is taken away.
    let person = Person::at(&server);
    let (one, two) = (begin(&person, &url).await, begin(&person, &url).await);
    assert_eq!(of_logins(&person), 2);
    let denied = person.get(&redirect_back(&one, "deny").await).await;
    assert!(denied.location().contains("problem=denied"));
    assert_eq!(of_logins(&person), 1);

    // What a provider says is shown; what somebody wrote into the address is not.
    let begun = begin(&person, &url).await;
    let begun = url::Url::parse(&begun).expect("it is an address");
    let mut state = begun.query_pairs().filter(|(name, _)| name == "state");
    let mut said = format!("{}/connections/oauth/callback", server.base_url());
    said.push_str("?error=invalid_scope&error_description=ask+your+Ada&state=");
    said.push_str(&state.next().expect("a login has a state").1);
    let shown = person.get(&next(&server, &person.get(&said).await)).await;
    says(&shown, 422, "ask your Ada");
    let forged = format!("{url}/connectors/demo-crm?scheme=oauth&problem=refused&said=call+Eve");
    let shown = person.get(&forged).await;
    assert_eq!(shown.status, 422);
    assert!(!shown.text.contains("call Eve"), "{}", shown.text);

    // A frame keeps no cookie: a window is opened there.
    let framed = [("sec-fetch-dest", "iframe")];
    let shown = person.send(Method::GET, &begins, None, &framed).await;
    says(&shown, 200, "target=\"_blank\"");
    let fields = [("scheme", "oauth"), ("region", "eu")];
    let headers = [framed[0], ("sec-fetch-site", "same-origin")];
    let action = format!("{url}/oauth/demo-crm");
    let shown = person
        .send(Method::POST, &action, Some(&fields), &headers)
        .await;
    says(&shown, 200, "name=\"region\" value=\"eu\"");
    assert_eq!(of_logins(&person), 1);

    let back = redirect_back(&two, "allow").await;
    assert_eq!(
        next(&server, &person.get(&back).await),
        format!("{url}/connected")
    );
    assert_eq!(of_logins(&person), 0);
    let connections = project.get("/connections").await.json(200);
    assert_eq!(connections.as_array().map(Vec::len), Some(1));
    // The form that a window is opened with begins one too, in the window.
    let submitted = person.post(&action, &fields[..1]).await;
    assert!(submitted.headers.contains_key("refresh"));
    assert_eq!(of_logins(&person), 1);
}

async fn a_login_in_the_browser_comes_back_to_its_page(backend: Backend) {
    let provider = DemoProvider::start(3).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm");
    let server = server.start().await;
    let project = server.project("App");
    project.active("demo-crm").await;
    let person = Person::at(&server);

    let (id, url) = link(&project, json!({ "language": "fr" })).await;
    let shown = page(&format!("{url}/connectors/demo-crm?scheme=oauth")).await;
    says(&shown, 200, "S’identifier chez Demo CRM");
    let since = shown
        .text
        .split("since=")
        .nth(1)
        .and_then(|rest| rest.split('"').next());
    let wait = format!("{url}/wait?since={}", since.expect("the page asks"));
    page(&wait).await.expect(204);

    // Denied: back to the page, with the reason and the way to try again.
    let denied = person
        .get(&redirect_back(&begin(&person, &url).await, "deny").await)
        .await;
    let denied = page(&next(&server, &denied)).await;
    says(&denied, 422, "pas été autorisé");
    at_oauth(&denied);
    // The same where the login works and the call that tries it does not.
    provider.demo.answer_next(403, &[], "{}");
    let refused = person
        .get(&redirect_back(&begin(&person, &url).await, "allow").await)
        .await;
    let refused = page(&next(&server, &refused)).await;
    says(&refused, 422, "l’administration de Demo CRM");
    at_oauth(&refused);

    // Two tabs: both begin, the first to come back connects; the other is the same account.
    let (one, two) = (begin(&person, &url).await, begin(&person, &url).await);
    let first = redirect_back(&one, "allow").await;
    assert_eq!(
        next(&server, &person.get(&first).await),
        format!("{url}/connected")
    );
    let second = person.get(&redirect_back(&two, "allow").await).await;
    assert_eq!(next(&server, &second), format!("{url}/connected"));
    let connections = project.get("/connections").await.json(200);
    assert_eq!(
        connections.as_array().map(Vec::len),
        Some(1),
        "{connections}"
    );
    let link = project.get(&format!("/connect/links/{id}")).await.json(200);
    assert_eq!(link["connection_id"], connections[0]["id_connection"]);
    // The page that opened the window learns it.
    let told = page(&wait).await;
    told.expect(200);
    assert!(
        told.headers["hx-redirect"]
            .to_str()
            .is_ok_and(|to| to.ends_with("/connected"))
    );

    // The back button: the state is used up, and a page says what to do.
    let replayed = http()
        .get(&first)
        .header("accept", "text/html")
        .send()
        .await;
    let replayed = replayed.expect("the server answers");
    assert_eq!(replayed.status(), 303);
    let place = replayed.headers()["location"].to_str().expect("it is text");
    let replayed = http()
        .get(place)
        .header("accept-language", "de")
        .send()
        .await;
    let replayed = replayed.expect("the server answers");
    assert_eq!(replayed.status(), 400);
    let shown = replayed.text().await.expect("it is text");
    assert!(shown.contains("schon abgeschlossen"), "{shown}");
    assert_eq!(
        project
            .get(&first.replace(server.base_url(), ""))
            .await
            .json(400)["code"],
        "state_invalid"
    );

    // A link that is taken back while its customer is away connects nothing.
    let (id, url) = self::link(&project, json!({ "linked_user_origin_id": "slow" })).await;
    let away = redirect_back(&begin(&person, &url).await, "allow").await;
    project
        .delete(&format!("/connect/links/{id}"))
        .await
        .expect(204);
    let back = person.get(&away).await;
    says(&page(&next(&server, &back)).await, 410, "taken back");
    assert_eq!(
        project
            .get("/connections")
            .await
            .json(200)
            .as_array()
            .map(Vec::len),
        Some(1)
    );
}
