//! A running message-service with everything around it, and one process that listens.

use std::{
    collections::VecDeque,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::Duration,
};

use klatch_bus::{Bus, EventReceiver, Received, in_process};
use klatch_domain::{
    Action, Appended, Command, ConnectionId, Content, Draft, Entry, Event, Incarnation, Kind, MessageId, NewRoom,
    Outcome, Refusal, ReplyAddress, Role, RoomId, RoomKind, RoomName, Sender, Seq, SessionId, Stored, UserId,
    Visibility,
};
use klatch_message_service::{MessageService, Parts};
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{
    Directory, Shard, Shards,
    shard::Range,
    sqlite::{self, SqliteStores},
};
use tokio::time::{Instant, timeout_at};

use super::faults::{Faults, FaultyShard};

/// Nothing here takes longer unless it never comes.
const PATIENCE: Duration = Duration::from_secs(60);
pub(crate) const SLOTS: u16 = 16;
pub(crate) const SHARDS: u16 = 2;

pub(crate) struct World {
    _folder: tempfile::TempDir,
    pub(crate) stores: SqliteStores,
    /// What services are given: the stores', or one with faults.
    pub(crate) directory: Arc<dyn Directory>,
    /// With faults, one for each shard in order of its id.
    pub(crate) shards: Shards,
    pub(crate) faults: Vec<Arc<Faults>>,
    pub(crate) bus: Bus,
    pub(crate) settings: MessageServiceSettings,
    /// How long it waits for what must come.
    pub(crate) patience: Duration,
    /// Microseconds.
    pub(crate) clock: Arc<AtomicU64>,
    service: Option<MessageService>,
    pub(crate) incarnation: Incarnation,
    receiver: Box<dyn EventReceiver>,
    /// Heard and not asked for yet.
    heard: VecDeque<Event>,
}

impl World {
    pub(crate) async fn new() -> Self {
        let mut world = Self::at_rest().await;
        world.start().await;
        world
    }

    /// Everything but the service.
    pub(crate) async fn at_rest() -> Self {
        Self::on(tempfile::tempdir().unwrap()).await
    }

    /// Everything but the service, on a data folder that is there or will be.
    pub(crate) async fn on(folder: tempfile::TempDir) -> Self {
        let options = sqlite::Options { slots: SLOTS, shards: SHARDS, readers: 1 };
        let stores = sqlite::open(folder.path(), options).unwrap();
        let directory = Arc::clone(&stores.directory) as Arc<dyn Directory>;
        let mut inner: Vec<_> = stores.shards.all().cloned().collect();
        inner.sort_by_key(|shard| shard.id());
        let faults: Vec<_> = inner.iter().map(|_| Arc::new(Faults::default())).collect();
        let faulty = inner
            .into_iter()
            .zip(&faults)
            .map(|(inner, faults)| Arc::new(FaultyShard { inner, faults: Arc::clone(faults) }) as Arc<dyn Shard>);
        let shards = Shards::new(stores.shards.map().clone(), faulty.collect()).unwrap();
        let bus = in_process::bus(in_process::Options::default(), &prometheus::Registry::new()).unwrap();
        let incarnation = Incarnation::now();
        let receiver = bus.events.subscribe(incarnation, true).await;
        Self {
            _folder: folder,
            stores,
            directory,
            shards,
            faults,
            bus,
            settings: MessageServiceSettings::default(),
            patience: PATIENCE,
            clock: Arc::new(AtomicU64::new(1_800_000_000_000_000)),
            service: None,
            incarnation,
            receiver,
            heard: VecDeque::new(),
        }
    }

    /// Another bus in place of this one; before the service starts.
    pub(crate) async fn listen_on(&mut self, bus: Bus) {
        self.receiver = bus.events.subscribe(self.incarnation, true).await;
        self.bus = bus;
    }

    pub(crate) async fn start(&mut self) {
        self.service = Some(self.another().await);
    }

