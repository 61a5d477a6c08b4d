//! Parameters that lists of several kinds share.

use crate::{
    http::{
        Services,
        error::{Code, Error},
        operation::Parameter,
        query::Query,
    },
    model::{ConnectionId, DEFAULT_LIMIT, ObjectKind, ProjectId},
};

/// How many entries a page has.
pub(super) fn limit() -> Parameter {
    Parameter::query::<u32>("limit", "How many; more count as 200.")
        .rule("minimum", 1)
        .rule("default", DEFAULT_LIMIT)
}

/// The number of the connection that a list is narrowed to.
pub(super) async fn connection(
    services: &Services,
    project: ProjectId,
    query: &Query,
) -> Result<Option<u32>, Error> {
    let id = parsed::<ConnectionId>(query, "connection_id", "the id of a connection")?;
    let Some(id) = id else { return Ok(None) };
    let scope = services.store.scope_by_id(project, id).await?;
    let scope = scope.ok_or_else(|| wrong("connection_id", "there is no such connection"))?;
    Ok(Some(scope.connection().number))
}

/// The object that a list is narrowed to.
pub(super) fn object(query: &Query) -> Result<Option<ObjectKind>, Error> {
    let name = query.get("object");
    let kind = name.map(|name| {
        ObjectKind::parse(name)
            .ok_or_else(|| wrong("object", "it is no object; an example is `crm.contact`"))
    });
    kind.transpose()
}

/// A parameter as what it stands for; `what` says it in an error.
pub(super) fn parsed<T: std::str::FromStr>(
    query: &Query,
    name: &str,
    what: &str,
) -> Result<Option<T>, Error> {
    let text = query.get(name);
    let parse = |text: &str| {
        text.parse()
            .map_err(|_| wrong(name, &format!("it is not {what}")))
    };
    text.map(parse).transpose()
}

/// A parameter that is not valid; `is` says why.
pub(super) fn wrong(name: &str, is: &str) -> Error {
    let detail = format!("The parameter `{name}` is not valid: {is}.");
    Error::new(Code::InvalidParameter, detail)
}

/// A caller's word as an error repeats it: its first 80 characters.
pub(super) fn short(text: &str) -> String {
    text.chars().take(80).collect()
}
