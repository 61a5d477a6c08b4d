//! Nobody sees what belongs to another project, on no route.

use jackfield::demo::Collection;
use jackfield_tests::{Answer, Api, Backend, DemoProvider, Server, api::text};
use reqwest::Method;
use serde_json::{Value, json};

on_both_databases!(no_route_tells_of_another_project);

const UNKNOWN_KEY: &str = "jk_000000000000000000000000000000000000";
const UNKNOWN_TOKEN: &str = "ct_000000000000000000000000000000000000";
/// The name of a record that only one project has.
const SECRET: &str = "Zaphod-of-project-one";

/// A request that needs a key, and perhaps a token.
struct Route {
    method: Method,
    path: String,
    body: Option<Value>,
    needs_token: bool,
}

struct Tenant {
    api: Api,
    project: String,
    user: String,
    connection: String,
    token: String,
    contact: String,
}

impl Tenant {
    async fn new(server: &Server, name: &str) -> Self {
        let api = server.project(name);
        api.active("demo-crm").await;
        let connection = api
            .connect("demo-crm", "key", json!({ "api_key": "demo-key" }))
            .await;
        api.with_token(&connection.token).synced("crm").await;
        let connections = api.get("/connections").await.json(200);
        let contacts = api.with_token(&connection.token).all("/crm/contacts").await;
        Self {
            project: text(&connections[0]["id_project"]),
            user: text(&connections[0]["id_linked_user"]),
            contact: text(&contacts[0]["id"]),
            connection: connection.id,
            token: connection.token,
            api,
        }
    }
}

async fn no_route_tells_of_another_project(backend: Backend) {
    let provider = DemoProvider::start(5).await;
    let server = provider
        .known_to(Server::on(backend).await)
        .with("demo-crm")
        .start()
        .await;
    let mut one = Tenant::new(&server, "One").await;
    let other = Tenant::new(&server, "Other").await;
    let body = json!({ "first_name": SECRET, "last_name": "Only" });
    let created = one
        .api
        .with_token(&one.token)
        .post("/crm/contacts", &body)
        .await
        .json(201);
    one.contact = text(&created["id"]);
    // Both read the same demo account: what is gone there cannot reach the other by its own reads.
    let remote_id = text(&created["remote_id"])
        .parse()
        .expect("the demo provider counts");
    provider
        .demo
        .delete(Collection::People, remote_id)
        .expect("it is there");
    let routes = routes(&one).await;
    assert!(
        routes.iter().filter(|route| route.needs_token).count() > 30,
        "the objects are listed"
    );

    let anyone = server.anyone();
    for route in &routes {
        route.send(&anyone).await.refused(&one, &[401]);
        route
            .send(&anyone.with_key(UNKNOWN_KEY))
            .await
            .refused(&one, &[401]);
        route
            .send(&anyone.with_key("Robert'); DROP TABLE project;--"))
            .await
            .refused(&one, &[401]);
        let token_alone = route.send(&anyone.with_token(&one.token)).await;
        token_alone.refused(&one, &[401]);
        if route.needs_token {
            route.send(&one.api).await.refused(&one, &[401]);
            route
                .send(&one.api.with_token(UNKNOWN_TOKEN))
                .await
                .refused(&one, &[401]);
            route
                .send(&other.api.with_token(&one.token))
                .await
                .refused(&one, &[401, 403, 404]);
        }
        // With rights of its own, the other project still gets nothing of the first.
        let answer = route.send(&other.api.with_token(&other.token)).await;
        answer.keeps_silent_about(&one);
        if route.path.contains(&one.contact)
            || route.path.contains(&one.connection)
            || route.path.contains(&one.user)
        {
            assert!(
                [404, 405, 501].contains(&answer.status),
                "{}: {} {}",
                answer.request,
                answer.status,
                answer.text
            );
        }
    }

    // Nothing of the first was touched.
    let api = one.api.with_token(&one.token);
    assert_eq!(
        api.get(&format!("/crm/contacts/{}", one.contact))
            .await
            .json(200)["first_name"],
        SECRET
    );
    assert_eq!(
        one.api.get("/connections").await.json(200)[0]["status"],
        "valid"
    );

    // A linked user and a project of another do not connect.
    for (user, project) in [(&one.user, None), (&other.user, Some(&one.project))] {
        let state = json!({
            "projectId": project, "linkedUserId": user, "providerName": "demo-crm", "vertical": "crm",
        });
        let state = jackfield_tests::api::encode(&state.to_string());
        let path = format!("/connections/apikey/callback?state={state}");
        let answer = other
            .api
            .post(&path, &json!({ "api_key": "demo-key" }))
            .await;
        if project.is_some() {
            answer.refused(&one, &[401, 403, 404]);
        } else {
            // An id that is none of its own counts as the integrator's own name for a new one.
            answer.expect(201);
            assert_ne!(answer.json(201)["id_linked_user"], one.user.as_str());
        }
    }

    // A reference to a record of another is not followed.
    let users = one.api.with_token(&one.token).all("/crm/users").await;
    let body = json!({ "first_name": "Ada", "last_name": "King", "user_id": users[0]["id"] });
    let answer = other
        .api
        .with_token(&other.token)
        .post("/crm/contacts", &body)
        .await;
    answer.refused(&one, &[404, 422]);
}