    /// A service of its own, beside the one of this world.
    pub(crate) async fn another(&self) -> MessageService {
        let clock = Arc::clone(&self.clock);
        let parts = Parts {
            settings: self.settings.clone(),
            bus: self.bus.clone(),
            shards: self.shards.clone(),
            directory: Arc::clone(&self.directory),
            registry: prometheus::Registry::new(),
            clock: Clock::from_fn(move || clock.load(Ordering::SeqCst)),
        };
        MessageService::start(parts).await.unwrap()
    }

    /// As kill -9 would.
    pub(crate) fn kill(&mut self) {
        self.service = None;
    }

    /// As kill -9 of a process that holds the ingest queues in memory would.
    pub(crate) async fn kill_with_queues(&mut self) {
        self.kill();
        self.listen_on(in_process::bus(in_process::Options::default(), &prometheus::Registry::new()).unwrap()).await;
    }

    pub(crate) async fn stop(&mut self) {
        self.service.take().unwrap().stop().await;
    }

    pub(crate) fn service(&self) -> &MessageService {
        self.service.as_ref().unwrap()
    }

    pub(crate) fn shard(&self, room: RoomId) -> &Arc<dyn Shard> {
        self.shards.of(room)
    }

    pub(crate) fn faults(&self, room: RoomId) -> &Arc<Faults> {
        &self.faults[usize::from(self.shards.map().shard_of(room).0)]
    }

    /// A new room's id in the shard of this number and the ingest queue of slot 0 or 1, as the shard says.
    pub(crate) fn room_in(&self, shard: u16, queue: u16) -> RoomId {
        std::iter::repeat_with(RoomId::now)
            .find(|room| {
                let slot = self.shards.map().slot_of(*room);
                self.shards.map().shard_of(*room).0 == shard && slot.ingest_queue(self.bus.commands.queues()) == queue
            })
            .unwrap()
    }

    pub(crate) fn queue_of(&self, room: RoomId) -> u16 {
        self.shards.map().slot_of(room).ingest_queue(self.bus.commands.queues())
    }

    pub(crate) fn command(&self, who: Sender, room: RoomId, action: Action) -> Command {
        Command {
            room,
            message_id: MessageId::now(),
            sender: who,
            action,
            reply: Some(ReplyAddress { incarnation: self.incarnation, connection: ConnectionId::now() }),
            after: None,
            accepted_micros: self.clock.load(Ordering::SeqCst),
            trace: Some("4bf92f35".into()),
        }
    }

    pub(crate) fn text(&self, who: Sender, room: RoomId, text: &str) -> Command {
        self.command(who, room, Action::Append(Draft::new(Kind::Text, Content::text(text).unwrap())))
    }

    /// Publishes as one delivery; all of one queue.
    pub(crate) async fn publish(&self, commands: Vec<Command>) {
        let queue = self.queue_of(commands[0].room);
        self.bus.commands.publish(queue, commands).await.unwrap();
    }

    /// Sends one command and waits for its outcome.
    pub(crate) async fn ask(&mut self, command: Command) -> Outcome {
        let id = command.message_id;
        self.publish(vec![command]).await;
        self.outcome(id).await
    }

    pub(crate) async fn store(&mut self, command: Command) -> Stored {
        stored(self.ask(command).await)
    }

    pub(crate) async fn refusal(&mut self, command: Command) -> Refusal {
        refused(self.ask(command).await)
    }

    /// The first event that fits, heard already or still to come; what does not fit is kept.
    pub(crate) async fn hear<T>(&mut self, mut fits: impl FnMut(&Event) -> Option<T>) -> T {
        let mut looked_at = 0;
        // For the whole wait: some news are repeated for ever.
        let until = Instant::now() + self.patience;
        loop {
            while let Some(event) = self.heard.get(looked_at) {
                if let Some(found) = fits(event) {
                    self.heard.remove(looked_at);
                    return found;
                }
                looked_at += 1;
            }
            match timeout_at(until, self.receiver.receive()).await.expect("nothing more comes") {
                Some(Received::Events(events)) => self.heard.extend(events),
                Some(Received::Gap) => panic!("events were lost"),
                None => panic!("the bus is closed"),
            }
        }
    }

    pub(crate) async fn outcome(&mut self, id: MessageId) -> Outcome {
        self.hear(|event| match event {
            Event::Outcome(outcome) if outcome.message_id == id => Some(outcome.outcome.clone()),
            _ => None,
        })
        .await
    }

