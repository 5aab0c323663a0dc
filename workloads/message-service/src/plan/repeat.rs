//! An id that is stored already: the same command again, or a conflict.

use std::sync::Arc;

use klatch_domain::{Action, Appended, Code, Command, Fingerprint, Kind, Refusal, Stored};
use klatch_store::shard::Known;

use super::{Ask, Decision};
use crate::heads::Head;

/// Decides about a command whose id is stored. `head` is its room's.
pub(crate) fn decide(ask: Ask<'_>, known: &Known, head: Option<&mut Head>) -> Decision {
    let entry = &known.entry;
    let user = ask.command.sender.user;
    if entry.sender.user != user || !is_same(ask.command, known) {
        // Who is not in the room does not learn from an id that there is such a room, or what is in it.
        let is_member = head.is_some_and(|head| head.facts.members.contains_key(&user));
        let refusal = match &ask.command.action {
            Action::Append(_) if !is_member => Refusal::room_not_found(),
            _ => Refusal::new(Code::MessageIdConflict, "this id is taken by another message"),
        };
        return Decision::Refuse(refusal);
    }
    let stored = Stored { position: entry.position, ordinal: entry.ordinal, at: entry.at, repeat: true };
    let event = head.filter(|_| ask.met_before).map(|head| again(ask.command, known, head));
    Decision::Repeat(stored, event)
}

/// The event of a stored row as the room stands now.
fn again(command: &Command, known: &Known, head: &mut Head) -> Arc<Appended> {
    let removed = match &command.action {
        Action::RemoveMember { user } if !head.facts.members.contains_key(user) => Some(*user),
        _ => None,
    };
    Arc::new(Appended {
        room: command.room,
        entry: known.entry.clone(),
        members_version: head.facts.members_version,
        audience: head.audience(),
        removed,
        accepted_micros: command.accepted_micros,
        trace: command.trace.clone(),
    })
}

fn is_same(command: &Command, known: &Known) -> bool {
    let entry = &known.entry;
    match &command.action {
        Action::Append(draft) | Action::Notice { draft, .. } => {
            let first = known.first_fingerprint.unwrap_or_else(|| {
                Fingerprint::of(
                    &entry.kind,
                    &entry.content,
                    &entry.content_type,
                    entry.reply_to,
                    entry.thread,
                    entry.target,
                    entry.mentions.as_ref(),
                )
            });
            draft.fingerprint() == first
        }
        Action::CreateRoom(_) => entry.kind == Kind::MemberJoined,
        Action::PutMember { .. } => matches!(entry.kind, Kind::MemberJoined | Kind::RoleChanged),
        Action::RemoveMember { .. } => entry.kind == Kind::MemberLeft,
        Action::ChangeRoom { .. } | Action::DeleteRoom => entry.kind == Kind::RoomChanged,
        // It writes no entry: whatever stands there is another command.
        Action::SetBlock { .. } => false,
    }
}
