//! Two writers that both write the same place of a room's log, made to meet.
//!
//! A writer's statement waits for a lock in PostgreSQL when its process is killed. The server does not look whether anybody is
//! left who asked: when the lock is free it writes the row, long after the queue has another consumer. That one has read the
//! same head and writes another command there: it lets the one wait that the dead writer was writing, as that names a command
//! before it of whose end only the dead one knew.

use std::time::Duration;

use klatch_bus::{EventReceiver, Received, rabbitmq};
use klatch_domain::{
    Action, Command, ConnectionId, Content, Draft, Event, Incarnation, Kind, MessageId, Outcome, OutcomeEvent,
    ReplyAddress, RoomId, Sender, Seq, Slot, SlotMap,
};
use klatch_tests::{
    person::Person,
    platform::{Part, Platform, SHARDS, SLOTS},
};
use sqlx::{Connection, PgConnection, Row};

/// Nothing here takes longer unless it never comes.
const NEVER: Duration = Duration::from_secs(120);
const LOOK: Duration = Duration::from_millis(20);
/// Messages that show which writer has the room's queue: more than anything else writes meanwhile.
const NOISE: u32 = 20;
/// Times that two writers are made to meet before one believes that they cannot.
const TRIES: u32 = 5;
/// The one database of a shard.
const DATABASE: &str = "klatch";

async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(NEVER, answer).await.unwrap_or_else(|_| panic!("{what} never came"))
}

/// Whoever speaks to the writers as a gateway does.
struct Speaker {
    parts: rabbitmq::RabbitmqParts,
    incarnation: Incarnation,
    receiver: Box<dyn EventReceiver>,
    heard: Vec<OutcomeEvent>,
    room: RoomId,
}

impl Speaker {
    async fn new(platform: &Platform, room: RoomId) -> Self {
        let options = platform.broker_options();
        let parts = rabbitmq::connect(options, &prometheus::Registry::new()).await.expect("a broker");
        let incarnation = Incarnation::now();
        let receiver = parts.events.subscribe(incarnation, false).await;
        Self { parts, incarnation, receiver, heard: Vec::new(), room }
    }

    fn command(&self, who: Sender, draft: Draft, after: Option<MessageId>) -> Command {
        Command {
            room: self.room,
            message_id: MessageId::now(),
            sender: who,
            action: Action::Append(draft),
            reply: Some(ReplyAddress { incarnation: self.incarnation, connection: ConnectionId::now() }),
            after,
            accepted_micros: 0,
            trace: None,
        }
    }

    fn text(&self, who: Sender, text: &str, after: Option<MessageId>) -> Command {
        self.command(who, Draft::new(Kind::Text, Content::text(text).expect("content")), after)
    }

    async fn publish(&self, command: &Command) {
        let queue = Slot::of(self.room, SLOTS).ingest_queue(self.parts.commands.queues());
        while self.parts.commands.publish(queue, vec![command.clone()]).await.is_err() {}
    }

    async fn outcome(&mut self, id: MessageId) -> Outcome {
        within("an outcome", async {
            loop {
                if let Some(place) = self.heard.iter().position(|outcome| outcome.message_id == id) {
                    return self.heard.remove(place).outcome;
                }
                if let Some(Received::Events(events)) = self.receiver.receive().await {
                    self.heard.extend(events.into_iter().filter_map(|event| match event {
                        Event::Outcome(outcome) => Some(outcome),
                        _ => None,
                    }));
                }
            }
        })
        .await
    }

    async fn ask(&mut self, command: &Command) -> Outcome {
        self.publish(command).await;
        self.outcome(command.message_id).await
    }
}

/// Statements that wait to write into the log.
async fn writes_waiting(watcher: &mut PgConnection) -> i64 {
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND query LIKE '%INSERT INTO entries%'";
    sqlx::query(waiting).fetch_one(watcher).await.expect("it counts").get(0)
}

async fn until_waiting(watcher: &mut PgConnection, count: i64) {
    within("a write that waits", async {
        while writes_waiting(watcher).await < count {
            tokio::time::sleep(LOOK).await;
        }
    })
    .await;
}

/// What stands in the log after the collision: each place, and whose text it holds.
struct Met {
    places: Vec<i64>,
    ids: Vec<MessageId>,
    late: MessageId,
    successors: MessageId,
    outcome: Outcome,
}

