//! Who did what on this server, newest first.

use std::{collections::BTreeMap, sync::Arc};

use axum::{Router, response::Response, routing::get};
use maud::{Markup, html};
use serde::Deserialize;
use serde_json::Value;

use super::{Desk, Desktop, Section, board};
use crate::{
    model::{AuditId, AuditRow, ProjectId},
    store::AuditFilter,
    web::{
        self, Query,
        parts::{self, Choice},
    },
};

/// Longer details, in bytes, are folded: what a connector was granted fills a page.
const AT_A_GLANCE: usize = 160;
const HERE: &str = "/dashboard/audit-log";
const ROWS: u32 = 50;

pub(super) fn routes() -> Router<Arc<Desktop>> {
    Router::new().route(HERE, get(show))
}

/// Which entries are asked for. An empty text is no choice.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    action: String,
    subject: String,
    project: String,
    after: String,
}

async fn show(desk: Desk, Query(asked): Query<Asked>) -> Result<Response, web::Error> {
    let filter = AuditFilter {
        project: board::word(&asked.project, "project", |id| id.parse::<ProjectId>().ok())?,
        action: chosen(&asked.action),
        subject: chosen(&asked.subject),
        before: board::place(&asked.after)?,
        limit: ROWS + 1,
    };
    let mut rows = desk.services.store.audit_log(&filter).await?;
    let more = rows.len() > ROWS as usize;
    rows.truncate(ROWS as usize);
    let next = rows.last().filter(|_| more).map(|last| asked.href(last.id));
    let first = (!asked.after.is_empty()).then(|| Asked {
        after: String::new(),
        ..asked.copy()
    });
    let first = first.map(|first| first.query());
    let names = names(&desk).await?;
    let body = html! {
        (filter_form(&desk, &asked))
        @if rows.is_empty() {
            (parts::empty("No entries", "Nothing was done that fits. Who signs in, changes what a connector may reach, or makes a key leaves an entry here.", Some(("Show all", HERE))))
        } @else {
            (parts::table("Audit log", &["When", "Who", "What", "To what", "Project", "Details"],
                &list(&rows, &names)))
        }
        (parts::pager(next.as_deref(), first.as_deref()))
    };
    Ok(desk.page(Section::AuditLog, "Audit log", body))
}

impl Asked {
    fn copy(&self) -> Self {
        Self {
            action: self.action.clone(),
            subject: self.subject.clone(),
            project: self.project.clone(),
            after: self.after.clone(),
        }
    }

    fn href(&self, after: AuditId) -> String {
        let after = after.to_string();
        Self {
            after,
            ..self.copy()
        }
        .query()
    }

    fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("action", &self.action),
            ("subject", &self.subject),
            ("project", &self.project),
            ("after", &self.after),
        ] {
            if !value.is_empty() {
                query.append_pair(name, value);
            }
        }
        format!("{HERE}?{}", query.finish())
    }
}

fn chosen(text: &str) -> Option<String> {
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What people call those who act, by what the log calls them.
async fn names(desk: &Desk) -> Result<BTreeMap<String, String>, web::Error> {
    let mut names = BTreeMap::new();
    for row in desk.access.operators().await? {
        names.insert(row.operator.actor(), row.operator.email.to_string());
    }
    for project in desk.services.store.projects().await? {
        names.insert(project.id.to_string(), project.name);
    }
    Ok(names)
}

fn filter_form(desk: &Desk, asked: &Asked) -> Markup {
    let mut projects = vec![Choice::new("", "all")];
    let all = desk.projects().iter();
    projects.extend(all.map(|project| Choice::new(project.id.to_string(), &project.name)));
    let action = parts::input("action", "text", &asked.action, false, false);
    let subject = parts::input("subject", "text", &asked.subject, false, false);
    let project = parts::select("project", &projects, &asked.project, false);
    html! {
        form.form.filter method="get" action=(HERE) {
            (parts::field("action", "Action, such as operator.sign_in", "", None, &action))
            (parts::field("subject", "Subject: an id, a name", "", None, &subject))
            (parts::field("project", "Project", "", None, &project))
            button.button type="submit" { "Filter" }
        }
    }
}

fn list(rows: &[AuditRow], names: &BTreeMap<String, String>) -> Markup {
    html! {
        @for row in rows {
            @let entry = &row.entry;
            tr {
                td.nowrap { (parts::time(entry.at)) }
                td {
                    @match names.get(&entry.actor) {
                        Some(name) => span title=(entry.actor) { (name) },
                        None => (entry.actor),
                    }
                }
                td.mono { (entry.action) }
                td { span.long { (entry.subject) } }
                td {
                    @if let Some(project) = entry.project.map(|id| id.to_string()) {
                        (names.get(&project).unwrap_or(&project))
                    }
                }
                td {
                    @let text = details(&entry.details);
                    @if text.len() > AT_A_GLANCE {
                        details { summary { "Show" } span.long { (text) } }
                    } @else {
                        span.long { (text) }
                    }
                }
            }
        }
    }
}

/// `role: viewer, with: password`; what is nested stays JSON.
fn details(details: &Value) -> String {
    let Some(object) = details.as_object() else {
        return details.to_string();
    };
    let facts = object.iter().map(|(name, value)| match value.as_str() {
        Some(text) => format!("{name}: {text}"),
        None => format!("{name}: {value}"),
    });
    facts.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::details;

    #[test]
    fn details_read_like_text() {
        let entry = json!({ "from": "viewer", "hosts": ["a"], "sessions": 2 });
        assert_eq!(details(&entry), "from: viewer, hosts: [\"a\"], sessions: 2");
        assert_eq!(details(&json!({})), "");
    }
}
