//! Any value that crosses a broker.

use std::sync::Arc;

use klatch_bus::{NotifyCommand, WatermarkMove};
use klatch_domain::{
    Action, Appended, Audience, Command, Draft, Event, Incarnation, NewRoom, Ordinal, Outcome, OutcomeEvent, Refusal,
    ReplyAddress, Role, RoomKind, RoomName, Sender, Slot, Stored, Visibility, WatermarkMoved,
};
use proptest::{collection::vec, option, prelude::*, sample::select};

use crate::arbitrary::{
    any_entry, any_text, boxed_text, code, connection, kind, mentions, message_id, number, position, room, send, seq,
    session, time, user,
};

fn incarnation() -> impl Strategy<Value = Incarnation> {
    any::<[u8; 16]>().prop_map(Incarnation::from_bytes)
}

fn sender() -> impl Strategy<Value = Sender> {
    (user(), session()).prop_map(|(user, session)| Sender { user, session })
}

fn reply() -> impl Strategy<Value = ReplyAddress> {
    (incarnation(), connection()).prop_map(|(incarnation, connection)| ReplyAddress { incarnation, connection })
}

fn audience() -> BoxedStrategy<Audience> {
    prop_oneof![vec(user(), 0..4).prop_map(|members| Audience::Members(members.into())), Just(Audience::Room)].boxed()
}

fn draft() -> BoxedStrategy<Draft> {
    send().prop_map(klatch_protocol::Send::into_draft).boxed()
}

fn action() -> BoxedStrategy<Action> {
    let name = || option::of("[a-zäö ]{1,20}".prop_filter_map("a name", |name| RoomName::parse(&name).ok()));
    let visibility = || select(vec![Visibility::Private, Visibility::Public]);
    let room_kind = select(vec![RoomKind::Direct, RoomKind::Group, RoomKind::Inbox]);
    let role = select(vec![Role::Member, Role::Admin, Role::Owner]);
    let new_room = (room_kind, name(), visibility(), vec(user(), 0..4));
    prop_oneof![
        draft().prop_map(Action::Append),
        new_room.prop_map(|(kind, name, visibility, others)| Action::CreateRoom(NewRoom {
            kind,
            name,
            visibility,
            others
        })),
        (user(), option::of(role)).prop_map(|(user, role)| Action::PutMember { user, role }),
        user().prop_map(|user| Action::RemoveMember { user }),
        (name(), option::of(visibility())).prop_map(|(name, visibility)| Action::ChangeRoom { name, visibility }),
        Just(Action::DeleteRoom),
        any::<bool>().prop_map(|on| Action::SetBlock { on }),
        (user(), draft()).prop_map(|(owner, draft)| Action::Notice { owner, draft }),
    ]
    .boxed()
}

/// Any command.
pub fn command() -> BoxedStrategy<Command> {
    let origin = (option::of(reply()), option::of(message_id()), any::<u64>(), option::of(boxed_text()));
    (room(), message_id(), sender(), action(), origin)
        .prop_map(|(room, message_id, sender, action, (reply, after, accepted_micros, trace))| Command {
            room,
            message_id,
            sender,
            action,
            reply,
            after,
            accepted_micros,
            trace,
        })
        .boxed()
}

fn outcome() -> BoxedStrategy<Outcome> {
    let refusal = (code(), any_text(), any::<bool>(), option::of(number()));
    prop_oneof![
        (position(), number(), time(), any::<bool>()).prop_map(|(position, ordinal, at, repeat)| {
            Outcome::Stored(Stored { position, ordinal: Ordinal(ordinal), at, repeat })
        }),
        Just(Outcome::Unchanged),
        refusal.prop_map(|(code, detail, retryable, retry_after_ms)| {
            Outcome::Refused(Refusal { code, detail: detail.into(), retryable, retry_after_ms })
        }),
    ]
    .boxed()
}

/// Any event.
pub fn event() -> BoxedStrategy<Event> {
    let appended = (room(), any_entry(), seq(), audience(), option::of(user()), any::<u64>(), option::of(boxed_text()));
    let moved = (room(), user(), option::of(position()), option::of(position()), audience());
    prop_oneof![
        appended.prop_map(|(room, entry, members_version, audience, removed, accepted_micros, trace)| {
            Event::Appended(Arc::new(Appended {
                room,
                entry,
                members_version,
                audience,
                removed,
                accepted_micros,
                trace,
            }))
        }),
        (reply(), message_id(), room(), outcome()).prop_map(|(reply, message_id, room, outcome)| {
            Event::Outcome(OutcomeEvent { reply, message_id, room, outcome })
        }),
        moved.prop_map(|(room, user, read, delivered, audience)| {
            Event::Watermark(Arc::new(WatermarkMoved { room, user, read, delivered, audience }))
        }),
        (session(), user()).prop_map(|(session, user)| Event::SessionRevoked { session, user }),
        room().prop_map(|room| Event::RoomDeleted { room }),
        (vec(any::<u16>().prop_map(Slot), 0..4), number())
            .prop_map(|(slots, retry_after_ms)| Event::SlotsBusy { slots: slots.into(), retry_after_ms }),
    ]
    .boxed()
}

/// Any watermark move.
pub fn watermark() -> BoxedStrategy<WatermarkMove> {
    (room(), user(), session(), option::of(position()), option::of(position()))
        .prop_map(|(room, user, session, read, delivered)| WatermarkMove { room, user, session, read, delivered })
        .boxed()
}

/// Any notify command.
pub fn notify() -> BoxedStrategy<NotifyCommand> {
    let said = (kind(), option::of(mentions()), any::<bool>(), audience(), time());
    (room(), position(), number(), message_id(), sender(), said)
        .prop_map(|(room, position, ordinal, message_id, sender, (kind, mentions, silent, audience, at))| {
            NotifyCommand {
                room,
                position,
                ordinal: Ordinal(ordinal),
                message_id,
                sender,
                kind,
                mentions,
                silent,
                audience,
                at,
            }
        })
        .boxed()
}
