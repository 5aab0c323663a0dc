//! What must be true of the logs, whatever died: every stored message exactly once and where it was acknowledged, no gap, each
//! sender's order, nothing nobody said, the same log for every member, and nothing heard by who was not in the room.

use std::collections::{BTreeMap, HashMap, HashSet};

use klatch_domain::{MessageId, Position, RoomId, UserId};
use reqwest::Method;
use serde_json::Value;

use super::{Heard, Journal, Writer};
use crate::person::{PATIENCE, Person, text_of};

/// Entries of one call for history: the wire contract's most.
const PAGE: usize = 200;
/// Between two tries to read a log from a server that is coming back.
const BETWEEN_READS: std::time::Duration = std::time::Duration::from_millis(200);

/// One entry as it was found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// Where.
    pub position: Position,
    /// Which.
    pub id: MessageId,
    text: String,
}

/// A room's log as far as it was read and found right.
#[derive(Debug, Default)]
struct Known {
    entries: Vec<Found>,
    /// From which seq on, and before which, users are members.
    members: HashMap<UserId, Vec<(u64, Option<u64>)>>,
}

/// Reads logs and compares them with journals; what it has read once it only extends.
#[derive(Debug, Default)]
pub struct Oracle {
    rooms: BTreeMap<RoomId, Known>,
    found: HashMap<MessageId, (RoomId, Position)>,
    said: HashSet<MessageId>,
    /// Of each writer, how much of its journal was compared.
    compared: HashMap<UserId, usize>,
    /// Of each writer and room, where the last message stands.
    last: HashMap<(UserId, RoomId), Position>,
}

impl Oracle {
    /// Entries found right so far.
    #[must_use]
    pub fn entries(&self) -> usize {
        self.rooms.values().map(|known| known.entries.len()).sum()
    }

    /// The log of a room as far as it was read.
    #[must_use]
    pub fn log(&self, room: RoomId) -> &[Found] {
        self.rooms.get(&room).map_or(&[], |known| &known.entries)
    }

    /// Whether, as far as it was read, the log says that this user was in the room at this seq.
    #[must_use]
    pub fn is_member_at(&self, room: RoomId, user: UserId, seq: u64) -> bool {
        let Some(spans) = self.rooms.get(&room).and_then(|known| known.members.get(&user)) else { return false };
        spans.iter().any(|(from, to)| *from <= seq && to.is_none_or(|to| seq < to))
    }

    /// Reads what is new in a room's log as each of these people sees it, and looks at it. Whoever serves may be coming back,
    /// but nobody writes.
    ///
    /// # Panics
    /// When something that must hold does not.
    pub async fn read(&mut self, room: RoomId, readers: &mut [Person]) {
        assert!(!readers.is_empty(), "someone reads every room");
        let after = self.rooms.entry(room).or_default().entries.len() as u64;
        let mut logs = Vec::new();
        for reader in readers {
            logs.push(log_after(reader, room, after).await);
        }
        let fresh = logs.swap_remove(0);
        for other in logs {
            // What stands where is compared; in what later entries say of a row one reader may be ahead.
            let differ = fresh.iter().zip(&other).find(|(one, other)| found(one) != found(other));
            assert!(differ.is_none(), "two members see two logs of {room}: {differ:?}");
            assert_eq!(other.len(), fresh.len(), "two members see two lengths of {room} after {after}");
        }
        for entry in &fresh {
            self.take(room, entry);
        }
    }

    fn take(&mut self, room: RoomId, entry: &Value) {
        let known = self.rooms.entry(room).or_default();
        let found = found(entry);
        let seq = found.position.seq.0;
        assert_eq!(seq, known.entries.len() as u64 + 1, "a gap in {room}");
        let before = self.found.insert(found.id, (room, found.position));
        assert!(before.is_none(), "{} stands twice: {before:?} and {room} {:?}", found.id, found.position);
        match entry["kind"].as_str() {
            Some("member_joined") => {
                known.members.entry(subject(entry)).or_default().push((seq, None));
            }
            Some("member_left") => {
                let spans = known.members.entry(subject(entry)).or_default();
                if let Some(last) = spans.last_mut() {
                    last.1 = Some(seq);
                }
            }
            _ => {}
        }
        known.entries.push(found);
    }

