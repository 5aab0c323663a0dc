//! People who write while things die. Each keeps a journal of what they said and of what was acknowledged: it is all that the
//! [`oracle`] believes.

mod http;
pub mod latency;
pub mod oracle;
mod web_socket;

use std::{
    collections::{BTreeMap, HashMap, HashSet},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use klatch_domain::{MessageId, Position, RoomId};
use parking_lot::Mutex;
use tokio::{sync::watch, task::JoinHandle};

use crate::person::{PATIENCE, Person};

/// Between two tries of one writer when no server took the last one.
const BETWEEN_TRIES: Duration = Duration::from_millis(50);
/// A server that has not answered in this time is left for another one.
const ANSWER_WITHIN: Duration = Duration::from_secs(5);

/// What all writers are told.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Order {
    /// Go on.
    Write,
    /// Say nothing new; see to it that what was said gets stored.
    Pause,
    /// The same, and then end.
    End,
}

/// By which way somebody writes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Way {
    /// A WebSocket, with so many unsettled sends in each room.
    WebSocket {
        /// At most.
        in_flight: usize,
    },
    /// HTTP calls, one after the other in each room.
    Http,
}

/// What the writers of one test share: their orders, where the servers are, and what came of it all.
#[derive(Debug)]
pub struct Desk {
    order: watch::Sender<Order>,
    servers: watch::Sender<Vec<String>>,
    /// The rest between two messages of one writer.
    every: Duration,
    stored: AtomicU64,
    connections: AtomicU64,
    /// Retryable refusals and failures, by code.
    refusals: Mutex<BTreeMap<String, u64>>,
}

impl Desk {
    /// Writers may use any of these servers.
    #[must_use]
    pub fn new(servers: Vec<String>, every: Duration) -> Arc<Self> {
        Arc::new(Self {
            order: watch::Sender::new(Order::Write),
            servers: watch::Sender::new(servers),
            every,
            stored: AtomicU64::new(0),
            connections: AtomicU64::new(0),
            refusals: Mutex::default(),
        })
    }

    /// Tells everyone.
    pub fn tell(&self, order: Order) {
        self.order.send_replace(order);
    }

    /// Servers have moved.
    pub fn move_to(&self, servers: Vec<String>) {
        self.servers.send_replace(servers);
    }

    /// Messages acknowledged so far.
    #[must_use]
    pub fn stored(&self) -> u64 {
        self.stored.load(Ordering::Relaxed)
    }

    /// Connections that were opened so far.
    #[must_use]
    pub fn connections(&self) -> u64 {
        self.connections.load(Ordering::Relaxed)
    }

    /// What was refused for now, or failed, and how often.
    #[must_use]
    pub fn refusals(&self) -> BTreeMap<String, u64> {
        self.refusals.lock().clone()
    }

    fn refused(&self, code: &str) {
        *self.refusals.lock().entry(code.to_owned()).or_default() += 1;
    }
}

/// Something said.
#[derive(Debug, Clone)]
pub struct Said {
    /// Its id.
    pub id: MessageId,
    /// Where.
    pub room: RoomId,
    /// What.
    pub text: String,
    /// When.
    pub at: Instant,
}

/// A message that was pushed to somebody.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Heard {
    /// Whose log.
    pub room: RoomId,
    /// Where in it.
    pub position: Position,
    /// Which message.
    pub id: MessageId,
}

/// An acknowledgement, for latencies.
#[derive(Debug, Clone, Copy)]
pub struct Acknowledged {
    /// Whose log.
    pub room: RoomId,
    /// When it came.
    pub at: Instant,
    /// How long after the message was said.
    pub after: Duration,
}

/// What one writer knows.
#[derive(Debug, Default)]
pub struct Journal {
    /// In order of saying.
    pub said: Vec<Said>,
    /// Acknowledged, and where.
    pub stored: HashMap<MessageId, Position>,
    /// Since the oracle last looked.
    pub heard: Vec<Heard>,
    /// Rooms that anything else pushed was about, since the oracle last looked.
    pub named: HashSet<RoomId>,
    /// Since somebody last took them.
    pub acknowledged: Vec<Acknowledged>,
}

/// A writer at work.
pub struct Writer {
    /// Who.
    pub person: Person,
    /// Where they write.
    pub rooms: Vec<RoomId>,
    /// What they know.
    pub journal: Arc<Mutex<Journal>>,
    task: JoinHandle<()>,
}

