//! What people typed, as argument types whose refusals are pages.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use serde::de::DeserializeOwned;

use super::Error;

/// The fields of a form.
#[derive(Clone, Copy, Debug)]
pub struct Form<T>(pub T);

impl<T, S> FromRequest<S> for Form<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request(request: Request, state: &S) -> Result<Self, Error> {
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(form)) => Ok(Self(form)),
            Err(rejection) => Err(Error::invalid(format!(
                "The form cannot be read: {}.",
                rejection.body_text()
            ))),
        }
    }
}

/// What stands behind the `?` of an address.
#[derive(Clone, Copy, Debug)]
pub struct Query<T>(pub T);

impl<T, S> FromRequestParts<S> for Query<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        // No name and no id has it, and PostgreSQL refuses texts with it.
        if parts.uri.query().is_some_and(|query| query.contains("%00")) {
            let detail = "The address cannot be read: it holds U+0000.";
            return Err(Error::bad_address(detail));
        }
        match axum::extract::Query::<T>::from_request_parts(parts, state).await {
            Ok(axum::extract::Query(query)) => Ok(Self(query)),
            Err(rejection) => Err(Error::bad_address(format!(
                "The address cannot be read: {}.",
                rejection.body_text()
            ))),
        }
    }
}
