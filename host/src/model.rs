//! The words of the domain. No input, no output: everything here can be tested with a literal.

mod asked;
mod audit;
mod branding;
mod budget;
mod catalogue;
mod change;
mod clock;
pub mod conflict;
mod connect_link;
mod connection;
pub mod consent;
mod custom_field;
mod decimal;
mod digest;
mod event;
mod event_pattern;
mod exchange;
mod field;
mod filter;
mod id;
mod manifest;
pub mod money;
mod nearest;
mod oauth_app;
mod operator;
mod origin;
mod page;
mod pending;
mod record;
mod schema;
mod sync;
mod transform;
mod webhook;

pub use asked::Asked;
pub use audit::{AuditEntry, AuditRow};
pub use branding::{Branding, BrandingError, Color};
pub use budget::{Ask, Granted, Said, Window, WindowRule};
pub use catalogue::{
    Catalogue, ObjectKind, ObjectSpec, Operation, Property, Quirk, Reference, Unknown,
};
pub use change::{ChangeAction, ChangeState, Conflict, ConflictState, PushedField, QueuedChange};
pub use clock::{Clock, Entropy, ManualClock, SystemClock, SystemEntropy, Timestamp};
pub use connect_link::{
    ConnectLink, ConnectSettings, LANGUAGES, LINK_LIFE, LINK_TAKEN, LONGEST_LINK_LIFE, LinkState,
    NewConnectLink, WebOrigin, WebOriginError,
};
pub use connection::{
    Account, Connection, ConnectionStatus, Environment, LinkedUser, NewConnection, Project, Scope,
};
pub use custom_field::{
    CustomField, CustomFieldMapping, DataType, EffectiveMapping, EffectiveMappings, FieldSlug,
    Mapped, MappingRules, is_pointer, value_id,
};
pub use decimal::Decimal;
pub use digest::Digest;
pub use event::{Event, EventKind};
pub use event_pattern::{EventPattern, EventPatternError};
pub use exchange::{Exchange, ExchangeCause, ExchangeReason, ExchangeRow};
pub use field::{Choice, FieldMapping, RemoteField};
pub use filter::{FilterError, Filters, Scalar, filterable};
pub use id::{
    ApiKeyId, AuditId, ChangeId, ConflictId, ConnectLinkId, ConnectionId, CustomFieldId,
    DeliveryId, DeliveryIdError, EventId, ExchangeId, FailureId, LinkedUserId, MappingId,
    OperatorId, ProjectId, RecordId, RetryId, RunId, SessionId, Slug, SlugError, WebhookId,
};
pub use manifest::{
    ApiKeyPlace, AuthField, AuthKind, AuthScheme, BudgetScope, ClientAuthentication, Endpoint,
    FullPass, HttpRule, HttpRuleError, LimitHeaders, MANIFEST_SECTION, Manifest, ManifestError,
    Meaning, Mistake, OAuthClient, ObjectSupport, OneOrMany, OptionsFrom, Permissions,
    PushOperation, RateBucket, RateLimits, Retry, RetryRule, RuleHost, SAMPLES_SECTION, Setting,
    SettingType, Template, TemplateError, TimeForm, Variable, VariableType, WebhookRoute,
    WebhookSecret, Webhooks, WriteSafety,
};
pub use nearest::nearest;
pub use oauth_app::OAuthAppKey;
pub use operator::{EmailAddress, EmailAddressError, Operator, OperatorSession, Place, Role};
pub use origin::{Origin, UnifiedBy, ValueSource, Written};
pub use page::{Cursor, CursorError, DEFAULT_LIMIT, MAX_LIMIT, Page, PageRequest};
pub use pending::{Decision, Edit, Pending, Push, Reconciled};
pub use record::{
    Change, Record, RemoteRecord, StoredDocument, Upsert, splice, splice_into, spliced_size,
};
pub use schema::{Violation, WriteMode};
pub(crate) use sync::words;
pub use sync::{
    ConflictPolicy, Direction, ErrorClass, Estimate, EstimateSource, FailedRecord, NextQuery,
    PassState, Query, Question, Run, RunBy, RunCounts, RunDirection, RunEnd, RunError, RunStatus,
    Schedule, ScheduleError, SyncConfig, SyncConfigError, SyncFailure, Trigger, UNGUARDED_DELETES,
    Usage, Used, rounded,
};
pub use transform::{Case, DateOutput, DecimalSign, Sources, Transform};
pub use webhook::{
    Attempt, Cause, Delivery, DeliveryCursor, DeliveryPage, DeliveryState, NewWebhook,
    SealedSecret, Webhook, WebhookChange,
};
