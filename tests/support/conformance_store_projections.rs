//! What every twin's [`Directory`] does with rooms and members.

use std::sync::Arc;

use klatch_domain::{Notify, Preferences, Role, RoomId, RoomKind, RoomName, Seq, UserId, Visibility};
use klatch_store::{
    Directory,
    directory::{Befriending, MemberProjection, RoomProjection},
};

use crate::{conformance_store_directory::at, conformance_store_log::user};

/// A test of each behaviour in `$open() -> (Arc<dyn Directory>, impl Drop)`.
#[macro_export]
macro_rules! projections_conform {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_projections,
            rooms_and_members_are_projected, older_news_changes_nothing, members_are_counted,
            members_may_come_before_their_room, a_deleted_room_loses_its_members, large_rooms_are_found_by_users,
            rooms_of_a_user_have_pages,
            members_have_pages, members_to_notify_have_pages, public_rooms_are_searched_by_prefix, preferences_are_the_member_s,
            acquainted_are_friends_and_fellow_members, projections_at_once
        }
    };
}

fn room(number: u8, version: u64) -> RoomProjection {
    RoomProjection {
        id: RoomId::from_bytes([number; 16]),
        kind: RoomKind::Group,
        name: Some(RoomName::parse(&format!("Room {number}")).unwrap()),
        visibility: Visibility::Private,
        version: Seq(version),
        created_at: at(0),
        deleted: false,
    }
}

fn public(number: u8, name: &str) -> RoomProjection {
    RoomProjection { name: Some(RoomName::parse(name).unwrap()), visibility: Visibility::Public, ..room(number, 1) }
}

fn member(room: u8, number: u8, role: Option<Role>, version: u64) -> MemberProjection {
    MemberProjection {
        room: RoomId::from_bytes([room; 16]),
        user: user(number),
        role,
        joined_at: at(i64::from(number)),
        version: Seq(version),
    }
}

fn joined(room: u8, number: u8, version: u64) -> MemberProjection {
    member(room, number, Some(Role::Member), version)
}

fn ids(rooms: &[klatch_store::directory::RoomOfUser]) -> Vec<u8> {
    rooms.iter().map(|room| room.room.id.as_bytes()[0]).collect()
}

async fn count(directory: &Arc<dyn Directory>, number: u8, room: u8) -> Option<u64> {
    let rooms = directory.rooms_of_among(user(number), &[RoomId::from_bytes([room; 16])]).await.unwrap();
    rooms.first().map(|room| room.member_count)
}

#[allow(missing_docs)] // the names say it
pub async fn rooms_and_members_are_projected(directory: Arc<dyn Directory>) {
    let direct = RoomProjection { kind: RoomKind::Direct, name: None, ..room(2, 1) };
    let members =
        [member(1, 1, Some(Role::Owner), 1), joined(1, 2, 2), joined(2, 1, 1), member(2, 3, Some(Role::Member), 1)];
    directory.project(&[room(1, 1), direct.clone()], &members).await.unwrap();
    assert_eq!(directory.room(direct.id).await.unwrap(), Some(direct.clone()));
    assert_eq!(directory.room(RoomId::now()).await.unwrap(), None);
    let rooms = directory.rooms_of(user(1), None, 10).await.unwrap();
    assert_eq!(ids(&rooms), [1, 2]);
    assert_eq!(
        (&rooms[0].room, rooms[0].role, rooms[0].member_count, rooms[0].peer),
        (&room(1, 1), Role::Owner, 2, None)
    );
    assert_eq!((&rooms[1].room, rooms[1].member_count, rooms[1].peer), (&direct, 2, Some(user(3))));
    assert_eq!(rooms[0].preferences, Preferences::default());
    assert_eq!(directory.members_of(room(1, 1).id, None, 10).await.unwrap(), members[..2]);
}

