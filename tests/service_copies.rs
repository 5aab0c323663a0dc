//! How many AMQP messages one chat message becomes on its way to the gateways: counted on a real RabbitMQ and a real Redis with 64
//! gateways, of which two hold the members of the room.

use std::{sync::Arc, time::Duration};

use klatch_bus::{Bus, EventReceiver, Received, Target, rabbitmq, redis};
use klatch_domain::{
    Action, Command, ConnectionId, Content, Draft, Event, Incarnation, Kind, MessageId, NewRoom, Outcome, ReplyAddress,
    RoomId, RoomKind, RoomName, Sender, SessionId, Slot, Timestamp, UserId, Visibility,
};
use klatch_message_service::{MessageService, Parts};
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{Directory, sqlite};
use klatch_tests::services::{rabbitmq::fresh, redis::shared};
use prometheus::Registry;

use crate::service_bus_rabbitmq::whole;

/// As the budget names it.
const GATEWAYS: usize = 64;
/// The budget: one for each of the two that hold a member.
const MOST_COPIES: f64 = 2.0;
const MESSAGES: usize = 50;
/// The gateways of the two, by their places.
const SENDERS: usize = 3;
const HEARERS: usize = 40;
/// Nothing here takes longer unless it never comes.
const NEVER: Duration = Duration::from_secs(60);
const SLOTS: u16 = 16;

struct World {
    bus: Bus,
    gateways: Vec<Incarnation>,
    receivers: Vec<Box<dyn EventReceiver>>,
    service: MessageService,
    _folder: tempfile::TempDir,
}

impl World {
    async fn new() -> Self {
        let parts = rabbitmq::connect(fresh().options(), &Registry::new()).await.expect("a broker");
        let cache = redis::connect(shared(), &Registry::new()).await.expect("a Redis");
        let bus = Bus { presence: cache.presence, ..whole(parts) };
        let gateways: Vec<_> = (0..GATEWAYS).map(|_| Incarnation::now()).collect();
        let mut receivers = Vec::new();
        for gateway in &gateways {
            bus.presence.renew(*gateway).await.expect("a lease");
            receivers.push(bus.events.subscribe(*gateway, true).await);
        }
        let folder = tempfile::tempdir().expect("a folder");
        let options = sqlite::Options { slots: SLOTS, shards: 1, readers: 1 };
        let stores = sqlite::open(folder.path(), options).expect("shards");
        let service = MessageService::start(Parts {
            settings: MessageServiceSettings::default(),
            bus: bus.clone(),
            shards: stores.shards.clone(),
            directory: Arc::clone(&stores.directory) as Arc<dyn Directory>,
            registry: Registry::new(),
            clock: Clock::system(),
        });
        let service = service.await.expect("a writer");
        Self { bus, gateways, receivers, service, _folder: folder }
    }

    /// Every gateway holds its lease, and those of the two members say so. Whether all had held it since the last time: on a
    /// machine that stood still for 10 s, what was counted meanwhile went by the lane and says nothing.
    async fn hold_leases(&self, members: [(UserId, usize); 2]) -> bool {
        let renewals = self.gateways.iter().map(|gateway| self.bus.presence.renew(*gateway));
        let held = futures_util::future::join_all(renewals).await;
        let held = held.into_iter().all(|held| held.expect("a Redis"));
        let now = Timestamp::from_millis(1_800_000_000_000);
        for (user, gateway) in members {
            self.bus.presence.set(self.gateways[gateway], &[(user, true)], now).await.expect("a lease");
        }
        held
    }

