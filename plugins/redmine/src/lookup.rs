//! Names and their numbers: statuses, priorities, trackers and categories are the server's own.

use jackfield_sdk::{Failure, http};
use serde::Deserialize;

use crate::wire::{CustomField, Named, Priority, Status};

/// The unified priority of a name: one of three levels, or the name where it says none.
pub(crate) fn level(priority: &str) -> &str {
    match priority.to_lowercase().as_str() {
        "low" | "lowest" | "minor" | "trivial" => "LOW",
        "normal" | "medium" => "MEDIUM",
        "high" | "highest" | "urgent" | "immediate" | "critical" | "blocker" => "HIGH",
        _ => priority,
    }
}

/// The unified type of a tracker: one of the well-known ones, or the tracker's name.
pub(crate) fn kind(tracker: &str) -> &str {
    match tracker.to_lowercase().as_str() {
        "bug" | "defect" => "BUG",
        "task" => "TASK",
        "subtask" | "sub-task" => "SUBTASK",
        "to-do" | "todo" => "TO-DO",
        "problem" => "PROBLEM",
        "question" => "QUESTION",
        _ => tracker,
    }
}

/// The unified status.
pub(crate) const fn state(closed: bool) -> &'static str {
    if closed { "CLOSED" } else { "OPEN" }
}

/// Whether two names mean the same: `IN_PROGRESS` and `In Progress`.
pub(crate) fn same(one: &str, other: &str) -> bool {
    let plain = |name: &str| name.replace(['_', '-'], " ").to_lowercase();
    plain(one) == plain(other)
}

/// The number of the status among those that the issue may take: by name, else the first that is open or closed.
pub(crate) fn status(wanted: &str, allowed: &[Status]) -> Result<u64, Failure> {
    let named = allowed.iter().find(|status| same(&status.name, wanted));
    let by_state = || {
        allowed
            .iter()
            .find(|status| wanted == state(status.is_closed == Some(true)))
    };
    named
        .or_else(by_state)
        .map(|status| status.id)
        .ok_or_else(|| {
            let names: Vec<&str> = allowed.iter().map(|status| status.name.as_str()).collect();
            Failure::invalid_field(
                "status",
                format!(
                    "the issue cannot become {wanted} now; Redmine allows {}",
                    names.join(", ")
                ),
            )
        })
}

/// All statuses, for a Redmine that does not tell which ones an issue may take.
pub(crate) fn statuses() -> Result<Vec<Status>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        issue_statuses: Vec<Status>,
    }
    Ok(http::get("{api}/issue_statuses.json")
        .send()?
        .json::<Answer>()?
        .issue_statuses)
}

/// The number of the priority: by name or level, else by its place before, at or after the default one, which
/// holds in every language.
pub(crate) fn priority(wanted: &str) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        issue_priorities: Vec<Priority>,
    }
    let answer: Answer = http::get("{api}/enumerations/issue_priorities.json")
        .send()?
        .json()?;
    let mut known = answer.issue_priorities;
    known.retain(|priority| priority.active);
    let middle = known.iter().position(|priority| priority.is_default);
    let by_place = || match (wanted, middle?) {
        ("LOW", middle) => known.get(middle.checked_sub(1)?),
        ("MEDIUM", middle) => known.get(middle),
        ("HIGH", middle) => known.get(middle + 1),
        _ => None,
    };
    let named = known.iter().find(|priority| same(&priority.name, wanted));
    let by_level = || {
        known
            .iter()
            .find(|priority| level(&priority.name) == wanted)
    };
    named
        .or_else(by_level)
        .or_else(by_place)
        .map(|priority| priority.id)
        .ok_or_else(|| {
            let names: Vec<&str> = known
                .iter()
                .map(|priority| priority.name.as_str())
                .collect();
            Failure::invalid_field(
                "priority",
                format!(
                    "Redmine has no priority {wanted}, only {}",
                    names.join(", ")
                ),
            )
        })
}

/// The number of the tracker, by name or well-known type.
pub(crate) fn tracker(wanted: &str) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        trackers: Vec<Named>,
    }
    let known = http::get("{api}/trackers.json")
        .send()?
        .json::<Answer>()?
        .trackers;
    let tracker = known
        .iter()
        .find(|tracker| same(&tracker.name, wanted) || kind(&tracker.name) == wanted);
    tracker.map(|tracker| tracker.id).ok_or_else(|| {
        let names: Vec<&str> = known.iter().map(|tracker| tracker.name.as_str()).collect();
        Failure::invalid_field(
            "type",
            format!("Redmine has no tracker {wanted}, only {}", names.join(", ")),
        )
    })
}

/// The number of a project's category, by name.
pub(crate) fn category(wanted: &str, project: u64) -> Result<u64, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        issue_categories: Vec<Named>,
    }
    let request = http::get(&format!("{{api}}/projects/{project}/issue_categories.json"));
    let known = request.send()?.json::<Answer>()?.issue_categories;
    let category = known.iter().find(|category| same(&category.name, wanted));
    category.map(|category| category.id).ok_or_else(|| {
        Failure::invalid_field(
            "tags",
            format!("{wanted:?} is neither a tracker nor a category of the project"),
        )
    })
}

/// The server's custom fields, which only an administrator may list.
pub(crate) fn custom_fields() -> Result<Vec<CustomField>, Failure> {
    #[derive(Deserialize)]
    struct Answer {
        custom_fields: Vec<CustomField>,
    }
    let response = http::get("{api}/custom_fields.json")
        .accept(&[403])
        .send()?;
    if response.status == 403 {
        return Err(Failure::invalid(
            "custom fields are known by name to administrators only; map this one as cf_ and its number",
        ));
    }
    Ok(response.json::<Answer>()?.custom_fields)
}
