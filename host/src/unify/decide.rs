//! What people decide of conflicts, with the checks of any other write.

use std::collections::BTreeMap;

use serde_json::Value;

use super::{Error, Unify, outbound::body_of};
use crate::model::{
    Conflict, Decision, ObjectKind, Scope, Violation, WriteMode,
    conflict::{DELETED, Fields, custom_name},
};

/// What became of a decision.
#[derive(Clone, Debug)]
pub enum Decided {
    /// The conflict as it is now; it stays open where fields wait on.
    Done(Box<Conflict>),
    /// It was resolved already.
    Closed,
    /// Values that a write would refuse, by field; paths are those within the value. Nothing was
    /// decided.
    Refused(BTreeMap<String, Vec<Violation>>),
}

impl Unify {
    /// Decides fields of a conflict. Another value has to be one that a write of the field takes.
    ///
    /// # Errors
    /// The database failed.
    pub async fn decide(
        &self,
        scope: &Scope,
        conflict: &Conflict,
        decisions: &BTreeMap<String, Decision>,
        by: &str,
    ) -> Result<Decided, Error> {
        let mut refused = BTreeMap::new();
        for (field, decision) in decisions {
            let Decision::Value(value) = decision else {
                continue;
            };
            let wrong = self.refusals(scope, conflict.kind, field, value).await?;
            if !wrong.is_empty() {
                refused.insert(field.clone(), wrong);
            }
        }
        if !refused.is_empty() {
            return Ok(Decided::Refused(refused));
        }
        let store = &self.0.store;
        let project = scope.project();
        let resolved = store
            .resolve_conflict(project, conflict.id, decisions, by)
            .await?;
        Ok(resolved.map_or(Decided::Closed, |one| Decided::Done(Box::new(one))))
    }

    /// Why a write would refuse a field's value.
    async fn refusals(
        &self,
        scope: &Scope,
        kind: ObjectKind,
        field: &str,
        value: &Value,
    ) -> Result<Vec<Violation>, Error> {
        if field == DELETED {
            return Ok(vec![Violation {
                path: String::new(),
                message: "is decided for one of the sides only".to_owned(),
            }]);
        }
        let fields = Fields::from_iter([(field.to_owned(), value.clone())]);
        let violations = match self
            .valid_input(scope, kind, body_of(&fields), WriteMode::Update, None)
            .await
        {
            Ok(_) => return Ok(Vec::new()),
            Err(Error::Invalid(violations)) => violations,
            Err(Error::UnknownReference { path, .. }) => vec![Violation {
                path,
                message: "is not the id of a record of this connection".to_owned(),
            }],
            Err(error) => return Err(error),
        };
        let within = |violation: Violation| Violation {
            path: within(field, &violation.path).to_owned(),
            ..violation
        };
        Ok(violations.into_iter().map(within).collect())
    }
}

/// A path of a body that sets one field, as a path within that field's value.
fn within<'path>(field: &str, path: &'path str) -> &'path str {
    let custom = field.starts_with(&custom_name(""));
    let parts = if custom { 2 } else { 1 };
    let at = path.match_indices('/').nth(parts);
    at.map_or("", |(at, _)| path.get(at..).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_begin_at_the_value() {
        assert_eq!(within("amount", "/amount"), "");
        assert_eq!(within("items", "/items/0/amount"), "/0/amount");
        let custom = custom_name("size");
        assert_eq!(within(&custom, "/field_mappings/size"), "");
        assert_eq!(within(&custom, "/field_mappings/size/0"), "/0");
    }
}
