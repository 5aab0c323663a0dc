//! Ids are UUIDs with a type of their own, so that a room can never be passed where a user is meant.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;
use xxhash_rust::xxh3::xxh3_128_with_seed;

/// The text is not a UUID in its hyphenated form.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a UUID: {0:?}")]
pub struct ParseIdError(String);

macro_rules! id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// A new id that sorts by its time of creation (UUIDv7, RFC 9562 section 5.7).
            #[must_use]
            pub fn now() -> Self {
                Self(Uuid::now_v7())
            }

            /// The id with exactly these 16 bytes (big endian, as in RFC 9562).
            #[must_use]
            pub const fn from_bytes(bytes: [u8; 16]) -> Self {
                Self(Uuid::from_bytes(bytes))
            }

            /// The 16 bytes, big endian: what databases store and hashes read.
            #[must_use]
            pub const fn as_bytes(&self) -> &[u8; 16] {
                self.0.as_bytes()
            }

            /// The id as a plain UUID.
            #[must_use]
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(uuid: Uuid) -> Self {
                Self(uuid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Display::fmt(&self.0, formatter)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(formatter, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = ParseIdError;
            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self).map_err(|_| ParseIdError(text.chars().take(64).collect()))
            }
        }

        impl utoipa::PartialSchema for $name {
            fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
                utoipa::openapi::ObjectBuilder::new()
                    .schema_type(utoipa::openapi::schema::Type::String)
                    .format(Some(utoipa::openapi::SchemaFormat::Custom("uuid".to_owned())))
                    .into()
            }
        }

        impl utoipa::ToSchema for $name {
            fn name() -> std::borrow::Cow<'static, str> {
                std::borrow::Cow::Borrowed(stringify!($name))
            }
        }
    };
}

id!(
    /// A person's account.
    UserId
);
id!(
    /// A room: direct, group or inbox.
    RoomId
);
id!(
    /// One signed-in device, or one bot token.
    SessionId
);
id!(
    /// The client's own name for what it sends; repeating it repeats nothing.
    MessageId
);
id!(
    /// One WebSocket.
    ConnectionId
);
id!(
    /// One life of a process that receives events: a gateway or an api replica.
    Incarnation
);

/// Hash seeds keep derived ids of different purposes apart; they never change, or inboxes and direct rooms would be lost.
const INBOX_SEED: u64 = 0x6b6c_6174_6368_0001;
const DIRECT_SEED: u64 = 0x6b6c_6174_6368_0002;
const FOLLOW_UP_SEED: u64 = 0x6b6c_6174_6368_0003;

/// A UUIDv8 (RFC 9562 section 5.8: vendor specific) made from a 128-bit hash.
fn derived(bytes: &[u8], seed: u64) -> Uuid {
    Uuid::new_v8(xxh3_128_with_seed(bytes, seed).to_be_bytes())
}

impl RoomId {
    /// The inbox of a user. Derived, so that everyone who knows the user can address it without a look-up.
    #[must_use]
    pub fn inbox_of(user: UserId) -> Self {
        Self(derived(user.as_bytes(), INBOX_SEED))
    }

    /// The one direct room of two users, in either order: opening it twice, even at the same time, meets in one room.
    #[must_use]
    pub fn direct_of(one: UserId, other: UserId) -> Self {
        let (low, high) = if one <= other { (one, other) } else { (other, one) };
        let mut bytes = [0; 32];
        bytes[..16].copy_from_slice(low.as_bytes());
        bytes[16..].copy_from_slice(high.as_bytes());
        Self(derived(&bytes, DIRECT_SEED))
    }
}

impl MessageId {
    /// The id of what follows from `cause` in another room or for another user: the same cause met again gives the
    /// same id, so a redelivered command repeats its consequences without doubling them.
    #[must_use]
    pub fn follow_up(cause: MessageId, user: UserId, step: u8) -> Self {
        let mut bytes = [0; 33];
        bytes[..16].copy_from_slice(cause.as_bytes());
        bytes[16..32].copy_from_slice(user.as_bytes());
        bytes[32] = step;
        Self(derived(&bytes, FOLLOW_UP_SEED))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn derived_ids_never_change() {
        let (one, other) = (UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        assert_eq!(RoomId::direct_of(one, other), RoomId::direct_of(other, one));
        assert_ne!(RoomId::inbox_of(one), RoomId::inbox_of(other));
        // Written down once: data on disk depends on them.
        assert_pinned("inbox", RoomId::inbox_of(one).to_string(), "9241cbcc-9e65-8721-81d6-8afdcd407341");
        assert_pinned("direct", RoomId::direct_of(one, other).to_string(), "5bcd1502-730a-8013-85ad-75f1a1a13535");
    }

    fn assert_pinned(what: &str, got: String, pinned: &str) {
        assert_eq!(got, pinned, "the derived {what} id changed");
    }
}
