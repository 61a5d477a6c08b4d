//! Typed ids. A raw string becomes one of these at the edge and never turns back.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Digest, Entropy, Timestamp};

macro_rules! uuid_type {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0.hyphenated(), formatter)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::try_parse(text).map(Self)
            }
        }
    )*};
}

macro_rules! uuid_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        uuid_type! { $(#[$doc])* $name }

        impl $name {
            /// A new one (UUID version 4).
            #[must_use]
            pub fn generate(entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 16];
                entropy.fill(&mut bytes);
                Self(uuid::Builder::from_random_bytes(bytes).into_uuid())
            }
        }
    )*};
}

macro_rules! ordered_ids {
    ($($(#[$doc:meta])* $name:ident),* $(,)?) => {$(
        uuid_type! { $(#[$doc])* $name }

        impl $name {
            /// A new one (UUID version 7): its text sorts by time.
            #[must_use]
            pub fn generate(now: Timestamp, entropy: &dyn Entropy) -> Self {
                let mut bytes = [0; 10];
                entropy.fill(&mut bytes);
                Self::made_of(now, bytes)
            }

            /// Sorts before all that are made at this time or later.
            #[must_use]
            pub fn first_at(time: Timestamp) -> Self {
                Self::made_of(time, [0; 10])
            }

            fn made_of(time: Timestamp, bytes: [u8; 10]) -> Self {
                let millis = u64::try_from(time.as_millis()).unwrap_or(0);
                Self(uuid::Builder::from_unix_timestamp_millis(millis, &bytes).into_uuid())
            }
        }
    )*};
}

ordered_ids! {
    /// One execution of a sync.
    RunId,
    /// A write of ours that is to be pushed to a provider.
    ChangeId,
    /// Two versions of a record between which somebody decides.
    ConflictId,
    /// A record that cannot be unified.
    FailureId,
    /// An entry of the audit log.
    AuditId,
    /// A connect link.
    ConnectLinkId,
    /// A request to a provider that was written down.
    ExchangeId,
}

uuid_ids! {
    /// One integrator's space.
    ProjectId,
    /// A key of the API.
    ApiKeyId,
    /// A customer of the integrator.
    LinkedUserId,
    /// A linked user's authenticated account at a provider.
    ConnectionId,
    /// An event.
    EventId,
    /// The definition of a custom field.
    CustomFieldId,
    /// A mapping of a custom field.
    MappingId,
    /// Where a project wants its events delivered.
    WebhookId,
    /// A passed-through request that is sent again later.
    RetryId,
    /// Somebody who operates this server.
    OperatorId,
    /// An operator's browser that is signed in.
    SessionId,
}

/// The id of a delivery, derived from what it is: one event on its way to one endpoint.
///
/// UUID version 8: 32 bits the endpoint's number, then, after version and variant, 56 bits the
/// event's number in this database.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct DeliveryId {
    /// The endpoint's number.
    pub endpoint: u32,
    /// The event's number.
    pub event: i64,
}

impl fmt::Display for DeliveryId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut bytes = [0; 16];
        let (front, back) = bytes.split_at_mut(8);
        front.copy_from_slice(&((u64::from(self.endpoint) << 32) | 0x8000).to_be_bytes());
        back.copy_from_slice(&(self.event.unsigned_abs() | (0x80 << 56)).to_be_bytes());
        fmt::Display::fmt(&Uuid::from_bytes(bytes).hyphenated(), formatter)
    }
}

impl FromStr for DeliveryId {
    type Err = DeliveryIdError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let (front, back) = Uuid::try_parse(text)
            .map_err(|_| DeliveryIdError)?
            .as_u64_pair();
        let endpoint = u32::try_from(front >> 32).map_err(|_| DeliveryIdError)?;
        let event = i64::try_from(back & (u64::MAX >> 8)).map_err(|_| DeliveryIdError)?;
        let id = Self { endpoint, event };
        if id.to_string().eq_ignore_ascii_case(text) {
            Ok(id)
        } else {
            Err(DeliveryIdError)
        }
    }
}

/// A text that is no id of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("this is not the id of a delivery")]
pub struct DeliveryIdError;

/// The id of a unified record, derived from where it comes from.
///
/// UUID version 8: 32 bits connection number, 16 bits object number, 4 bits version, one bit that
/// tells a number (0) from a hash (1), and 73 bits that are the remote id itself where it is a
/// number, else the head of its SHA-256 (the variant's two bits lie between). The same record has
/// the same id in every replay; a reference to a record that was never seen already has its final
/// id; and ids of one object at one connection lie side by side in the index (ADR 2).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct RecordId(Uuid);

