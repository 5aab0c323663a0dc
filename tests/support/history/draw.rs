//! Drawing a history. Nothing is planned to be valid: strangers write, targets do not exist, ids come twice. What is refused must
//! be refused by all parts alike.

use klatch_domain::{
    Action, Command, Content, Draft, Kind, Mentions, MessageId, NewRoom, Role, RoomId, RoomKind, RoomName, Sender, Seq,
    SessionId, UserId, Visibility,
};
use rand::{RngExt, SeedableRng, rngs::StdRng};
use serde_json::json;

use super::{History, Round};

const PEOPLE: usize = 7;
/// The clock when it begins: microseconds since 1970.
const BEGINNING: u64 = 1_800_000_000_000_000;
/// Between two rounds, microseconds.
const ROUND: u64 = 1_234_567;
const EMOJI: &[&str] = &["👍", "🎉", "é"];
const WORDS: &[&str] = &["tide", "brücke", "\u{0}null", "ma\u{301}s", "\"quoted\"", "日本", "line\nbreak", "🧭", "\\"];

/// Becomes a number that no printer of JSON would write so.
const NUMBER: &str = "number";

pub(super) struct Drawing {
    random: StdRng,
    people: Vec<Sender>,
    rooms: Vec<RoomId>,
    /// How many commands each room has had: what a target is guessed from.
    counts: Vec<u64>,
    /// Commands that may come again.
    told: Vec<Command>,
    micros: u64,
}

fn id_bytes(random: &mut StdRng) -> [u8; 16] {
    let mut bytes: [u8; 16] = random.random();
    // Version 7 and the variant of RFC 9562.
    bytes[6] = 0x70 | bytes[6] & 0x0f;
    bytes[8] = 0x80 | bytes[8] & 0x3f;
    bytes
}

impl Drawing {
    pub(super) fn new(seed: u64) -> Self {
        let mut random = StdRng::seed_from_u64(seed);
        let people = (0..PEOPLE)
            .map(|_| Sender {
                user: UserId::from_bytes(id_bytes(&mut random)),
                session: SessionId::from_bytes(id_bytes(&mut random)),
            })
            .collect();
        Self { random, people, rooms: Vec::new(), counts: Vec::new(), told: Vec::new(), micros: BEGINNING }
    }

    pub(super) fn draw(mut self, rounds: usize, writes: usize) -> History {
        let rounds = (0..rounds)
            .map(|number| {
                self.micros += ROUND;
                // The first ones make rooms, or there is nothing to write into.
                let change = if number < 3 || self.random.random_ratio(1, 4) { self.new_room() } else { self.change() };
                let writes = (0..writes).map(|_| self.write()).collect();
                Round { micros: self.micros, change, writes }
            })
            .collect();
        let inboxes = self.people.iter().map(|person| RoomId::inbox_of(person.user));
        self.rooms.extend(inboxes);
        History { people: self.people, rooms: self.rooms, rounds }
    }

    fn someone(&mut self) -> Sender {
        self.people[self.random.random_range(0..PEOPLE)]
    }

    fn room(&mut self) -> (usize, RoomId) {
        let place = self.random.random_range(0..self.rooms.len());
        (place, self.rooms[place])
    }

    fn command(&mut self, sender: Sender, room: RoomId, action: Action) -> Command {
        Command {
            room,
            message_id: MessageId::from_bytes(id_bytes(&mut self.random)),
            sender,
            action,
            reply: None,
            after: None,
            accepted_micros: self.micros,
            trace: None,
        }
    }

    fn new_room(&mut self) -> Command {
        let maker = self.someone();
        let direct = self.random.random_ratio(1, 3);
        let (room, kind, name, others) = if direct {
            let other = self.people.iter().map(|person| person.user).find(|user| *user != maker.user);
            let other = other.expect("several people");
            (RoomId::direct_of(maker.user, other), RoomKind::Direct, None, vec![other])
        } else {
            let others = self.people.clone().into_iter().map(|person| person.user).filter(|user| *user != maker.user);
            let others = others.filter(|_| self.random.random_bool(0.6)).collect();
            let name = RoomName::parse(&format!("harbour {}", self.rooms.len())).expect("a name");
            (RoomId::from_bytes(id_bytes(&mut self.random)), RoomKind::Group, Some(name), others)
        };
        if !self.rooms.contains(&room) {
            self.rooms.push(room);
            self.counts.push(1);
        }
        self.command(maker, room, Action::CreateRoom(NewRoom { kind, name, visibility: Visibility::Private, others }))
    }

