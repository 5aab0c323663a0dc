//! A process of the next version beside those of this one: what it adds to a payload is passed over, what it alone can do is
//! refused and kept or skipped, and neither stops what both know. The names on the broker are written out here: they are what
//! two versions meet by.

use std::{collections::HashMap, sync::Arc};

use klatch_bus::{
    Bus, EventReceiver, Received, in_process,
    payload::{commands, events},
    rabbitmq,
};
use klatch_domain::{
    Action, Code, Command, ConnectionId, Content, Draft, Event, Incarnation, Kind, MessageId, NewRoom, Outcome,
    ReplyAddress, RoomId, RoomKind, RoomName, Sender, Seq, SessionId, UserId, Visibility,
};
use klatch_message_service::{MessageService, Parts};
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{Directory, shard::Range, sqlite};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, World, soon},
    services::rabbitmq::{Place, Rabbitmq, Start},
    tomorrow::{FIELD, from_tomorrow},
};
use lapin::{
    BasicProperties, Channel, Connection, ConnectionProperties,
    options::{BasicGetOptions, BasicPublishOptions},
};
use serde_json::{Value, json};

const VHOST: &str = "versions";

/// A broker, and a channel of the process from tomorrow.
struct Broker {
    place: Place,
    channel: Channel,
    _broker: Rabbitmq,
}

impl Broker {
    async fn start() -> Self {
        let broker = tokio::task::block_in_place(|| Rabbitmq::start(Start::default()));
        let place = broker.place(VHOST);
        let address = format!("amqp://guest:guest@127.0.0.1:{}/{VHOST}", broker.port());
        let connection = Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
        Self { place, channel: connection.create_channel().await.unwrap(), _broker: broker }
    }

    /// The bus of this version's processes. Its topology has one ingest queue and one lane.
    async fn bus(&self) -> Bus {
        let options = rabbitmq::Options { ingest_queues: 1, lanes: 1, ..self.place.options() };
        let parts = rabbitmq::connect(options, &prometheus::Registry::new()).await.unwrap();
        Bus {
            commands: parts.commands,
            events: parts.events,
            watermarks: parts.watermarks,
            notifications: parts.notifications,
            ..in_process::bus(in_process::Options::default(), &prometheus::Registry::new()).unwrap()
        }
    }

    async fn publish(&self, exchange: &str, key: &str, payload: &Value) {
        let body = serde_json::to_vec(payload).unwrap();
        let options = BasicPublishOptions::default();
        let sent =
            self.channel.basic_publish(exchange.into(), key.into(), options, &body, BasicProperties::default()).await;
        sent.unwrap().await.unwrap();
    }

