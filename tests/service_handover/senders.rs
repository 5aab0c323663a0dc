//! Senders as a gateway has them: pipelines, one unconfirmed publish a queue, and everything again from the first that failed.

use std::{collections::HashMap, sync::Arc, time::Duration};

use klatch_bus::{Commands, EventReceiver, Received};
use klatch_domain::{
    Action, Command, ConnectionId, Content, Draft, Event, Incarnation, Kind, MessageId, NewRoom, Outcome, OutcomeEvent,
    ReplyAddress, RoomId, RoomKind, RoomName, Sender, SessionId, UserId, Visibility,
};
use tokio::time::timeout;

use super::world::World;

/// Unsettled commands of one sender.
const WINDOW: usize = 24;
/// Without an outcome for so long a sender begins again with its first unsettled command, as a client does.
const SILENCE: Duration = Duration::from_secs(3);
/// Nothing here takes longer unless it never comes.
const NEVER: Duration = Duration::from_secs(180);

/// Whether commands name the one before them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Preceding {
    Named,
    Unnamed,
}

pub struct Senders {
    all: Vec<One>,
    by_id: HashMap<MessageId, usize>,
    incarnation: Incarnation,
    receiver: Box<dyn EventReceiver>,
    commands: Arc<dyn Commands>,
    /// Where everything goes a second time.
    second: Option<Arc<dyn Commands>>,
    preceding: Preceding,
    again: u64,
}

struct One {
    who: Sender,
    room: RoomId,
    queue: u16,
    /// In order: first the room, then the texts.
    unsettled: Vec<Command>,
    /// How many of them are on their way.
    under_way: usize,
    texts: u64,
    /// Sends nothing before this: the room's making.
    waits_for: Option<MessageId>,
}

impl One {
    fn may_send(&self) -> bool {
        self.waits_for.is_none() && self.unsettled.len() < WINDOW
    }
}

impl Senders {
    /// Two share a room, which is the first command of one of them.
    pub async fn new(world: &World, count: usize, preceding: Preceding) -> Self {
        let incarnation = Incarnation::now();
        let receiver = world.bus.events.subscribe(incarnation, true).await;
        let mut senders = Self {
            all: Vec::new(),
            by_id: HashMap::new(),
            incarnation,
            receiver,
            commands: Arc::clone(&world.bus.commands),
            second: None,
            preceding,
            again: 0,
        };
        let users: Vec<_> = (0..count).map(|_| UserId::now()).collect();
        for index in 0..count {
            senders.add(index, &users);
        }
        senders
    }

    fn add(&mut self, index: usize, users: &[UserId]) {
        let who = Sender { user: users[index], session: SessionId::now() };
        let maker = index - index % 2;
        let room = self.all.get(maker).map_or_else(RoomId::now, |maker| maker.room);
        let waits_for = self.all.get(maker).map(|maker| maker.unsettled[0].message_id);
        let queue = klatch_domain::Slot::of(room, 16).ingest_queue(self.commands.queues());
        self.all.push(One { who, room, queue, unsettled: Vec::new(), under_way: 0, texts: 0, waits_for });
        if index == maker {
            let name = Some(RoomName::parse("harbour").unwrap());
            let others = users.get(index + 1).copied().into_iter().collect();
            let new = NewRoom { kind: RoomKind::Group, name, visibility: Visibility::Private, others };
            self.push(index, Action::CreateRoom(new));
        }
    }

    fn push(&mut self, index: usize, action: Action) {
        let one = &mut self.all[index];
        let after = one.unsettled.last().map(|before| before.message_id);
        let command = Command {
            room: one.room,
            message_id: MessageId::now(),
            sender: one.who,
            action,
            reply: Some(ReplyAddress { incarnation: self.incarnation, connection: ConnectionId::now() }),
            after: after.filter(|_| self.preceding == Preceding::Named),
            accepted_micros: 0,
            trace: None,
        };
        self.by_id.insert(command.message_id, index);
        one.unsettled.push(command);
    }

    fn push_text(&mut self, index: usize) {
        let content = Content::text(&self.all[index].texts.to_string()).unwrap();
        self.all[index].texts += 1;
        self.push(index, Action::Append(Draft::new(Kind::Text, content)));
    }

    /// Sends everything to another place too, whose writer thinks that it is the only one.
    pub fn by_two_paths(&mut self, world: &World) {
        self.second = Some(Arc::clone(&world.other_bus.commands));
    }

    /// Who sends, and where.
    pub fn places(&self) -> Vec<(RoomId, UserId)> {
        self.all.iter().map(|one| (one.room, one.who.user)).collect()
    }

    pub fn queues(&self) -> Vec<u16> {
        self.all.iter().map(|one| one.queue).collect()
    }

    /// How many texts each has sent.
    pub fn sent(&self) -> Vec<u64> {
        self.all.iter().map(|one| one.texts).collect()
    }

    pub fn sent_again(&self) -> u64 {
        self.again
    }

