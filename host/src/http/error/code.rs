//! The table of error codes: stable names, statuses, and what to do.

use axum::http::StatusCode;

macro_rules! codes {
    ($($variant:ident $status:ident $name:literal $title:literal $help:literal;)*) => {
        /// A kind of error. Codes are stable: clients match on them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Code {
            $(#[doc = $title] $variant,)*
        }

        impl Code {
            /// All there are, in the order of the table.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The status of the answer.
            #[must_use]
            pub const fn status(self) -> StatusCode {
                match self { $(Self::$variant => StatusCode::$status,)* }
            }

            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name,)* }
            }

            /// What it means, in a few words.
            #[must_use]
            pub const fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// What to do about it.
            #[must_use]
            pub const fn help(self) -> &'static str {
                match self { $(Self::$variant => $help,)* }
            }
        }
    };
}

codes! {
    ApiKeyMissing UNAUTHORIZED "api_key_missing" "No API key"
        "Send the project's API key in the header `x-api-key` (or `Authorization: Bearer`). `jackfield api-key create` makes one.";
    ApiKeyInvalid UNAUTHORIZED "api_key_invalid" "Unknown API key"
        "Check that the key is whole and was not revoked; `jackfield api-key create` makes a new one.";
    ConnectionTokenMissing UNAUTHORIZED "connection_token_missing" "No connection token"
        "Send the connection's token in the header `x-connection-token`; `GET /connections` lists connections with their tokens.";
    ConnectionTokenInvalid UNAUTHORIZED "connection_token_invalid" "Unknown connection token"
        "Use a token that `GET /connections` lists for this API key; tokens of deleted connections and of other projects do not work.";
    WebhookForged UNAUTHORIZED "webhook_forged" "Not proved to be the provider's"
        "Sign with the secret that `GET /connections/{id}/webhook` speaks of, over the body as it is sent, and send at once.";
    NotAllowed FORBIDDEN "not_allowed" "Not allowed with an API key"
        "Ask the operator of this server to do it on the command line.";
    OperatorRequired FORBIDDEN "operator_required" "For the operator only"
        "Use a key that `jackfield api-key create --operator` made: keys of projects cannot change what concerns the whole server.";
    PassthroughDenied FORBIDDEN "passthrough_denied" "Outside of what the connector may reach"
        "Send to an address that `detail` lists; only another version of the connector, or the operator's `egress.allow_private`, can allow more.";
    RouteNotFound NOT_FOUND "route_not_found" "No such path"
        "Unified objects are at `/{vertical}/{objects}`, for example `/crm/contacts`; `GET /connectors` shows which objects there are.";
    RecordNotFound NOT_FOUND "record_not_found" "No such record"
        "Use an id that a list of the same object and connection gave; ids of deleted records are gone.";
    RetryNotFound NOT_FOUND "retry_not_found" "No such request in the queue"
        "Use a `retryId` that `POST /passthrough` answered for this project; results are kept for 24 hours.";
    ConnectionNotFound NOT_FOUND "connection_not_found" "No such connection"
        "`GET /connections` lists the connections of this project.";
    ConnectLinkNotFound NOT_FOUND "connect_link_not_found" "No such connect link"
        "`GET /connect/links` lists the connect links of this project; `POST` there makes one.";
    LinkedUserNotFound NOT_FOUND "linked_user_not_found" "No such linked user"
        "`GET /linked_users` lists the linked users of this project; `POST /linked_users` makes one.";
    ProjectNotFound NOT_FOUND "project_not_found" "No such project"
        "`GET /projects` shows the project of this API key.";
    CustomFieldNotFound NOT_FOUND "custom_field_not_found" "No such custom field"
        "`GET /custom_fields` lists the custom fields of this project; `POST /custom_fields` defines one.";
    MappingNotFound NOT_FOUND "mapping_not_found" "No such mapping"
        "`GET /custom_fields/{id}/mappings` lists the mappings of a custom field; `POST` there makes one.";
    ConnectorNotFound NOT_FOUND "connector_not_found" "No such connector"
        "`GET /connectors` lists the connectors of this server; an operator adds one by putting its .wasm file into the plugins folder.";
    WebhookNotFound NOT_FOUND "webhook_not_found" "No such webhook endpoint"
        "`GET /webhooks` lists the endpoints of this project.";
    DeliveryNotFound NOT_FOUND "delivery_not_found" "No such delivery"
        "`GET /webhooks/{id}/deliveries` lists the deliveries of an endpoint; they are kept for a time that the operator sets.";
    SyncNotFound NOT_FOUND "sync_not_found" "No such sync"
        "`GET /syncs` lists the syncs of this project: one for each object that a connection's connector reads.";
    ChangeNotFound NOT_FOUND "change_not_found" "No such change"
        "`GET /changes` lists the changes of this project that are or were on their way to providers.";
    ConflictNotFound NOT_FOUND "conflict_not_found" "No such conflict"
        "`GET /conflicts?state=open` lists the conflicts of this project that wait for somebody.";
    SyncRunNotFound NOT_FOUND "sync_run_not_found" "No such sync run"
        "`GET /sync-runs` lists the runs of this project.";
    SyncFailureNotFound NOT_FOUND "sync_failure_not_found" "No such failing record"
        "`GET /sync-failures` lists the records of this project that cannot be unified.";
    ExchangeNotFound NOT_FOUND "exchange_not_found" "No such exchange"
        "`GET /connections/{id}/exchanges` lists what was sent to the provider of a connection; it is kept for a time that the operator sets.";
    MethodNotAllowed METHOD_NOT_ALLOWED "method_not_allowed" "Not possible here"
        "The header `Allow` says what is possible at this path.";
    Conflict CONFLICT "conflict" "In conflict with what is there"
        "Read what is there, and change that or choose another value.";
    ProviderConflict CONFLICT "provider_conflict" "Changed at the provider"
        "Read the record again, apply the change to what it is now, and send that.";
    IdempotencyKeyBusy CONFLICT "idempotency_key_busy" "The same request is still at work"
        "Send it again after the seconds in `Retry-After`; once the first is done, its answer is given again.";
    BodyTooLarge PAYLOAD_TOO_LARGE "body_too_large" "Body too large"
        "A request's body may have 2 MiB; what is streamed to `/passthrough/raw/…` may have `passthrough.max_stream_mib`.";
    InvalidParameter BAD_REQUEST "invalid_parameter" "A parameter makes no sense"
        "Correct the parameter that is named, or leave it away.";
    UnsupportedMediaType UNSUPPORTED_MEDIA_TYPE "unsupported_media_type" "The body is in a form that is not understood"
        "Send JSON with `Content-Type: application/json`.";
    InvalidBody BAD_REQUEST "invalid_body" "The body cannot be read"
        "Send one JSON object in UTF-8.";
    WebhookMalformed BAD_REQUEST "webhook_malformed" "A webhook that cannot be read"
        "Send what the provider's documentation describes; the operator finds the reason in the log.";
    SignatureInvalid BAD_REQUEST "signature_invalid" "The signature does not match"
        "Send the whole body of the delivery as `payload`, its header `Panora-Signature` as `signature`, and the secret of the endpoint that it came to.";
    StateInvalid BAD_REQUEST "state_invalid" "The login cannot be finished"
        "Start the login again: a login can be finished once, within ten minutes.";
    LoginRefused BAD_REQUEST "login_refused" "The provider did not log the user in"
        "Start the login again, and allow the access that the provider asks about.";
    ValidationFailed UNPROCESSABLE_ENTITY "validation_failed" "The input is not valid"
        "Correct what `violations` names; each path is a JSON Pointer into the body.";
    InvalidSetting UNPROCESSABLE_ENTITY "invalid_setting" "A field of the connection is not valid"
        "`GET /connectors/{slug}` lists the fields and settings of a connector with their types.";
    ConnectorRefused UNPROCESSABLE_ENTITY "connector_refused" "Not a connector that this server takes"
        "Build it with `jackfield connector build`, look at it with `jackfield connector validate`, and sign it after its last change.";
    UnknownReference UNPROCESSABLE_ENTITY "unknown_reference" "A reference leads nowhere"
        "Use the id of a record of the same connection.";
    IdempotencyKeyReused UNPROCESSABLE_ENTITY "idempotency_key_reused" "The key belongs to another request"
        "Make a new `Idempotency-Key` for each request, and send the same one only with the same request.";
    ProviderRefused UNPROCESSABLE_ENTITY "provider_refused" "The provider refuses the input"
        "Correct the field that is named; the provider's own rules apply besides the schema.";
    CredentialsRefused UNPROCESSABLE_ENTITY "credentials_refused" "The provider refuses the credentials"
        "Check what was typed, and that the account may use the provider's API.";
    NeedsReconnect FAILED_DEPENDENCY "needs_reconnect" "The connection must be renewed"
        "Let the linked user log in again for this connection; its token stays the same.";
    ProviderForbidden FAILED_DEPENDENCY "provider_forbidden" "The provider forbids it"
        "Give the connected account the right at the provider, or connect an account that has it.";
    RateLimited TOO_MANY_REQUESTS "rate_limited" "The provider asks to wait"
        "Try again after the seconds in `Retry-After`.";
    TooManyRequests TOO_MANY_REQUESTS "too_many_requests" "Too many requests of this project"
        "Try again after the seconds in `Retry-After`; the header `RateLimit-Policy` says how many requests are possible. The operator sets `http.rate_limit`.";
    Internal INTERNAL_SERVER_ERROR "internal" "This server failed"
        "Try again; if it stays, give the operator the `request_id`.";
    Unsupported NOT_IMPLEMENTED "unsupported" "The connector does not do this"
        "`GET /connectors/{slug}` lists the objects and operations of a connector.";
    NotOffered NOT_IMPLEMENTED "not_offered" "This server does not offer it"
        "The operation is in the published contract only; leave it away.";
    OAuthAppMissing NOT_IMPLEMENTED "oauth_app_missing" "No OAuth app for this connector"
        "An operator registers an app with the provider and sets `connectors.<slug>.oauth.client_id` and `client_secret`.";
    AssistantMissing NOT_IMPLEMENTED "assistant_missing" "No assistant"
        "An operator sets `assistant.url` and `assistant.model`; `GET /diagnosis` tells the same facts without one.";
    AssistantFailed BAD_GATEWAY "assistant_failed" "The assistant does not answer"
        "`detail` says why; `GET /diagnosis` tells the facts without it.";
    MarketplaceFailed BAD_GATEWAY "marketplace_failed" "A registry or an index does not do what is asked"
        "`detail` says which and why; logins are in marketplace.registries, and hosts on private networks need egress.allow_private.";
    ProviderFailed BAD_GATEWAY "provider_failed" "The provider's answer makes no sense"
        "Try again; if it stays, the connector does not understand this provider's answer: tell its author.";
    ConnectorLimit BAD_GATEWAY "connector_limit" "The connector broke a limit"
        "`detail` says which; tell the connector's author, or ask for less at once.";
    ConnectorFailed BAD_GATEWAY "connector_failed" "The connector failed"
        "Try again; if it stays, tell the connector's author what `detail` says.";
    ProviderUnavailable SERVICE_UNAVAILABLE "provider_unavailable" "The provider does not answer"
        "Try again in a while.";
    ConnectorUnavailable SERVICE_UNAVAILABLE "connector_unavailable" "The connector does not serve"
        "`GET /connectors/{slug}` says why; an operator mends it by putting a good .wasm file into the plugins folder.";
    Busy SERVICE_UNAVAILABLE "busy" "Too much at once"
        "Try again after the seconds in `Retry-After`.";
    WebhookNotConfigured SERVICE_UNAVAILABLE "webhook_not_configured" "No secret to verify with"
        "The operator sets the key that is named, and the provider sends the webhook again.";
    StorageFull INSUFFICIENT_STORAGE "storage_full" "No space left for data"
        "Reading works, and writing again when the operator has made space on the disk of the database; send a write again with the same `Idempotency-Key`.";
    StoreUnavailable SERVICE_UNAVAILABLE "store_unavailable" "The database does not answer"
        "Try again in a while; the operator finds the reason in the log.";
    ConnectorTimeout GATEWAY_TIMEOUT "connector_timeout" "The connector took too long"
        "Try again; for a write, read the record first, since the provider may have done it.";
    RequestTimeout GATEWAY_TIMEOUT "request_timeout" "The request took too long"
        "Try again; for a write, read the record first, since the provider may have done it.";
}

