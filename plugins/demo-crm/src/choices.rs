//! What can be chosen in settings: the account's users, as owners of what is created.

use jackfield_sdk::choices::{Choice, Choices};
use jackfield_sdk::{Connection, Failure, Raw, http};
use serde_json::{Map, Value};

use crate::{Collection, DemoCrm, LARGEST_PAGE, OWNER, wire};

impl Choices for DemoCrm {
    fn setting_choices(_: &Connection, setting: &str) -> Result<Vec<Choice>, Failure> {
        if setting != OWNER {
            return Err(Failure::unsupported(format!(
                "has no choices for {setting}"
            )));
        }
        let users: wire::List = http::get(Collection::of("crm.user")?.url)
            .query("page_size", LARGEST_PAGE)
            .send()?
            .json()?;
        let mut choices = Vec::new();
        for Raw {
            document,
            value: key,
        } in users.items.into_iter().filter(|one| !one.value.deleted)
        {
            let user: wire::User =
                serde_json::from_str(document.get()).map_err(Failure::unexpected)?;
            let id = key.id.to_string();
            choices.push(Choice::new(&id, user.full_name.as_deref().unwrap_or(&id)));
        }
        Ok(choices)
    }
}

/// What is to be created, with the owner that the customer chose where it has none.
pub(crate) fn with_owner(
    data: &str,
    connection: &Connection,
    collection: &Collection,
) -> Result<Option<String>, Failure> {
    let has_owner = collection.names.iter().any(|(remote, _)| *remote == OWNER);
    let Some(owner) = connection.setting(OWNER).filter(|_| has_owner) else {
        return Ok(None);
    };
    let mut record: Map<String, Value> = serde_json::from_str(data).map_err(Failure::invalid)?;
    if record.get(OWNER).is_some_and(|owner| !owner.is_null()) {
        return Ok(None);
    }
    let owner: u64 = owner.parse().map_err(Failure::invalid)?;
    record.insert(OWNER.to_owned(), owner.into());
    Ok(Some(Value::from(record).to_string()))
}
