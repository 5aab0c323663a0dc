//! What notification-service is asked to decide on: entries that people read, in rooms with somebody else in them.

use std::{sync::Arc, time::Duration};

use klatch_bus::NotifyCommand;
use klatch_domain::{Appended, Audience};
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender},
        oneshot,
    },
    time::{Instant, sleep_until},
};

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

/// Between two publishes at least: a notification may be so late, and a broker's work is by the publish, not by the command.
const GATHER: Duration = Duration::from_millis(20);
/// Asks of one publish: what a few rounds left while the last one was under way.
const ASKS: usize = 64;

/// What a bundle asks of notification-service, and who hears that it was handed over.
pub(crate) struct Ask {
    commands: Vec<NotifyCommand>,
    handed_over: oneshot::Sender<()>,
}

/// Asks for these, if there are any; the answer comes once they were handed over, or dropped and counted.
pub(crate) fn ask(asks: &UnboundedSender<Ask>, commands: Vec<NotifyCommand>) -> Option<oneshot::Receiver<()>> {
    if commands.is_empty() {
        return None;
    }
    let (handed_over, answer) = oneshot::channel();
    // Nobody there: the queue is closing, the answer never comes, and nothing of it is settled.
    let _ = asks.send(Ask { commands, handed_over });
    Some(answer)
}

/// Hands over what is asked, beside the events, which wait for none of it. What a full queue does not take is skipped, and
/// counted by the bus: ingest goes on.
pub(crate) async fn run(context: Arc<Context>, mut asked: UnboundedReceiver<Ask>) {
    let mut asks = Vec::with_capacity(ASKS);
    while asked.recv_many(&mut asks, ASKS).await > 0 {
        let next = Instant::now() + GATHER;
        let (commands, answers): (Vec<_>, Vec<_>) = asks.drain(..).map(|ask| (ask.commands, ask.handed_over)).unzip();
        context.bus.notifications.publish(commands.into_iter().flatten().collect()).await;
        for answer in answers {
            // Nobody waits any more: the queue is closing.
            let _ = answer.send(());
        }
        sleep_until(next).await;
    }
    // Its events end this task's queue too.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
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
