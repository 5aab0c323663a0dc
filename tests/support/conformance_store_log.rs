//! A writer's view of rooms, as message-service keeps it: gives seq, ordinal and time, and says what each entry changes.

use klatch_domain::{
    Content, Draft, Entry, Kind, Member, Mentions, MessageId, Ordinal, Position, Role, RoomFacts, RoomId, RoomKind,
    RoomName, Sender, Seq, SessionId, Timestamp, UserId, Visibility,
};
use klatch_store::shard::{Effect, Write};

/// Where all test logs begin.
pub const BEGIN: i64 = 1_700_000_000_000;

/// The user of this number.
#[must_use]
pub fn user(number: u8) -> UserId {
    UserId::from_bytes([number; 16])
}

/// The user of this number, on their only device.
#[must_use]
pub fn sender(number: u8) -> Sender {
    Sender { user: user(number), session: SessionId::from_bytes([number ^ 0x80; 16]) }
}

/// `{"text": ...}`
#[must_use]
pub fn text(text: &str) -> Content {
    Content::text(text).expect("a short text")
}

/// A member with this role.
#[must_use]
pub fn member(role: Role) -> Member {
    Member { role, blocking: false, joined_at: Timestamp::from_millis(BEGIN + 1) }
}

/// The writer of one room.
#[derive(Debug, Clone)]
pub struct Log {
    /// Which room.
    pub room: RoomId,
    /// Last seq given.
    pub seq: u64,
    /// Last ordinal given.
    pub ordinal: u64,
}

impl Log {
    /// A room that does not exist yet.
    #[must_use]
    pub fn new() -> Self {
        Self { room: RoomId::now(), seq: 0, ordinal: 0 }
    }

    /// What the room is made with.
    #[must_use]
    pub fn facts() -> RoomFacts {
        let name = RoomName::parse("Lunch").expect("a name");
        RoomFacts::new(RoomKind::Group, Some(name), Visibility::Private, Timestamp::from_millis(BEGIN))
    }

    /// The next entry, by user 1, of this kind and content.
    pub fn entry(&mut self, kind: Kind, content: Content) -> Entry {
        self.shaped(kind, content, |_| {})
    }

    /// The next entry, with more to it.
    pub fn shaped(&mut self, kind: Kind, content: Content, shape: impl FnOnce(&mut Entry)) -> Entry {
        let at = Timestamp::from_millis(BEGIN + 1000 * (self.seq as i64 + 1));
        let (draft, position) = (Draft::new(kind, content), Position::first(self.seq + 1));
        let mut entry = Entry::of(&draft, position, Ordinal(0), MessageId::now(), sender(1), at);
        shape(&mut entry);
        self.seq += 1;
        self.ordinal += u64::from(entry.kind.counts_as_unread() && !entry.silent);
        entry.ordinal = Ordinal(self.ordinal);
        entry
    }

    /// A write with an effect.
    #[must_use]
    pub fn write(&self, entry: Entry, effect: Effect) -> Write {
        Write { room: self.room, entry, effect }
    }

    /// Makes the room and its members, the first of them its owner.
    pub fn create(&mut self, members: &[u8]) -> Vec<Write> {
        let entry = self.entry(Kind::RoomChanged, Content::empty());
        let mut writes = vec![self.write(entry, Effect::Create(Box::new(Self::facts())))];
        for (index, number) in members.iter().enumerate() {
            writes.push(self.join(*number, if index == 0 { Role::Owner } else { Role::Member }));
        }
        writes
    }

    /// A member joins, or gets another role.
    pub fn join(&mut self, number: u8, role: Role) -> Write {
        let entry = self.entry(Kind::MemberJoined, Content::empty());
        self.write(entry, Effect::PutMember { user: user(number), member: member(role) })
    }

    /// A member is gone.
    pub fn leave(&mut self, number: u8) -> Write {
        let entry = self.entry(Kind::MemberLeft, Content::empty());
        self.write(entry, Effect::RemoveMember { user: user(number) })
    }

    /// User `number` says something.
    pub fn say(&mut self, number: u8, words: &str) -> Write {
        let entry = self.shaped(Kind::Text, text(words), |entry| entry.sender = sender(number));
        self.write(entry, Effect::None)
    }

    /// User 1 says something with more to it.
    pub fn say_with(&mut self, words: &str, shape: impl FnOnce(&mut Entry)) -> Write {
        let entry = self.shaped(Kind::Text, text(words), shape);
        self.write(entry, Effect::None)
    }

    /// User 1 calls these users, or the room.
    pub fn call(&mut self, number: u8, users: &[u8], room: bool) -> Write {
        let mentions = Mentions { users: users.iter().map(|number| user(*number)).collect(), room };
        let entry = self.shaped(Kind::Text, text("you"), |entry| {
            entry.sender = sender(number);
            entry.mentions = Some(mentions);
        });
        self.write(entry, Effect::None)
    }

    /// New text for a target.
    pub fn edit(&mut self, target: u64, words: &str) -> Write {
        let entry = self.shaped(Kind::Edit, text(words), |entry| entry.target = Some(Seq(target)));
        self.write(entry, Effect::Edit { target: Seq(target) })
    }

    /// Empties a target.
    pub fn delete(&mut self, target: u64) -> Write {
        let entry = self.shaped(Kind::Delete, Content::empty(), |entry| entry.target = Some(Seq(target)));
        self.write(entry, Effect::Delete { target: Seq(target) })
    }

    /// User `number` puts an emoji on a target, or takes it away.
    pub fn react(&mut self, number: u8, target: u64, emoji: &str, on: bool) -> Write {
        let content = Content::of(&serde_json::json!({ "emoji": emoji, "on": on })).expect("an object");
        let entry = self.shaped(Kind::Reaction, content, |entry| {
            entry.sender = sender(number);
            entry.target = Some(Seq(target));
        });
        self.write(entry, Effect::React { target: Seq(target), emoji: emoji.to_owned(), on })
    }

    /// Closes the room.
    pub fn close(&mut self) -> Write {
        let entry = self.entry(Kind::RoomChanged, Content::empty());
        self.write(entry, Effect::DeleteRoom)
    }
}

impl Default for Log {
    fn default() -> Self {
        Self::new()
    }
}
