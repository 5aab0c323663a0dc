//! Pages of lists: by key, never by count, so that what comes and goes meanwhile shifts nothing.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use klatch_domain::{RoomId, limits::LIST_PAGE};

use crate::problem::Failure;

/// Lines of a page when the caller names no limit.
const DEFAULT_PAGE: usize = 50;
/// Longest cursor that is read, bytes: ours name at most a room's name and id.
const CURSOR_BYTES: usize = 1_024;

/// The limit of a list or a history.
pub(crate) fn limit_of(limit: Option<usize>) -> Result<usize, Failure> {
    match limit {
        None => Ok(DEFAULT_PAGE),
        Some(limit) if (1..=LIST_PAGE).contains(&limit) => Ok(limit),
        Some(_) => Err(Failure::invalid("limit", "a page has 1 to 200 lines")),
    }
}

/// The cursor behind this key.
pub(crate) fn cursor(key: &[u8]) -> String {
    URL_SAFE_NO_PAD.encode(key)
}

/// `next` of a page: the key of its last line when the page is full.
pub(crate) fn next<T>(lines: &[T], limit: usize, key: impl Fn(&T) -> Vec<u8>) -> Option<String> {
    lines.last().filter(|_| lines.len() >= limit).map(|last| cursor(&key(last)))
}

fn wrong() -> Failure {
    Failure::invalid("after", "not the `next` of a page of this list")
}

fn bytes(after: &str) -> Result<Vec<u8>, Failure> {
    if after.len() > CURSOR_BYTES {
        return Err(wrong());
    }
    URL_SAFE_NO_PAD.decode(after).map_err(|_| wrong())
}

/// The id a cursor stands for.
pub(crate) fn after_id<T>(after: Option<&str>, id: impl Fn([u8; 16]) -> T) -> Result<Option<T>, Failure> {
    after.map(|after| bytes(after)?.try_into().map(&id).map_err(|_| wrong())).transpose()
}

/// The name a cursor stands for.
pub(crate) fn after_text(after: Option<&str>) -> Result<Option<String>, Failure> {
    after.map(|after| String::from_utf8(bytes(after)?).map_err(|_| wrong())).transpose()
}

/// The key of a line in a list by name: the id makes it unique.
pub(crate) fn name_key(name: &str, room: RoomId) -> Vec<u8> {
    [room.as_bytes().as_slice(), name.as_bytes()].concat()
}

/// The name and id a cursor stands for.
pub(crate) fn after_name(after: Option<&str>) -> Result<Option<(String, RoomId)>, Failure> {
    let Some(after) = after else { return Ok(None) };
    let bytes = bytes(after)?;
    let (id, name) = bytes.split_first_chunk::<16>().ok_or_else(wrong)?;
    let name = std::str::from_utf8(name).map_err(|_| wrong())?;
    Ok(Some((name.to_owned(), RoomId::from_bytes(*id))))
}

#[cfg(test)]
mod tests {
    use klatch_domain::Code;

    use super::*;

    #[test]
    fn cursors_come_back_and_others_are_refused() {
        let room = RoomId::now();
        let key = name_key("Züri", room);
        assert_eq!(after_name(Some(&cursor(&key))).unwrap(), Some(("Züri".to_owned(), room)));
        assert_eq!(after_id(Some(&cursor(room.as_bytes())), RoomId::from_bytes).unwrap(), Some(room));
        assert_eq!(after_id(None, RoomId::from_bytes).unwrap(), None);
        for bad in ["", "!", "AAAA", &"A".repeat(2_000), &cursor(&[0xff; 20])] {
            assert_eq!(after_id(Some(bad), RoomId::from_bytes).unwrap_err().code, Code::ValidationFailed, "{bad:.20}");
            assert_eq!(after_name(Some(bad)).unwrap_err().code, Code::ValidationFailed, "{bad:.20}");
        }
        assert!(after_text(Some(&cursor(&[0xff; 20]))).is_err());
    }

    #[test]
    fn limits_are_bounded() {
        assert_eq!(limit_of(None).unwrap(), 50);
        assert_eq!(limit_of(Some(200)).unwrap(), 200);
        assert!(limit_of(Some(0)).is_err() && limit_of(Some(201)).is_err());
        let key = |byte: &u8| vec![*byte];
        assert_eq!(next(&[1, 2], 3, key), None);
        assert_eq!(next(&[1, 2], 2, key), Some(cursor(&[2])));
    }
}
