//! What is wrong, why, and what to do: for runs, deliveries, connections and a whole project.

use std::sync::Arc;

use axum::{
    extract::{Path, State},
    response::Response,
};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{connections, json, lists::short, webhooks::invalid};
use crate::{
    diagnosis::{
        AskError, Change, ChangeKind, Diagnosis, Fact, Problem, Spread, Step, Subject, WINDOW_DAYS,
        Who, facts_of, facts_of_project,
    },
    http::{
        Services,
        body::Json,
        caller::Caller,
        error::{Code, Error},
        operation::Operation,
    },
    model::{DeliveryId, ProjectId, RunId},
};

const ABOUT: &str = "The likely cause follows from rules: the class of the error, its message without values, the status, who else suffers at the same time, and what was changed before it began. `fingerprint` is the same for the same message at the same connector or endpoint, so it can be counted and searched for. Links lead to pages of the dashboard.";

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::get("/diagnosis", list)
            .id("listProblems")
            .tag("Diagnosis")
            .summary("What is wrong in the project now, in groups of the same error.")
            .describe(ABOUT)
            .gives::<OverviewBody>(200, "The problems, what concerns most connections first."),
        Operation::get("/diagnosis/runs/{id}", run)
            .id("diagnoseSyncRun")
            .tag("Diagnosis")
            .summary("Why a sync run failed, and what to do.")
            .describe(ABOUT)
            .path::<Uuid>("id", "The run's id.")
            .gives::<DiagnosisBody>(200, "What was found; no problems where nothing is wrong.")
            .fails(&[Code::SyncRunNotFound]),
        Operation::get("/diagnosis/deliveries/{id}", delivery)
            .id("diagnoseDelivery")
            .tag("Diagnosis")
            .summary("Why an event does not arrive at an endpoint, and what to do.")
            .describe(ABOUT)
            .path::<Uuid>("id", "The delivery's id.")
            .gives::<DiagnosisBody>(200, "What was found; no problems where nothing is wrong.")
            .fails(&[Code::DeliveryNotFound]),
        Operation::get("/diagnosis/connections/{id}", connection)
            .id("diagnoseConnection")
            .tag("Diagnosis")
            .summary("What is wrong with a connection, and what to do.")
            .describe(ABOUT)
            .path::<Uuid>("id", "The connection's id.")
            .gives::<DiagnosisBody>(200, "What was found; no problems where nothing is wrong.")
            .fails(&[Code::ConnectionNotFound]),
        Operation::post("/diagnosis/ask", ask)
            .id("askDiagnosis")
            .tag("Diagnosis")
            .summary("Ask a question about a diagnosis.")
            .describe("A language model that the operator configured answers from the facts of a diagnosis alone, and names those that it used as `[3]`. It is told no secret and nothing of what is in records. Without at most one of the ids, the question is about the whole project.")
            .takes::<Question>()
            .gives::<AnswerBody>(200, "The answer.")
            .fails(&[
                Code::AssistantMissing,
                Code::AssistantFailed,
                Code::SyncRunNotFound,
                Code::DeliveryNotFound,
                Code::ConnectionNotFound,
            ]),
    ]
}

/// What is wrong in the project now.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Problems")]
struct OverviewBody {
    /// How many days were looked at.
    window_days: u64,
    /// Whether there is more than is told.
    truncated: bool,
    problems: Vec<ProblemBody>,
}

/// What was found about a run, a delivery or a connection.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "Diagnosis")]
struct DiagnosisBody {
    subject: SubjectBody,
    /// How many days were looked at.
    window_days: u64,
    /// The most important first.
    problems: Vec<ProblemBody>,
}

/// What was asked about.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DiagnosisSubject")]
struct SubjectBody {
    #[schemars(extend("enum" = ["run", "delivery", "connection"]))]
    kind: &'static str,
    #[schemars(with = "Uuid")]
    id: String,
    /// How it stands.
    status: &'static str,
}