#[allow(missing_docs)]
pub async fn older_news_changes_nothing(directory: Arc<dyn Directory>) {
    let newer = RoomProjection { name: Some(RoomName::parse("Newer").unwrap()), ..room(1, 5) };
    directory.project(std::slice::from_ref(&newer), &[joined(1, 1, 3), joined(1, 2, 4)]).await.unwrap();
    directory.project(&[room(1, 4), room(1, 5)], &[member(1, 1, Some(Role::Owner), 2)]).await.unwrap();
    assert_eq!(directory.room(newer.id).await.unwrap(), Some(newer.clone()));
    // A removal that is newer than the join stops it, in whatever order they come.
    directory.project(&[], &[member(1, 2, None, 6)]).await.unwrap();
    directory.project(&[], &[joined(1, 2, 4), joined(1, 2, 5)]).await.unwrap();
    directory.project(&[], &[member(1, 3, None, 9)]).await.unwrap();
    directory.project(&[], &[joined(1, 3, 8)]).await.unwrap();
    assert_eq!(directory.members_of(newer.id, None, 10).await.unwrap(), [joined(1, 1, 3)]);
    assert_eq!(count(&directory, 1, 1).await, Some(1));
    directory.project(&[], &[member(1, 2, Some(Role::Admin), 10)]).await.unwrap();
    assert_eq!(count(&directory, 1, 1).await, Some(2), "a return is newer again");
}

#[allow(missing_docs)]
pub async fn members_are_counted(directory: Arc<dyn Directory>) {
    directory.project(&[room(1, 1)], &[joined(1, 1, 1), joined(1, 2, 2), joined(1, 3, 3)]).await.unwrap();
    let again = [joined(1, 2, 2), member(1, 3, Some(Role::Admin), 4), member(1, 2, None, 5), member(1, 2, None, 5)];
    for _ in 0..3 {
        directory.project(&[room(1, 1)], &again).await.unwrap();
        assert_eq!(count(&directory, 1, 1).await, Some(2), "repeating changes nothing");
    }
}

#[allow(missing_docs)]
pub async fn members_may_come_before_their_room(directory: Arc<dyn Directory>) {
    directory.project(&[], &[joined(1, 1, 1), joined(1, 2, 2), member(1, 2, None, 3)]).await.unwrap();
    assert_eq!(directory.rooms_of(user(1), None, 10).await.unwrap(), []);
    directory.project(&[room(1, 1)], &[joined(1, 3, 4)]).await.unwrap();
    assert_eq!(count(&directory, 1, 1).await, Some(2));
}

#[allow(missing_docs)]
pub async fn large_rooms_are_found_by_users(directory: Arc<dyn Directory>) {
    let members = [joined(1, 1, 1), joined(1, 2, 2), joined(1, 3, 3), joined(2, 1, 1), joined(2, 2, 2)];
    directory.project(&[room(1, 1), room(2, 1)], &members).await.unwrap();
    let above = async |users: &[u8], members: u64| {
        let users: Vec<_> = users.iter().map(|number| user(*number)).collect();
        let mut found = directory.rooms_above(&users, members).await.unwrap();
        found.sort_unstable();
        found
    };
    assert_eq!(above(&[1, 3, 9], 2).await, [(user(1), room(1, 1).id), (user(3), room(1, 1).id)]);
    assert_eq!(above(&[2], 1).await, [(user(2), room(1, 1).id), (user(2), room(2, 1).id)]);
    assert_eq!(above(&[1, 2, 3], 3).await, []);
    assert_eq!(above(&[], 0).await, []);
    // Who has left is not in it, and a room that was left by enough is large no more.
    directory.project(&[], &[member(1, 1, None, 4)]).await.unwrap();
    assert_eq!(above(&[1], 1).await, [(user(1), room(2, 1).id)]);
    assert_eq!(above(&[2, 3], 2).await, []);
    directory.project(&[RoomProjection { deleted: true, version: Seq(7), ..room(2, 1) }], &[]).await.unwrap();
    assert_eq!(above(&[1, 2], 0).await, [(user(2), room(1, 1).id)]);
}

#[allow(missing_docs)]
pub async fn a_deleted_room_loses_its_members(directory: Arc<dyn Directory>) {
    directory.project(&[public(1, "Tea")], &[joined(1, 1, 1), joined(1, 2, 2)]).await.unwrap();
    let deleted = RoomProjection { deleted: true, version: Seq(7), ..public(1, "Tea") };
    directory.project(std::slice::from_ref(&deleted), &[]).await.unwrap();
    // News from before it, and from nowhere.
    directory.project(&[room(1, 6)], &[joined(1, 3, 5), joined(1, 1, 6), joined(1, 2, 9)]).await.unwrap();
    assert_eq!(directory.room(deleted.id).await.unwrap(), Some(deleted.clone()));
    assert_eq!(directory.members_of(deleted.id, None, 10).await.unwrap(), []);
    for number in 1..=3 {
        assert_eq!(directory.rooms_of(user(number), None, 10).await.unwrap(), []);
    }
    assert_eq!(directory.public_rooms("", None, 10).await.unwrap(), []);
    assert_eq!(directory.acquainted(user(1), &[user(2)]).await.unwrap(), []);
}

