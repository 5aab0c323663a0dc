//! Watermark moves on their way to message-service: `{"v":1,"moves":[...]}`.

use klatch_domain::{Position, RoomId, SessionId, UserId};
use serde::{Deserialize, Serialize, Serializer};

use super::{PayloadError, VERSION, check_version, refused, written};
use crate::WatermarkMove;

const WHAT: &str = "watermarks";
const MOVE_BYTES: usize = 256;

#[derive(Serialize)]
struct Out<'a> {
    v: u16,
    #[serde(serialize_with = "each")]
    moves: &'a [WatermarkMove],
}

#[derive(Deserialize)]
struct In {
    v: u16,
    moves: Vec<Move>,
}

#[derive(Serialize, Deserialize)]
struct Move {
    room: RoomId,
    user: UserId,
    session: SessionId,
    #[serde(skip_serializing_if = "Option::is_none")]
    read: Option<Position>,
    #[serde(skip_serializing_if = "Option::is_none")]
    delivered: Option<Position>,
}

fn each<S: Serializer>(moves: &[WatermarkMove], serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_seq(moves.iter().map(|one| {
        let WatermarkMove { room, user, session, read, delivered } = *one;
        Move { room, user, session, read, delivered }
    }))
}

/// Writes a batch.
#[must_use]
pub fn encode(moves: &[WatermarkMove]) -> Vec<u8> {
    written(&Out { v: VERSION, moves }, moves.len() * MOVE_BYTES)
}

/// Reads a batch.
///
/// # Errors
/// [`PayloadError`].
pub fn decode(bytes: &[u8]) -> Result<Vec<WatermarkMove>, PayloadError> {
    let In { v, moves } = serde_json::from_slice(bytes).map_err(|source| refused(WHAT, bytes, source))?;
    check_version(WHAT, v)?;
    Ok(moves
        .into_iter()
        .map(|Move { room, user, session, read, delivered }| WatermarkMove { room, user, session, read, delivered })
        .collect())
}
