//! One value of everything that crosses a broker, with fixed ids and times: what the golden files hold.

use std::sync::Arc;

use klatch_bus::{
    NotifyCommand, WatermarkMove,
    payload::events::{Stream, StreamTarget},
};
use klatch_domain::{
    Action, Appended, Audience, Code, Command, ConnectionId, Event, Incarnation, Kind, Mentions, NewRoom, Ordinal,
    Outcome, OutcomeEvent, Refusal, ReplyAddress, Role, RoomKind, RoomName, Sender, Seq, Slot, Stored, Visibility,
    WatermarkMoved,
};

use crate::frames::{at, full_entry, least_entry, message, position, room, send, session, user};

const SENDER: Sender = Sender { user: user(1), session: session(1) };
const REPLY: ReplyAddress =
    ReplyAddress { incarnation: Incarnation::from_bytes([0x11; 16]), connection: ConnectionId::from_bytes([0x22; 16]) };
const TRACE: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

fn command(action: Action) -> Command {
    Command {
        room: room(1),
        message_id: message(1),
        sender: SENDER,
        action,
        reply: Some(REPLY),
        after: Some(message(2)),
        accepted_micros: 1_795_512_600_000_123,
        trace: Some(TRACE.into()),
    }
}

/// Every kind of command under the name of its golden file.
///
/// # Panics
/// Never: the names are short.
#[must_use]
pub fn commands() -> Vec<(&'static str, Command)> {
    let draft = send().into_draft();
    let name = || Some(RoomName::parse("harbour").expect("short"));
    let new =
        NewRoom { kind: RoomKind::Group, name: name(), visibility: Visibility::Public, others: vec![user(2), user(3)] };
    let least = Command { reply: None, after: None, trace: None, ..command(Action::DeleteRoom) };
    vec![
        ("command.append", command(Action::Append(draft.clone()))),
        ("command.create_room", command(Action::CreateRoom(new))),
        ("command.put_member", command(Action::PutMember { user: user(2), role: Some(Role::Admin) })),
        ("command.put_member.least", command(Action::PutMember { user: user(2), role: None })),
        ("command.remove_member", command(Action::RemoveMember { user: user(2) })),
        ("command.change_room", command(Action::ChangeRoom { name: name(), visibility: Some(Visibility::Private) })),
        ("command.delete_room.least", least),
        ("command.set_block", command(Action::SetBlock { on: true })),
        ("command.notice", command(Action::Notice { owner: user(2), draft })),
    ]
}

/// The stream of the golden events.
pub const STREAM: Stream =
    Stream { from: Incarnation::from_bytes([0x33; 16]), publisher: 4, to: StreamTarget::Lane(2) };

/// Every kind of event under the name of its golden file.
#[must_use]
pub fn events() -> Vec<(&'static str, Event)> {
    let members = || Audience::Members(Arc::from([user(1), user(2)]));
    let appended = Appended {
        room: room(1),
        entry: full_entry(),
        members_version: Seq(2),
        audience: members(),
        removed: Some(user(3)),
        accepted_micros: 1_795_512_600_000_123,
        trace: Some(TRACE.into()),
    };
    let least =
        Appended { entry: least_entry(), audience: Audience::Room, removed: None, trace: None, ..appended.clone() };
    let outcome =
        |outcome| Event::Outcome(OutcomeEvent { reply: REPLY, message_id: message(1), room: room(1), outcome });
    let stored = Stored { position: position(5), ordinal: Ordinal(3), at: at(0), repeat: true };
    let refused = Refusal::retryable(Code::Busy, "this room's shard is unavailable", 1_500);
    let moved = WatermarkMoved {
        room: room(1),
        user: user(2),
        read: Some(position(4)),
        delivered: Some(position(5)),
        audience: members(),
    };
    vec![
        ("event.appended", Event::Appended(Arc::new(appended))),
        ("event.appended.least", Event::Appended(Arc::new(least))),
        ("event.outcome.stored", outcome(Outcome::Stored(stored))),
        ("event.outcome.unchanged", outcome(Outcome::Unchanged)),
        ("event.outcome.refused", outcome(Outcome::Refused(refused))),
        ("event.watermark", Event::Watermark(Arc::new(moved.clone()))),
        ("event.watermark.least", Event::Watermark(Arc::new(WatermarkMoved { read: None, delivered: None, ..moved }))),
        ("event.session_revoked", Event::SessionRevoked { session: session(1), user: user(1) }),
        ("event.room_deleted", Event::RoomDeleted { room: room(1) }),
        ("event.slots_busy", Event::SlotsBusy { slots: Arc::from([Slot(3), Slot(7)]), retry_after_ms: 1_500 }),
    ]
}

/// Watermark moves under the names of their golden files.
#[must_use]
pub fn watermarks() -> Vec<(&'static str, WatermarkMove)> {
    let full = WatermarkMove {
        room: room(1),
        user: user(1),
        session: session(1),
        read: Some(position(4)),
        delivered: Some(position(5)),
    };
    vec![("watermark", full), ("watermark.least", WatermarkMove { read: None, delivered: None, ..full })]
}

/// Notify commands under the names of their golden files.
#[must_use]
pub fn notify() -> Vec<(&'static str, NotifyCommand)> {
    let full = NotifyCommand {
        room: room(1),
        position: position(5),
        ordinal: Ordinal(3),
        message_id: message(1),
        sender: SENDER,
        kind: Kind::Text,
        mentions: Some(Mentions { users: vec![user(2)], room: true }),
        silent: true,
        audience: Audience::Members(Arc::from([user(1), user(2)])),
        at: at(0),
    };
    let least = NotifyCommand { mentions: None, silent: false, audience: Audience::Room, ..full.clone() };
    vec![("notify", full), ("notify.least", least)]
}
