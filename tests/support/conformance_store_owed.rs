//! What every twin's [`Directory`] does with the commands its changes owe.

use std::sync::Arc;

use klatch_domain::{Action, Command, MessageId, Preferences, Role, RoomId, Sender, SessionId};
use klatch_store::{
    Directory, StoreError,
    directory::{Befriending, FriendChange, MemberProjection, RoomProjection},
    owed::{OWED_TO_ROOM, Owed},
};

use crate::{conformance_store_directory::at, conformance_store_log::user};

/// A test of each behaviour in `$open() -> (Arc<dyn Directory>, impl Drop)`.
#[macro_export]
macro_rules! owed_commands_conform {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_owed,
            a_change_keeps_what_it_owes, what_changes_nothing_owes_nothing, a_room_is_owed_a_bounded_number,
            what_is_owed_has_pages_and_settles
        }
    };
}

fn command(room: u8, on: bool) -> Command {
    Command {
        room: RoomId::from_bytes([room; 16]),
        message_id: MessageId::now(),
        sender: Sender { user: user(1), session: SessionId::now() },
        action: Action::SetBlock { on },
        reply: None,
        after: None,
        accepted_micros: 7,
        trace: Some("trace".into()),
    }
}

async fn owed(directory: &Arc<dyn Directory>, room: Option<u8>) -> Vec<Command> {
    let room = room.map(|room| RoomId::from_bytes([room; 16]));
    let owed = directory.owed(room, 0, 10_000).await.unwrap();
    assert!(owed.is_sorted_by(|one, other| one.place < other.place));
    owed.into_iter().map(|owed| owed.command).collect()
}

#[allow(missing_docs)]
pub async fn a_change_keeps_what_it_owes(directory: Arc<dyn Directory>) {
    let [asked, accepted, ended, blocked, unblocked] = [1, 2, 1, 3, 3].map(|room| command(room, true));
    let requested = [asked.clone()];
    let befriending = Befriending { requested: &requested, accepted: std::slice::from_ref(&accepted) };
    directory.befriend(user(1), user(2), at(0), befriending).await.unwrap();
    assert_eq!(owed(&directory, None).await, requested);
    directory.befriend(user(2), user(1), at(0), befriending).await.unwrap();
    directory.unfriend(user(1), user(2), std::slice::from_ref(&ended)).await.unwrap();
    directory.set_block(user(1), user(2), true, at(0), std::slice::from_ref(&blocked)).await.unwrap();
    directory.set_block(user(1), user(2), false, at(0), std::slice::from_ref(&unblocked)).await.unwrap();
    assert_eq!(owed(&directory, Some(1)).await, [asked, ended]);
    assert_eq!(owed(&directory, Some(2)).await, [accepted]);
    assert_eq!(owed(&directory, Some(3)).await, [blocked, unblocked]);
    assert_eq!(owed(&directory, Some(4)).await, []);

    let room = RoomId::from_bytes([9; 16]);
    let projection = RoomProjection {
        id: room,
        kind: klatch_domain::RoomKind::Group,
        name: None,
        visibility: klatch_domain::Visibility::Private,
        version: klatch_domain::Seq(1),
        created_at: at(0),
        deleted: false,
    };
    let member = MemberProjection {
        room,
        user: user(1),
        role: Some(Role::Owner),
        joined_at: at(0),
        version: klatch_domain::Seq(1),
    };
    directory.project(&[projection], &[member]).await.unwrap();
    let told = [command(5, true)];
    assert!(directory.set_preferences(user(1), room, Preferences::default(), &told).await.unwrap());
    assert_eq!(owed(&directory, Some(5)).await, told);
}

#[allow(missing_docs)]
pub async fn what_changes_nothing_owes_nothing(directory: Arc<dyn Directory>) {
    let owes = [command(1, true)];
    let befriending = Befriending { requested: &[], accepted: &owes };
    directory.befriend(user(1), user(2), at(0), befriending).await.unwrap();
    let again = directory.befriend(user(1), user(2), at(0), Befriending { requested: &owes, accepted: &owes }).await;
    assert!(matches!(again.unwrap(), FriendChange::Unchanged(Some(_))));
    assert_eq!(directory.unfriend(user(3), user(4), &owes).await.unwrap(), FriendChange::Unchanged(None));
    directory.set_block(user(3), user(4), false, at(0), &owes).await.unwrap();
    directory.set_block(user(5), user(6), true, at(0), &[]).await.unwrap();
    let blocked = directory.befriend(user(6), user(5), at(0), Befriending { requested: &owes, accepted: &owes }).await;
    assert_eq!(blocked.unwrap(), FriendChange::Blocked);
    let room = RoomId::from_bytes([9; 16]);
    assert!(!directory.set_preferences(user(1), room, Preferences::default(), &owes).await.unwrap());
    assert_eq!(owed(&directory, None).await, []);
}

#[allow(missing_docs)]
pub async fn a_room_is_owed_a_bounded_number(directory: Arc<dyn Directory>) {
    let many: Vec<_> = (0..OWED_TO_ROOM).map(|_| command(1, true)).collect();
    directory.set_block(user(1), user(2), true, at(0), &many).await.unwrap();
    // Others in the same transaction are not concerned.
    let (more, elsewhere) = ([command(2, true), command(1, true)], [command(2, true)]);
    let (refused, made) = tokio::join!(
        directory.set_block(user(1), user(3), true, at(0), &more),
        directory.set_block(user(4), user(3), true, at(0), &elsewhere)
    );
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    assert!(matches!(made, Ok(FriendChange::Changed(_))), "{made:?}");
    assert_eq!(owed(&directory, Some(2)).await, elsewhere);
    assert_eq!(owed(&directory, Some(1)).await.len(), OWED_TO_ROOM);
    assert_eq!(directory.blocks_between(user(1), &[user(3)]).await.unwrap(), [], "refused whole");
}

#[allow(missing_docs)]
pub async fn what_is_owed_has_pages_and_settles(directory: Arc<dyn Directory>) {
    let owes: Vec<_> = [1, 2, 1, 2, 1].map(|room| command(room, true)).to_vec();
    directory.set_block(user(1), user(2), true, at(0), &owes).await.unwrap();
    let first = directory.owed(None, 0, 2).await.unwrap();
    assert_eq!(first.iter().map(|owed| owed.command.clone()).collect::<Vec<_>>(), owes[..2]);
    let rest = directory.owed(None, first[1].place, 10).await.unwrap();
    assert_eq!(rest.iter().map(|owed| owed.command.clone()).collect::<Vec<_>>(), owes[2..]);
    let of_room = directory.owed(Some(RoomId::from_bytes([1; 16])), first[0].place, 1).await.unwrap();
    assert_eq!(of_room, rest[..1], "of one room, after a place");
    let places: Vec<_> = rest.iter().map(|Owed { place, .. }| *place).collect();
    directory.settle_owed(&places).await.unwrap();
    directory.settle_owed(&places).await.unwrap();
    assert_eq!(directory.owed(None, 0, 10).await.unwrap(), first);
    // A place is never used again: whoever still settles an old one settles nothing else.
    directory.set_block(user(1), user(2), false, at(0), &[command(1, false)]).await.unwrap();
    let newest = directory.owed(None, first[1].place, 10).await.unwrap();
    assert!(newest[0].place > places[2]);
}
