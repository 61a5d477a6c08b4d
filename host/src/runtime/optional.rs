//! The interfaces that a connector may export: discovery of fields, choices of settings, and
//! webhooks.

use std::{
    collections::BTreeMap,
    sync::{Arc, atomic::AtomicU64},
};

use secrecy::SecretString;

use super::{
    CallContext, CallError, ConnectorVersion, Failure, Routes,
    bindings::{chosen, fields, inbound},
    call::Outside,
};
use crate::{
    egress::{
        Authorization, AuthorizeError, Authorizer, BoxFuture, Downstream, Priority, Unlimited,
    },
    model::{Choice, Environment, ObjectKind, RemoteField, Usage},
};

/// The most fields that are taken.
const MAX_FIELDS: usize = 5000;
/// The most characters of each text of a field.
const MAX_TEXT: usize = 500;
/// The most options or samples of a field.
const MAX_VALUES: usize = 1000;
/// The most choices of a setting.
const MAX_CHOICES: usize = 1000;
/// The most notices of one request.
const MAX_NOTICES: usize = 1000;
/// The most bytes of an answer.
const MAX_ANSWER: usize = 64 * 1024;

/// A request that a provider sent, unproved.
#[derive(Clone, Debug)]
pub struct Incoming {
    /// The HTTP method.
    pub method: String,
    /// What follows `/inbound/{connector}/`.
    pub path: String,
    /// The URL as the provider knows it.
    pub url: String,
    /// The pairs of the query.
    pub query: Vec<(String, String)>,
    /// Headers, names in lower case. Values that are no text are left out.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
    /// When it arrived, milliseconds since 1970.
    pub received_at: u64,
}

/// What a genuine request says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receipt {
    /// What happened.
    pub notices: Vec<Notice>,
    /// What the provider wants to be answered.
    pub answer: Option<Reply>,
}

/// One thing that happened at a provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Notice {
    /// The provider's id of the account.
    pub account: Option<String>,
    /// The object, as the connector names it.
    pub object: String,
    /// The record; none where only the object is known.
    pub remote_id: Option<String>,
}

/// An answer that a provider insists on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// 200 to 299.
    pub status: u16,
    /// Headers to set.
    pub headers: Vec<(String, String)>,
    /// The body.
    pub body: Vec<u8>,
}

/// Why a request is refused; the text is for the log.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Rejection {
    /// The signature is missing, wrong or too old.
    Forged(String),
    /// It makes no sense.
    Malformed(String),
    /// It is genuine, and about something that the connector does not serve.
    Unsupported(String),
}

impl ConnectorVersion {
    /// The fields that the provider has for an object; see `remote-fields` in
    /// `wit/discovery.wit`.
    ///
    /// # Errors
    /// The connector has no such interface (`unsupported`), or it or the provider fails.
    pub async fn discover(
        &self,
        context: CallContext,
        kind: ObjectKind,
    ) -> Result<Vec<RemoteField>, CallError> {
        let Some(indices) = self.instance.discovery.clone() else {
            return Err(no_discovery());
        };
        let connection = context.for_guest();
        let outside = self.outside_of(context)?;
        let found = self
            .run("remote-fields", Some(outside), move |instance, store| {
                Box::pin(async move {
                    let plugin = indices.load(&mut *store, &instance)?;
                    let object = kind.name().to_owned();
                    plugin
                        .jackfield_connector_discovery()
                        .call_remote_fields(store, &connection, &object)
                        .await
                })
            })
            .await?;
        Ok(found
            .into_iter()
            .filter(|field| !field.name.is_empty())
            .take(MAX_FIELDS)
            .map(remote_field)
            .collect())
    }

    /// What a setting can be set to at the provider; see `setting-choices` in `wit/choices.wit`.
    ///
    /// # Errors
    /// The connector has no such interface (`unsupported`), or it or the provider fails.
    pub async fn setting_choices(
        &self,
        context: CallContext,
        setting: &str,
    ) -> Result<Vec<Choice>, CallError> {
        let Some(indices) = self.instance.choices.clone() else {
            return Err(no_choices());
        };
        let connection = context.for_guest();
        let outside = self.outside_of(context)?;
        let setting = setting.to_owned();
        let found = self
            .run("setting-choices", Some(outside), move |instance, store| {
                Box::pin(async move {
                    let plugin = indices.load(&mut *store, &instance)?;
                    plugin
                        .jackfield_connector_choices()
                        .call_setting_choices(store, &connection, &setting)
                        .await
                })
            })
            .await?;
        let choice = |choice: chosen::Choice| Choice {
            label: cut(if choice.label.is_empty() {
                choice.value.clone()
            } else {
                choice.label
            }),
            value: choice.value,
        };
        // A value is sent back as it is: one that is too long is left out rather than cut.
        let usable = |choice: &chosen::Choice| {
            !choice.value.is_empty()
                && choice.value.len() <= MAX_TEXT
                && !choice.value.contains(['\r', '\n'])
        };
        let found = found.into_iter().filter(usable).take(MAX_CHOICES);
        Ok(found.map(choice).collect())
    }