    /// The next message of a queue.
    async fn take(&self, queue: &str) -> Vec<u8> {
        soon("a message", async {
            loop {
                let got = self.channel.basic_get(queue.into(), BasicGetOptions { no_ack: true }).await.unwrap();
                if let Some(message) = got {
                    return message.delivery.data;
                }
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        })
        .await
    }
}

fn text(text: &str) -> Action {
    Action::Append(Draft::new(Kind::Text, Content::text(text).unwrap()))
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_writer_takes_the_commands_of_a_newer_gateway() {
    let broker = Broker::start().await;
    let bus = broker.bus().await;
    let folder = tempfile::tempdir().unwrap();
    let stores = sqlite::open(folder.path(), sqlite::Options { slots: 4, shards: 1, readers: 1 }).unwrap();
    let _service = MessageService::start(Parts {
        settings: MessageServiceSettings::default(),
        bus: bus.clone(),
        shards: stores.shards.clone(),
        directory: Arc::clone(&stores.directory) as Arc<dyn Directory>,
        registry: prometheus::Registry::new(),
        clock: Clock::system(),
    })
    .await
    .unwrap();
    let incarnation = Incarnation::now();
    let mut hears = bus.events.subscribe(incarnation, false).await;

    let sender = Sender { user: UserId::now(), session: SessionId::now() };
    let (room, other) = (RoomId::now(), UserId::now());
    let command = |action: Action| Command {
        room,
        message_id: MessageId::now(),
        sender,
        action,
        reply: Some(ReplyAddress { incarnation, connection: ConnectionId::now() }),
        after: None,
        accepted_micros: Clock::system().micros(),
        trace: Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01".into()),
    };
    let name = Some(RoomName::parse("harbour").unwrap());
    let visibility = Visibility::Private;
    let group = Action::CreateRoom(NewRoom { kind: RoomKind::Group, name, visibility, others: vec![other] });
    let known = [command(group), command(text("one")), command(text("two"))];
    let mut payload = from_tomorrow(&commands::encode(&known));
    // Between the two texts something that nobody here can do.
    let mut unheard_of = from_tomorrow(&commands::encode(&[command(text("unheard of"))]))["commands"][0].clone();
    unheard_of["action"] = json!({"pin": {"seq": 2}});
    let unheard_of_id: MessageId = serde_json::from_value(unheard_of["message_id"].clone()).unwrap();
    payload["commands"].as_array_mut().unwrap().insert(2, unheard_of);
    broker.publish("ingest", "0", &payload).await;

    let outcomes = outcomes(&mut hears, known.len() + 1).await;
    for command in &known {
        assert!(matches!(outcomes[&command.message_id], Outcome::Stored(_)), "{outcomes:?}");
    }
    let Outcome::Refused(refusal) = &outcomes[&unheard_of_id] else { panic!("it was not refused: {outcomes:?}") };
    assert_eq!((refusal.code, refusal.retryable), (Code::Busy, true), "another replica may be newer");
    let log = stores.shards.of(room).page(room, Range::After(Seq::ZERO), 200, None, None).await.unwrap().entries;
    let texts: Vec<_> = log.iter().filter(|entry| entry.kind == Kind::Text).map(|e| e.content.as_str()).collect();
    assert_eq!(texts, [r#"{"text":"one"}"#, r#"{"text":"two"}"#]);
    // What could not be done is not lost: it waits as it came.
    let kept: Value = serde_json::from_slice(&broker.take("dead-letters.ingest").await).unwrap();
    assert_eq!(kept["commands"][0]["action"], json!({"pin": {"seq": 2}}));
    assert!(kept["commands"][0].get(FIELD).is_some(), "with all that nobody here knows: {kept}");
}

/// What became of these commands.
async fn outcomes(hears: &mut Box<dyn EventReceiver>, of: usize) -> HashMap<MessageId, Outcome> {
    let mut found = HashMap::new();
    soon("outcomes", async {
        while found.len() < of {
            match hears.receive().await.expect("the bus lives") {
                Received::Events(events) => {
                    for event in events {
                        if let Event::Outcome(outcome) = event {
                            found.insert(outcome.message_id, outcome.outcome);
                        }
                    }
                }
                Received::Gap => panic!("events were lost"),
            }
        }
    })
    .await;
    found
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_gateway_takes_the_events_of_a_newer_writer() {
    let broker = Broker::start().await;
    let world = World::on(broker.bus().await).await;
    let gateway = world.gateway().await;
    let (ada, bob) = (Device::new(), Device::new());
    let mut client = Client::greet(&world, &gateway, bob).await;
    let mut room = Room::small(&[ada, bob]);
    let stream = events::Stream { from: Incarnation::now(), publisher: 1, to: events::StreamTarget::Everyone };
    for number in 1..=3 {
        let said = [room.say(ada, &format!("{number} before")), room.say(ada, &format!("{number} behind"))];
        let mut payload = from_tomorrow(&events::encode(&stream, number, &said));
        // Between the two, an event of a kind that nobody here knows.
        payload["events"].as_array_mut().unwrap().insert(1, json!({"room_moved": {"room": room.id, "to": 7}}));
        broker.publish("events.everyone", "", &payload).await;
    }
    for number in 1..=3 {
        assert_eq!(client.text().await, format!("{number} before"));
        assert_eq!(client.text().await, format!("{number} behind"));
    }
    client.is_quiet().await;
    assert!(gateway.metric("klatch_gateway_gaps_total") == 0.0, "nothing was missed");
}
