//! Notifications: whom a message notifies, from the writer's commit to the adapter that pushes.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use klatch_bus::{Bus, NotifyCommand, in_process};
use klatch_domain::{
    Audience, Incarnation, Kind, Mentions, MessageId, Notify, Ordinal, Position, Preferences, Role, RoomId, RoomKind,
    RoomName, Sender, Seq, SessionId, Timestamp, UserId, Username, Visibility,
};
use klatch_notification_service::{Notification, NotificationService, Parts, Push};
use klatch_service_kit::Clock;
use klatch_settings::NotificationServiceSettings;
use klatch_store::{
    directory::{MemberProjection, RoomProjection, User},
    sqlite::{self, SqliteStores},
};
use klatch_tests::{
    klatch_process::Start,
    person::{PATIENCE, Person},
};
use parking_lot::Mutex;
use prometheus::Registry;
use reqwest::Method;
use serde_json::json;
use tokio::sync::Notify as Wake;

const NOW: i64 = 1_800_000_000_000;

#[derive(Default)]
struct Pushed {
    notifications: Mutex<Vec<Notification>>,
    came: Wake,
}

#[async_trait]
impl Push for Pushed {
    async fn push(&self, notifications: &[Notification]) {
        self.notifications.lock().extend_from_slice(notifications);
        self.came.notify_one();
    }
}

/// A directory with one group, and a notification-service that decides at once.
struct World {
    _folder: tempfile::TempDir,
    stores: SqliteStores,
    bus: Bus,
    pushed: Arc<Pushed>,
    registry: Registry,
    room: RoomId,
    members: Vec<UserId>,
}

fn user(number: usize) -> UserId {
    let mut bytes = [0; 16];
    bytes[8..].copy_from_slice(&(number as u64 + 1).to_be_bytes());
    UserId::from_bytes(bytes)
}

impl World {
    async fn of(count: usize) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let stores = sqlite::open(folder.path(), sqlite::Options { slots: 16, shards: 2, readers: 1 }).unwrap();
        let registry = Registry::new();
        let bus = in_process::bus(in_process::Options::default(), &registry).unwrap();
        let room = RoomId::from_bytes([9; 16]);
        let members: Vec<_> = (0..count).map(user).collect();
        let world = Self { _folder: folder, stores, bus, pushed: Arc::default(), registry, room, members };
        world.fill().await;
        world
    }

    async fn fill(&self) {
        use klatch_store::directory::{RoomProjections, Users};
        let at = Timestamp::from_millis(NOW);
        for (number, id) in self.members.iter().enumerate() {
            let user = User::new(*id, Username::parse(&format!("user{number}")).unwrap(), at);
            self.stores.directory.create_user(&user, "hash").await.unwrap();
        }
        let room = RoomProjection {
            id: self.room,
            kind: RoomKind::Group,
            name: Some(RoomName::parse("Kitchen").unwrap()),
            visibility: Visibility::Private,
            version: Seq(1),
            created_at: at,
            deleted: false,
        };
        let member = |user: &UserId| MemberProjection {
            room: self.room,
            user: *user,
            role: Some(Role::Member),
            joined_at: at,
            version: Seq(1),
        };
        let members: Vec<_> = self.members.iter().map(member).collect();
        self.stores.directory.project(&[room], &members).await.unwrap();
    }

    fn start(&self) -> NotificationService {
        NotificationService::start(Parts {
            settings: NotificationServiceSettings { delay_ms: 0, ..Default::default() },
            bus: self.bus.clone(),
            shards: self.stores.shards.clone(),
            directory: Arc::<sqlite::SqliteDirectory>::clone(&self.stores.directory),
            push: Arc::<Pushed>::clone(&self.pushed),
            registry: self.registry.clone(),
            clock: Clock::from_fn(|| NOW as u64 * 1_000),
        })
        .unwrap()
    }

    fn message(&self, number: u64) -> NotifyCommand {
        NotifyCommand {
            room: self.room,
            position: Position::first(number),
            ordinal: Ordinal(number),
            message_id: MessageId::from_bytes([number as u8; 16]),
            sender: Sender { user: self.members[0], session: SessionId::from_bytes([1; 16]) },
            kind: Kind::Text,
            mentions: None,
            silent: false,
            audience: Audience::Room,
            at: Timestamp::from_millis(NOW),
        }
    }

    async fn wait_for(&self, count: usize) -> Vec<Notification> {
        let reached = async {
            while self.pushed.notifications.lock().len() < count {
                self.pushed.came.notified().await;
            }
        };
        tokio::time::timeout(PATIENCE, reached).await.expect("the notifications in time");
        self.pushed.notifications.lock().clone()
    }

    fn decisions(&self) -> HashMap<String, u64> {
        let family = self.registry.gather();
        let family = family.iter().find(|one| one.name() == "klatch_notifications_decisions_total").unwrap();
        let one = |metric: &prometheus::proto::Metric| {
            (metric.get_label()[0].value().to_owned(), metric.get_counter().get_value() as u64)
        };
        family.get_metric().iter().map(one).filter(|(_, count)| *count > 0).collect()
    }
}