    /// Verifies a request of the provider and reads it; see `receive` in `wit/webhooks.wit`. The
    /// guest sends no request, and has the one secret that the manifest names.
    ///
    /// # Errors
    /// The connector has no such interface, or it fails. That a request is refused is no error.
    pub async fn receive(
        &self,
        request: Incoming,
        secret: SecretString,
    ) -> Result<Result<Receipt, Rejection>, CallError> {
        let (Some(indices), Some(webhooks)) = (&self.instance.webhooks, self.manifest().webhooks)
        else {
            let text = "this connector reads no webhooks".to_owned();
            return Err(CallError::Failure(Failure::Unsupported(text)));
        };
        let name = webhooks.secret.name();
        let outside = Outside {
            context: CallContext {
                id: String::new(),
                environment: Environment::Production,
                account: None,
                settings: BTreeMap::new(),
                authorizer: Arc::new(OneSecret(Arc::new(
                    Authorization::new(0).with_secret(name, secret),
                ))),
                downstream: Downstream::default(),
                budget: Arc::new(Unlimited),
                priority: Priority::Interactive,
                usage: Usage::default(),
                reason: None,
            },
            routes: Routes::none(),
            requests: 0,
            transferred: AtomicU64::new(0),
            wait: None,
            receiving: Some(name),
        };
        let indices = indices.clone();
        let incoming = inbound::Incoming {
            method: request.method,
            path: request.path,
            url: request.url,
            query: request.query,
            headers: request.headers,
            body: request.body,
            received_at: request.received_at,
        };
        let answer = self
            .run("receive", Some(outside), move |instance, store| {
                Box::pin(async move {
                    let plugin = indices.load(&mut *store, &instance)?;
                    let answer = plugin
                        .jackfield_connector_webhooks()
                        .call_receive(store, &incoming)
                        .await?;
                    Ok(Ok(answer))
                })
            })
            .await?;
        match answer {
            Ok(receipt) => checked(receipt).map(Ok).map_err(|error| self.broke(error)),
            Err(rejection) => Ok(Err(match rejection {
                inbound::Rejection::Forged(text) => Rejection::Forged(cut(text)),
                inbound::Rejection::Malformed(text) => Rejection::Malformed(cut(text)),
                inbound::Rejection::Unsupported(text) => Rejection::Unsupported(cut(text)),
            })),
        }
    }
}

fn no_discovery() -> CallError {
    let text = "this connector does not tell which fields the provider has".to_owned();
    CallError::Failure(Failure::Unsupported(text))
}

fn no_choices() -> CallError {
    let text = "this connector does not tell what can be chosen".to_owned();
    CallError::Failure(Failure::Unsupported(text))
}

fn remote_field(field: fields::RemoteField) -> RemoteField {
    let values = |values: Vec<String>| values.into_iter().take(MAX_VALUES).map(cut).collect();
    RemoteField {
        name: cut(field.name),
        label: cut(field.label),
        data_type: match field.data_type {
            fields::DataType::Text => "string",
            fields::DataType::Number => "number",
            fields::DataType::Boolean => "boolean",
            fields::DataType::Date => "date",
            fields::DataType::DateTime => "datetime",
            fields::DataType::Many => "list",
            fields::DataType::Structure => "object",
        },
        custom: field.custom,
        writable: field.writable,
        options: values(field.options),
        samples: values(field.samples),
    }
}

fn checked(receipt: inbound::Receipt) -> Result<Receipt, CallError> {
    if receipt.notices.len() > MAX_NOTICES {
        return Err(CallError::Entries(receipt.notices.len(), MAX_NOTICES));
    }
    let answer = match receipt.answer {
        Some(reply) if reply.body.len() > MAX_ANSWER => {
            return Err(CallError::Output(reply.body.len(), MAX_ANSWER));
        }
        Some(reply) => Some(Reply {
            status: reply.status.clamp(200, 299),
            headers: reply.headers.into_iter().take(8).collect(),
            body: reply.body,
        }),
        None => None,
    };
    let notice = |notice: inbound::Notice| Notice {
        account: notice.account,
        object: notice.object,
        remote_id: notice.remote_id.filter(|id| !id.is_empty()),
    };
    Ok(Receipt {
        notices: receipt.notices.into_iter().map(notice).collect(),
        answer,
    })
}

/// A guest's texts end up in logs, answers and the database.
fn cut(text: String) -> String {
    if text.len() <= MAX_TEXT {
        return text;
    }
    text.chars().take(MAX_TEXT).collect()
}

/// For a call that may use one secret and send nothing.
struct OneSecret(Arc<Authorization>);

impl Authorizer for OneSecret {
    fn current(&self) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        Box::pin(async { Ok(Arc::clone(&self.0)) })
    }

    fn refreshed(&self, _: i64) -> BoxFuture<'_, Result<Arc<Authorization>, AuthorizeError>> {
        self.current()
    }
}
