//! What can only be seen from inside: which transactions there were, and files as other programs leave them.

mod data_folder;
mod group;

use std::path::Path;

use klatch_domain::{
    Content, Draft, Entry, Kind, MessageId, Ordinal, Position, RoomFacts, RoomId, RoomKind, Sender, SessionId,
    Timestamp, UserId, Visibility,
};

use super::{Options, SqliteStores, open};
use crate::shard::{Effect, Write};

const OPTIONS: Options = Options { slots: 4, shards: 1, readers: 1 };

fn stores(folder: &Path) -> SqliteStores {
    open(folder, OPTIONS).unwrap()
}

fn write(room: RoomId, seq: u64, text: &str) -> Write {
    let draft = Draft::new(Kind::Text, Content::text(text).unwrap());
    let sender = Sender { user: UserId::from_bytes([7; 16]), session: SessionId::from_bytes([8; 16]) };
    let at = Timestamp::from_millis(1_700_000_000_000);
    let entry = Entry::of(&draft, Position::first(seq), Ordinal(seq), MessageId::now(), sender, at);
    let effect = if seq == 1 {
        let facts = RoomFacts::new(RoomKind::Group, None, Visibility::Private, entry.at);
        Effect::Create(Box::new(facts))
    } else {
        Effect::None
    };
    Write { room, entry, effect }
}
