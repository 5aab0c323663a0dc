//! Who changes the same thing waits for the other: locks that end with their transaction, taken in one order.

use klatch_domain::{RoomId, UserId};
use sqlx::Error;

use super::super::database::Transaction;

/// What a lock is about; its numbers keep the kinds apart.
#[derive(Debug, Clone, Copy)]
enum About {
    Pair = 1,
    Room = 2,
}

/// Two ids that share a lock only wait for each other without need.
fn key(about: About, bytes: &[u8]) -> i64 {
    // FNV-1a, 64 bits (http://www.isthe.com/chongo/tech/comp/fnv/): spreads ids well enough, and every version of this program must agree on it.
    let step = |hash: u64, byte: u8| (hash ^ u64::from(byte)).wrapping_mul(0x0000_0100_0000_01b3);
    let hash = bytes.iter().copied().fold(step(0xcbf2_9ce4_8422_2325, about as u8), step);
    i64::from_ne_bytes(hash.to_ne_bytes())
}

async fn take(transaction: &mut Transaction, mut keys: Vec<i64>) -> Result<(), Error> {
    keys.sort_unstable();
    keys.dedup();
    if keys.is_empty() {
        return Ok(());
    }
    let statement = sqlx::query(
        "SELECT pg_advisory_xact_lock(k) IS NULL FROM (SELECT k FROM unnest($1::bigint[]) k ORDER BY k) sorted",
    )
    .bind(keys);
    transaction.execute(statement).await
}

/// How these two stand to each other. Before any lock of rooms.
pub(super) async fn pair(transaction: &mut Transaction, one: UserId, other: UserId) -> Result<(), Error> {
    let (first, second) = if one < other { (one, other) } else { (other, one) };
    take(transaction, vec![key(About::Pair, &[*first.as_bytes(), *second.as_bytes()].concat())]).await
}

/// What the directory keeps of these rooms.
pub(super) async fn rooms(transaction: &mut Transaction, rooms: impl IntoIterator<Item = RoomId>) -> Result<(), Error> {
    take(transaction, rooms.into_iter().map(|room| key(About::Room, room.as_bytes())).collect()).await
}