#[tokio::test]
async fn every_member_of_a_large_room_is_decided_on_page_by_page() {
    use klatch_store::directory::RoomProjections;
    let world = World::of(1_201).await;
    let muted = Preferences { notify: Notify::None, ..Default::default() };
    let called = Preferences { notify: Notify::Mentions, ..Default::default() };
    for (index, preferences) in [(5, muted), (600, muted), (1_200, called), (7, called)] {
        let kept = world.stores.directory.set_preferences(world.members[index], world.room, preferences, &[]).await;
        assert!(kept.unwrap());
    }
    let service = world.start();
    let mentions = Mentions { users: vec![world.members[5], world.members[1_200]], room: false };
    world.bus.notifications.publish(vec![NotifyCommand { mentions: Some(mentions), ..world.message(3) }]).await;
    let pushed = world.wait_for(1_201 - 1 - 2 - 1).await;
    service.stop().await;
    let mut users: Vec<_> = pushed.iter().map(|one| one.user).collect();
    users.sort_unstable();
    users.dedup();
    assert_eq!(users.len(), pushed.len(), "nobody twice");
    let mention = |index: usize| pushed.iter().find(|one| one.user == world.members[index]).map(|one| one.mention);
    assert_eq!((mention(0), mention(5), mention(600), mention(7)), (None, None, None, None));
    assert_eq!((mention(1), mention(1_200)), (Some(false), Some(true)));
    let expected = [("own", 1), ("muted", 3), ("mention", 1), ("message", 1_196)];
    assert_eq!(world.decisions(), expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[tokio::test]
async fn a_small_room_is_whom_the_log_says_and_who_is_online_is_left_alone() {
    let world = World::of(4).await;
    let gateway = Incarnation::now();
    world.bus.presence.renew(gateway).await.unwrap();
    let now = Timestamp::from_millis(NOW);
    world.bus.presence.set(gateway, &[(world.members[1], true)], now).await.unwrap();
    let service = world.start();
    // Member 3 joined after this message.
    let audience = Audience::Members(world.members[..3].into());
    world.bus.notifications.publish(vec![NotifyCommand { audience, ..world.message(1) }]).await;
    let pushed = world.wait_for(1).await;
    service.stop().await;
    assert_eq!(pushed.iter().map(|one| one.user).collect::<Vec<_>>(), [world.members[2]]);
    let expected = [("own", 1), ("online", 1), ("message", 1)];
    assert_eq!(world.decisions(), expected.map(|(name, count)| (name.to_owned(), count)).into());
}

#[tokio::test]
async fn a_message_that_comes_again_notifies_once_and_an_old_one_nobody() {
    let world = World::of(2).await;
    let service = world.start();
    let late = NotifyCommand { at: Timestamp::from_millis(NOW - 600_000), ..world.message(1) };
    world.bus.notifications.publish(vec![late, world.message(2)]).await;
    world.bus.notifications.publish(vec![world.message(2)]).await;
    world.bus.notifications.publish(vec![world.message(3)]).await;
    let pushed = world.wait_for(2).await;
    service.stop().await;
    assert_eq!(pushed.iter().map(|one| one.position.seq.0).collect::<Vec<_>>(), [2, 3]);
    assert_eq!(world.decisions()["too_late"], 1);
}

#[tokio::test]
async fn what_is_not_decided_on_is_another_s() {
    let world = World::of(2).await;
    let mut first = world.bus.notifications.consume().await;
    world.bus.notifications.publish(vec![world.message(1)]).await;
    assert_eq!(first.receive().await.unwrap().commands.len(), 1);
    drop(first);
    let service = world.start();
    assert_eq!(world.wait_for(1).await.len(), 1);
    service.stop().await;
}

/// The whole way, through the built binary: from `send` to the counter.
#[tokio::test]
async fn a_message_to_a_muted_room_notifies_nobody_and_one_to_another_does() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    std::fs::write(&file, "notificationService: {delayMs: 0}").unwrap();
    let up = Start::default().with(&["-f", file.to_str().unwrap()]).ready();
    let (ada, bob) = (Person::sign_up(&up.url, "ada").await, Person::sign_up(&up.url, "bob").await);
    let (muted, heard) = (ada.group("Quiet", &[&bob]).await, ada.group("Loud", &[&bob]).await);
    let path = format!("/v1/rooms/{muted}/preferences");
    let (status, _) = bob.call(Method::PATCH, &path, Some(json!({"notify": "none"}))).await;
    assert!(status < 300, "{status}");
    let mut socket = ada.connect().await;
    socket.say_stored(muted, "unheard").await;
    socket.say_stored(heard, "heard").await;
    let wanted = [("message", "1"), ("muted", "1"), ("own", "2")];
    let counted = async {
        loop {
            let text = reqwest::get(format!("{}/metrics", up.url)).await.unwrap().text().await.unwrap();
            let line = |(name, count)| format!("klatch_notifications_decisions_total{{decision=\"{name}\"}} {count}\n");
            if wanted.into_iter().map(line).all(|line| text.contains(&line)) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, counted).await.expect("the decisions in time");
}
