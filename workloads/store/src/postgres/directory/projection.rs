//! Taking over what the logs have decided, where it is newer.

use klatch_domain::{RoomId, RoomName, Timestamp};
use sqlx::{Error, types::Uuid};

use super::super::{
    database::Transaction,
    sql::{get, role_number, room_kind_number, signed, small, visibility_number},
};
use crate::{
    directory::{MemberProjection, RoomProjection},
    prefix::fold,
};

/// A room may come after its members.
const ROOM: &str = "INSERT INTO rooms AS r (room, kind, name, name_folded, visibility, version, created_at, deleted, \
    member_count) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, \
    (SELECT count(*) FROM room_members WHERE room = $1 AND role IS NOT NULL)) \
    ON CONFLICT (room) DO UPDATE SET name = excluded.name, name_folded = excluded.name_folded, \
    visibility = excluded.visibility, version = excluded.version, deleted = excluded.deleted \
    WHERE r.version < excluded.version RETURNING 1";

/// Takes over a room, which is locked.
pub(super) async fn project_room(transaction: &mut Transaction, room: &RoomProjection) -> Result<(), Error> {
    let name = room.name.as_ref().map(RoomName::as_str);
    let statement = sqlx::query(ROOM)
        .bind(room.id.uuid())
        .bind(small(room_kind_number(room.kind)))
        .bind(name.map(str::to_owned))
        .bind(name.map(fold))
        .bind(small(visibility_number(room.visibility)))
        .bind(signed(room.version.0))
        .bind(room.created_at.as_millis())
        .bind(room.deleted);
    let newer = !transaction.fetch(statement).await?.is_empty();
    if newer && room.deleted { remove_all(transaction, room).await } else { Ok(()) }
}

async fn remove_all(transaction: &mut Transaction, room: &RoomProjection) -> Result<(), Error> {
    let statement = sqlx::query(
        "WITH gone AS (UPDATE room_members SET role = NULL, version = greatest(version, $2) \
         WHERE room = $1 AND role IS NOT NULL) UPDATE rooms SET member_count = 0 WHERE room = $1",
    )
    .bind(room.id.uuid())
    .bind(signed(room.version.0));
    transaction.execute(statement).await
}

/// The newest news of each of these members counts, and none that is not newer than what is known. Nobody is a member of a
/// deleted room, however late the news of their join.
const MEMBERS: &str = "WITH news AS (SELECT DISTINCT ON (n.room, n.user_id) n.user_id, n.room, \
    CASE WHEN r.deleted THEN NULL ELSE n.role END AS role, n.joined_at, n.version \
    FROM unnest($1::uuid[], $2::uuid[], $3::smallint[], $4::bigint[], $5::bigint[]) \
    n (user_id, room, role, joined_at, version) LEFT JOIN rooms r ON r.room = n.room \
    ORDER BY n.room, n.user_id, n.version DESC), \
    before AS (SELECT n.user_id, n.room, m.role IS NOT NULL AS there FROM news n \
    LEFT JOIN room_members m ON m.user_id = n.user_id AND m.room = n.room), \
    taken AS (INSERT INTO room_members AS m (user_id, room, role, joined_at, version) \
    SELECT user_id, room, role, joined_at, version FROM news ON CONFLICT (user_id, room) DO UPDATE \
    SET role = excluded.role, joined_at = excluded.joined_at, version = excluded.version \
    WHERE m.version < excluded.version RETURNING user_id, room, role) \
    SELECT t.room, sum((t.role IS NOT NULL)::int - b.there::int)::bigint FROM taken t \
    JOIN before b ON b.user_id = t.user_id AND b.room = t.room GROUP BY t.room";

/// Takes over members, whose rooms are locked.
pub(super) async fn project_members(transaction: &mut Transaction, members: &[MemberProjection]) -> Result<(), Error> {
    if members.is_empty() {
        return Ok(());
    }
    let statement = sqlx::query(MEMBERS)
        .bind(members.iter().map(|member| member.user.uuid()).collect::<Vec<_>>())
        .bind(members.iter().map(|member| member.room.uuid()).collect::<Vec<_>>())
        .bind(members.iter().map(|member| member.role.map(|role| small(role_number(role)))).collect::<Vec<_>>())
        .bind(members.iter().map(|member| member.joined_at).map(Timestamp::as_millis).collect::<Vec<_>>())
        .bind(members.iter().map(|member| signed(member.version.0)).collect::<Vec<_>>());
    let (mut rooms, mut changes): (Vec<Uuid>, Vec<i64>) = (Vec::new(), Vec::new());
    for row in &transaction.fetch(statement).await? {
        rooms.push(get(row, 0)?);
        changes.push(get(row, 1)?);
    }
    let count = sqlx::query(
        "UPDATE rooms r SET member_count = r.member_count + c.change \
         FROM unnest($1::uuid[], $2::bigint[]) c (room, change) WHERE r.room = c.room AND c.change <> 0",
    )
    .bind(rooms)
    .bind(changes);
    transaction.execute(count).await
}

/// Every room that these are about.
pub(super) fn rooms_of(rooms: &[RoomProjection], members: &[MemberProjection]) -> Vec<RoomId> {
    rooms.iter().map(|room| room.id).chain(members.iter().map(|member| member.room)).collect()
}
