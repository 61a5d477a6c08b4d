//! What end customers typed, as an argument type whose refusals are pages for them.

use axum::{
    extract::{FromRequest, Request},
    response::Response,
};
use serde::de::DeserializeOwned;

use super::{link::Asked, page};

/// The fields of a form.
#[derive(Clone, Copy, Debug)]
pub(super) struct Form<T>(pub(super) T);

impl<T, S> FromRequest<S> for Form<T>
where
    T: DeserializeOwned,
    S: Send + Sync,
{
    type Rejection = Response;

    async fn from_request(request: Request, state: &S) -> Result<Self, Response> {
        let (parts, body) = request.into_parts();
        let texts = Asked::of(&parts).texts(None);
        let request = Request::from_parts(parts, body);
        match axum::Form::<T>::from_request(request, state).await {
            Ok(axum::Form(form)) => Ok(Self(form)),
            Err(rejection) => Err(page::sorry(texts, rejection.status())),
        }
    }
}
