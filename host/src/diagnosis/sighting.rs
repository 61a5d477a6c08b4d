//! One thing that failed, whatever it was.

use std::{collections::HashMap, sync::Arc};

use super::{
    pattern::{fingerprint, normalised, status_in},
    rule::Kind,
};
use crate::{
    model::{
        Attempt, ConnectionId, Delivery, DeliveryId, DeliveryState, ErrorClass, ObjectKind,
        RunDirection, RunId, Slug, Timestamp, WebhookId,
    },
    store::{DeadLogin, FailureReason, TroubledDelivery, TroubledRun},
};

/// Where it failed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// At a connection.
    Connection(ConnectionId),
    /// At an endpoint of an application.
    Webhook(WebhookId),
}

/// One thing that failed.
#[derive(Clone, Debug)]
pub(super) struct Sighting {
    pub(super) kind: Kind,
    pub(super) place: Place,
    pub(super) connector: Option<Slug>,
    /// As it came.
    pub(super) message: String,
    pub(super) pattern: Arc<str>,
    pub(super) status: Option<u16>,
    pub(super) run: Option<RunId>,
    /// The sync that failed at the connection.
    pub(super) sync: Option<(ObjectKind, RunDirection)>,
    pub(super) delivery: Option<DeliveryId>,
    /// The version of the connector that failed.
    pub(super) by: Option<String>,
    /// When it began to fail.
    pub(super) began_at: Timestamp,
    /// When it failed last.
    pub(super) at: Timestamp,
    /// Whether these times are known.
    pub(super) is_dated: bool,
    /// Whether it did not come right since.
    pub(super) is_current: bool,
}

/// What messages say, read once each: thousands of things fail for the same reason.
#[derive(Default)]
pub(super) struct Messages(HashMap<String, Said>);

#[derive(Clone)]
struct Said {
    pattern: Arc<str>,
    status: Option<u16>,
}

impl Messages {
    fn read(&mut self, message: &str) -> Said {
        if let Some(said) = self.0.get(message) {
            return said.clone();
        }
        let said = Said {
            pattern: normalised(message).into(),
            status: status_in(message),
        };
        self.0.insert(message.to_owned(), said.clone());
        said
    }
}

impl Sighting {
    pub(super) fn of_run(run: TroubledRun, messages: &mut Messages) -> Self {
        Self {
            connector: Some(run.connector),
            run: Some(run.id),
            sync: Some((run.kind, run.direction)),
            by: run.version,
            is_current: run.is_current,
            ..Self::new(
                Kind::Class(run.error.class),
                Place::Connection(run.connection),
                run.error.message,
                messages,
                [run.started_at, run.at],
            )
        }
    }

    pub(super) fn of_record(reason: FailureReason, messages: &mut Messages) -> Self {
        Self {
            connector: Some(reason.connector),
            run: reason.run,
            sync: Some((reason.kind, RunDirection::Inbound)),
            // Of whatever it talks, it is not of an answer.
            status: None,
            ..Self::new(
                Kind::Record,
                Place::Connection(reason.connection),
                reason.reason,
                messages,
                [reason.first_seen_at, reason.last_seen_at],
            )
        }
    }

    pub(super) fn of_delivery(delivery: TroubledDelivery, messages: &mut Messages) -> Self {
        Self {
            status: delivery.status,
            delivery: Some(delivery.id),
            ..Self::new(
                Kind::Delivery,
                Place::Webhook(delivery.webhook),
                delivery.error,
                messages,
                [delivery.created_at, delivery.at],
            )
        }
    }

    /// None where the delivery arrived, or no attempt failed.
    pub(super) fn of_attempts(
        webhook: WebhookId,
        delivery: &Delivery,
        attempts: &[Attempt],
    ) -> Option<Self> {
        if delivery.state == DeliveryState::Delivered {
            return None;
        }
        let last = attempts.last()?;
        let error = last.error.clone()?;
        Some(Self {
            status: last.status,
            delivery: Some(delivery.id),
            ..Self::new(
                Kind::Delivery,
                Place::Webhook(webhook),
                error,
                &mut Messages::default(),
                [delivery.created_at, last.at],
            )
        })
    }

    pub(super) fn of_login(login: DeadLogin, messages: &mut Messages) -> Self {
        let unknown = || "the login is not accepted any more".to_owned();
        let at = login.died_at.unwrap_or(login.connected_at);
        Self {
            connector: Some(login.connector),
            is_dated: login.died_at.is_some(),
            ..Self::new(
                Kind::Class(ErrorClass::Auth),
                Place::Connection(login.connection),
                login.reason.unwrap_or_else(unknown),
                messages,
                [at, at],
            )
        }
    }

    /// `times`: when it began, and when it failed last.
    fn new(
        kind: Kind,
        place: Place,
        message: String,
        messages: &mut Messages,
        times: [Timestamp; 2],
    ) -> Self {
        let said = messages.read(&message);
        let [began_at, at] = times;
        Self {
            kind,
            place,
            connector: None,
            message,
            pattern: said.pattern,
            status: said.status,
            run: None,
            sync: None,
            delivery: None,
            by: None,
            began_at,
            at,
            is_dated: true,
            is_current: true,
        }
    }

    pub(super) fn webhook(&self) -> Option<WebhookId> {
        match self.place {
            Place::Webhook(id) => Some(id),
            Place::Connection(_) => None,
        }
    }

    /// What those have in common that have one fingerprint.
    pub(super) fn likeness(&self) -> (Option<&Slug>, Option<WebhookId>, Kind, &Arc<str>) {
        (
            self.connector.as_ref(),
            self.webhook(),
            self.kind,
            &self.pattern,
        )
    }

    /// The same for the same pattern of the same kind at the same connector, or endpoint.
    pub(super) fn fingerprint(&self) -> String {
        let place = match (&self.connector, self.place) {
            (Some(connector), _) => connector.to_string(),
            (None, Place::Webhook(id)) => id.to_string(),
            (None, Place::Connection(id)) => id.to_string(),
        };
        fingerprint(&place, self.kind.as_str(), &self.pattern)
    }
}
