//! Estimated sizes in memory, in bytes. Cheap rather than exact: they bound queues, nothing is billed by them.

use std::mem::size_of;

use klatch_domain::{Action, Appended, Audience, Command, Draft, Entry, Event, Mentions, UserId, WatermarkMoved};

use crate::{NotifyCommand, Signal};

pub(crate) fn of_commands(commands: &[Command]) -> usize {
    commands.iter().map(of_command).sum()
}

pub(crate) fn of_events(events: &[Event]) -> usize {
    events.iter().map(of_event).sum()
}

fn of_command(command: &Command) -> usize {
    let variable = match &command.action {
        Action::Append(draft) | Action::Notice { draft, .. } => of_draft(draft),
        Action::CreateRoom(room) => room.others.len() * size_of::<UserId>(),
        Action::PutMember { .. }
        | Action::RemoveMember { .. }
        | Action::ChangeRoom { .. }
        | Action::DeleteRoom
        | Action::SetBlock { .. } => 0,
    };
    size_of::<Command>() + variable + command.trace.as_deref().map_or(0, str::len)
}

fn of_draft(draft: &Draft) -> usize {
    draft.content.as_str().len()
        + draft.content_type.as_deref().map_or(0, str::len)
        + draft.mentions.as_ref().map_or(0, of_mentions)
}

fn of_mentions(mentions: &Mentions) -> usize {
    mentions.users.len() * size_of::<UserId>()
}

fn of_event(event: &Event) -> usize {
    let variable = match event {
        Event::Appended(appended) => {
            size_of::<Appended>() + of_entry(&appended.entry) + of_audience(&appended.audience)
        }
        Event::Watermark(moved) => size_of::<WatermarkMoved>() + of_audience(&moved.audience),
        Event::SlotsBusy { slots, .. } => size_of_val::<[_]>(slots),
        Event::Outcome(_) | Event::SessionRevoked { .. } | Event::RoomDeleted { .. } => 0,
    };
    size_of::<Event>() + variable
}

fn of_entry(entry: &Entry) -> usize {
    let attachments: usize = entry.attachments.iter().flatten().map(|attachment| attachment.as_str().len()).sum();
    entry.content.as_str().len() + attachments + entry.mentions.as_ref().map_or(0, of_mentions)
}

fn of_audience(audience: &Audience) -> usize {
    match audience {
        Audience::Members(members) => size_of_val::<[_]>(members),
        Audience::Room => 0,
    }
}

pub(crate) fn of_signal(signal: &Signal) -> usize {
    let variable = match signal {
        Signal::Room { kind, payload, .. } => kind.len() + payload.as_ref().map_or(0, |content| content.as_str().len()),
        Signal::Presence { .. } => 0,
    };
    size_of::<Signal>() + variable
}

pub(crate) fn of_notify(commands: &[NotifyCommand]) -> usize {
    let one = |command: &NotifyCommand| {
        size_of::<NotifyCommand>() + command.mentions.as_ref().map_or(0, of_mentions) + of_audience(&command.audience)
    };
    commands.iter().map(one).sum()
}
