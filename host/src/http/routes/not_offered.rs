//! Operations of the published contract that this server refuses, each with a sentence. They are
//! described so that generated clients are whole.

use super::{Code, Error, Operation};
use crate::http::caller::Scoped;

pub(super) fn operations() -> Vec<Operation> {
    vec![
        Operation::post("/auth/login", login)
            .id("signIn")
            .tag("Not offered")
            .summary("Refused: there are no users with passwords here, only API keys.")
            .open()
            .fails(&[Code::NotOffered]),
        Operation::post("/rag/query", query)
            .id("query")
            .tag("Not offered")
            .summary("Refused: there is no search by meaning.")
            .connection()
            .fails(&[Code::NotOffered]),
    ]
}

async fn login() -> Error {
    let detail = "This server has no users with passwords. `jackfield api-key create` makes an API key on the command line.";
    Error::new(Code::NotOffered, detail)
}

async fn query(_: Scoped) -> Error {
    let detail = "This server has no search by meaning. Read the files by `/filestorage/files`, and search in your own index.";
    Error::new(Code::NotOffered, detail)
}
