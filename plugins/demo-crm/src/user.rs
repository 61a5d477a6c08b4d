//! `crm.user`: the provider's users. Read only.

use jackfield_sdk::models::crm::User;
use jackfield_sdk::{Document, Failure};

use crate::wire;

pub(crate) const NAMES: &[(&str, &str)] = &[];

pub(crate) fn to_unified(document: Document<'_>) -> Result<User, Failure> {
    let user: wire::User = document.read()?;
    Ok(User {
        name: user.full_name.into(),
        email: user.mail.into(),
        ..User::default()
    })
}
