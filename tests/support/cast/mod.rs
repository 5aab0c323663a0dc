//! People on a server whose parts die: those who write by their journals, clients that follow, one who comes and goes, and one
//! who is in no room. After each death all of them must come to the same logs, by themselves.

mod follower;

use std::{sync::Arc, time::Duration};

use klatch_domain::{RoomId, SlotMap};
use reqwest::Method;
use serde_json::json;

use crate::{
    person::Person,
    writers::{Acknowledged, Desk, Order, Way, Writer, oracle::Oracle},
};
use follower::Follower;

/// Those who write.
const WRITERS: usize = 8;
/// Of those, by HTTP.
const BY_HTTP: usize = 2;
const IN_FLIGHT: usize = 4;
/// The rest between two messages of one writer: some 60 messages a second in all, which leaves a small machine its breath.
const PACE: Duration = Duration::from_millis(130);
/// Groups in each shard, at least.
const GROUPS: usize = 2;
/// Everybody must have everything after a fault within this: a client that had bad luck waits 30 s for its next try, a park
/// for its probe, a frozen consumer for the broker's patience.
pub const CONVERGE_WITHIN: Duration = Duration::from_secs(150);
/// Between two looks.
const LOOK: Duration = Duration::from_millis(50);
/// What a call of the owner may take.
const CALL: Duration = Duration::from_secs(20);

/// Everybody.
pub struct Cast {
    fronts: Vec<String>,
    /// What the writers are told, and what came of it.
    pub desk: Arc<Desk>,
    /// Those who write.
    pub writers: Vec<Writer>,
    /// Who reads for the oracle, by a session of their own, over each front.
    readers: Vec<Person>,
    followers: Vec<Follower>,
    /// In the first group now and then.
    guest: Writer,
    stranger: Writer,
    /// Groups with everybody in them, by shard.
    pub groups: Vec<Vec<RoomId>>,
    rooms: Vec<RoomId>,
    oracle: Oracle,
}

impl Cast {
    /// Brings everybody on, over these servers in turn. `map` tells which shard a room is in.
    pub async fn enter(fronts: Vec<String>, map: &SlotMap) -> Self {
        Self::enter_as("", fronts, map).await
    }

    /// The same with names that begin so, where others have been before.
    pub async fn enter_as(prefix: &str, fronts: Vec<String>, map: &SlotMap) -> Self {
        let mut people = Vec::new();
        for number in 0..WRITERS {
            people.push(
                Person::sign_up_at_busy(&fronts[number % fronts.len()], &format!("{prefix}writer{number}")).await,
            );
        }
        let groups = groups(&people, map).await;
        let mut rooms: Vec<RoomId> = groups.iter().flatten().copied().collect();
        let desk = Desk::new(fronts.clone(), PACE);
        let mut writers = Vec::new();
        for (pair_number, pair) in people.chunks(2).enumerate() {
            let direct = pair[0].direct(&pair[1]).await;
            for (number, person) in pair.iter().enumerate() {
                let number = pair_number * 2 + number;
                let way = if number < BY_HTTP { Way::Http } else { Way::WebSocket { in_flight: IN_FLIGHT } };
                let own: Vec<RoomId> = groups.iter().flatten().copied().chain([direct]).collect();
                writers.push(Writer::start(person.clone(), own, way, number, &desk));
            }
            rooms.push(direct);
        }
        let listening = Way::WebSocket { in_flight: 1 };
        let guest = Person::sign_up_at_busy(&fronts[0], &format!("{prefix}guest")).await;
        let guest = Writer::start(guest, Vec::new(), listening, 0, &desk);
        let stranger = Person::sign_up_at_busy(&fronts[0], &format!("{prefix}stranger")).await;
        let stranger = Writer::start(stranger, Vec::new(), listening, 1, &desk);
        let (mut readers, mut followers) = (Vec::new(), Vec::new());
        for (number, person) in people.iter().enumerate() {
            readers.push(Person::sign_in_at_busy(&fronts[number % fronts.len()], &person.name).await);
        }
        for number in [BY_HTTP, BY_HTTP + 1] {
            let url = &fronts[number % fronts.len()];
            followers.push(Follower::sign_in(url, &people[number].name).await);
        }
        let oracle = Oracle::default();
        Self { fronts, desk, writers, readers, followers, guest, stranger, groups, rooms, oracle }
    }

    /// Nobody has ended before the end.
    pub fn all_well(&self) {
        let everybody = self.writers.iter().chain([&self.guest, &self.stranger]);
        for writer in everybody {
            assert!(!writer.is_finished(), "{} ended early", writer.person.name);
        }
    }