/// What is in a help for programs, and means nothing on a page.
const FOR_PROGRAMS: [&str; 8] = [
    "`GET ",
    "`POST ",
    "header",
    "Retry-After",
    "Idempotency-Key",
    "JSON",
    "`detail`",
    "`request_id`",
];

impl Code {
    /// What people do about it who have a page before them; empty where there is nothing to do
    /// but to read what happened.
    #[must_use]
    pub fn help_on_pages(self) -> &'static str {
        match self {
            Self::RateLimited | Self::TooManyRequests | Self::Busy | Self::IdempotencyKeyBusy => {
                "Try again in a minute."
            }
            Self::ConnectorUnavailable | Self::ConnectorNotFound | Self::Unsupported => {
                "The page of connectors shows how each stands, and what it does."
            }
            Self::ConnectorLimit | Self::ConnectorFailed => {
                "Try again; if it stays, tell the connector's author what is said here."
            }
            Self::Internal => "Try again; if it stays, the log of the server says more.",
            Self::StorageFull => {
                "Reading works, and writing again when there is space on the disk of the database."
            }
            Self::ConnectionNotFound => {
                "The page of connections lists those of this project; it may have been disconnected."
            }
            _ if !FOR_PROGRAMS.iter().any(|word| self.help().contains(word)) => self.help(),
            _ if self.status() == StatusCode::NOT_FOUND => {
                "Go back and choose again: it may have been deleted."
            }
            _ => "",
        }
    }

    /// By its name on the wire.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|code| code.name() == name)
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn pages_speak_to_people() {
        for code in Code::ALL {
            let help = code.help_on_pages();
            assert!(!help.contains("`GET"), "{}", code.name());
            assert!(help.is_empty() || help.ends_with('.'), "{}", code.name());
        }
        let missing = Code::OAuthAppMissing;
        assert_eq!(missing.help_on_pages(), missing.help());
    }

    #[test]
    fn names_are_distinct_and_every_row_helps() {
        let names: HashSet<_> = Code::ALL.iter().map(|code| code.name()).collect();
        assert_eq!(names.len(), Code::ALL.len());
        for code in Code::ALL {
            assert_eq!(Code::parse(code.name()), Some(*code));
            assert!(code.help().ends_with('.'), "{}", code.name());
            assert!(code.status().is_client_error() || code.status().is_server_error());
        }
    }
}