/// Lets a dead writer's statement and its successor's write the same place.
async fn collide(fence: bool) -> Met {
    let mut platform = Platform::start().await;
    let map = SlotMap::even(SLOTS, u16::try_from(SHARDS).expect("few")).expect("a map");
    let fronts = platform.fronts();
    let (ada, ben) = (Person::sign_up(&fronts[0], "ada").await, Person::sign_up(&fronts[0], "ben").await);
    let room = ada.group("harbour", &[&ben]).await;
    let sender = |person: &Person| Sender { user: person.user, session: person.session };
    let mut speaker = Speaker::new(&platform, room).await;
    let shard = platform.shard(usize::from(map.shard_of(room).0));
    let (mut lock, mut watcher) = (shard.connect(DATABASE).await, shard.connect(DATABASE).await);
    if !fence {
        sqlx::raw_sql("ALTER TABLE entries DROP CONSTRAINT entry_by_seq")
            .execute(&mut lock)
            .await
            .expect("it is dropped");
    }
    let before = platform.entries_written().await;
    for _ in 0..NOISE {
        let noise = speaker.text(sender(&ada), "who writes?", None);
        assert!(matches!(speaker.ask(&noise).await, Outcome::Stored(_)));
    }
    let after = platform.entries_written().await;
    let active = (0..before.len()).find(|number| after[*number] - before[*number] >= f64::from(NOISE));
    let active = active.expect("one of them writes this room");
    // Of this refusal the writer alone knows: it stands in no log.
    let mut draft = Draft::new(Kind::Edit, Content::parse(r#"{"text": "of nothing"}"#).expect("content"));
    draft.target = Some(Seq(9_999));
    let refused = speaker.command(sender(&ada), draft, None);
    assert!(matches!(speaker.ask(&refused).await, Outcome::Refused(refusal) if !refusal.retryable));

    let mut held = lock.begin().await.expect("a transaction");
    sqlx::raw_sql("LOCK TABLE entries IN SHARE MODE").execute(&mut *held).await.expect("a lock");
    let late = speaker.text(sender(&ada), "of the dead", Some(refused.message_id));
    speaker.publish(&late).await;
    until_waiting(&mut watcher, 1).await;
    platform.kill(Part::MessageService(active));
    let successors = speaker.text(sender(&ben), "of the successor", None);
    speaker.publish(&successors).await;
    until_waiting(&mut watcher, 2).await;
    held.rollback().await.expect("it is unlocked");
    let outcome = speaker.outcome(successors.message_id).await;
    let rows = sqlx::query("SELECT seq, message_id::text FROM entries WHERE room = $1::uuid ORDER BY seq")
        .bind(room.to_string())
        .fetch_all(&mut watcher)
        .await
        .expect("the log");
    let ids = rows.iter().map(|row| row.get::<String, _>(1).parse().expect("an id")).collect();
    let places = rows.iter().map(|row| row.get::<i64, _>(0)).collect();
    // What the sender is told to do: the same id again is a repeat of what the dead one has stored.
    let again = Command { after: None, ..late.clone() };
    match speaker.ask(&again).await {
        Outcome::Stored(stored) => assert!(stored.repeat),
        other => panic!("{other:?}"),
    }
    Met { places, ids, late: late.message_id, successors: successors.message_id, outcome }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_dead_writers_statement_and_its_successors_get_a_place_each() {
    let _alone = super::ONE_AT_A_TIME.lock().await;
    let met = collide(true).await;
    assert_eq!(met.places, (1..=met.places.len() as i64).collect::<Vec<_>>(), "dense, and nothing twice");
    assert_eq!(met.ids[met.ids.len() - 2..], [met.late, met.successors]);
    let Outcome::Stored(stored) = met.outcome else { panic!("{:?}", met.outcome) };
    assert_eq!(stored.position.seq.0, met.places.len() as u64);
}

/// The proof that the uniqueness is what holds: the same without it. What else the writers have to write in that shard may wait in
/// the successor's stead, and then the two do not meet: that is tried again.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn without_the_fence_they_get_the_same_place() {
    let _alone = super::ONE_AT_A_TIME.lock().await;
    for _ in 0..TRIES {
        let places = collide(false).await.places;
        if places[places.len() - 2] == places[places.len() - 1] {
            return;
        }
    }
    panic!("they do not collide any more: the test proves nothing");
}
