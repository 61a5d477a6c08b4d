//! A project's own settings, and new projects.

mod connect;

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::json;

use super::{Desk, Desktop, ProjectDesk, Section, desk::next_page};
use crate::{
    model::{Environment, Project, Role},
    web::{
        self, Form, Page,
        parts::{self, Choice, Tone},
    },
};

/// What can be chosen between two reads of a vertical, in seconds.
const FREQUENCIES: [(u32, &str); 8] = [
    (0, "only when asked for"),
    (60, "every minute"),
    (300, "every 5 minutes"),
    (900, "every 15 minutes"),
    (3600, "every hour"),
    (21_600, "every 6 hours"),
    (86_400, "every day"),
    (604_800, "every week"),
];
const LONGEST: u32 = 31_536_000;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/settings", get(show).post(change))
        .route("/dashboard/{project}/settings/syncs", post(syncs))
        .route("/dashboard/{project}/environment", post(switch))
        .route(
            "/dashboard/{project}/settings/connect",
            get(connect::show).post(connect::change),
        )
        .route(
            "/dashboard/{project}/settings/connect/preview",
            post(connect::show_preview),
        )
        .route(
            "/dashboard/{project}/settings/connect/logo",
            post(connect::set_logo),
        )
        .route(
            "/dashboard/{project}/settings/connect/remove-logo",
            post(connect::remove_logo),
        )
        .route("/dashboard/new-project", get(new).post(create))
}

/// What is typed of a project.
#[derive(Clone, Debug, Default, Deserialize)]
struct Typed {
    #[serde(default)]
    name: String,
    #[serde(default)]
    environment: String,
}

impl Typed {
    fn of(project: &Project) -> Self {
        Self {
            name: project.name.clone(),
            environment: project.environment.as_str().to_owned(),
        }
    }

    fn checked(&self) -> Result<(&str, Environment), String> {
        let name = Project::name_of(&self.name).ok_or_else(|| {
            let most = Project::LONGEST_NAME;
            format!("Give it a name of at most {most} characters.")
        })?;
        let environment = Environment::parse(&self.environment);
        let environment = environment.ok_or("Choose production or sandbox.")?;
        Ok((name, environment))
    }
}

/// The fields of a project.
fn fields(typed: &Typed, wrong: Option<&str>) -> Markup {
    let choices = [
        Choice::new("production", "Production"),
        Choice::new("sandbox", "Sandbox"),
    ];
    html! {
        (parts::field("name", "Name", "People see it in the dashboard and on the connect page.", wrong, &parts::input("name", "text", &typed.name, true, wrong.is_some())))
        (parts::field("environment", "Environment", "New connections are made to the provider's production or sandbox system, with the OAuth app of that environment. Connections that are there keep theirs, and so do their records.", None, &parts::select("environment", &choices, &typed.environment, false)))
    }
}

async fn show(desk: ProjectDesk) -> Result<Response, web::Error> {
    let typed = Typed::of(&desk.project);
    page(&desk, &typed, None).await
}

