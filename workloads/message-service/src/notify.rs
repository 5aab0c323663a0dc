//! What notification-service is asked to decide on: entries that people read, in rooms with somebody else in them.

use klatch_bus::NotifyCommand;
use klatch_domain::{Appended, Audience};

use crate::context::Context;

/// The notify command of an entry; `None` for what never notifies anybody: changes of other entries, of members and rooms,
/// what was deleted since, and inboxes, which are their owner's alone.
pub(crate) fn command_for(appended: &Appended) -> Option<NotifyCommand> {
    let entry = &appended.entry;
    let nobody_else = match &appended.audience {
        Audience::Members(members) => members.len() < 2,
        Audience::Room => false,
    };
    if nobody_else || entry.deleted || !entry.kind.counts_as_unread() {
        return None;
    }
    Some(NotifyCommand {
        room: appended.room,
        position: entry.position,
        ordinal: entry.ordinal,
        message_id: entry.message_id,
        sender: entry.sender,
        kind: entry.kind.clone(),
        mentions: entry.mentions.clone(),
        silent: entry.silent,
        audience: appended.audience.clone(),
        at: entry.at,
    })
}

/// Hands them over. What a full queue does not take is skipped, and counted by the bus: ingest goes on.
pub(crate) async fn publish(context: &Context, commands: Vec<NotifyCommand>) {
    if !commands.is_empty() {
        context.bus.notifications.publish(commands).await;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use klatch_domain::{
        Content, Draft, Entry, Kind, MessageId, Ordinal, Position, RoomId, Sender, Seq, SessionId, Timestamp, UserId,
    };

    use super::*;

    fn appended(kind: Kind, members: Option<usize>) -> Appended {
        let sender = Sender { user: UserId::now(), session: SessionId::now() };
        let audience = match members {
            Some(members) => Audience::Members((0..members).map(|_| UserId::now()).collect::<Arc<[_]>>()),
            None => Audience::Room,
        };
        Appended {
            room: RoomId::now(),
            entry: Entry::of(
                &Draft::new(kind, Content::empty()),
                Position::default(),
                Ordinal(1),
                MessageId::now(),
                sender,
                Timestamp::from_millis(1),
            ),
            members_version: Seq::ZERO,
            audience,
            removed: None,
            accepted_micros: 0,
            trace: None,
        }
    }

    #[test]
    fn what_people_read_is_decided_on_and_nothing_else() {
        for (kind, members, expected) in [
            (Kind::Text, Some(2), true),
            (Kind::File, None, true),
            (Kind::Mls, Some(32), true),
            (Kind::Other("poll".into()), Some(2), true),
            (Kind::Text, Some(1), false),
            (Kind::Other("friend_changed".into()), Some(1), false),
            (Kind::Edit, None, false),
            (Kind::Reaction, Some(2), false),
            (Kind::MemberJoined, Some(2), false),
            (Kind::ToDevice, Some(2), false),
        ] {
            assert_eq!(command_for(&appended(kind.clone(), members)).is_some(), expected, "{kind:?} {members:?}");
        }
        let mut gone = appended(Kind::Text, Some(2));
        gone.entry.deleted = true;
        assert_eq!(command_for(&gone), None);
    }
}
