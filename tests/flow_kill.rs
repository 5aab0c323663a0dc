//! kill -9 of the process at random moments while 20 clients write: nothing acknowledged is lost, nothing is doubled.

use std::{
    collections::{HashMap, VecDeque},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use klatch_domain::{Content, Kind, MessageId, Position, RoomId};
use klatch_protocol::{ClientFrame, Hello, Send, ServerFrame};
use klatch_tests::{
    klatch_process::Start,
    person::{Ended, Person, Socket, text_of},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use tokio::sync::watch;

const WRITERS: usize = 20;
const KILLS: usize = 50;
/// Unsettled sends of one writer: enough that every kill hits some on every step of the way.
const IN_FLIGHT: usize = 8;

/// What one writer knows.
#[derive(Default)]
struct Journal {
    /// In order of saying: id and text.
    said: Vec<(MessageId, String)>,
    stored: HashMap<MessageId, Position>,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stored_is_lost_or_doubled_by_kill_9() {
    let seed = std::env::var("KLATCH_KILL_SEED").ok().and_then(|s| s.parse().ok()).unwrap_or_else(rand::random::<u64>);
    eprintln!("KLATCH_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let start = Start::default().with(&["--no-limits"]);
    let mut process = Start::default().with(&["--no-limits"]).ready();

    let mut people = Vec::new();
    for number in 0..WRITERS {
        people.push(Person::sign_up(&process.url, &format!("writer{number}")).await);
    }
    let others: Vec<&Person> = people[1..].iter().collect();
    let group = people[0].group("kill", &others).await;
    let mut rooms = vec![group];
    for pair in people.chunks(2) {
        rooms.push(pair[0].direct(&pair[1]).await);
    }

    let (server, watching) = watch::channel(process.url.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let stored = Arc::new(AtomicU64::new(0));
    let writers: Vec<_> = people
        .iter()
        .enumerate()
        .map(|(number, person)| {
            let rooms = vec![group, rooms[1 + number / 2]];
            let writer = Writer::new(person.clone(), rooms, watching.clone(), stop.clone(), stored.clone());
            tokio::spawn(writer.run())
        })
        .collect();

    for kill in 0..KILLS {
        // A kill counts when something was stored since the last one; how much is drawn.
        let until = stored.load(Ordering::Relaxed) + random.random_range(1..120);
        while stored.load(Ordering::Relaxed) < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
        process.start_again(&start);
        server.send(process.url.clone()).expect("writers");
        assert!(writers.iter().all(|writer| !writer.is_finished()), "a writer ended early, at kill {kill}");
    }
    stop.store(true, Ordering::Relaxed);
    let mut journals = Vec::new();
    for writer in writers {
        journals.push(writer.await.expect("a writer"));
    }
    verify(&people, &journals, &rooms, &process.url).await;
    eprintln!("{KILLS} kills, {} messages stored", stored.load(Ordering::Relaxed));
}

/// Every stored message exactly once, at its position; dense; in each sender's order; the same log for everyone.
async fn verify(people: &[Person], journals: &[Journal], rooms: &[RoomId], url: &str) {
    let mut found: HashMap<MessageId, (RoomId, Position, String)> = HashMap::new();
    for room in rooms {
        let mut logs = Vec::new();
        for person in people.iter().map(|person| person.at(url)) {
            let (status, _) = person.call(reqwest::Method::GET, &format!("/v1/rooms/{room}"), None).await;
            if status == 200 {
                logs.push(person.history(*room).await);
            }
        }
        assert!(logs.len() >= 2, "someone reads every room");
        assert!(logs.iter().all(|log| *log == logs[0]), "two members see two logs of {room}");
        for (index, entry) in logs[0].iter().enumerate() {
            assert_eq!(entry["position"]["seq"], index as u64 + 1, "a gap in {room}");
            let id: MessageId = entry["message_id"].as_str().expect("an id").parse().expect("a UUID");
            let position = serde_json::from_value(entry["position"].clone()).expect("a position");
            let text = text_of(&entry["content"].to_string());
            assert!(found.insert(id, (*room, position, text)).is_none(), "{id} stands twice");
        }
    }
    for journal in journals {
        let mut last: HashMap<RoomId, Position> = HashMap::new();
        for (id, text) in &journal.said {
            let stored = journal.stored.get(id).expect("a writer ends only when all it said is stored");
            let (room, position, found_text) = found.get(id).expect("a stored message is in history");
            assert_eq!(position, stored, "{id} moved");
            assert_eq!(found_text, text, "{id} changed");
            let before = last.insert(*room, *position);
            assert!(before.is_none_or(|before| before < *position), "{id} overtook an earlier one of its sender");
        }
    }
}

struct Writer {
    person: Person,
    rooms: Vec<RoomId>,
    server: watch::Receiver<String>,
    stop: Arc<AtomicBool>,
    stored: Arc<AtomicU64>,
    journal: Journal,
    /// Not acknowledged, oldest first.
    outbox: VecDeque<Send>,
}

impl Writer {
    fn new(
        person: Person,
        rooms: Vec<RoomId>,
        server: watch::Receiver<String>,
        stop: Arc<AtomicBool>,
        stored: Arc<AtomicU64>,
    ) -> Self {
        Self { person, rooms, server, stop, stored, journal: Journal::default(), outbox: VecDeque::new() }
    }

    async fn run(mut self) -> Journal {
        loop {
            let url = self.server.borrow_and_update().clone();
            if let Ok(mut socket) = Socket::open(&url).await {
                self.write(&mut socket).await;
            }
            if self.stop.load(Ordering::Relaxed) && self.outbox.is_empty() {
                return self.journal;
            }
            // The next server, or another try at this one.
            let _changed = tokio::time::timeout(Duration::from_millis(50), self.server.changed()).await;
        }
    }

    /// Until the connection ends, or all is said.
    async fn write(&mut self, socket: &mut Socket) {
        let token = self.person.token.clone();
        let hello = Hello { token, device: None, client: None, encodings: Vec::new(), resume: None };
        socket.send(&ClientFrame::Hello(hello)).await;
        match socket.next().await {
            Ok(ServerFrame::Welcome(_)) => {}
            Ok(other) => panic!("{other:?} came before welcome"),
            Err(Ended::Closed(code)) if code >= 4500 => panic!("closed for good: {code}"),
            Err(_) => return,
        }
        for send in &self.outbox {
            socket.send(&ClientFrame::Send(send.clone())).await;
        }
        loop {
            while self.outbox.len() < IN_FLIGHT && !self.stop.load(Ordering::Relaxed) {
                let send = self.draw();
                socket.send(&ClientFrame::Send(send)).await;
            }
            if self.outbox.is_empty() {
                return;
            }
            match socket.next().await {
                Ok(ServerFrame::Stored(stored)) => self.settle(stored.message_id, stored.position),
                Ok(ServerFrame::Refused(refused)) => {
                    assert!(refused.retryable, "refused for good: {refused:?}");
                    // Simplest of all retries: begin the connection again.
                    return;
                }
                Ok(_) => {}
                Err(Ended::Closed(code)) if code >= 4500 => panic!("closed for good: {code}"),
                Err(_) => return,
            }
        }
    }

    fn draw(&mut self) -> Send {
        let number = self.journal.said.len();
        let text = format!("{} says {number}", self.person.name);
        let id = MessageId::now();
        let room = self.rooms[number % self.rooms.len()];
        let send = Send::new(id, room, Kind::Text, Content::text(&text).expect("content"));
        self.journal.said.push((id, text));
        self.outbox.push_back(send.clone());
        send
    }

    fn settle(&mut self, id: MessageId, position: Position) {
        self.outbox.retain(|send| send.message_id != id);
        let before = self.journal.stored.insert(id, position);
        assert!(before.is_none_or(|before| before == position), "{id} was stored twice: {before:?}, {position:?}");
        if before.is_none() {
            self.stored.fetch_add(1, Ordering::Relaxed);
        }
    }
}