    pub(crate) async fn appended(&mut self, id: MessageId) -> Arc<Appended> {
        self.hear(|event| match event {
            Event::Appended(appended) if appended.entry.message_id == id => Some(Arc::clone(appended)),
            _ => None,
        })
        .await
    }

    /// What was heard up to now and not asked for.
    pub(crate) fn heard(&self) -> impl Iterator<Item = &Event> {
        self.heard.iter()
    }

    pub(crate) fn forget_heard(&mut self) {
        self.heard.clear();
    }

    /// The whole log, and proof that it is gapless.
    pub(crate) async fn log(&self, room: RoomId) -> Vec<Entry> {
        let mut log: Vec<Entry> = Vec::new();
        loop {
            let after = log.last().map_or(Seq::ZERO, |entry| entry.position.seq);
            let page = self.shard(room).page(room, Range::After(after), 200, None, None).await.unwrap();
            log.extend(page.entries);
            if !page.more {
                break;
            }
        }
        for (index, entry) in log.iter().enumerate() {
            assert_eq!(entry.position.seq.0, index as u64 + 1, "the log has a gap");
            assert_eq!(entry.prev_seq.0, index as u64);
        }
        log
    }

    pub(crate) async fn texts(&self, room: RoomId) -> Vec<String> {
        self.log(room).await.iter().filter(|entry| entry.kind == Kind::Text).map(text_of).collect()
    }

    /// A group with these members; the first is its owner.
    pub(crate) async fn group(&mut self, members: &[Sender]) -> RoomId {
        let room = RoomId::now();
        self.group_at(room, members).await;
        room
    }

    pub(crate) async fn group_at(&mut self, room: RoomId, members: &[Sender]) {
        let others = members[1..].iter().map(|member| member.user).collect();
        let command = self.command(members[0], room, new_group(others));
        self.store(command).await;
    }

    pub(crate) async fn direct(&mut self, one: Sender, other: Sender) -> RoomId {
        let room = RoomId::direct_of(one.user, other.user);
        let command = self.command(one, room, new_direct(other.user));
        self.store(command).await;
        room
    }

    pub(crate) async fn put(&mut self, actor: Sender, room: RoomId, user: Sender, role: Option<Role>) -> Outcome {
        let command = self.command(actor, room, Action::PutMember { user: user.user, role });
        self.ask(command).await
    }

    pub(crate) async fn remove(&mut self, actor: Sender, room: RoomId, user: Sender) -> Outcome {
        let command = self.command(actor, room, Action::RemoveMember { user: user.user });
        self.ask(command).await
    }
}

pub(crate) fn person() -> Sender {
    Sender { user: UserId::now(), session: SessionId::now() }
}

pub(crate) fn people<const N: usize>() -> [Sender; N] {
    std::array::from_fn(|_| person())
}

pub(crate) fn new_group(others: Vec<UserId>) -> Action {
    let name = Some(RoomName::parse("harbour").unwrap());
    Action::CreateRoom(NewRoom { kind: RoomKind::Group, name, visibility: Visibility::Private, others })
}

pub(crate) fn new_direct(other: UserId) -> Action {
    let visibility = Visibility::Private;
    Action::CreateRoom(NewRoom { kind: RoomKind::Direct, name: None, visibility, others: vec![other] })
}

pub(crate) fn stored(outcome: Outcome) -> Stored {
    match outcome {
        Outcome::Stored(stored) => stored,
        other => panic!("not stored: {other:?}"),
    }
}

pub(crate) fn refused(outcome: Outcome) -> Refusal {
    match outcome {
        Outcome::Refused(refusal) => refusal,
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) fn text_of(entry: &Entry) -> String {
    #[derive(serde::Deserialize)]
    struct Text {
        text: String,
    }
    entry.content.read::<Text>().map(|content| content.text).unwrap_or_default()
}

pub(crate) fn change(kind: Kind, content: &str, target: Seq) -> Action {
    let mut draft = Draft::new(kind, Content::parse(content).unwrap());
    draft.target = Some(target);
    Action::Append(draft)
}
