//! One thing that failed, whatever it was.

use super::{
    pattern::{fingerprint, normalised, status_in},
    rule::Kind,
};
use crate::{
    model::{
        Attempt, Connection, ConnectionId, Delivery, DeliveryId, DeliveryState, ErrorClass, Run,
        RunId, Slug, Timestamp, WebhookId,
    },
    store::{FailureReason, TroubledDelivery},
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
    pub(super) pattern: String,
    pub(super) status: Option<u16>,
    pub(super) run: Option<RunId>,
    pub(super) delivery: Option<DeliveryId>,
    /// The version of the connector that failed.
    pub(super) by: Option<String>,
    /// When it began to fail.
    pub(super) began_at: Timestamp,
    /// When it failed last.
    pub(super) at: Timestamp,
    /// Whether these times are known.
    pub(super) is_dated: bool,
}

impl Sighting {
    /// None where the run has no error.
    pub(super) fn of_run(run: &Run) -> Option<Self> {
        let error = run.error.as_ref()?;
        let status = status_in(&error.message);
        Some(Self {
            connector: Some(run.connector.clone()),
            status,
            run: Some(run.id),
            by: run.by.as_ref().map(|by| by.version.clone()),
            ..Self::new(
                Kind::Class(error.class),
                Place::Connection(run.connection),
                &error.message,
                run.started_at,
                run.finished_at.unwrap_or(run.updated_at),
            )
        })
    }

    pub(super) fn of_record(reason: FailureReason) -> Self {
        Self {
            connector: Some(reason.connector),
            run: reason.run,
            ..Self::new(
                Kind::Record,
                Place::Connection(reason.connection),
                &reason.reason,
                reason.first_seen_at,
                reason.last_seen_at,
            )
        }
    }

    pub(super) fn of_delivery(delivery: &TroubledDelivery) -> Self {
        Self {
            status: delivery.status,
            delivery: Some(delivery.id),
            ..Self::new(
                Kind::Delivery,
                Place::Webhook(delivery.webhook),
                &delivery.error,
                delivery.created_at,
                delivery.at,
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
        let error = last.error.as_ref()?;
        Some(Self {
            status: last.status,
            delivery: Some(delivery.id),
            ..Self::new(
                Kind::Delivery,
                Place::Webhook(webhook),
                error,
                delivery.created_at,
                last.at,
            )
        })
    }

    /// A login that is dead, since `died` where that is known.
    pub(super) fn of_login(connection: &Connection, died: Option<Timestamp>) -> Self {
        let reason = connection.status_reason.as_deref();
        let message = reason.unwrap_or("the login is not accepted any more");
        let at = died.unwrap_or(connection.created_at);
        Self {
            connector: Some(connection.connector.clone()),
            status: status_in(message),
            is_dated: died.is_some(),
            ..Self::new(
                Kind::Class(ErrorClass::Auth),
                Place::Connection(connection.id),
                message,
                at,
                at,
            )
        }
    }

    fn new(kind: Kind, place: Place, message: &str, began_at: Timestamp, at: Timestamp) -> Self {
        Self {
            kind,
            place,
            connector: None,
            message: message.to_owned(),
            pattern: normalised(message),
            status: None,
            run: None,
            delivery: None,
            by: None,
            began_at,
            at,
            is_dated: true,
        }
    }

    pub(super) fn webhook(&self) -> Option<WebhookId> {
        match self.place {
            Place::Webhook(id) => Some(id),
            Place::Connection(_) => None,
        }
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