    /// Waits until so many more messages are stored.
    pub async fn stored_more(&self, messages: u64) {
        let until = self.desk.stored() + messages;
        let stored = async {
            while self.desk.stored() < until {
                self.all_well();
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(CONVERGE_WITHIN, stored).await.is_err() {
            panic!("nothing is stored any more; refused: {:?}", self.desk.refusals());
        }
    }

    /// What was acknowledged since this was last asked.
    #[must_use]
    pub fn take_acknowledged(&self) -> Vec<Acknowledged> {
        self.writers.iter().flat_map(|writer| std::mem::take(&mut writer.journal.lock().acknowledged)).collect()
    }

    /// Lets the guest into the first group, or shows them out; asked for until it is done.
    pub fn guest(&self, inside: bool) -> impl Future<Output = ()> + Send + use<> {
        let mut owner = self.readers[0].clone();
        let fronts = self.fronts.clone();
        let path = format!("/v1/rooms/{}/members/{}", self.groups[0][0], self.guest.person.user);
        async move {
            for front in fronts.iter().cycle() {
                owner.server.clone_from(front);
                let (method, body) =
                    if inside { (Method::PUT, Some(json!({"role": "member"}))) } else { (Method::DELETE, None) };
                match owner.try_call(method, &path, body, CALL).await {
                    Ok((200..=299 | 404, _)) => return,
                    Ok((401, _)) => {
                        if let Ok(Ok(again)) = Person::try_sign_in(front, &owner.name, CALL).await {
                            owner = again;
                        }
                    }
                    Ok((429 | 500..=599, _)) | Err(_) => tokio::time::sleep(LOOK).await,
                    Ok((status, body)) => panic!("the owner changes a member: {status} {body}"),
                }
            }
        }
    }

    /// Waits until all that was said is stored and everybody has it, and looks whether it is right. Everybody goes on afterwards.
    pub async fn converge(&mut self) {
        self.rest().await;
        self.desk.tell(Order::Write);
    }

    /// As `converge`, but nobody says anything afterwards.
    async fn rest(&mut self) {
        self.desk.tell(Order::Pause);
        let settled = async {
            while self.writers.iter().any(|writer| writer.unsettled() > 0) {
                self.all_well();
                tokio::time::sleep(LOOK).await;
            }
        };
        if tokio::time::timeout(CONVERGE_WITHIN, settled).await.is_err() {
            let open: Vec<_> = self.writers.iter().map(|w| (w.person.name.clone(), w.unsettled())).collect();
            panic!("not all is stored: {open:?}; refused: {:?}", self.desk.refusals());
        }
        let groups = self.groups.iter().map(Vec::len).sum();
        for (number, room) in self.rooms.iter().enumerate() {
            // Everybody is in every group, two in each direct room.
            let readers =
                if number < groups { &mut self.readers[..] } else { pair(&mut self.readers, number - groups) };
            self.oracle.read(*room, readers).await;
        }
        for writer in self.writers.iter().chain([&self.guest, &self.stranger]) {
            self.oracle.compare(writer);
        }
        self.oracle.nothing_alien();
        for follower in &mut self.followers {
            follower.converge(&self.oracle, &self.groups).await;
        }
    }

    /// Reads all groups from their first entry, as everybody sees them: nothing that was right before is wrong now. Answers
    /// how many entries there are in all.
    pub async fn read_all_again(&mut self) -> usize {
        self.rest().await;
        let mut fresh = Oracle::default();
        for room in self.groups.iter().flatten() {
            fresh.read(*room, &mut self.readers).await;
            assert_eq!(fresh.log(*room), self.oracle.log(*room), "what was read before has changed");
        }
        self.oracle.entries()
    }
}

fn pair(readers: &mut [Person], number: usize) -> &mut [Person] {
    &mut readers[number * 2..number * 2 + 2]
}

/// Groups with everybody in them, some in each shard: a room's shard follows from its id, and that is drawn by the server.
async fn groups(people: &[Person], map: &SlotMap) -> Vec<Vec<RoomId>> {
    let shards = map.owners().iter().map(|owner| usize::from(owner.0) + 1).max().unwrap_or_default();
    let others: Vec<&Person> = people[1..].iter().collect();
    let mut groups: Vec<Vec<RoomId>> = vec![Vec::new(); shards];
    let mut made = 0;
    while groups.iter().any(|groups| groups.len() < GROUPS) {
        let room = people[0].group(&format!("group {made}"), &others).await;
        made += 1;
        groups[usize::from(map.shard_of(room).0)].push(room);
    }
    groups
}
