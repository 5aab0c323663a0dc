//! Writers on shared shards, each with a connection of its own that can be cut and frozen.

use std::{sync::Arc, time::Duration};

use klatch_bus::{
    Bus,
    rabbitmq::{self, Options},
};
use klatch_domain::{Entry, Kind, RoomId, Seq, UserId};
use klatch_message_service::{MessageService, Parts};
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{
    Directory,
    shard::Range,
    sqlite::{self, SqliteStores},
};
use klatch_tests::services::{
    proxy::Proxy,
    rabbitmq::{Place, Rabbitmq, Start},
};
use lapin::{
    Channel, Connection, ConnectionProperties,
    options::{BasicCancelOptions, BasicConsumeOptions, BasicQosOptions},
    types::FieldTable,
};
use prometheus::Registry;

use super::senders::Senders;
use crate::service_bus_rabbitmq::whole;

/// Longer than the broker needs to give up a connection with heartbeats every 5 s (measured 12.7 s).
const FROZEN: Duration = Duration::from_secs(17);

/// How a writer leaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Leave {
    /// Finishes its transaction, acknowledges, closes the channel.
    Close,
    /// Is gone from one moment to the next.
    Die,
    /// Hears nothing and is not heard, goes on with what it has, and comes back.
    Freeze,
}

pub struct World {
    _folder: tempfile::TempDir,
    stores: SqliteStores,
    broker: Rabbitmq,
    place: Place,
    other_place: Place,
    pub bus: Bus,
    pub other_bus: Bus,
}

pub struct Replica {
    service: MessageService,
    proxy: Proxy,
}

impl World {
    pub async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let options = sqlite::Options { slots: 16, shards: 2, readers: 1 };
        let stores = sqlite::open(folder.path(), options).unwrap();
        let broker = Rabbitmq::start(Start::default());
        let (place, other_place) = (broker.place("handover"), broker.place("other"));
        let bus = connect(Self::options(&place)).await;
        let other_bus = connect(Self::options(&other_place)).await;
        Self { _folder: folder, stores, broker, place, other_place, bus, other_bus }
    }

    fn options(place: &Place) -> Options {
        Options { ingest_prefetch: 16, ..place.options() }
    }

    pub async fn replica(&self) -> Replica {
        self.start(&self.place).await
    }

    /// A writer that takes the same rooms' commands from another place: two that both are the only one.
    pub async fn zombie(&self) -> Replica {
        self.start(&self.other_place).await
    }

    async fn start(&self, place: &Place) -> Replica {
        let proxy = Proxy::to(self.broker.port());
        let brokers = vec![place.address.clone().by_way_of("127.0.0.1", proxy.port())];
        let bus = connect(Options { brokers, ..Self::options(place) }).await;
        let parts = Parts {
            settings: MessageServiceSettings::default(),
            bus,
            shards: self.stores.shards.clone(),
            directory: Arc::clone(&self.stores.directory) as Arc<dyn Directory>,
            registry: Registry::new(),
            clock: Clock::system(),
        };
        Replica { service: MessageService::start(parts).await.unwrap(), proxy }
    }

    pub async fn leave(&self, replica: Replica, how: Leave) {
        let Replica { service, proxy } = replica;
        match how {
            Leave::Close => service.stop().await,
            Leave::Die => {
                // Nothing it still does reaches anybody.
                proxy.cut();
                drop(service);
            }
            Leave::Freeze => {
                proxy.freeze();
                tokio::time::sleep(FROZEN).await;
                proxy.heal();
                service.stop().await;
            }
        }
    }

    /// Somebody holds the first `held` of `count` commands of the first sender, a writer stands by, and the holder cancels.
    pub async fn cancelling_consumer(
        &self,
        senders: &mut Senders,
        held: u16,
        count: u64,
    ) -> (Channel, (Replica, Connection)) {
        let uri = format!("amqp://guest:guest@127.0.0.1:{}/handover", self.broker.port());
        let connection = Connection::connect(&uri, ConnectionProperties::default()).await.unwrap();
        let channel = connection.create_channel().await.unwrap();
        channel.basic_qos(held, BasicQosOptions::default()).await.unwrap();
        let queue = format!("ingest.{}", senders.queues()[0]);
        let options = BasicConsumeOptions::default();
        let consuming = channel.basic_consume(queue.into(), "holder".into(), options, FieldTable::default()).await;
        let mut consumer = consuming.unwrap();
        let replica = self.replica().await;
        senders.send_all_at_once(count).await;
        for _ in 0..held {
            futures_util::StreamExt::next(&mut consumer).await.unwrap().unwrap();
        }
        channel.basic_cancel("holder".into(), BasicCancelOptions::default()).await.unwrap();
        (channel, (replica, connection))
    }

    /// A sender's numbers in a room's log, in its order; the log is dense.
    pub async fn texts(&self, room: RoomId, sender: UserId) -> Vec<u64> {
        #[derive(serde::Deserialize)]
        struct Text {
            text: String,
        }
        let mut log: Vec<Entry> = Vec::new();
        loop {
            let after = log.last().map_or(Seq::ZERO, |entry| entry.position.seq);
            let page = self.stores.shards.of(room).page(room, Range::After(after), 200, None, None).await.unwrap();
            log.extend(page.entries);
            if !page.more {
                break;
            }
        }
        for (index, entry) in log.iter().enumerate() {
            assert_eq!(entry.position.seq.0, index as u64 + 1, "the log of {room} is not dense");
        }
        let texts = log.iter().filter(|entry| entry.kind == Kind::Text && entry.sender.user == sender);
        texts.map(|entry| entry.content.read::<Text>().unwrap().text.parse().unwrap()).collect()
    }

    /// Every log holds what its sender sent, once, in order.
    pub async fn check(&self, senders: &Senders) {
        for ((room, sender), sent) in senders.places().into_iter().zip(senders.sent()) {
            assert_eq!(self.texts(room, sender).await, (0..sent).collect::<Vec<_>>(), "{sender} in the log of {room}");
        }
        println!("{} commands, {} were sent again", senders.sent().iter().sum::<u64>(), senders.sent_again());
    }
}

async fn connect(options: Options) -> Bus {
    whole(rabbitmq::connect(options, &Registry::new()).await.expect("a broker"))
}