impl RecordId {
    /// The id of the record `remote_id` of an object at a connection, by their numbers in the
    /// database.
    #[must_use]
    pub fn derive(connection: u32, object: u16, remote_id: &str) -> Self {
        const BITS: u32 = 73;
        let canonical = !remote_id.starts_with('0') || remote_id == "0";
        let payload = match remote_id.parse::<u128>() {
            Ok(number) if canonical && !remote_id.starts_with('+') && number >> BITS == 0 => number,
            _ => {
                let digest = Digest::of(remote_id);
                let (head, _) = digest.as_bytes().split_first_chunk().expect("32 bytes");
                (u128::from_be_bytes(*head) >> (128 - BITS)) | (1 << BITS)
            }
        };
        // 74 bits of payload, kind bit first: 12 go before the variant, 62 after it.
        let bits = (u128::from(connection) << 96)
            | (u128::from(object) << 80)
            | ((payload >> 62) << 64)
            | (payload & ((1 << 62) - 1));
        Self(uuid::Builder::from_custom_bytes(bits.to_be_bytes()).into_uuid())
    }

    /// The 16 bytes, as stored.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8; 16] {
        self.0.as_bytes()
    }

    /// From 16 stored bytes; none for any other length.
    #[must_use]
    pub fn from_bytes(bytes: &[u8]) -> Option<Self> {
        Uuid::from_slice(bytes).ok().map(Self)
    }
}

impl fmt::Display for RecordId {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(&self.0.hyphenated(), formatter)
    }
}

impl FromStr for RecordId {
    type Err = uuid::Error;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Uuid::try_parse(text).map(Self)
    }
}

/// The name of a connector: `[a-z][a-z0-9-]{0,63}`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Slug(String);

/// A text that is no slug.
#[derive(Debug, thiserror::Error)]
#[error(
    "{0:?} is not a connector's name: it starts with a lower-case letter and has only lower-case letters, digits and hyphens, at most 64"
)]
pub struct SlugError(String);

impl Slug {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Slug {
    type Err = SlugError;
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let letters = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
        let starts_well = text.as_bytes().first().is_some_and(u8::is_ascii_lowercase);
        if starts_well && text.len() <= 64 && text.bytes().all(letters) {
            Ok(Self(text.to_owned()))
        } else {
            Err(SlugError(text.chars().take(80).collect()))
        }
    }
}

impl TryFrom<String> for Slug {
    type Error = SlugError;
    fn try_from(text: String) -> Result<Self, Self::Error> {
        text.parse()
    }
}

impl From<Slug> for String {
    fn from(slug: Slug) -> Self {
        slug.0
    }
}

impl fmt::Display for Slug {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_are_version_8_and_keep_the_order_of_numbers() {
        let small = RecordId::derive(1, 2, "9");
        let large = RecordId::derive(1, 2, "10");
        let huge = RecordId::derive(1, 2, "4611686018427387904");
        assert!(small < large && large < huge);
        assert_eq!(small.0.get_version_num(), 8);
        assert_eq!(small, RecordId::derive(1, 2, "9"));
        assert_eq!(small.to_string(), "00000001-0002-8000-8000-000000000009");
    }

    #[test]
    fn different_origins_have_different_ids() {
        let ids = [
            RecordId::derive(1, 2, "9"),
            RecordId::derive(1, 2, "09"),
            RecordId::derive(1, 2, "+9"),
            RecordId::derive(1, 2, "a"),
            RecordId::derive(1, 3, "9"),
            RecordId::derive(2, 2, "9"),
            RecordId::derive(1, 2, &"9".repeat(30)),
        ];
        let distinct: std::collections::HashSet<_> = ids.iter().collect();
        assert_eq!(distinct.len(), ids.len());
    }

    #[test]
    fn ids_of_deliveries_survive_the_journey() {
        let id = DeliveryId {
            endpoint: 7,
            event: 1_234_567_890_123,
        };
        assert_eq!(id.to_string(), "00000007-0000-8000-8000-011f71fb04cb");
        assert_eq!(id.to_string().parse::<DeliveryId>().unwrap(), id);
        for bad in ["", "7", "00000007-0000-4000-8000-011f71fb04cb"] {
            assert!(bad.parse::<DeliveryId>().is_err(), "{bad}");
        }
    }

    #[test]
    fn ordered_ids_sort_by_time() {
        let at =
            |millis| RunId::generate(Timestamp::from_millis(millis), &crate::model::SystemEntropy);
        let (first, second) = (at(1_700_000_000_000), at(1_700_000_000_001));
        assert!(first.to_string() < second.to_string());
        assert_eq!(first.0.get_version_num(), 7);
        assert_ne!(at(1_700_000_000_000), first);
        let bound = RunId::first_at(Timestamp::from_millis(1_700_000_000_001)).to_string();
        assert!(first.to_string() < bound && bound <= second.to_string());
    }

    #[test]
    fn slugs_are_strict() {
        assert!("demo-crm".parse::<Slug>().is_ok());
        for bad in ["", "Demo", "1crm", "a/b", "..", "a_b", &"a".repeat(65)] {
            assert!(bad.parse::<Slug>().is_err(), "{bad}");
        }
    }
}