/// Every route with the ids of one project.
async fn routes(tenant: &Tenant) -> Vec<Route> {
    let Tenant {
        user,
        connection,
        contact,
        ..
    } = tenant;
    let with_key = [
        (Method::GET, "/projects".to_owned()),
        (Method::POST, "/projects".to_owned()),
        (Method::GET, "/linked_users".to_owned()),
        (Method::POST, "/linked_users".to_owned()),
        (Method::POST, "/linked_users/batch".to_owned()),
        (Method::GET, format!("/linked_users/{user}")),
        (
            Method::GET,
            format!("/linked_users/fromRemoteId?remoteId={user}"),
        ),
        (Method::GET, "/connections".to_owned()),
        (Method::POST, "/connections".to_owned()),
        (Method::GET, format!("/connections/{connection}")),
        (Method::DELETE, format!("/connections/{connection}")),
        (Method::POST, "/connections/oauth/start".to_owned()),
        (
            Method::POST,
            "/connections/basicorapikey/callback?state=%7B%7D".to_owned(),
        ),
        (
            Method::POST,
            "/connections/apikey/callback?state=%7B%7D".to_owned(),
        ),
        (Method::GET, "/connectors".to_owned()),
        (Method::GET, "/connectors/demo-crm".to_owned()),
        (Method::GET, "/events?limit=200".to_owned()),
        (Method::GET, "/sync/status/crm".to_owned()),
        (Method::POST, "/sync/resync".to_owned()),
    ];
    let with_key = with_key
        .into_iter()
        .map(|(method, path)| Route::new(method, path, false));
    let connector = tenant.api.get("/connectors/demo-crm").await.json(200);
    let objects = connector["objects"]
        .as_array()
        .expect("a connector has objects")
        .clone();
    let plurals = |object: &Value| match object["object"].as_str() {
        Some("crm.company") => "/crm/companies".to_owned(),
        Some(object) => format!("/{}s", object.replace('.', "/")),
        None => panic!("{object}"),
    };
    let with_token = objects.iter().flat_map(|object| {
        let list = plurals(object);
        let one = format!("{list}/{contact}");
        [
            (Method::GET, list.clone()),
            (
                Method::GET,
                format!("{list}?remote_data=true&include_deleted=true&limit=200"),
            ),
            (Method::POST, list),
            (Method::GET, one.clone()),
            (Method::PATCH, one.clone()),
            (Method::DELETE, one),
        ]
    });
    with_key
        .chain(with_token.map(|(method, path)| Route::new(method, path, true)))
        .collect()
}

impl Route {
    fn new(method: Method, path: String, needs_token: bool) -> Self {
        let has_body = method == Method::POST || method == Method::PATCH;
        Self {
            body: has_body.then(|| json!({})),
            method,
            path,
            needs_token,
        }
    }

    async fn send(&self, api: &Api) -> Answer {
        api.send(self.method.clone(), &self.path, self.body.as_ref())
            .await
    }
}

trait Judged {
    fn refused(&self, owner: &Tenant, statuses: &[u16]);
    fn keeps_silent_about(&self, owner: &Tenant);
}

impl Judged for Answer {
    #[track_caller]
    fn refused(&self, owner: &Tenant, statuses: &[u16]) {
        // Which verbs an object has is no secret.
        let known = statuses.contains(&self.status) || self.status == 405;
        assert!(known, "{}: {} {}", self.request, self.status, self.text);
        self.keeps_silent_about(owner);
    }

    #[track_caller]
    fn keeps_silent_about(&self, owner: &Tenant) {
        let mut texts = vec![SECRET, &owner.token, &owner.project];
        // What the request names itself may be said back.
        texts.extend(
            [&*owner.user, &owner.connection, &owner.contact]
                .into_iter()
                .filter(|id| !self.request.contains(*id)),
        );
        for text in texts {
            assert!(
                !self.text.contains(text),
                "{} tells {text}: {}",
                self.request,
                self.text
            );
        }
    }
}
