//! Error bodies in the shape that HubSpot documents.

use axum::Json;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::{Value, json};

/// The same for every error: nothing here depends on chance.
const CORRELATION_ID: &str = "aeb5f871-7f07-4993-9211-075dc63e7cbf";

/// A refusal: a status and HubSpot's body for it.
#[derive(Debug)]
pub(crate) struct Failure {
    status: StatusCode,
    retry_after: Option<u32>,
    body: Value,
}

impl Failure {
    pub(crate) fn new(status: StatusCode, category: &str, message: &str) -> Self {
        let body = json!({"status": "error", "message": message, "correlationId": CORRELATION_ID, "category": category});
        Self {
            status,
            retry_after: None,
            body,
        }
    }

    pub(crate) fn validation(message: &str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "VALIDATION_ERROR", message)
    }

    pub(crate) fn unknown_property(name: &str, portal_id: u64) -> Self {
        let text = format!("Property \"{name}\" does not exist");
        let details = json!([{
            "isValid": false,
            "message": text,
            "error": "PROPERTY_DOESNT_EXIST",
            "name": name,
            "localizedErrorMessage": text,
            "portalId": portal_id,
        }]);
        Self::validation(&format!("Property values were not valid: {details}"))
    }

    pub(crate) fn missing_property(object: &str, names: &[&str]) -> Self {
        let kind = object.to_uppercase();
        let mut failure = Self::validation(&format!(
            "Error creating {kind}. Some required properties were not set."
        ));
        failure.body["context"] = json!({"properties": names});
        failure
    }

    pub(crate) fn not_found() -> Self {
        Self::new(
            StatusCode::NOT_FOUND,
            "OBJECT_NOT_FOUND",
            "resource not found",
        )
    }

    pub(crate) fn contact_exists(id: u64) -> Self {
        Self::new(
            StatusCode::CONFLICT,
            "CONFLICT",
            &format!("Contact already exists. Existing ID: {id}"),
        )
    }

    pub(crate) fn planned(status: u16, retry_after: Option<u32>) -> Self {
        let status = StatusCode::from_u16(status).expect("tests ask for real statuses");
        let body = match status {
            StatusCode::TOO_MANY_REQUESTS => json!({
                "status": "error",
                "message": "You have reached your ten_secondly_rolling limit.",
                "errorType": "RATE_LIMIT",
                "correlationId": CORRELATION_ID,
                "policyName": "TEN_SECONDLY_ROLLING",
                "requestId": "3d3e35b7-0dae-4b9f-a6e3-9c230cbcf8dd",
            }),
            StatusCode::FORBIDDEN => json!({
                "status": "error",
                "message": "This app hasn't been granted all required scopes to make this call.",
                "correlationId": CORRELATION_ID,
                "errors": [{
                    "message": "One or more of the following scopes are required.",
                    "context": {"requiredGranularScopes": ["crm.objects.contacts.read"]},
                }],
                "category": "MISSING_SCOPES",
            }),
            _ => {
                json!({"status": "error", "message": "internal error", "correlationId": CORRELATION_ID})
            }
        };
        Self {
            status,
            retry_after,
            body,
        }
    }

    /// The token endpoint has a shape of its own.
    pub(crate) fn oauth(status: &str, message: &str) -> Self {
        let body = json!({"status": status, "message": message, "correlationId": CORRELATION_ID});
        Self {
            status: StatusCode::BAD_REQUEST,
            retry_after: None,
            body,
        }
    }
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        let mut response = (self.status, Json(self.body)).into_response();
        if let Some(seconds) = self.retry_after {
            response
                .headers_mut()
                .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
