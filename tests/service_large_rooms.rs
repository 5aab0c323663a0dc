//! A gateway keeps Redis told of the large rooms it holds, and puts it right again whatever Redis went through.

use std::{sync::Arc, time::Duration};

use klatch_bus::{
    Addressees, Bus, Presence, Target, in_process,
    redis::{self, Options},
};
use klatch_domain::{Event, Incarnation, RoomId};
use klatch_protocol::{PositionFrame, ServerFrame};
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, Running, World, soon, until},
    services::redis::{Redis, Start},
};
use prometheus::Registry;
use tokio_util::task::AbortOnDropHandle;

/// Looks again and again for what nobody is told of.
const LOOK: Duration = Duration::from_millis(10);

async fn presence(options: Options) -> Arc<dyn Presence> {
    redis::connect(options, &Registry::new()).await.unwrap().presence
}

/// Four other gateways, which keep their rooms, hold none, and come back whatever happens to Redis.
async fn others(options: Options) -> AbortOnDropHandle<()> {
    let presence = presence(options).await;
    let others: Vec<_> = (1..=4).map(|byte| Incarnation::from_bytes([byte; 16])).collect();
    let tell = move || {
        let (presence, others) = (Arc::clone(&presence), others.clone());
        async move {
            for other in others {
                if presence.renew(other).await.is_ok() {
                    let _ = presence.keep_rooms(other, true).await;
                }
            }
        }
    };
    tell().await;
    AbortOnDropHandle::new(tokio::spawn(async move {
        loop {
            tokio::time::sleep(LOOK * 10).await;
            tell().await;
        }
    }))
}

async fn position(client: &mut Client) -> PositionFrame {
    soon("a position", async {
        loop {
            if let ServerFrame::Position(position) = client.next().await {
                return position;
            }
        }
    })
    .await
}

struct Scene {
    world: World,
    gateway: Running,
    /// What message-service sees.
    seen: Arc<dyn Presence>,
    room: Room,
    ada: Device,
    ben: Device,
    client: Client,
    _others: AbortOnDropHandle<()>,
}

impl Scene {
    /// Ada is in a large room, on a gateway that has said so; another gateway is the one that Ben writes from.
    async fn set(server: &Redis, options: Options) -> Self {
        let rest = in_process::Options { ingest_queues: 1, ..in_process::Options::default() };
        let rest = in_process::bus(rest, &Registry::new()).unwrap();
        let others = others(server.options()).await;
        let world = World::on(Bus { presence: presence(options).await, ..rest }).await;
        let gateway = world.gateway().await;
        until("rooms to be kept", || gateway.metric("klatch_gateway_rooms_kept") == 1.0).await;
        let (ada, ben) = (Device::new(), Device::new());
        let room = Room::large(&[ada, ben]);
        world.queries.know(&room);
        let client = Client::greet(&world, &gateway, ada).await;
        let seen = presence(server.options()).await;
        let mut scene = Self { world, gateway, seen, room, ada, ben, client, _others: others };
        scene.hear("before").await;
        scene
    }

    async fn holders(&self, room: RoomId) -> Vec<Incarnation> {
        let group = Addressees { room: Some(room), ..Addressees::default() };
        match self.seen.gateways_of_each(&[group]).await {
            Ok(mut answers) => answers.remove(0).gateways,
            Err(_) => Vec::new(),
        }
    }

    /// Exactly this gateway is known to hold the room.
    async fn until_held(&self) -> Incarnation {
        soon("the room to be held", async {
            loop {
                if let [one] = self.holders(self.room.id).await[..] {
                    return one;
                }
                tokio::time::sleep(LOOK).await;
            }
        })
        .await
    }

    async fn hear(&mut self, text: &str) {
        let holder = self.until_held().await;
        let event: Event = self.room.say(self.ben, text);
        self.world.queries.know(&self.room);
        self.world.bus.events.publisher(Incarnation::now()).publish(vec![(Target::One(holder), vec![event])]).await;
        assert_eq!(self.client.text().await, text);
    }

    /// Stored, and heard by nobody.
    fn lose(&mut self) {
        let _ = self.room.say(self.ben, "lost");
        self.world.queries.know(&self.room);
    }

    async fn comes_back(mut self) {
        assert_eq!(position(&mut self.client).await.head, self.room.head().0, "a position tells of what was lost");
        self.hear("after").await;
    }
}

#[tokio::test]
async fn emptied_redis_is_told_again() {
    let server = Redis::start(Start::default());
    let mut scene = Scene::set(&server, server.options()).await;
    server.empty();
    scene.lose();
    scene.comes_back().await;
}

#[tokio::test]
async fn killed_redis_is_told_again() {
    let mut server = Redis::start(Start::default());
    let mut scene = Scene::set(&server, server.options()).await;
    server.restart();
    scene.lose();
    scene.comes_back().await;
}

#[tokio::test]
async fn a_cluster_that_lost_a_piece_is_told_again() {
    let server = Redis::start(Start { cluster: true, ..Start::default() });
    let mut scene = Scene::set(&server, server.options()).await;
    let piece = usize::from(scene.room.id.as_bytes()[15]) % 64;
    for name in ["mark", "rooms:*", "room:*"] {
        let lost = format!(
            "for _, key in ipairs(redis.call('KEYS', '{{klatch:{piece}}}{name}')) do redis.call('DEL', key) end"
        );
        let answer = server.ask(&format!("EVAL \"{lost}\" 0"));
        assert!(!answer.contains("ERR"), "{answer}");
    }
    scene.lose();
    scene.comes_back().await;
}

#[tokio::test]
async fn while_redis_answers_nobody_people_come_in_and_hear_what_they_missed() {
    let server = Redis::start(Start::default());
    let hurried = Options { response_timeout: Duration::from_millis(50), ..server.options() };
    let scene = Scene::set(&server, hurried).await;
    // Another large room, whose member comes while nobody can be told.
    let cyd = Device::new();
    let late = Room::large(&[cyd, scene.ben]);
    scene.world.queries.know(&late);
    server.pause(3_000);
    let mut client = Client::greet(&scene.world, &scene.gateway, cyd).await;
    // Presence could not be told: what goes past them now is told of later.
    let position = position(&mut client).await;
    assert_eq!((position.room, position.head), (late.id, late.head().0));
    soon("both rooms to be held", async {
        while scene.holders(late.id).await.len() != 1 || scene.holders(scene.room.id).await.len() != 1 {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
    assert!(scene.gateway.metric("klatch_gateway_rooms_failed_total") > 0.0);
    let _ = scene.ada;
}
