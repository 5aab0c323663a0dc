//! What can only be seen from inside: which transactions there were, and files as other programs leave them.

mod data_folder;
mod group;

use std::path::Path;

use klatch_domain::{
    Content, Entry, Generation, Kind, MessageId, Ordinal, Position, RoomFacts, RoomId, RoomKind, Sender, Seq,
    SessionId, Timestamp, UserId, Visibility,
};

use super::{Options, SqliteStores, open};
use crate::shard::{Effect, Write};

const OPTIONS: Options = Options { slots: 4, shards: 1, readers: 1 };

fn stores(folder: &Path) -> SqliteStores {
    open(folder, OPTIONS).unwrap()
}

fn write(room: RoomId, seq: u64, text: &str) -> Write {
    let entry = Entry {
        position: Position { generation: Generation::FIRST, seq: Seq(seq) },
        prev_seq: Seq(seq - 1),
        ordinal: Ordinal(seq),
        message_id: MessageId::now(),
        sender: Sender { user: UserId::from_bytes([7; 16]), session: SessionId::from_bytes([8; 16]) },
        at: Timestamp::from_millis(1_700_000_000_000),
        kind: Kind::Text,
        content_type: Kind::Text.default_content_type().into(),
        content: Content::text(text).unwrap(),
        reply_to: None,
        thread: None,
        target: None,
        changed_seq: None,
        mentions: None,
        silent: false,
        attachments: None,
        expires_at: None,
        edited_at: None,
        deleted: false,
        reactions: Vec::new(),
    };
    let effect = if seq == 1 {
        let facts = RoomFacts::new(RoomKind::Group, None, Visibility::Private, entry.at);
        Effect::Create(Box::new(facts))
    } else {
        Effect::None
    };
    Write { room, entry, effect }
}
