//! Pairs in direct rooms: one of each sends, the other receives.

use std::rc::Rc;

use anyhow::ensure;
use klatch_domain::MessageId;

use super::{
    Stage,
    sender::{Sender, Sending},
};
use crate::bench::{
    crowd::{self, Crowd},
    frames::{self, Template},
    peer::Peer,
    step::Tally,
    wire::Incoming,
};

/// Both ends of a pair, connected.
pub(super) struct Pair {
    pub(super) room: klatch_domain::RoomId,
    pub(super) from: (Rc<Peer>, Incoming),
    pub(super) to: (Rc<Peer>, Incoming),
}

/// Connects `--pairs` pairs, no user twice.
pub(super) async fn connect(stage: Stage<'_>) -> anyhow::Result<Vec<Pair>> {
    let mut taken = std::collections::HashSet::new();
    let rooms: Vec<_> = stage
        .accounts
        .direct_rooms
        .iter()
        .filter(|room| room.users.len() == 2 && room.users.iter().all(|user| taken.insert(*user)))
        .take(stage.options.pairs as usize)
        .collect();
    ensure!(!rooms.is_empty(), "the accounts have no direct rooms");
    let users: Vec<usize> = rooms.iter().flat_map(|room| room.users.iter().copied()).collect();
    let mut connections = crowd::connect(stage.server.address, stage.accounts, &users).await?.into_iter();
    let mut pairs = Vec::with_capacity(rooms.len());
    for room in rooms {
        if let (Some(from), Some(to)) = (connections.next(), connections.next()) {
            pairs.push(Pair { room: room.room, from, to });
        }
    }
    Ok(pairs)
}

/// Pairs that write messages.
pub(super) struct Writing {
    pub(super) crowd: Crowd,
    pub(super) senders: Vec<(Rc<Peer>, Rc<Sender>)>,
    pub(super) sending: Rc<Sending>,
    /// Of `message` at the other end.
    pub(super) delivered: Rc<Tally>,
}

impl Writing {
    /// Connects the pairs; each is ready to send.
    pub(super) async fn connect(stage: Stage<'_>, sending: Rc<Sending>, delivered: Rc<Tally>) -> anyhow::Result<Self> {
        let mut writing = Self { crowd: Crowd::default(), senders: Vec::new(), sending, delivered };
        let first_id = MessageId::now();
        for pair in connect(stage).await? {
            let sender = Sender::new(&writing.sending, Template::text(pair.room, first_id)?);
            writing.add_sender(pair.from, &sender);
            let delivered = Rc::clone(&writing.delivered);
            writing.crowd.add(&writing.sending.generator, pair.to, move |piece| {
                for line in frames::lines(piece).filter(|line| frames::is(line, "message")) {
                    if let Some(due) = frames::stamp_of(line) {
                        delivered.arrived(due, 1);
                    }
                }
            });
        }
        Ok(writing)
    }

    fn add_sender(&mut self, connection: (Rc<Peer>, Incoming), sender: &Rc<Sender>) {
        let peer = add_sender(&mut self.crowd, &self.sending, connection, sender);
        self.senders.push((peer, Rc::clone(sender)));
    }

    /// Nothing is under way.
    pub(super) fn is_settled(&self) -> bool {
        self.senders.iter().all(|(_, sender)| sender.is_settled())
    }
}

/// Reads a sender's connection, which the sender answers by sending more.
pub(super) fn add_sender(
    crowd: &mut Crowd,
    sending: &Rc<Sending>,
    connection: (Rc<Peer>, Incoming),
    sender: &Rc<Sender>,
) -> Rc<Peer> {
    let (reader, writer) = (Rc::clone(sender), Rc::clone(&connection.0));
    crowd.add(&sending.generator, connection, move |piece| reader.read(&writer, piece))
}
