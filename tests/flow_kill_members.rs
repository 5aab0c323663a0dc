//! kill -9 of the process at random moments while groups are made and people come and go: afterwards the directory says
//! what the logs say, and every inbox was told of each change exactly once.

use std::{
    collections::{BTreeMap, BTreeSet},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use klatch_domain::{Entry, Kind, Role, RoomId, Seq, UserId};
use klatch_store::{
    directory::RoomProjections as _,
    shard::Range,
    sqlite::{self, SqliteStores},
};
use klatch_tests::{
    asked,
    klatch_process::Start,
    person::{PATIENCE, Person},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use reqwest::Method;
use serde_json::{Value, json};
use tokio::sync::watch;

const PEOPLE: usize = 8;
const OWNERS: usize = 4;
const KILLS: usize = 25;
/// Changes of one group before its owner makes another.
const CHANGES: usize = 12;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_directory_and_every_inbox_catch_up_after_kill_9() {
    let seed = asked::seed("KLATCH_KILL_SEED");
    eprintln!("KLATCH_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let start = Start::default().with(&["--no-limits"]);
    let mut process = Start::default().with(&["--no-limits"]).ready();
    let mut people = Vec::new();
    for number in 0..PEOPLE {
        people.push(Person::sign_up(&process.url, &format!("guest{number}")).await);
    }

    let (server, watching) = watch::channel(process.url.clone());
    let stop = Arc::new(AtomicBool::new(false));
    let changed = Arc::new(AtomicU64::new(0));
    let owners: Vec<_> = people[..OWNERS]
        .iter()
        .map(|owner| {
            let owner = Owner {
                http: reqwest::Client::new(),
                token: owner.token.clone(),
                user: owner.user,
                guests: people.iter().map(|one| one.user).filter(|user| *user != owner.user).collect(),
                random: StdRng::seed_from_u64(random.random()),
                server: watching.clone(),
                stop: stop.clone(),
                changed: changed.clone(),
            };
            tokio::spawn(owner.run())
        })
        .collect();
    for kill in 0..KILLS {
        // A kill counts when something was changed since the last one; how much is drawn.
        let until = changed.load(Ordering::Relaxed) + random.random_range(1..25);
        while changed.load(Ordering::Relaxed) < until {
            assert!(owners.iter().all(|owner| !owner.is_finished()), "an owner ended early, at kill {kill}");
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
        process.start_again(&start);
        server.send(process.url.clone()).expect("owners");
    }
    stop.store(true, Ordering::Relaxed);
    let mut rooms = BTreeSet::new();
    for owner in owners {
        rooms.extend(owner.await.expect("an owner"));
    }
    // A last kill, after which nothing happens: what is owed now is paid by the start alone.
    process.kill();
    process.start_again(&start);
    let users: Vec<UserId> = people.iter().map(|one| one.user).collect();
    wait_until_told(&people, &rooms, &process.url).await;
    process.stop();
    verify(&process.data, &users, rooms).await;
    eprintln!("{} kills, {} changes", KILLS + 1, changed.load(Ordering::Relaxed));
}

/// Waits until every inbox has as many notices of these rooms as their logs have changes.
async fn wait_until_told(people: &[Person], rooms: &BTreeSet<RoomId>, url: &str) {
    let people: Vec<Person> = people.iter().map(|person| person.at(url)).collect();
    let mut changes = 0;
    for room in rooms {
        let mut log = None;
        for owner in &people[..OWNERS] {
            let (status, _) = owner.call(Method::GET, &format!("/v1/rooms/{room}"), None).await;
            if status == 200 {
                log = Some(owner.history(*room).await);
                break;
            }
        }
        let log = log.expect("an owner reads every room");
        changes += log.iter().filter(|entry| ["member_joined", "member_left"].contains(&text(entry, "kind"))).count();
    }
    let told = async {
        loop {
            let mut notices = 0;
            for person in &people {
                let (status, _) =
                    person.call(Method::GET, &format!("/v1/rooms/{}", RoomId::inbox_of(person.user)), None).await;
                assert!(status < 500, "reading an inbox: {status}");
                let log = person.history(RoomId::inbox_of(person.user)).await;
                notices += log.iter().filter(|entry| is_about(entry, rooms)).count();
            }
            if notices >= changes {
                return;
            }
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(PATIENCE, told).await.expect("inboxes are never told of everything");
}

fn text<'a>(entry: &'a Value, field: &str) -> &'a str {
    entry[field].as_str().unwrap_or_default()
}

fn is_about(entry: &Value, rooms: &BTreeSet<RoomId>) -> bool {
    text(&entry["content"], "room").parse().is_ok_and(|room| rooms.contains(&room))
}

/// Looks into the files: the truth, the directory's copy, and the inboxes.
async fn verify(data: &Path, users: &[UserId], mut rooms: BTreeSet<RoomId>) {
    let options = sqlite::Options { slots: 1, shards: 1, readers: 1 };
    let stores = sqlite::open(data, options).expect("the data folder");
    // Rooms whose owner never heard that they were made count as well.
    for user in users {
        let listed = stores.directory.rooms_of(*user, None, 10_000).await.expect("rooms");
        rooms.extend(listed.iter().map(|listed| listed.room.id));
        rooms.extend(told(&stores, *user).await.into_keys());
    }
    for user in users {
        let expected = changes(&stores, &rooms, *user).await;
        assert_eq!(told(&stores, *user).await, expected, "an inbox tells something else than the logs");
        let listed = stores.directory.rooms_of(*user, None, 10_000).await.expect("rooms");
        let listed: BTreeSet<RoomId> = listed.into_iter().map(|listed| listed.room.id).collect();
        let is_in = |kinds: &Vec<Kind>| kinds.last() == Some(&Kind::MemberJoined);
        let truth = expected.iter().filter(|(_, kinds)| is_in(kinds)).map(|(room, _)| *room).collect();
        assert_eq!(listed, truth, "the room list of {user}");
    }
    for room in &rooms {
        let facts = stores.shards.of(*room).rooms(&[*room]).await.expect("a room").remove(room).expect("a room");
        let projected = stores.directory.room(*room).await.expect("the directory").expect("the directory knows it");
        assert_eq!((projected.name, projected.deleted), (facts.name, facts.deleted));
        let members = stores.directory.members_of(*room, None, 10_000).await.expect("members");
        let members: BTreeMap<UserId, Option<Role>> = members.into_iter().map(|one| (one.user, one.role)).collect();
        let truth = facts.members.iter().map(|(user, member)| (*user, Some(member.role))).collect();
        assert_eq!(members, truth, "members of {room}");
    }
    eprintln!("{} rooms", rooms.len());
    stores.close().await;
}

async fn log(stores: &SqliteStores, room: RoomId) -> Vec<Entry> {
    let mut log: Vec<Entry> = Vec::new();
    loop {
        let after = Range::After(log.last().map_or(Seq::ZERO, |last| last.position.seq));
        let page = stores.shards.of(room).page(room, after, 200, None, None).await.expect("a page");
        log.extend(page.entries);
        if !page.more {
            return log;
        }
    }
}

/// What an inbox says of each room, in order.
async fn told(stores: &SqliteStores, user: UserId) -> BTreeMap<RoomId, Vec<Kind>> {
    #[derive(serde::Deserialize)]
    struct Notice {
        room: RoomId,
    }
    let mut told: BTreeMap<RoomId, Vec<Kind>> = BTreeMap::new();
    for entry in log(stores, RoomId::inbox_of(user)).await {
        let notice: Notice = entry.content.read().expect("a notice of a room");
        told.entry(notice.room).or_default().push(entry.kind);
    }
    told
}

/// What the rooms' logs say of a user, in order.
async fn changes(stores: &SqliteStores, rooms: &BTreeSet<RoomId>, user: UserId) -> BTreeMap<RoomId, Vec<Kind>> {
    #[derive(serde::Deserialize)]
    struct Change {
        user: UserId,
    }
    let mut changes: BTreeMap<RoomId, Vec<Kind>> = BTreeMap::new();
    for room in rooms {
        for entry in log(stores, *room).await {
            let about: Change = entry.content.read().expect("a change of a member");
            if about.user == user {
                changes.entry(*room).or_default().push(entry.kind);
            }
        }
    }
    changes
}

/// Somebody who makes groups and lets people come and go, one change at a time.
struct Owner {
    http: reqwest::Client,
    token: String,
    user: UserId,
    guests: Vec<UserId>,
    random: StdRng,
    server: watch::Receiver<String>,
    stop: Arc<AtomicBool>,
    changed: Arc<AtomicU64>,
}

impl Owner {
    async fn run(mut self) -> Vec<RoomId> {
        let mut rooms = Vec::new();
        while !self.stop.load(Ordering::Relaxed) {
            let count = self.random.random_range(0..3);
            let members: Vec<_> = self.guests[..count].to_vec();
            let body = json!({"kind": "group", "name": "come and go", "members": members});
            let (_, made) = self.insist(Method::POST, "/v1/rooms".to_owned(), Some(body)).await;
            let room: RoomId = made["room"]["id"].as_str().expect("an id").parse().expect("a UUID");
            rooms.push(room);
            let mut inside: BTreeSet<UserId> = members.into_iter().collect();
            for _ in 0..CHANGES {
                let guest = self.guests[self.random.random_range(0..self.guests.len())];
                assert_ne!(guest, self.user);
                let path = format!("/v1/rooms/{room}/members/{guest}");
                if inside.remove(&guest) {
                    self.insist(Method::DELETE, path, None).await;
                } else {
                    inside.insert(guest);
                    self.insist(Method::PUT, path, Some(json!({}))).await;
                }
            }
        }
        rooms
    }

    /// Asks until it is done, or turns out to have been done by an earlier try.
    async fn insist(&mut self, method: Method, path: String, body: Option<Value>) -> (u16, Value) {
        loop {
            let url = self.server.borrow_and_update().clone();
            let request = self.http.request(method.clone(), format!("{url}{path}")).bearer_auth(&self.token);
            let request = match &body {
                Some(body) => request.json(body),
                None => request,
            };
            if let Ok(answer) = request.send().await {
                let status = answer.status().as_u16();
                let text = answer.text().await.unwrap_or_default();
                let body: Option<Value> =
                    if text.is_empty() { Some(Value::Null) } else { serde_json::from_str(&text).ok() };
                match (status, body) {
                    (200..300, Some(body)) => {
                        self.changed.fetch_add(1, Ordering::Relaxed);
                        return (status, body);
                    }
                    // Gone with an earlier try.
                    (404, Some(body)) if method == Method::DELETE && body["code"] == "user_not_found" => {
                        return (status, body);
                    }
                    (200..300, None) | (429 | 500..600, _) => {}
                    (status, body) => panic!("{method} {path}: {status} {body:?}"),
                }
            }
            // The next server, or another try at this one.
            let _changed = tokio::time::timeout(Duration::from_millis(50), self.server.changed()).await;
        }
    }
}
