//! Stable codes: what a refusal says to a program.

use std::fmt;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

macro_rules! codes {
    ($($(#[$doc:meta])* $variant:ident = $name:literal, $status:literal;)*) => {
        /// Why something was refused. The names are part of the wire contract and never change.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        pub enum Code { $($(#[$doc])* $variant,)* }

        impl Code {
            /// Every code, in the order of the contract.
            pub const ALL: &'static [Self] = &[$(Self::$variant),*];

            /// Its name on the wire.
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$variant => $name),* }
            }

            /// The HTTP status it has in a problem document.
            #[must_use]
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status),* }
            }

            /// The code of this name; `internal` for one this version does not know.
            #[must_use]
            pub fn from_name(name: &str) -> Self {
                match name { $($name => Self::$variant,)* _ => Self::Internal }
            }
        }
    };
}

codes! {
    /// The caller is no member of the room.
    NotAMember = "not_a_member", 403;
    /// The caller's role does not allow it.
    NotAllowed = "not_allowed", 403;
    /// No such room for this caller.
    RoomNotFound = "room_not_found", 404;
    /// No such user.
    UserNotFound = "user_not_found", 404;
    /// No such entry in this room.
    TargetNotFound = "target_not_found", 404;
    /// The id is taken by another message.
    MessageIdConflict = "message_id_conflict", 409;
    /// Content or body above its bound.
    ContentTooLarge = "content_too_large", 413;
    /// Content that its kind does not allow.
    ContentInvalid = "content_invalid", 400;
    /// Too many; wait.
    RateLimited = "rate_limited", 429;
    /// The server cannot take it just now; wait.
    Busy = "busy", 503;
    /// One of the two has blocked the other.
    Blocked = "blocked", 403;
    /// The room's MLS epoch is another.
    EpochConflict = "epoch_conflict", 409;
    /// The sender's device list is out of date.
    StaleDeviceList = "stale_device_list", 409;
    /// No valid credentials.
    Unauthenticated = "unauthenticated", 401;
    /// The access token has expired.
    TokenExpired = "token_expired", 401;
    /// The session was revoked.
    SessionRevoked = "session_revoked", 401;
    /// The username is taken.
    UsernameTaken = "username_taken", 409;
    /// The password is too weak.
    WeakPassword = "weak_password", 400;
    /// The request has the wrong shape.
    ValidationFailed = "validation_failed", 400;
    /// A fault of the server; the trace id finds it in the logs.
    Internal = "internal", 500;
    /// No such resource.
    NotFound = "not_found", 404;
    /// The path exists, the method does not.
    MethodNotAllowed = "method_not_allowed", 405;
    /// The body's media type is not taken here.
    UnsupportedMediaType = "unsupported_media_type", 415;
    /// A frame type this version does not know.
    UnknownFrame = "unknown_frame", 400;
    /// This installation takes no new users.
    SignUpClosed = "sign_up_closed", 403;
    /// A group with others in it keeps an owner.
    LastOwner = "last_owner", 409;
}

impl fmt::Display for Code {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.name())
    }
}

impl Serialize for Code {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.name())
    }
}

impl<'de> Deserialize<'de> for Code {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        std::borrow::Cow::<'de, str>::deserialize(deserializer).map(|name| Self::from_name(&name))
    }
}

impl utoipa::PartialSchema for Code {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new()
            .schema_type(utoipa::openapi::schema::Type::String)
            .examples(Self::ALL.iter().map(|code| serde_json::Value::from(code.name())))
            .into()
    }
}

impl utoipa::ToSchema for Code {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Code")
    }
}

/// A refusal: nothing was changed, and this is why.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{code}: {detail}")]
pub struct Refusal {
    /// For programs.
    pub code: Code,
    /// For people: what to do instead.
    pub detail: std::borrow::Cow<'static, str>,
    /// Whether the same request may succeed later.
    pub retryable: bool,
    /// How long to wait, milliseconds.
    pub retry_after_ms: Option<u64>,
}

impl Refusal {
    /// A final refusal: the same request will be refused again.
    #[must_use]
    pub fn new(code: Code, detail: impl Into<std::borrow::Cow<'static, str>>) -> Self {
        Self { code, detail: detail.into(), retryable: false, retry_after_ms: None }
    }

    /// A refusal that passes: try again after `retry_after_ms`.
    #[must_use]
    pub fn retryable(code: Code, detail: impl Into<std::borrow::Cow<'static, str>>, retry_after_ms: u64) -> Self {
        Self { code, detail: detail.into(), retryable: true, retry_after_ms: Some(retry_after_ms) }
    }

    /// The one answer for rooms that do not exist and rooms that are none of the caller's business.
    #[must_use]
    pub fn room_not_found() -> Self {
        Self::new(Code::RoomNotFound, "there is no such room, or you are not in it")
    }
}
