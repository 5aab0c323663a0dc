//! Content of an entry: one JSON object, kept as the text it came in.

use std::{fmt, sync::Arc};

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use serde_json::value::RawValue;

use crate::limits::{CONTENT_BYTES, CONTENT_DEPTH};

/// A JSON object on one line, at most [`CONTENT_BYTES`] long and [`CONTENT_DEPTH`] deep. The server stores and forwards
/// it without reading what it does not need; clones share the text.
#[derive(Clone)]
pub struct Content(Arc<RawValue>);

/// Why a text is no content.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ContentError {
    /// Not JSON, or not an object.
    #[error("content must be a JSON object")]
    NotAnObject,
    /// Longer than [`CONTENT_BYTES`].
    #[error("content has {0} bytes, at most {CONTENT_BYTES} are allowed")]
    TooLarge(usize),
    /// Nested deeper than [`CONTENT_DEPTH`].
    #[error("content is nested deeper than {CONTENT_DEPTH} levels")]
    TooDeep,
}

impl Content {
    /// The content `{}`.
    #[must_use]
    pub fn empty() -> Self {
        Self(Arc::from(RawValue::from_string("{}".to_owned()).unwrap_or_default()))
    }

    /// Checks the text and keeps it, with line breaks between tokens turned into spaces, as frames are lines.
    ///
    /// # Errors
    /// [`ContentError`] when it is no JSON object, too large or too deep.
    pub fn parse(text: &str) -> Result<Self, ContentError> {
        if text.len() > CONTENT_BYTES {
            return Err(ContentError::TooLarge(text.len()));
        }
        let raw = RawValue::from_string(text.to_owned()).map_err(|_| ContentError::NotAnObject)?;
        Self::from_raw(raw)
    }

    fn from_raw(raw: Box<RawValue>) -> Result<Self, ContentError> {
        let text = raw.get();
        if text.len() > CONTENT_BYTES {
            return Err(ContentError::TooLarge(text.len()));
        }
        if !text.starts_with('{') {
            return Err(ContentError::NotAnObject);
        }
        if depth(text) > CONTENT_DEPTH {
            return Err(ContentError::TooDeep);
        }
        if text.bytes().any(|byte| byte == b'\n' || byte == b'\r') {
            // Inside a string JSON forbids both (RFC 8259 section 7), so these stand between tokens.
            let line = text.replace(['\n', '\r'], " ");
            let raw = RawValue::from_string(line).map_err(|_| ContentError::NotAnObject)?;
            return Ok(Self(Arc::from(raw)));
        }
        Ok(Self(Arc::from(raw)))
    }

    /// The content of something that serialises to a JSON object.
    ///
    /// # Errors
    /// [`ContentError`] when it does not, or is too large.
    pub fn of<T: Serialize>(value: &T) -> Result<Self, ContentError> {
        let raw = serde_json::value::to_raw_value(value).map_err(|_| ContentError::NotAnObject)?;
        Self::from_raw(raw)
    }

    /// The text `{"text": ...}` of a `text` entry.
    ///
    /// # Errors
    /// [`ContentError::TooLarge`].
    pub fn text(text: &str) -> Result<Self, ContentError> {
        #[derive(Serialize)]
        struct Text<'a> {
            text: &'a str,
        }
        Self::of(&Text { text })
    }

    /// The JSON text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        self.0.get()
    }

    /// Reads it as `T`.
    ///
    /// # Errors
    /// serde_json's, when it is not a `T`.
    pub fn read<'a, T: Deserialize<'a>>(&'a self) -> Result<T, serde_json::Error> {
        serde_json::from_str(self.0.get())
    }
}

/// Deepest nesting of arrays and objects; the text is valid JSON.
fn depth(text: &str) -> usize {
    let (mut depth, mut deepest, mut in_string, mut escaped) = (0usize, 0, false, false);
    for byte in text.bytes() {
        match byte {
            _ if escaped => escaped = false,
            b'\\' if in_string => escaped = true,
            b'"' => in_string = !in_string,
            b'{' | b'[' if !in_string => {
                depth += 1;
                deepest = deepest.max(depth);
            }
            b'}' | b']' if !in_string => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    deepest
}

impl PartialEq for Content {
    /// Equal text. (Equal as JSON: compare [`crate::Fingerprint`]s.)
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}

impl Eq for Content {}

impl Default for Content {
    fn default() -> Self {
        Self::empty()
    }
}

impl fmt::Debug for Content {
    /// The length only: bodies never stand in logs.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "Content({} bytes)", self.as_str().len())
    }
}

impl Serialize for Content {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        self.0.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Content {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::from_raw(Box::<RawValue>::deserialize(deserializer)?).map_err(de::Error::custom)
    }
}

impl utoipa::PartialSchema for Content {
    fn schema() -> utoipa::openapi::RefOr<utoipa::openapi::schema::Schema> {
        utoipa::openapi::ObjectBuilder::new().schema_type(utoipa::openapi::schema::Type::Object).into()
    }
}

impl utoipa::ToSchema for Content {
    fn name() -> std::borrow::Cow<'static, str> {
        std::borrow::Cow::Borrowed("Content")
    }
}
