//! Troubleshooting: what is wrong in a project, and the panel that pages of runs, deliveries and
//! connections show.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use axum::{
    Router,
    extract::{Path, State},
    http::StatusCode,
    response::Response,
    routing::{get, post},
};
use maud::{Markup, html};
use serde::Deserialize;

use super::{Desktop, ProjectDesk, Section};
use crate::{
    diagnosis::{
        Answer, Diagnosis, Fact, Overview, Problem, Spread, Subject, WINDOW_DAYS, Who, facts_of,
        facts_of_project,
    },
    http::{self, Services},
    model::{ConnectionId, DeliveryId, ProjectId, RunId, Timestamp},
    web::{
        self, Page, assets, fragment,
        parts::{self, Chart, Series, Tone},
    },
};

const DAY: Duration = Duration::from_secs(86_400);

/// The pages of this section.
pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new()
        .route("/dashboard/{project}/diagnosis", get(overview))
        .route("/dashboard/{project}/diagnosis/{about}/{id}", get(one))
        .route("/dashboard/{project}/diagnosis/ask", post(ask))
}

async fn overview(desk: ProjectDesk) -> Result<Response, web::Error> {
    let services = &desk.services;
    let found = services.diagnoses.project(desk.project.id).await;
    let found = found.map_err(http::Error::from)?;
    let now = services.clock.now();
    let body = html! {
        @if found.problems.is_empty() {
            (parts::empty(
                "Nothing is wrong",
                "Syncs, logins and deliveries that fail are grouped here by what they have in common, with the likely cause and what to do.",
                Some(("See the sync log", &desk.href("/runs"))),
            ))
        } @else {
            p.muted {
                "What fails now, grouped by what it has in common. Looked at: the last " (WINDOW_DAYS) " days."
                @if found.is_cut { " There is more than is shown: only the newest things were looked at." }
            }
            (trend(&found, now))
            section.stack aria-labelledby="problems" {
                h2 id="problems" { "Problems" }
                @for problem in &found.problems { (card(&desk, problem)) }
            }
        }
        (questions(services, desk.project.id, "", ""))
    };
    let page = Page::new("Troubleshooting").script(assets::UPLOT);
    Ok(desk.page_with(page, Section::Diagnosis, body))
}

/// The diagnosis of one run, delivery or connection: `runs`, `deliveries` and `connections` are
/// the words of the path, as in the API.
async fn one(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    let part = |name: &str| path.get(name).map_or("", String::as_str);
    let (title, about) = match part("about") {
        "runs" => ("Why this run failed", "run"),
        "deliveries" => ("Why this delivery fails", "delivery"),
        "connections" => ("What is wrong with this connection", "connection"),
        _ => return Err(web::Error::not_found("There is no such diagnosis.")),
    };
    let found = found(&desk, about, part("id")).await?;
    let back = desk.href(&format!("/{}/{}", part("about"), part("id")));
    let body = html! {
        p { a href=(desk.href("/diagnosis")) { "Troubleshooting" } " / " a href=(back) { "Back to the " (about) } }
        @if found.problems.is_empty() {
            (parts::empty("Nothing is wrong", "Nothing is known to be wrong with it.", None))
        }
        @else {
            section.stack aria-labelledby="problems" {
                h2 id="problems" { "What is wrong" }
                @for problem in &found.problems { (card(&desk, problem)) }
            }
            (questions(&desk.services, desk.project.id, about, part("id")))
        }
    };
    Ok(desk.page(Section::Diagnosis, title, body))
}

/// How often on each day, by class.
fn trend(found: &Overview, now: Timestamp) -> Markup {
    let days = u32::try_from(WINDOW_DAYS).unwrap_or(0);
    let at = (0..days).rev().map(|back| now.minus(DAY * back)).collect();
    let mut classes: Vec<&'static str> = Vec::new();
    for problem in &found.problems {
        let class = problem.kind.as_str();
        if !classes.contains(&class) {
            classes.push(class);
        }
    }
    let tones = [Tone::Bad, Tone::Warn, Tone::Info, Tone::Neutral, Tone::Good];
    let series = classes.into_iter().zip(tones.into_iter().cycle());
    let series = series.map(|(class, tone)| {
        let of_class = found
            .problems
            .iter()
            .filter(|one| one.kind.as_str() == class);
        let mut counts = vec![0_u32; days as usize];
        for problem in of_class {
            for (sum, count) in counts.iter_mut().zip(&problem.daily) {
                *sum = sum.saturating_add(u32::try_from(*count).unwrap_or(u32::MAX));
            }
        }
        Series {
            label: class_name(class).to_owned(),
            tone,
            values: counts
                .into_iter()
                .map(|count| Some(f64::from(count)))
                .collect(),
        }
    });
    let chart = Chart {
        title: "Failures by day".to_owned(),
        unit: "",
        at,
        bars: true,
        series: series.collect(),
    };
    parts::chart("failures-by-day", &chart)
}