    /// So many more texts each, with what is settled meanwhile; some are still under way at the end.
    pub async fn go_on(&mut self, each: u64) {
        let until: Vec<_> = self.all.iter().map(|one| one.texts + each).collect();
        timeout(NEVER, async {
            while self.all.iter().zip(&until).any(|(one, until)| one.texts < *until) {
                for (index, until) in until.iter().enumerate() {
                    while self.all[index].may_send() && self.all[index].texts < *until {
                        self.push_text(index);
                    }
                }
                self.publish().await;
                self.hear().await;
            }
        })
        .await
        .expect("the senders are stuck");
    }

    /// Until everything is settled.
    pub async fn settle(&mut self) {
        timeout(NEVER, async {
            while self.all.iter().any(|one| !one.unsettled.is_empty()) {
                self.publish().await;
                self.hear().await;
            }
        })
        .await
        .expect("the senders are stuck");
    }

    /// Every text of the first sender in an AMQP message of its own, and no answer awaited. Its room is there.
    pub async fn send_all_at_once(&mut self, count: u64) {
        for _ in 0..count {
            self.push_text(0);
        }
        let one = &mut self.all[0];
        one.under_way = one.unsettled.len();
        let queue = one.queue;
        for command in one.unsettled.clone() {
            self.commands.publish(queue, vec![command]).await.expect("there is room");
        }
    }

    /// One publish a queue, of all that is not under way.
    async fn publish(&mut self) {
        for queue in 0..self.commands.queues() {
            let mut batch = Vec::new();
            for one in self.all.iter_mut().filter(|one| one.queue == queue) {
                batch.extend_from_slice(&one.unsettled[one.under_way..]);
                one.under_way = one.unsettled.len();
            }
            if batch.is_empty() {
                continue;
            }
            // Sender by sender, in the other order: its writer writes first what the other one writes last.
            let mut parts: Vec<Vec<Command>> =
                batch.chunk_by(|one, next| one.sender == next.sender).map(<[_]>::to_vec).collect();
            parts.reverse();
            let second = async {
                if let Some(second) = &self.second {
                    for part in parts.clone() {
                        // Whether it arrives there is of no matter.
                        let _ = second.publish(queue, part).await;
                    }
                }
            };
            let first = async {
                if self.second.is_none() {
                    return self.commands.publish(queue, batch.clone()).await;
                }
                for part in parts.iter().rev() {
                    self.commands.publish(queue, part.clone()).await?;
                }
                Ok(())
            };
            let (published, ()) = tokio::join!(first, second);
            if published.is_err() {
                // Each begins again with its first that failed.
                for command in batch.iter().rev() {
                    self.begin_again(command.message_id);
                }
            }
        }
    }

    fn begin_again(&mut self, id: MessageId) {
        let Some(one) = self.by_id.get(&id).map(|index| &mut self.all[*index]) else { return };
        if let Some(place) = one.unsettled.iter().position(|command| command.message_id == id) {
            one.under_way = one.under_way.min(place);
            self.again += 1;
        }
    }

    /// Outcomes that have come, or the next.
    async fn hear(&mut self) {
        match timeout(SILENCE, self.receiver.receive()).await {
            Ok(Some(Received::Events(events))) => self.take(events),
            // An outcome may be among what was lost.
            Ok(Some(Received::Gap)) | Err(_) => {
                for one in &mut self.all {
                    one.under_way = 0;
                    self.again += one.unsettled.len() as u64;
                }
            }
            Ok(None) => panic!("the bus is closed"),
        }
        while let Some(Received::Events(events)) = self.receiver.try_receive() {
            self.take(events);
        }
    }

    fn take(&mut self, events: Vec<Event>) {
        for event in events {
            if let Event::Outcome(OutcomeEvent { message_id, outcome, .. }) = event {
                self.settled(message_id, outcome);
            }
        }
    }

    fn settled(&mut self, id: MessageId, outcome: Outcome) {
        match outcome {
            Outcome::Refused(refusal) if refusal.retryable => self.begin_again(id),
            Outcome::Refused(refusal) => panic!("{id}: {refusal}"),
            Outcome::Stored(_) | Outcome::Unchanged => {
                for one in self.all.iter_mut().filter(|one| one.waits_for == Some(id)) {
                    one.waits_for = None;
                }
                let one = &mut self.all[self.by_id[&id]];
                if let Some(place) = one.unsettled.iter().position(|command| command.message_id == id) {
                    one.unsettled.remove(place);
                    one.under_way -= usize::from(place < one.under_way);
                }
            }
        }
    }

    /// The next outcome, whichever.
    pub async fn one_outcome(&mut self) {
        loop {
            match self.receiver.receive().await {
                Some(Received::Events(events)) => {
                    let is_outcome = events.iter().any(|event| matches!(event, Event::Outcome(_)));
                    self.take(events);
                    if is_outcome {
                        return;
                    }
                }
                Some(Received::Gap) => {}
                None => panic!("the bus is closed"),
            }
        }
    }
}