async fn page(
    desk: &ProjectDesk,
    typed: &Typed,
    wrong: Option<&str>,
) -> Result<Response, web::Error> {
    let project = &desk.project;
    let writes = desk.is(Role::Developer);
    let body = html! {
        (views(desk, false))
        section.card {
            h2 { "Project" }
            (parts::definition(&[
                ("Id", parts::copyable(&project.id.to_string())),
                ("Environment", super::shell::environment(project.environment)),
                ("Created", parts::time(project.created_at)),
            ]))
        }
        @if writes {
            form.form.card method="post" action=(desk.href("/settings")) {
                h2 { "Name and environment" }
                (fields(typed, wrong))
                button.button.primary type="submit" { "Save" }
            }
        }
        (sync_section(desk, writes).await?)
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("Settings").status(status);
    Ok(desk.page_with(page, Section::Settings, body))
}

/// The two views of the settings.
fn views(desk: &ProjectDesk, connect: bool) -> Markup {
    let (project, pages) = (desk.href("/settings"), desk.href("/settings/connect"));
    parts::tabs(&[
        ("Project", &project, !connect),
        ("Connect pages", &pages, connect),
    ])
}

/// How often connections are read, for each vertical that a connector of this server has.
async fn sync_section(desk: &ProjectDesk, writes: bool) -> Result<Markup, web::Error> {
    let services = &desk.services;
    let chosen = services.store.pull_frequencies(desk.project.id).await?;
    let default = u32::try_from(services.sync_interval.as_secs()).unwrap_or(LONGEST);
    let active = services.runtime.all_active();
    let mut verticals: BTreeMap<&str, u32> = BTreeMap::new();
    for version in &active {
        for vertical in version.manifest().verticals() {
            verticals.insert(vertical, default);
        }
    }
    for (vertical, seconds) in &chosen {
        verticals.insert(vertical, *seconds);
    }
    Ok(html! {
        section.card {
            h2 { "How often connections are read" }
            p.muted { "From the end of a read to the next, for each vertical. A connection's own sync settings go before this. Webhooks of providers bring changes earlier where a connector has them." }
            @if verticals.is_empty() {
                p { "No connector is active on this server." }
            } @else if writes {
                form.form method="post" action=(desk.href("/settings/syncs")) {
                    div.grid {
                        @for (vertical, seconds) in &verticals {
                        (parts::field(vertical, vertical, "", None, &parts::select(vertical, &choices(*seconds), &seconds.to_string(), false)))
                    }
                    }
                    button.button.primary type="submit" { "Save" }
                }
            } @else {
                dl.facts {
                    @for (vertical, seconds) in &verticals { div { dt { (vertical) } dd { (frequency(*seconds)) } } }
                }
            }
        }
    })
}

fn frequency(seconds: u32) -> String {
    let known = FREQUENCIES.iter().find(|(known, _)| *known == seconds);
    known.map_or_else(
        || {
            format!(
                "every {}",
                parts::duration(Duration::from_secs(seconds.into()))
            )
        },
        |(_, label)| (*label).to_owned(),
    )
}

fn choices(current: u32) -> Vec<Choice> {
    let mut all: Vec<u32> = FREQUENCIES.iter().map(|(seconds, _)| *seconds).collect();
    if !all.contains(&current) {
        all.push(current);
    }
    let choice = |seconds: u32| Choice::new(seconds.to_string(), frequency(seconds));
    all.into_iter().map(choice).collect()
}

async fn change(desk: ProjectDesk, Form(typed): Form<Typed>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let (name, environment) = match typed.checked() {
        Ok(checked) => checked,
        Err(wrong) => return page(&desk, &typed, Some(&wrong)).await,
    };
    keep(&desk, name, environment).await?;
    let message = match environment == desk.project.environment {
        true => "The project was saved.".to_owned(),
        false => switched(environment),
    };
    Ok(desk.done(&message, &desk.href("/settings")))
}

/// To which environment, and where the operator was.
#[derive(Debug, Deserialize)]
struct Switch {
    to: String,
    #[serde(default)]
    back: String,
}

/// From production to sandbox, or the other way; back to the page that it was asked for on.
async fn switch(desk: ProjectDesk, Form(asked): Form<Switch>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let environment = Environment::parse(&asked.to);
    let environment =
        environment.ok_or_else(|| web::Error::invalid("Choose production or sandbox."))?;
    // Somebody else may have been quicker.
    if environment != desk.project.environment {
        keep(&desk, &desk.project.name, environment).await?;
    }
    Ok(desk.done(&switched(environment), next_page(Some(&asked.back))))
}

fn switched(environment: Environment) -> String {
    format!(
        "The project is in {} now. New connections are made there; those that exist keep theirs.",
        environment.as_str()
    )
}

async fn keep(desk: &ProjectDesk, name: &str, environment: Environment) -> Result<(), web::Error> {
    let details = json!({
        "name": name, "name_before": desk.project.name,
        "environment": environment.as_str(),
        "environment_before": desk.project.environment.as_str(),
    });
    let project = desk.project.id;
    let entry = desk.entry(Some(project), "project.change", project, details);
    let store = &desk.services.store;
    store
        .change_project(project, name, environment, &entry)
        .await?;
    Ok(())
}

async fn syncs(
    desk: ProjectDesk,
    Form(typed): Form<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let active = desk.services.runtime.all_active();
    let store = &desk.services.store;
    let before = store.pull_frequencies(desk.project.id).await?;
    let known = |vertical: &str| {
        let mut all = active
            .iter()
            .flat_map(|version| version.manifest().verticals());
        before.contains_key(vertical) || all.any(|one| one == vertical)
    };
    let mut chosen = BTreeMap::new();
    for (vertical, seconds) in typed {
        let seconds = seconds.parse().ok().filter(|seconds| *seconds <= LONGEST);
        let Some(seconds) = seconds.filter(|_| known(&vertical)) else {
            return Err(web::Error::invalid(format!(
                "“{vertical}” is no vertical of this server, or the time is none."
            )));
        };
        // What stays as it is by default goes on following the server's default.
        let default = desk.services.sync_interval.as_secs() == u64::from(seconds);
        if !default || before.contains_key(&vertical) {
            chosen.insert(vertical, seconds);
        }
    }
    store.set_pull_frequencies(desk.project.id, &chosen).await?;
    let details = json!({ "seconds": chosen });
    desk.audit("project.pull_frequencies", desk.project.id, details)
        .await?;
    Ok(desk.done(
        "The times between reads were saved.",
        &desk.href("/settings"),
    ))
}

async fn new(desk: Desk) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let typed = Typed {
        environment: "production".to_owned(),
        ..Typed::default()
    };
    Ok(new_page(&desk, &typed, None))
}

fn new_page(desk: &Desk, typed: &Typed, wrong: Option<&str>) -> Response {
    let body = html! {
        p.muted { "A project holds connections, records and API keys of one application. Projects see nothing of each other." }
        @if desk.last_project().is_none() {
            (parts::alert(Tone::Info, "This server has no project yet", &html! { p { "Make the first, then an API key for your application." } }))
        }
        form.form.card method="post" action="/dashboard/new-project" {
            (fields(typed, wrong))
            button.button.primary type="submit" { "Make the project" }
        }
    };
    let status = match wrong {
        Some(_) => StatusCode::UNPROCESSABLE_ENTITY,
        None => StatusCode::OK,
    };
    let page = Page::new("New project").status(status);
    desk.page_with(page, Section::Account, body)
}

async fn create(desk: Desk, Form(typed): Form<Typed>) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let (name, environment) = match typed.checked() {
        Ok(checked) => checked,
        Err(wrong) => return Ok(new_page(&desk, &typed, Some(&wrong))),
    };
    let store = &desk.services.store;
    let project = store.create_project(name, environment).await?;
    let details = json!({ "name": name, "environment": environment.as_str() });
    let entry = desk.entry(Some(project.id), "project.create", project.id, details);
    store.audit(&entry).await?;
    let message = format!("The project {name} was made. Next: an API key for your application.");
    Ok(desk.done(&message, &format!("/dashboard/{}/api-keys", project.id)))
}
