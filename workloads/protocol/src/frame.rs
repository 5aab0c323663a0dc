//! What all frames share: one JSON object a line, its `type` beside its fields.

use std::borrow::Cow;

use serde::Deserialize;

/// Why a line is no frame.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not a JSON object with a string `type`.
    #[error("a frame is a JSON object with a \"type\"")]
    NotAFrame,
    /// A frame this version does not know.
    #[error("unknown frame type {0:?}")]
    Unknown(String),
    /// A known frame with missing or wrong fields.
    #[error("{frame}: {detail}")]
    Invalid {
        /// The frame's type.
        frame: &'static str,
        /// Which field, and what is wrong with it.
        detail: String,
        /// The frame's `message_id`, `room` or `ref`, when it could be read: whom an answer concerns.
        message_id: Option<klatch_domain::MessageId>,
    },
}

/// Characters of an unknown type that an error repeats.
const SHOWN_TYPE_CHARS: usize = 64;

#[derive(Deserialize)]
struct Head<'a> {
    #[serde(borrow)]
    r#type: Cow<'a, str>,
}

#[derive(Deserialize)]
struct Id {
    message_id: klatch_domain::MessageId,
}

/// The `type` of a line.
pub(crate) fn type_of(line: &str) -> Result<Cow<'_, str>, FrameError> {
    // serde also reads a struct from an array; a frame is an object.
    if !line.trim_start().starts_with('{') {
        return Err(FrameError::NotAFrame);
    }
    serde_json::from_str::<Head<'_>>(line).map(|head| head.r#type).map_err(|_| FrameError::NotAFrame)
}

pub(crate) fn unknown(name: &str) -> FrameError {
    FrameError::Unknown(name.chars().take(SHOWN_TYPE_CHARS).collect())
}

pub(crate) fn body<'a, T: Deserialize<'a>>(frame: &'static str, line: &'a str) -> Result<T, FrameError> {
    serde_json::from_str(line).map_err(|error| FrameError::Invalid {
        frame,
        detail: error.to_string(),
        message_id: serde_json::from_str::<Id>(line).ok().map(|id| id.message_id),
    })
}

/// Appends `{"type":NAME,...}` and no line break.
pub(crate) fn encode<T: serde::Serialize>(name: &'static str, body: &T, out: &mut Vec<u8>) {
    out.extend_from_slice(b"{\"type\":\"");
    out.extend_from_slice(name.as_bytes());
    out.push(b'"');
    let start = out.len();
    // Writing to a Vec does not fail, and no frame has a map with keys that are no strings.
    if serde_json::to_writer(&mut *out, body).is_err() {
        out.truncate(start);
        out.extend_from_slice(b"{}");
    }
    // The body's own opening brace becomes the comma behind the type, or goes when the body is empty.
    if out.get(start + 1) == Some(&b'}') {
        out.remove(start);
    } else if let Some(brace) = out.get_mut(start) {
        *brace = b',';
    }
}

/// The lines of one WebSocket text message, without empty ones.
pub fn lines(message: &str) -> impl Iterator<Item = &str> {
    message.split('\n').map(|line| line.trim_end_matches('\r')).filter(|line| !line.is_empty())
}

/// Declares an enum of frames with `name`, `encode_into`, `encode` and `decode`.
macro_rules! frames {
    ($(#[$doc:meta])* $enum:ident { $($(#[$variant_doc:meta])* $variant:ident = $name:literal: $body:ty,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq)]
        #[allow(clippy::large_enum_variant, reason = "the large one is the frequent one: a box would cost it an allocation")]
        pub enum $enum { $($(#[$variant_doc])* $variant($body),)* }

        impl $enum {
            /// Every type this version knows.
            pub const NAMES: &'static [&'static str] = &[$($name),*];

            /// Its `type`.
            #[must_use]
            pub const fn name(&self) -> &'static str {
                match self { $(Self::$variant(_) => $name),* }
            }

            /// Appends it as one line, without the line break.
            pub fn encode_into(&self, out: &mut Vec<u8>) {
                match self { $(Self::$variant(body) => $crate::frame::encode($name, body, out)),* }
            }

            /// The frame as one line, without the line break.
            #[must_use]
            pub fn encode(&self) -> String {
                let mut out = Vec::with_capacity(256);
                self.encode_into(&mut out);
                String::from_utf8(out).unwrap_or_default()
            }

            /// Reads one line. Unknown fields are skipped.
            ///
            /// # Errors
            /// [`FrameError`]($crate::FrameError).
            pub fn decode(line: &str) -> Result<Self, $crate::FrameError> {
                let name = $crate::frame::type_of(line)?;
                match name.as_ref() {
                    $($name => $crate::frame::body($name, line).map(Self::$variant),)*
                    other => Err($crate::frame::unknown(other)),
                }
            }
        }
    };
}
pub(crate) use frames;