#[allow(missing_docs)]
pub async fn rooms_of_a_user_have_pages(directory: Arc<dyn Directory>) {
    let rooms: Vec<_> = [4, 2, 5, 1, 3].into_iter().map(|number| room(number, 1)).collect();
    let mut members: Vec<_> = (1..=5).map(|number| joined(number, 1, 1)).collect();
    members.push(member(3, 1, None, 2));
    directory.project(&rooms, &members).await.unwrap();
    let page = async |after: Option<u8>, limit| {
        let after = after.map(|number| RoomId::from_bytes([number; 16]));
        ids(&directory.rooms_of(user(1), after, limit).await.unwrap())
    };
    assert_eq!(page(None, 2).await, [1, 2]);
    assert_eq!(page(Some(2), 2).await, [4, 5]);
    assert!(page(Some(5), 2).await.is_empty());
    let among: Vec<_> = [5, 3, 1, 9].into_iter().map(|number| RoomId::from_bytes([number; 16])).collect();
    let mut found = ids(&directory.rooms_of_among(user(1), &among).await.unwrap());
    found.sort_unstable();
    assert_eq!(found, [1, 5], "those one is in");
}

#[allow(missing_docs)]
pub async fn members_have_pages(directory: Arc<dyn Directory>) {
    let members: Vec<_> = [3, 1, 4, 2].into_iter().map(|number| joined(1, number, 1)).collect();
    directory.project(&[room(1, 1)], &members).await.unwrap();
    let page = async |after: Option<UserId>, limit| {
        let members = directory.members_of(room(1, 1).id, after, limit).await.unwrap();
        members.iter().map(|member| member.user.as_bytes()[0]).collect::<Vec<_>>()
    };
    assert_eq!(page(None, 3).await, [1, 2, 3]);
    assert_eq!(page(Some(user(3)), 3).await, [4]);
}

#[allow(missing_docs)]
pub async fn public_rooms_are_searched_by_prefix(directory: Arc<dyn Directory>) {
    let rooms = [
        public(1, "Tea"),
        public(2, "tea"),
        public(3, "TEAM"),
        public(4, "Über %"),
        RoomProjection { visibility: Visibility::Private, ..public(5, "Tea") },
        RoomProjection { deleted: true, ..public(6, "Tea") },
        public(7, "Coffee"),
    ];
    directory.project(&rooms, &[joined(3, 1, 1)]).await.unwrap();
    let find = async |query: &str, after: Option<(&str, u8)>, limit| {
        let after = after.map(|(name, number)| (name, RoomId::from_bytes([number; 16])));
        let found = directory.public_rooms(query, after, limit).await.unwrap();
        found.iter().map(|(room, members)| (room.id.as_bytes()[0], *members)).collect::<Vec<_>>()
    };
    assert_eq!(find("tea", None, 10).await, [(1, 0), (2, 0), (3, 1)]);
    assert_eq!(find("TE", None, 2).await, [(1, 0), (2, 0)]);
    assert_eq!(find("te", Some(("Tea", 1)), 10).await, [(2, 0), (3, 1)]);
    assert_eq!(find("te", Some(("TEAM", 3)), 10).await, []);
    assert_eq!(find("ü", None, 10).await, [(4, 0)]);
    assert_eq!(find("über %", None, 10).await, [(4, 0)]);
    assert_eq!(find("%", None, 10).await, []);
    assert_eq!(find("_ea", None, 10).await, []);
    assert_eq!(find("", None, 10).await, [(7, 0), (1, 0), (2, 0), (3, 1), (4, 0)]);
    // Private from now on.
    directory
        .project(&[RoomProjection { visibility: Visibility::Private, version: Seq(2), ..public(1, "Tea") }], &[])
        .await
        .unwrap();
    assert_eq!(find("tea", None, 1).await, [(2, 0)]);
}

