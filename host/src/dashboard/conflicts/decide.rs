//! Deciding: one conflict field by field or as a whole, or all that a filter leaves.

use std::collections::BTreeMap;

use axum::{extract::Path, response::Response};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::{
    Asked,
    review::{self, Typed},
};
use crate::{
    dashboard::desk::ProjectDesk,
    model::{
        Conflict, ConflictState, Decision, Role, Violation,
        conflict::{DELETED, FieldConflict},
    },
    unify::Decided,
    web,
};

/// Conflicts that are decided at once.
const BATCH: u32 = 100;
/// The most that are decided by one click.
const MOST: usize = 1000;
/// What is said of values that cannot be used.
const REFUSED: &str = "A value cannot be used. Nothing was resolved.";

/// Which side is right everywhere.
#[derive(Clone, Copy, Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Side {
    Ours,
    Theirs,
}

impl Side {
    fn decision(self) -> Decision {
        match self {
            Self::Ours => Decision::Ours,
            Self::Theirs => Decision::Theirs,
        }
    }

    fn all(self, conflict: &Conflict) -> BTreeMap<String, Decision> {
        let fields = conflict.fields.keys();
        fields
            .map(|field| (field.clone(), self.decision()))
            .collect()
    }
}

/// What is decided of all that a filter leaves.
#[derive(Debug, Deserialize)]
pub(super) struct Many {
    side: Side,
}

pub(super) async fn one(
    desk: ProjectDesk,
    Path(path): Path<BTreeMap<String, String>>,
    web::Form(form): web::Form<BTreeMap<String, String>>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let (scope, conflict) = review::found(&desk, &path).await?;
    let decisions = match form.get("all").map(String::as_str) {
        Some("ours") => Side::Ours.all(&conflict),
        Some("theirs") => Side::Theirs.all(&conflict),
        _ => match chosen(&conflict, &form) {
            (decisions, typed) if !typed.is_wrong() => decisions,
            (_, typed) => return Ok(review::page(&desk, &conflict, &typed)),
        },
    };
    let unify = &desk.services.unify;
    let href = desk.href(&format!("/conflicts/{}", conflict.id));
    let now = match unify
        .decide(&scope, &conflict, &decisions, &desk.actor())
        .await?
    {
        Decided::Done(now) => now,
        Decided::Closed => return Ok(desk.done("Somebody has resolved it already.", &href)),
        Decided::Refused(fields) => {
            let (_, mut typed) = chosen(&conflict, &form);
            typed.errors = fields.iter().map(refusal).collect();
            typed.error = Some(REFUSED.to_owned());
            return Ok(review::page(&desk, &conflict, &typed));
        }
    };
    let fields: Vec<&String> = decisions.keys().collect();
    let details = json!({ "record": conflict.record.to_string(), "fields": fields });
    desk.audit("conflict.resolve", conflict.id, details).await?;
    Ok(if now.state == ConflictState::Open {
        desk.done("Decided. Fields without a choice wait on.", &href)
    } else {
        desk.done("The conflict is resolved.", &desk.href("/conflicts"))
    })
}

/// Decides every open conflict that a filter leaves.
pub(super) async fn many(
    desk: ProjectDesk,
    web::Query(asked): web::Query<Asked>,
    web::Form(Many { side }): web::Form<Many>,
) -> Result<Response, web::Error> {
    desk.may(Role::Developer)?;
    let (store, actor) = (&desk.services.store, desk.actor());
    let mut filter = asked.filter(&desk, BATCH).await?;
    filter.state = Some(ConflictState::Open);
    filter.before = None;
    let (mut resolved, mut seen) = (0_usize, 0_usize);
    loop {
        let conflicts = store.conflicts(desk.project.id, &filter).await?;
        let Some((_, last)) = conflicts.last() else {
            break;
        };
        filter.before = Some(last.id);
        for (_, conflict) in &conflicts {
            let decisions = side.all(conflict);
            let done = store
                .resolve_conflict(desk.project.id, conflict.id, &decisions, &actor)
                .await?;
            resolved += usize::from(done.is_some());
        }
        seen += conflicts.len();
        if seen >= MOST {
            break;
        }
    }
    let details = json!({ "side": side, "conflicts": resolved });
    desk.audit("conflict.resolve", desk.project.id, details)
        .await?;
    let mut message = match resolved {
        1 => "One conflict is resolved.".to_owned(),
        count => format!("{count} conflicts are resolved."),
    };
    if seen >= MOST {
        message.push_str(" There may be more: click again.");
    }
    Ok(desk.done(&message, &asked.at(&desk.href("/conflicts"), "")))
}

/// Why a field's value cannot be used, in a sentence.
fn refusal((field, violations): (&String, &Vec<Violation>)) -> (String, String) {
    let said = violations.iter().map(|one| match one.path.as_str() {
        "" => format!("This {}.", one.message),
        path => format!("{path} {}.", one.message),
    });
    (field.clone(), said.collect::<Vec<_>>().join(" "))
}

/// What was chosen field by field; what was typed, with what is wrong with it.
fn chosen(
    conflict: &Conflict,
    form: &BTreeMap<String, String>,
) -> (BTreeMap<String, Decision>, Typed) {
    let mut typed = Typed::default();
    let mut decisions = BTreeMap::new();
    for (name, field) in &conflict.fields {
        let other = form.get(&format!("value:{name}"));
        if let Some(other) = other {
            typed.values.insert(name.clone(), other.clone());
        }
        let Some(choice) = form.get(&format!("choice:{name}")) else {
            continue;
        };
        typed.chosen.insert(name.clone(), choice.clone());
        let decision = match choice.as_str() {
            "ours" => Ok(Decision::Ours),
            "theirs" => Ok(Decision::Theirs),
            "value" if name != DELETED => {
                let text = other.map_or("", String::as_str);
                parsed(field, text).map(Decision::Value)
            }
            _ => Err("Choose one of the sides.".to_owned()),
        };
        match decision {
            Ok(decision) => {
                decisions.insert(name.clone(), decision);
            }
            Err(error) => {
                typed.errors.insert(name.clone(), error);
            }
        }
    }
    if !typed.errors.is_empty() {
        typed.error = Some(REFUSED.to_owned());
    } else if decisions.is_empty() {
        typed.error = Some("Choose a side for at least one field.".to_owned());
    }
    (decisions, typed)
}

/// Another value: a text where both sides have texts, else JSON; nothing is null.
fn parsed(field: &FieldConflict, text: &str) -> Result<Value, String> {
    if text.is_empty() {
        return Ok(Value::Null);
    }
    let sides = [&field.base, &field.ours, &field.theirs];
    let is_text = |value: &&Value| value.is_null() || value.is_string();
    if sides.iter().all(is_text) {
        return Ok(Value::from(text));
    }
    serde_json::from_str(text).map_err(|error| format!("This must be JSON: {error}."))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Timestamp;

    fn field(base: Value, ours: Value, theirs: Value) -> FieldConflict {
        FieldConflict {
            base,
            ours,
            theirs,
            ours_at: Timestamp::from_millis(0),
            ours_by: None,
            theirs_at: None,
        }
    }

    #[test]
    fn another_value_is_of_the_fields_kind() {
        let text = field(json!("a"), json!("b"), Value::Null);
        assert_eq!(parsed(&text, "12"), Ok(json!("12")));
        assert_eq!(parsed(&text, ""), Ok(Value::Null));
        let number = field(json!(1), json!(2), json!(3));
        assert_eq!(parsed(&number, "12"), Ok(json!(12)));
        assert!(parsed(&number, "twelve").is_err());
    }
}