/// One error at one connector or endpoint.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DiagnosedProblem")]
struct ProblemBody {
    fingerprint: String,
    /// A class of the errors of sync runs, or `delivery`, or `record` for records that cannot be
    /// unified.
    class: &'static str,
    /// The last message.
    message: String,
    /// The message without ids, numbers, times and what was quoted.
    pattern: String,
    /// The status that was answered, where one was.
    status: Option<u16>,
    /// The rule that fits; stable.
    rule: String,
    /// The likely cause.
    cause: String,
    /// Who can do something about it.
    who_can_act: Who,
    /// What to do, in this order.
    steps: Vec<StepBody>,
    spread: Spread,
    counts: CountsBody,
    /// When it began, as far as is known.
    #[schemars(extend("format" = "date-time"))]
    since: Option<String>,
    #[schemars(extend("format" = "date-time"))]
    last_seen_at: String,
    /// When the same thing went well last.
    #[schemars(extend("format" = "date-time"))]
    last_success_at: Option<String>,
    /// What was changed between the last success and the beginning, the last first.
    preceding_changes: Vec<ChangeBody>,
    connector: Option<String>,
    /// Connections that suffer from it; at most 20.
    #[schemars(with = "Vec<Uuid>")]
    connection_ids: Vec<String>,
    #[schemars(with = "Option<Uuid>")]
    webhook_id: Option<String>,
    /// The last run that failed so.
    #[schemars(with = "Option<Uuid>")]
    run_id: Option<String>,
    /// The last delivery that failed so.
    #[schemars(with = "Option<Uuid>")]
    delivery_id: Option<String>,
    /// How often on each day, the oldest first; the last is the last 24 hours.
    daily: Vec<u64>,
}

/// One thing to do.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProblemStep")]
struct StepBody {
    text: String,
    /// A page of the dashboard.
    url: Option<String>,
}

/// How often it was seen within the window.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProblemCounts")]
struct CountsBody {
    /// At this connection, or endpoint.
    here: u64,
    /// At all connections of the connector in this project.
    connector: u64,
    /// In the project.
    project: u64,
    /// Connections of the connector that it was seen at.
    connections: u64,
}

/// Something that was changed.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "ProblemChange")]
struct ChangeBody {
    kind: ChangeKind,
    #[schemars(extend("format" = "date-time"))]
    at: String,
    what: String,
}

/// A question; with at most one id.
#[derive(Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "DiagnosisQuestion")]
struct Question {
    #[schemars(length(min = 1, max = 2000))]
    question: String,
    #[schemars(with = "Option<Uuid>")]
    run_id: Option<String>,
    #[schemars(with = "Option<Uuid>")]
    delivery_id: Option<String>,
    #[schemars(with = "Option<Uuid>")]
    connection_id: Option<String>,
}

/// An answer.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DiagnosisAnswer")]
struct AnswerBody {
    answer: String,
    /// The facts that the answer names.
    facts_used: Vec<FactBody>,
    /// All that were told.
    facts: Vec<FactBody>,
}

/// One thing that is known.
#[derive(Serialize, JsonSchema)]
#[schemars(rename = "DiagnosisFact")]
struct FactBody {
    number: usize,
    about: &'static str,
    says: String,
}

async fn list(State(services): State<Arc<Services>>, caller: Caller) -> Result<Response, Error> {
    let overview = services.diagnoses.project(caller.project.id).await?;
    json(&OverviewBody {
        window_days: WINDOW_DAYS,
        truncated: overview.is_cut,
        problems: problems(&services, overview.problems),
    })
}

async fn run(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let found = of_run(&services, caller.project.id, &id).await?;
    json(&body(&services, found))
}

async fn delivery(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let found = of_delivery(&services, caller.project.id, &id).await?;
    json(&body(&services, found))
}

async fn connection(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Path(id): Path<String>,
) -> Result<Response, Error> {
    let scope = connections::scope(&services, caller.project.id, &id).await?;
    let found = services.diagnoses.connection(&scope).await?;
    json(&body(&services, found))
}

async fn ask(
    State(services): State<Arc<Services>>,
    caller: Caller,
    Json(asked): Json<Question>,
) -> Result<Response, Error> {
    let Some(assistant) = &services.assistant else {
        let detail = "No assistant is configured on this server.";
        return Err(Error::new(Code::AssistantMissing, detail));
    };
    let (project, now) = (caller.project.id, services.clock.now());
    let facts = match (&asked.run_id, &asked.delivery_id, &asked.connection_id) {
        (None, None, None) => facts_of_project(&services.diagnoses.project(project).await?, now),
        (Some(id), None, None) => facts_of(&of_run(&services, project, id).await?, now),
        (None, Some(id), None) => facts_of(&of_delivery(&services, project, id).await?, now),
        (None, None, Some(id)) => {
            let scope = connections::scope(&services, project, id).await?;
            facts_of(&services.diagnoses.connection(&scope).await?, now)
        }
        _ => return Err(invalid("", "has more than one id".to_owned())),
    };
    let answer = assistant.ask(&asked.question, &facts).await?;
    json(&AnswerBody {
        answer: answer.text,
        facts_used: answer.used.into_iter().map(fact).collect(),
        facts: facts.into_iter().map(fact).collect(),
    })
}