    /// Does one thing, waits until `hearer` has it, and answers how often messages of this room came to the gateways.
    async fn copies(&mut self, room: RoomId, sender: Sender, hearer: Option<usize>, action: Action) -> usize {
        let from = SENDERS;
        let command = Command {
            room,
            message_id: MessageId::now(),
            sender,
            action,
            reply: Some(ReplyAddress { incarnation: self.gateways[from], connection: ConnectionId::now() }),
            after: None,
            accepted_micros: 0,
            trace: None,
        };
        let (id, queue) = (command.message_id, Slot::of(room, SLOTS).ingest_queue(self.bus.commands.queues()));
        self.bus.commands.publish(queue, vec![command]).await.expect("there is room");
        let mut copies = 0;
        // The outcome leaves with the last of them.
        while let Some(events) = next(&mut *self.receivers[from]).await {
            copies += events.iter().filter(|event| is_of(event, room)).count();
            let outcome = events.iter().find_map(|event| match event {
                Event::Outcome(outcome) if outcome.message_id == id => Some(&outcome.outcome),
                _ => None,
            });
            if let Some(outcome) = outcome {
                assert!(matches!(outcome, Outcome::Stored(_)), "{outcome:?}");
                break;
            }
        }
        // It may be on its way to the one while the other has it.
        while let Some(hearer) = hearer
            && let Some(events) = next(&mut *self.receivers[hearer]).await
        {
            copies += events.iter().filter(|event| is_of(event, room)).count();
            if events.iter().any(|event| matches!(event, Event::Appended(appended) if appended.entry.message_id == id))
            {
                break;
            }
        }
        // Whoever else was sent it has it before this, or it is counted with the next.
        let mark = RoomId::now();
        let marked = vec![(Target::Everyone, vec![Event::RoomDeleted { room: mark }])];
        self.bus.events.publisher(Incarnation::now()).publish(marked).await;
        for receiver in &mut self.receivers {
            while let Some(events) = next(&mut **receiver).await {
                copies += events.iter().filter(|event| is_of(event, room)).count();
                if events.iter().any(|event| is_of(event, mark)) {
                    break;
                }
            }
        }
        copies
    }
}

/// The events of the next AMQP message.
async fn next(receiver: &mut dyn EventReceiver) -> Option<Vec<Event>> {
    loop {
        match tokio::time::timeout(NEVER, receiver.receive()).await.expect("an event never came") {
            Some(Received::Events(events)) => return Some(events),
            Some(Received::Gap) => {}
            None => return None,
        }
    }
}

fn is_of(event: &Event, wanted: RoomId) -> bool {
    match event {
        // What making the room left behind may still come.
        Event::Appended(appended) => appended.room == wanted && appended.entry.kind == Kind::Text,
        Event::RoomDeleted { room } => *room == wanted,
        _ => false,
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_message_to_a_room_of_two_is_at_most_two_copies_among_64_gateways() {
    let mut world = World::new().await;
    let (ada, bob) = (UserId::now(), UserId::now());
    let members = [(ada, SENDERS), (bob, HEARERS)];
    world.hold_leases(members).await;
    let (room, sender) = (RoomId::now(), Sender { user: ada, session: SessionId::now() });
    let name = Some(RoomName::parse("harbour").expect("a name"));
    let new = NewRoom { kind: RoomKind::Group, name, visibility: Visibility::Private, others: vec![bob] };
    world.copies(room, sender, None, Action::CreateRoom(new)).await;
    let (mut copies, mut counted) = (0, 0);
    world.hold_leases(members).await;
    for number in 0.. {
        let content = Content::text(&number.to_string()).expect("a text");
        let of_this = world.copies(room, sender, Some(HEARERS), Action::Append(Draft::new(Kind::Text, content))).await;
        if world.hold_leases(members).await {
            (copies, counted) = (copies + of_this, counted + 1);
        }
        if counted == MESSAGES {
            break;
        }
    }
    #[expect(clippy::cast_precision_loss, reason = "small numbers")]
    let each = copies as f64 / MESSAGES as f64;
    println!("AMQP copies of one message, room of two, {GATEWAYS} gateways: {each:.2}");
    assert!(each >= 2.0, "each of the two gateways must hear of it");
    assert!(each <= MOST_COPIES, "{each}");
    world.service.stop().await;
}