/// A diagnosis as a part of another page: the first problem, and the way to the whole of it.
/// Nothing where nothing is wrong.
pub(super) fn panel(desk: &ProjectDesk, diagnosis: &Diagnosis) -> Markup {
    let Some((first, others)) = diagnosis.problems.split_first() else {
        return Markup::default();
    };
    let whole = match &diagnosis.subject {
        Subject::Run(run) => format!("/diagnosis/runs/{}", run.id),
        Subject::Delivery(delivery, _) => format!("/diagnosis/deliveries/{}", delivery.id),
        Subject::Connection(connection) => format!("/diagnosis/connections/{}", connection.id),
    };
    html! {
        section.stack aria-label="Diagnosis" {
            h2 { "What is wrong" }
            (card(desk, first))
            p {
                a href=(desk.href(&whole)) { "The whole diagnosis" }
                @match others.len() {
                    0 => {},
                    1 => { ", with one more problem" },
                    more => { ", with " (more) " more problems" },
                }
            }
        }
    }
}

fn card(desk: &ProjectDesk, problem: &Problem) -> Markup {
    html! {
        article.card.stack {
            div.row {
                (parts::badge(Tone::Bad, class_name(problem.kind.as_str())))
                (parts::badge(Tone::Neutral, who(problem.rule.who)))
                @if let Some(connector) = &problem.connector { span.muted { (connector) } }
                @if problem.spread != Spread::One { (parts::badge(Tone::Warn, spread(problem.spread))) }
            }
            h3 { (problem.cause) }
            ol {
                @for step in &problem.steps {
                    li {
                        (step.text)
                        @if let Some(link) = &step.link { " " a href=(link) { "Open" span.visually-hidden { ": " (step.text) } } }
                    }
                }
            }
            (parts::definition(&facts(problem)))
            @if !problem.changes.is_empty() {
                h4 { "Changed before it began" }
                ul {
                    @for change in &problem.changes { li { (change.what) " " span.muted { (parts::time(change.at)) } } }
                }
            }
            details {
                summary { "The message, and where it happens" }
                p.mono { (problem.message) }
                ul {
                    @if let Some(run) = problem.run {
                        li { a href=(desk.href(&format!("/runs/{run}"))) { "The last run that failed so" } }
                    }
                    @if let Some(delivery) = problem.delivery {
                        li { a href=(desk.href(&format!("/deliveries/{delivery}"))) { "The last delivery that failed so" } }
                    }
                    @if let Some(webhook) = problem.webhook {
                        li { a href=(desk.href(&format!("/webhooks/{webhook}"))) { "The endpoint" } }
                    }
                    @for connection in &problem.connections {
                        li { a.mono href=(desk.href(&format!("/connections/{connection}"))) { "Connection " (connection) } }
                    }
                }
                p.muted { "Fingerprint " span.mono { (problem.fingerprint) } }
            }
        }
    }
}

fn facts(problem: &Problem) -> Vec<(&'static str, Markup)> {
    let counts = problem.counts;
    let here = if problem.webhook.is_some() {
        "at this endpoint"
    } else {
        "at this connection"
    };
    let mut facts = vec![(
        "How often",
        html! {
            (parts::number(counts.here)) " " (here)
            @if counts.connector > counts.here {
                ", " (parts::number(counts.connector)) " at " (parts::number(counts.connections)) " connections of the connector"
            }
            " in " (WINDOW_DAYS) " days"
        },
    )];
    if let Some(since) = problem.since {
        facts.push(("Since", parts::time(since)));
    }
    facts.push(("Last seen", parts::time(problem.last_seen_at)));
    let good = match problem.last_success_at {
        Some(at) => parts::time(at),
        None => html! { "none known" },
    };
    facts.push(("Last success", good));
    facts
}

fn class_name(class: &str) -> &str {
    match class {
        "auth" => "login",
        "forbidden" => "rights",
        "rate_limited" => "rate limit",
        "provider" => "provider",
        "network" => "network",
        "timeout" => "too slow",
        "invalid" => "refused input",
        "connector" => "connector",
        "contract" => "connector's answer",
        "storage" => "database",
        "guard" => "needs a decision",
        "delivery" => "delivery",
        "record" => "failed records",
        _ => "other",
    }
}

const fn who(who: Who) -> &'static str {
    match who {
        Who::EndCustomer => "the customer can mend it",
        Who::Operator => "you can mend it",
        Who::ConnectorAuthor => "the connector's author can mend it",
        Who::Provider => "the provider has to mend it",
    }
}