    /// Compares what a writer was told, and heard, with the logs read before. The writer has nothing unsettled.
    ///
    /// # Panics
    /// When something that must hold does not.
    pub fn compare(&mut self, writer: &Writer) {
        let mut journal = writer.journal.lock();
        let (heard, named) = (std::mem::take(&mut journal.heard), std::mem::take(&mut journal.named));
        self.compare_said(writer.person.user, &journal);
        drop(journal);
        for heard in heard {
            self.check_heard(&writer.person, heard);
        }
        for room in named.into_iter().filter(|room| *room != RoomId::inbox_of(writer.person.user)) {
            let was_in = self.rooms.get(&room).is_some_and(|known| known.members.contains_key(&writer.person.user));
            assert!(was_in, "{} was never in {room} and heard of it", writer.person.name);
        }
    }

    fn compare_said(&mut self, user: UserId, journal: &Journal) {
        let from = self.compared.insert(user, journal.said.len()).unwrap_or_default();
        for said in &journal.said[from..] {
            let stored = journal.stored.get(&said.id);
            let stored = stored.unwrap_or_else(|| panic!("{} was said and is neither stored nor refused", said.id));
            let found = self.found.get(&said.id);
            let (room, position) = found.unwrap_or_else(|| panic!("{} was stored at {stored:?} and is lost", said.id));
            assert_eq!((room, position), (&said.room, stored), "{} moved", said.id);
            let text = &self.rooms[room].entries[position.seq.0 as usize - 1].text;
            assert_eq!(text, &said.text, "{} changed", said.id);
            let before = self.last.insert((user, *room), *position);
            assert!(
                before.is_none_or(|before| before < *position),
                "{} overtook an earlier one of its sender",
                said.id
            );
            self.said.insert(said.id);
        }
    }

    fn check_heard(&self, person: &Person, heard: Heard) {
        if heard.room == RoomId::inbox_of(person.user) {
            return;
        }
        let (name, seq) = (&person.name, heard.position.seq.0);
        assert!(self.is_member_at(heard.room, person.user, seq), "{name} was not in the room and heard {heard:?}");
        let stands = self.log(heard.room).get(seq as usize - 1);
        let stands = stands.unwrap_or_else(|| panic!("{name} heard {heard:?}, which no log holds"));
        assert_eq!((stands.id, stands.position), (heard.id, heard.position), "{name} heard another log");
    }

    /// Every message in the logs was said by somebody. After all journals were compared.
    ///
    /// # Panics
    /// When one was not.
    pub fn nothing_alien(&self) {
        for (room, known) in &self.rooms {
            for entry in known.entries.iter().filter(|entry| !entry.text.is_empty()) {
                assert!(self.said.contains(&entry.id), "{room} holds what nobody said: {entry:?}");
            }
        }
    }
}

fn found(entry: &Value) -> Found {
    Found {
        position: serde_json::from_value(entry["position"].clone()).expect("a position"),
        id: entry["message_id"].as_str().expect("an id").parse().expect("a UUID"),
        text: text_of(&entry["content"].to_string()),
    }
}

/// Of whom a membership entry tells.
fn subject(entry: &Value) -> UserId {
    entry["content"]["user"].as_str().expect("a user").parse().expect("a UUID")
}

/// A room's log after this seq, asked for until somebody answers.
///
/// # Panics
/// When nobody does in time, or says no.
pub async fn log_after(reader: &mut Person, room: RoomId, after: u64) -> Vec<Value> {
    let (mut entries, mut after) = (Vec::new(), after);
    loop {
        let page = patient_get(reader, &format!("/v1/rooms/{room}/messages?after={after}&limit={PAGE}")).await;
        entries.extend(page["entries"].as_array().expect("entries").iter().cloned());
        if page["more"] != true {
            return entries;
        }
        after = entries.last().expect("more after some")["position"]["seq"].as_u64().expect("a seq");
    }
}

/// A GET that is made until it succeeds; only trouble that passes is waited out.
async fn patient_get(reader: &mut Person, path: &str) -> Value {
    let mut last = String::new();
    let asked = async {
        loop {
            match reader.try_call(Method::GET, path, None, PATIENCE).await {
                Ok((200, body)) => return body,
                Ok((401, _)) => {
                    // Not by the refresh token: a clone of this person may have used it, and reuse ends the session.
                    if let Ok(Ok(again)) = Person::try_sign_in(&reader.server, &reader.name, PATIENCE).await {
                        *reader = again;
                    }
                }
                Ok((status @ (429 | 500..), body)) => last = format!("{status} {body}"),
                Ok((status, body)) => panic!("{} asks for {path}: {status} {body}", reader.name),
                Err(error) => last = error.to_string(),
            }
            tokio::time::sleep(BETWEEN_READS).await;
        }
    };
    match tokio::time::timeout(PATIENCE, asked).await {
        Ok(body) => body,
        Err(_) => panic!("nobody answers {path}; the last answer was: {last}"),
    }
}
