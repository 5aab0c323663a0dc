//! What makes a repeated send the same send.

use xxhash_rust::xxh3::Xxh3;

use crate::{Content, Kind, Mentions, Seq};

/// 128-bit hash of everything a repeat must have in common with the first send, except room, id and user: kind, content
/// (as parsed JSON: spaces and key order do not matter), content type, reply, thread, target and mentions. Kept beside a
/// row whose content an edit or a delete has replaced, so that a late repeat is still known as one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Fingerprint(pub [u8; 16]);

impl Fingerprint {
    /// The fingerprint of a send.
    #[must_use]
    pub fn of(
        kind: &Kind,
        content: &Content,
        content_type: &str,
        reply_to: Option<Seq>,
        thread: Option<Seq>,
        target: Option<Seq>,
        mentions: Option<&Mentions>,
    ) -> Self {
        let mut hasher = Xxh3::new();
        let mut field = |bytes: &[u8]| {
            hasher.update(&(bytes.len() as u64).to_le_bytes());
            hasher.update(bytes);
        };
        field(kind.name().as_bytes());
        field(canonical(content).as_bytes());
        field(content_type.as_bytes());
        for seq in [reply_to, thread, target] {
            field(&seq.map_or(0, |seq| seq.0).to_le_bytes());
        }
        let mut users: Vec<_> = mentions.map(|mentions| mentions.users.clone()).unwrap_or_default();
        users.sort_unstable();
        users.dedup();
        for user in users {
            field(user.as_bytes());
        }
        field(&[u8::from(mentions.is_some_and(|mentions| mentions.room))]);
        Self(hasher.digest128().to_le_bytes())
    }
}

/// Content with sorted keys and no spaces; as it stands when serde_json cannot hold it (a lone surrogate, say).
fn canonical(content: &Content) -> String {
    content.read::<serde_json::Value>().map_or_else(|_| content.as_str().to_owned(), |value| value.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(content: &str) -> Fingerprint {
        Fingerprint::of(&Kind::Text, &Content::parse(content).unwrap(), "text/plain", None, None, None, None)
    }

    #[test]
    fn space_and_key_order_do_not_matter() {
        assert_eq!(of(r#"{"text":"a","x":1}"#), of("{ \"x\": 1,\n \"text\" : \"a\" }"));
        assert_ne!(of(r#"{"text":"a"}"#), of(r#"{"text":"b"}"#));
    }
}