const fn spread(spread: Spread) -> &'static str {
    match spread {
        Spread::One => "one connection",
        Spread::Several => "several connections at once",
        Spread::Everywhere => "several connectors at once",
    }
}

/// The box for questions; nothing where no assistant is configured.
fn questions(services: &Services, project: ProjectId, about: &str, id: &str) -> Markup {
    if services.assistant.is_none() {
        return Markup::default();
    }
    let action = format!("/dashboard/{project}/diagnosis/ask");
    html! {
        section.card.stack aria-label="Questions" {
            h2 { "Ask about this" }
            form.form method="post" action=(action) hx-post=(action) hx-target="#answer" {
                (parts::hidden("about", about))
                (parts::hidden("id", id))
                (parts::field(
                    "question",
                    "Question",
                    "The assistant is told the facts above and your question: no secret, and nothing of what is in records.",
                    None,
                    &parts::textarea("question", "", true, false),
                ))
                button.button.primary type="submit" { "Ask" }
            }
            div id="answer" aria-live="polite" {}
        }
    }
}

#[derive(Deserialize)]
struct Asked {
    question: String,
    #[serde(default)]
    about: String,
    #[serde(default)]
    id: String,
}

async fn ask(
    State(_): State<Arc<Desktop>>,
    desk: ProjectDesk,
    headers: axum::http::HeaderMap,
    web::Form(asked): web::Form<Asked>,
) -> Result<Response, web::Error> {
    let services = &desk.services;
    let Some(assistant) = &services.assistant else {
        return Err(web::Error::not_found(
            "No assistant is configured on this server.",
        ));
    };
    let facts = facts_about(&desk, &asked).await?;
    let answer = assistant.ask(&asked.question, &facts).await;
    let (status, shown) = match answer {
        Ok(answer) => (StatusCode::OK, answered(&answer, &facts)),
        Err(error) => {
            let error = http::Error::from(error);
            let text = html! { p { (error) } };
            let alert = parts::alert(Tone::Warn, "There is no answer", &text);
            (error.code().status(), alert)
        }
    };
    if headers.contains_key("hx-request") {
        return Ok(fragment(shown));
    }
    let body = html! {
        p { (asked.question) }
        (shown)
        p { a.button href=(desk.href("/diagnosis")) { "Back to troubleshooting" } }
    };
    let page = Page::new("Answer").status(status);
    Ok(desk.page_with(page, Section::Diagnosis, body))
}

async fn facts_about(desk: &ProjectDesk, asked: &Asked) -> Result<Vec<Fact>, web::Error> {
    let (services, now) = (&desk.services, desk.services.clock.now());
    if asked.about.is_empty() {
        let overview = services.diagnoses.project(desk.project.id).await;
        return Ok(facts_of_project(&overview.map_err(http::Error::from)?, now));
    }
    Ok(facts_of(&found(desk, &asked.about, &asked.id).await?, now))
}

/// The diagnosis of a `run`, a `delivery` or a `connection`.
async fn found(desk: &ProjectDesk, about: &str, id: &str) -> Result<Diagnosis, web::Error> {
    let (services, project) = (&desk.services, desk.project.id);
    let diagnoses = &services.diagnoses;
    let gone = || web::Error::not_found(format!("There is no such {about} in this project."));
    let found = match about {
        "run" => {
            let id: RunId = id.parse().map_err(|_| gone())?;
            diagnoses.run(project, id).await
        }
        "delivery" => {
            let id: DeliveryId = id.parse().map_err(|_| gone())?;
            let webhooks = services.store.webhooks(project).await?;
            let mut webhooks = webhooks.iter();
            let webhook = webhooks.find(|webhook| webhook.number == id.endpoint);
            diagnoses.delivery(webhook.ok_or_else(gone)?, id).await
        }
        "connection" => {
            let id: ConnectionId = id.parse().map_err(|_| gone())?;
            let scope = services.store.scope_by_id(project, id).await?;
            let found = diagnoses.connection(&scope.ok_or_else(gone)?).await;
            found.map(Some)
        }
        _ => {
            return Err(web::Error::invalid(
                "The question is about nothing that is known.",
            ));
        }
    };
    found.map_err(http::Error::from)?.ok_or_else(gone)
}

fn answered(answer: &Answer, facts: &[Fact]) -> Markup {
    html! {
        div.stack {
            @for line in answer.text.lines().filter(|line| !line.trim().is_empty()) { p { (line) } }
            @if answer.used.is_empty() {
                p.muted { "The answer names none of the facts: do not rely on it." }
            } @else {
                h3 { "Facts that it used" }
                ul { @for fact in &answer.used { li { "[" (fact.number) "] " (fact.says) } } }
            }
            details {
                summary { "All " (facts.len()) " facts that it was told" }
                ul { @for fact in facts { li { "[" (fact.number) "] " (fact.says) } } }
            }
        }
    }
}
