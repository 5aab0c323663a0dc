//! What the next version may send: the payloads of this one, with fields this one has never heard of in every object.

use serde_json::{Map, Value, json};

/// The name of a field that no version has.
pub const FIELD: &str = "from_tomorrow";
/// Objects that are not structures but choices: their one field names the choice, and another would be another meaning.
const CHOICES: &[&str] = &[
    "append",
    "create_room",
    "put_member",
    "remove_member",
    "change_room",
    "set_block",
    "notice",
    "appended",
    "outcome",
    "watermark",
    "session_revoked",
    "room_deleted",
    "slots_busy",
    "stored",
    "refused",
    "members",
    "lane",
];

/// Puts the unknown field into every object of a payload. What people wrote stays theirs.
///
/// # Panics
/// When it is no JSON.
#[must_use]
pub fn from_tomorrow(payload: &[u8]) -> Value {
    let mut value = serde_json::from_slice(payload).expect("a payload of JSON");
    extend(&mut value);
    value
}

fn extend(value: &mut Value) {
    match value {
        Value::Array(items) => items.iter_mut().for_each(extend),
        Value::Object(fields) => {
            fields.iter_mut().filter(|(name, _)| *name != "content").for_each(|(_, value)| extend(value));
            if !is_choice(fields) {
                fields.insert(FIELD.to_owned(), json!({"why": ["nobody knows", 1, null]}));
            }
        }
        _ => {}
    }
}

fn is_choice(fields: &Map<String, Value>) -> bool {
    fields.len() == 1 && fields.keys().all(|name| CHOICES.contains(&name.as_str()))
}