#[allow(missing_docs)]
pub async fn preferences_are_the_member_s(directory: Arc<dyn Directory>) {
    directory.project(&[room(1, 1)], &[joined(1, 1, 1), joined(1, 2, 1)]).await.unwrap();
    let id = room(1, 1).id;
    for notify in [Notify::Mentions, Notify::None, Notify::All] {
        let wanted = Preferences { notify, hidden: true, marked_unread: true };
        assert!(directory.set_preferences(user(1), id, wanted, &[]).await.unwrap());
        assert_eq!(directory.rooms_of(user(1), None, 1).await.unwrap()[0].preferences, wanted);
    }
    assert_eq!(directory.rooms_of(user(2), None, 1).await.unwrap()[0].preferences, Preferences::default());
    directory.project(&[], &[member(1, 1, Some(Role::Admin), 2), member(1, 2, None, 2)]).await.unwrap();
    assert!(directory.rooms_of(user(1), None, 1).await.unwrap()[0].preferences.hidden, "another role keeps them");
    assert!(
        !directory.set_preferences(user(2), id, Preferences::default(), &[]).await.unwrap(),
        "not a member any more"
    );
    assert!(!directory.set_preferences(user(9), id, Preferences::default(), &[]).await.unwrap());
}

#[allow(missing_docs)]
pub async fn acquainted_are_friends_and_fellow_members(directory: Arc<dyn Directory>) {
    // 2 shares a room, 3 is a friend, 4 was only asked, 5 has left, 6 shares a room and is blocked, 7 has blocked.
    let members = [1, 2, 5, 6, 7].map(|number| joined(1, number, 1));
    directory.project(&[room(1, 1), room(2, 1)], &members).await.unwrap();
    directory.project(&[], &[member(1, 5, None, 2), joined(2, 8, 1)]).await.unwrap();
    for (one, other) in [(1, 3), (3, 1), (1, 4)] {
        directory.befriend(user(one), user(other), at(0), Befriending::default()).await.unwrap();
    }
    directory.set_block(user(1), user(6), true, at(0), &[]).await.unwrap();
    directory.set_block(user(7), user(1), true, at(0), &[]).await.unwrap();
    let others: Vec<_> = (2..=9).map(user).collect();
    let mut found = directory.acquainted(user(1), &others).await.unwrap();
    found.sort_unstable();
    assert_eq!(found, [user(2), user(3)]);
}

#[allow(missing_docs)]
pub async fn projections_at_once(directory: Arc<dyn Directory>) {
    directory.project(&[room(1, 1)], &[]).await.unwrap();
    let calls: Vec<_> = (1..=100)
        .map(|number| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { directory.project(&[], &[joined(1, number, u64::from(number))]).await })
        })
        .collect();
    for call in calls {
        call.await.unwrap().unwrap();
    }
    assert_eq!(count(&directory, 1, 1).await, Some(100));
}

/// Who notifies finds every member with what they want, in order of their ids, and nobody who has left.
pub async fn members_to_notify_have_pages(directory: Arc<dyn Directory>) {
    let until = at(9_000_000);
    for number in 1..=5 {
        let new = crate::conformance_store_directory::person(&format!("user{number}"), number);
        directory.create_user(&new, "hash").await.unwrap();
    }
    let members: Vec<_> = (1..=5).map(|number| joined(1, number, 2)).collect();
    directory.project(&[room(1, 1)], &members).await.unwrap();
    let id = room(1, 1).id;
    let wants = |notify| Preferences { notify, ..Preferences::default() };
    assert!(directory.set_preferences(user(2), id, wants(Notify::Mentions), &[]).await.unwrap());
    assert!(directory.set_preferences(user(5), id, wants(Notify::None), &[]).await.unwrap());
    let quiet =
        klatch_store::directory::ProfileChange { do_not_disturb_until: Some(Some(until)), ..Default::default() };
    directory.change_profile(user(3), &quiet).await.unwrap();
    directory.set_disabled(user(5), true).await.unwrap();
    directory.project(&[], &[member(1, 4, None, 3)]).await.unwrap();

    let all = directory.members_to_notify(id, None, 10).await.unwrap();
    let expected = [
        (1, Notify::All, None, false),
        (2, Notify::Mentions, None, false),
        (3, Notify::All, Some(until), false),
        (5, Notify::None, None, true),
    ]
    .map(|(number, notify, do_not_disturb_until, disabled)| klatch_store::MemberToNotify {
        user: user(number),
        notify,
        do_not_disturb_until,
        disabled,
    });
    assert_eq!(all, expected);
    let mut paged = Vec::new();
    loop {
        let after = paged.last().map(|member: &klatch_store::MemberToNotify| member.user);
        let page = directory.members_to_notify(id, after, 2).await.unwrap();
        if page.is_empty() {
            break;
        }
        paged.extend(page);
    }
    assert_eq!(paged, expected);
    assert_eq!(directory.members_to_notify(RoomId::from_bytes([7; 16]), None, 10).await.unwrap(), []);
}