impl Writer {
    /// Sets somebody to write into these rooms, in turn. Without rooms they only listen.
    #[must_use]
    pub fn start(person: Person, rooms: Vec<RoomId>, way: Way, first_server: usize, desk: &Arc<Desk>) -> Self {
        let journal = Arc::default();
        let author = Author {
            person: person.clone(),
            rooms: rooms.clone(),
            journal: Arc::clone(&journal),
            desk: Arc::clone(desk),
            order: desk.order.subscribe(),
            servers: desk.servers.subscribe(),
            server: first_server,
            turn: 0,
            // By HTTP each room goes at its own pace.
            every: desk.every * if way == Way::Http { u32::try_from(rooms.len()).expect("few rooms") } else { 1 },
            due: tokio::time::Instant::now(),
        };
        let task = match way {
            Way::WebSocket { in_flight } => tokio::spawn(web_socket::write(author, in_flight)),
            Way::Http => tokio::spawn(http::write(author)),
        };
        Self { person, rooms, journal, task }
    }

    /// Whether it has ended, by order or by a panic.
    #[must_use]
    pub fn is_finished(&self) -> bool {
        self.task.is_finished()
    }

    /// Said, and not acknowledged.
    #[must_use]
    pub fn unsettled(&self) -> usize {
        let journal = self.journal.lock();
        journal.said.len() - journal.stored.len()
    }

    /// Waits for the end that was ordered.
    ///
    /// # Panics
    /// When the writer did.
    pub async fn ended(&mut self) {
        tokio::time::timeout(PATIENCE, &mut self.task).await.expect("a writer ends in time").expect("a writer");
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// A writer's own part of the work, whatever way it writes by.
#[derive(Clone)]
struct Author {
    person: Person,
    rooms: Vec<RoomId>,
    journal: Arc<Mutex<Journal>>,
    desk: Arc<Desk>,
    order: watch::Receiver<Order>,
    servers: watch::Receiver<Vec<String>>,
    server: usize,
    /// Whose turn it is among the rooms.
    turn: usize,
    every: Duration,
    /// When the next message may be said.
    due: tokio::time::Instant,
}

impl Author {
    fn order(&self) -> Order {
        *self.order.borrow()
    }

    /// The server to try now.
    fn server(&mut self) -> String {
        let servers = self.servers.borrow_and_update();
        let server = servers[self.server % servers.len()].clone();
        drop(servers);
        self.person.server.clone_from(&server);
        server
    }

    /// The last try came to nothing: the next one goes to the next server, or to where they have moved.
    async fn rest(&mut self) {
        self.server += 1;
        let _moved = tokio::time::timeout(BETWEEN_TRIES, self.servers.changed()).await;
    }

    /// Whether there is something to say one day.
    fn writes(&self) -> bool {
        !self.rooms.is_empty() && self.order() == Order::Write
    }

    /// Says something new, if it is time to, in the next room that takes something.
    fn draw(&mut self, takes: impl Fn(RoomId) -> bool) -> Option<Said> {
        let mut journal = self.journal.lock();
        // Looked at under the lock: who has told all to pause and then looked into a journal sees nothing new in it.
        if *self.order.borrow() != Order::Write || tokio::time::Instant::now() < self.due {
            return None;
        }
        let turns = (self.turn..).take(self.rooms.len());
        let turn = turns.into_iter().find(|turn| takes(self.rooms[turn % self.rooms.len()]))?;
        self.turn = turn + 1;
        let said = Said {
            id: MessageId::now(),
            room: self.rooms[turn % self.rooms.len()],
            text: format!("{} says {}", self.person.name, journal.said.len()),
            at: Instant::now(),
        };
        journal.said.push(said.clone());
        drop(journal);
        self.due = tokio::time::Instant::now() + self.every;
        Some(said)
    }

    fn settle(&self, id: MessageId, position: Position) {
        let mut journal = self.journal.lock();
        let before = journal.stored.insert(id, position);
        assert!(before.is_none_or(|before| before == position), "{id} was stored twice: {before:?}, {position:?}");
        if before.is_some() {
            return;
        }
        // The latest are the ones that are acknowledged.
        let said = journal.said.iter().rev().find(|said| said.id == id);
        let acknowledged =
            said.map(|said| Acknowledged { room: said.room, at: Instant::now(), after: said.at.elapsed() });
        journal.acknowledged.extend(acknowledged);
        self.desk.stored.fetch_add(1, Ordering::Relaxed);
    }

    fn hear(&self, heard: Heard) {
        self.journal.lock().heard.push(heard);
    }

    /// Gets new tokens by the refresh token. For who is alone on their session: a token that is used twice ends it.
    async fn renew(&mut self) {
        if !self.person.refresh(ANSWER_WITHIN).await {
            self.desk.refused("refresh failed");
        }
    }

    /// Gets a new session.
    async fn sign_in_again(&mut self) {
        match Person::try_sign_in(&self.person.server, &self.person.name, ANSWER_WITHIN).await {
            Ok(Ok(again)) => self.person = again,
            _ => self.desk.refused("sign-in failed"),
        }
    }
}
