//! Where events are delivered, and how that went.

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use serde_json::{Value, json};

use super::{
    CursorError, DeliveryId, EventId, EventKind, EventPattern, ProjectId, Timestamp, WebhookId,
};

/// An endpoint of an application, as it is stored.
#[derive(Clone, Debug)]
pub struct Webhook {
    /// Its id.
    pub id: WebhookId,
    /// Its number in this database.
    pub number: u32,
    /// The project whose events it gets.
    pub project: ProjectId,
    /// Where events are sent.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// The events that it gets.
    pub scopes: Vec<EventPattern>,
    /// Whether it gets any.
    pub active: bool,
    /// Why this server stopped delivering, where it did.
    pub disabled_reason: Option<String>,
    /// When it stopped.
    pub disabled_at: Option<Timestamp>,
    /// Since when nothing but failures came back.
    pub failing_since: Option<Timestamp>,
    /// What its deliveries are signed with.
    pub secret: SealedSecret,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it was changed last.
    pub updated_at: Timestamp,
}

impl Webhook {
    /// What the audit log says of it.
    #[must_use]
    pub fn audited(&self) -> Value {
        let events: Vec<&str> = self.scopes.iter().map(EventPattern::as_str).collect();
        json!({ "url": self.url, "events": events, "active": self.active })
    }
}

/// The signing secret of an endpoint, and the one before while that signs too.
#[derive(Clone, Debug)]
pub struct SealedSecret {
    /// The secret.
    pub current: Vec<u8>,
    /// The one before the last rotation.
    pub previous: Option<Vec<u8>>,
    /// Until when that signs.
    pub previous_until: Option<Timestamp>,
}

/// What is known of an endpoint before it is stored.
#[derive(Clone, Debug)]
pub struct NewWebhook {
    /// Its id.
    pub id: WebhookId,
    /// Where events are sent.
    pub url: String,
    /// What people call it.
    pub description: String,
    /// The events that it gets.
    pub scopes: Vec<EventPattern>,
    /// The secret, sealed.
    pub sealed_secret: Vec<u8>,
}

/// What changes of an endpoint; the rest stays.
#[derive(Clone, Debug, Default)]
pub struct WebhookChange {
    /// Where events are sent.
    pub url: Option<String>,
    /// What people call it.
    pub description: Option<String>,
    /// The events that it gets.
    pub scopes: Option<Vec<EventPattern>>,
    /// Whether it gets any.
    pub active: Option<bool>,
}

/// How a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Tried when it is due.
    Pending,
    /// The receiver took it.
    Delivered,
    /// The schedule came to its end; only a person brings it back.
    Dead,
    /// The endpoint was disabled before it arrived.
    Cancelled,
}

impl DeliveryState {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Pending, Self::Delivered, Self::Dead, Self::Cancelled];

    /// `pending`, `delivered`, `dead` or `cancelled`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::Dead => "dead",
            Self::Cancelled => "cancelled",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|state| state.as_str() == text)
    }
}

/// Why an attempt is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Cause {
    /// It was due.
    Schedule,
    /// A person asked for it again.
    Manual,
    /// A person tries the endpoint.
    Test,
}

impl Cause {
    /// `schedule`, `manual` or `test`.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Schedule => "schedule",
            Self::Manual => "manual",
            Self::Test => "test",
        }
    }

    /// The reverse of [`Self::as_str`].
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        [Self::Schedule, Self::Manual, Self::Test]
            .into_iter()
            .find(|cause| cause.as_str() == text)
    }
}

/// One event on its way to one endpoint.
#[derive(Clone, Debug)]
pub struct Delivery {
    /// Its id.
    pub id: DeliveryId,
    /// The event: what receivers see as `webhook-id`. None where it is past its keeping time.
    pub event: Option<(EventId, EventKind)>,
    /// How it stands.
    pub state: DeliveryState,
    /// Attempts that were begun.
    pub attempts: u32,
    /// When it is tried next, where it is.
    pub next_at: Option<Timestamp>,
    /// When the event became a delivery.
    pub created_at: Timestamp,
    /// When it changed last.
    pub updated_at: Timestamp,
}

/// One request to an endpoint, ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Counts from 1 within its delivery. A number that is missing was cut short by the end of the
    /// process.
    pub number: u32,
    /// Why it was made.
    pub cause: Cause,
    /// When it began.
    pub at: Timestamp,
    /// What the receiver answered, where it did.
    pub status: Option<u16>,
    /// Why it counts as a failure, where it does: a sentence.
    pub error: Option<String>,
    /// How long it took, milliseconds.
    pub duration_ms: u64,
    /// The beginning of the answer's body.
    pub response: String,
}

/// A place between two deliveries in the order of their events. Opaque to callers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliveryCursor {
    /// Towards newer ones, that is to the page before.
    pub backward: bool,
    /// The event's number of the delivery beside the place.
    pub event: i64,
}

impl DeliveryCursor {
    /// The text for the caller.
    #[must_use]
    pub fn encode(&self) -> String {
        let mut bytes = vec![u8::from(self.backward)];
        bytes.extend_from_slice(&self.event.to_be_bytes());
        URL_SAFE_NO_PAD.encode(bytes)
    }

    /// The reverse of [`Self::encode`].
    ///
    /// # Errors
    /// The text is not one that `encode` makes.
    pub fn decode(text: &str) -> Result<Self, CursorError> {
        let bytes = URL_SAFE_NO_PAD.decode(text).map_err(|_| CursorError)?;
        let bytes: [u8; 9] = bytes.try_into().map_err(|_| CursorError)?;
        let [direction, event @ ..] = bytes;
        Ok(Self {
            backward: match direction {
                0 => false,
                1 => true,
                _ => return Err(CursorError),
            },
            event: i64::from_be_bytes(event),
        })
    }
}

/// A page of deliveries, newest first.
#[derive(Clone, Debug)]
pub struct DeliveryPage {
    /// The deliveries.
    pub data: Vec<Delivery>,
    /// The page before, where there is one.
    pub previous: Option<DeliveryCursor>,
    /// The page after, where there is one.
    pub next: Option<DeliveryCursor>,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cursors_survive_the_journey_and_others_are_refused() {
        let cursor = DeliveryCursor {
            backward: true,
            event: 77,
        };
        assert_eq!(DeliveryCursor::decode(&cursor.encode()).unwrap(), cursor);
        for bad in ["", "AA", "not base64!", &"A".repeat(200)] {
            assert!(DeliveryCursor::decode(bad).is_err(), "{bad}");
        }
    }
}