    fn change(&mut self) -> Command {
        let (sender, user) = (self.someone(), self.someone().user);
        let (place, room) = self.room();
        self.counts[place] += 1;
        let action = match self.random.random_range(0..20) {
            0..6 => Action::PutMember { user, role: None },
            6..9 => Action::PutMember { user, role: Some([Role::Owner, Role::Admin, Role::Member][place % 3]) },
            9..13 => Action::RemoveMember { user },
            13..15 => Action::RemoveMember { user: sender.user },
            15 => Action::ChangeRoom { name: RoomName::parse("quay").ok(), visibility: Some(Visibility::Public) },
            16 | 17 => Action::SetBlock { on: self.random.random_bool(0.7) },
            18 => return self.notice(),
            _ => Action::DeleteRoom,
        };
        self.command(sender, room, action)
    }

    fn notice(&mut self) -> Command {
        let (sender, owner) = (self.someone(), self.someone().user);
        let content = json!({"user": sender.user, "status": "accepted"});
        let draft = Draft::new(Kind::from_name("friend_changed"), Content::of(&content).expect("content"));
        self.command(sender, RoomId::inbox_of(owner), Action::Notice { owner, draft })
    }

    fn write(&mut self) -> Command {
        if !self.told.is_empty() && self.random.random_ratio(1, 15) {
            return self.again();
        }
        let sender = self.someone();
        let (place, room) = self.room();
        let target = Seq(self.random.random_range(1..=self.counts[place]));
        self.counts[place] += 1;
        let draft = self.draft(target);
        let command = self.command(sender, room, Action::Append(draft));
        self.told.push(command.clone());
        command
    }

    /// What was sent before; at times by somebody else, or with another text under its id.
    fn again(&mut self) -> Command {
        let place = self.random.random_range(0..self.told.len());
        let mut command = self.told[place].clone();
        match self.random.random_range(0..4) {
            0 => command.sender = self.someone(),
            1 => command.action = Action::Append(self.draft(Seq(1))),
            _ => {}
        }
        command
    }

    fn draft(&mut self, target: Seq) -> Draft {
        let word = WORDS[self.random.random_range(0..WORDS.len())];
        let text = format!("{word} {}", self.random.random::<u16>());
        let (kind, content, needs_target) = match self.random.random_range(0..20) {
            0..11 => (Kind::Text, json!({"text": text}), false),
            11..14 => (Kind::Edit, json!({"text": text}), true),
            14 => (Kind::Delete, json!({}), true),
            15..18 => {
                let emoji = EMOJI[self.random.random_range(0..EMOJI.len())];
                (Kind::Reaction, json!({"emoji": emoji, "on": self.random.random_bool(0.8)}), true)
            }
            // A kind no server knows: stored and forwarded.
            _ => (Kind::from_name("poll"), json!({"a": [text, null], "deep": {"b": NUMBER}}), false),
        };
        // Spaces, the order of fields and how a number is written are the sender's, and stay.
        let written = content.to_string().replace(&format!("\"{NUMBER}\""), "1.50").replace(':', " :  ");
        let mut draft = Draft::new(kind, Content::parse(&written).expect("content"));
        if needs_target {
            draft.target = Some(target);
            return draft;
        }
        draft.silent = self.random.random_ratio(1, 10);
        draft.reply_to = self.random.random_ratio(1, 8).then_some(target);
        if self.random.random_ratio(1, 8) {
            draft.mentions = Some(Mentions { users: vec![self.someone().user], room: self.random.random_bool(0.3) });
        }
        draft
    }
}