async fn of_run(services: &Services, project: ProjectId, id: &str) -> Result<Diagnosis, Error> {
    let found = match id.parse::<RunId>() {
        Ok(run) => services.diagnoses.run(project, run).await?,
        Err(_) => None,
    };
    found.ok_or_else(|| {
        let detail = format!("This project has no sync run {:?}.", short(id));
        Error::new(Code::SyncRunNotFound, detail)
    })
}

async fn of_delivery(
    services: &Services,
    project: ProjectId,
    id: &str,
) -> Result<Diagnosis, Error> {
    let unknown = || {
        let detail = format!("This project has no delivery {:?}.", short(id));
        Error::new(Code::DeliveryNotFound, detail)
    };
    let delivery: DeliveryId = id.parse().map_err(|_| unknown())?;
    let webhooks = services.store.webhooks(project).await?;
    let mut webhooks = webhooks.into_iter();
    let webhook = webhooks.find(|webhook| webhook.number == delivery.endpoint);
    let webhook = webhook.ok_or_else(unknown)?;
    let found = services.diagnoses.delivery(&webhook, delivery).await?;
    found.ok_or_else(unknown)
}

fn body(services: &Services, found: Diagnosis) -> DiagnosisBody {
    let (kind, id, status) = match found.subject {
        Subject::Run(run) => ("run", run.id.to_string(), run.status.as_str()),
        Subject::Delivery(delivery, _) => {
            ("delivery", delivery.id.to_string(), delivery.state.as_str())
        }
        Subject::Connection(connection) => (
            "connection",
            connection.id.to_string(),
            connection.status.as_str(),
        ),
    };
    DiagnosisBody {
        subject: SubjectBody { kind, id, status },
        window_days: WINDOW_DAYS,
        problems: problems(services, found.problems),
    }
}

fn problems(services: &Services, found: Vec<Problem>) -> Vec<ProblemBody> {
    found
        .into_iter()
        .map(|problem| shown(services, problem))
        .collect()
}

fn shown(services: &Services, problem: Problem) -> ProblemBody {
    let url = |step: &Step| {
        let link = step.link.as_deref()?;
        services.public_url.join(link).ok().map(String::from)
    };
    let counts = problem.counts;
    ProblemBody {
        fingerprint: problem.fingerprint,
        class: problem.kind.as_str(),
        message: problem.message,
        pattern: problem.pattern,
        status: problem.status,
        rule: problem.rule.id.clone(),
        cause: problem.cause,
        who_can_act: problem.rule.who,
        steps: problem
            .steps
            .iter()
            .map(|step| StepBody {
                text: step.text.clone(),
                url: url(step),
            })
            .collect(),
        spread: problem.spread,
        counts: CountsBody {
            here: counts.here,
            connector: counts.connector,
            project: counts.project,
            connections: counts.connections,
        },
        since: problem.since.map(|at| at.to_string()),
        last_seen_at: problem.last_seen_at.to_string(),
        last_success_at: problem.last_success_at.map(|at| at.to_string()),
        preceding_changes: problem.changes.into_iter().map(change).collect(),
        connector: problem.connector.map(|slug| slug.to_string()),
        connection_ids: problem
            .connections
            .iter()
            .map(ToString::to_string)
            .collect(),
        webhook_id: problem.webhook.map(|id| id.to_string()),
        run_id: problem.run.map(|id| id.to_string()),
        delivery_id: problem.delivery.map(|id| id.to_string()),
        daily: problem.daily,
    }
}

fn change(change: Change) -> ChangeBody {
    ChangeBody {
        kind: change.kind,
        at: change.at.to_string(),
        what: change.what,
    }
}

fn fact(fact: Fact) -> FactBody {
    FactBody {
        number: fact.number,
        about: fact.about,
        says: fact.says,
    }
}

impl From<crate::diagnosis::Error> for Error {
    fn from(error: crate::diagnosis::Error) -> Self {
        match error {
            crate::diagnosis::Error::Store(error) => error.into(),
        }
    }
}

impl From<AskError> for Error {
    fn from(error: AskError) -> Self {
        match error {
            AskError::Question => invalid("/question", "must have 1 to 2000 characters".to_owned()),
            other => Self::new(
                Code::AssistantFailed,
                format!("There is no answer: {other}."),
            ),
        }
    }
}
