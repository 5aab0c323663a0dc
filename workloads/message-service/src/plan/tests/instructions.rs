//! What `tests/instructions` counts here: planning one batch of plain messages.

use std::hint::black_box;

use super::*;
use crate::{
    after::Settlements,
    heads::Heads,
    plan::{Ask, Decision, Looked, Plan, plan},
};

/// Rooms that a batch touches, one message each.
const ROOMS: u8 = 64;
const TIMES: usize = 50;

fn command(room: u8, action: Action) -> Command {
    Command {
        room: RoomId::from_bytes([room; 16]),
        message_id: MessageId::now(),
        sender: Sender { user: UserId::from_bytes([1; 16]), session: SessionId::from_bytes([2; 16]) },
        action,
        reply: None,
        after: None,
        accepted_micros: 0,
        trace: None,
    }
}

fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

#[inline(never)]
fn measured_plan(commands: &[Command], heads: &mut Heads) -> Plan {
    let asks = commands.iter().map(|command| Ask { command, met_before: false, waited_out: false });
    plan(asks, heads, &mut Looked::default(), &Settlements::new(), now())
}

#[test]
#[ignore = "counted by tests/instructions"]
fn plan_a_batch() {
    let mut heads = Heads::new(1_000);
    let new = NewRoom {
        kind: RoomKind::Group,
        name: Some(RoomName::parse("harbour").expect("a name")),
        visibility: Visibility::Private,
        others: vec![UserId::from_bytes([9; 16])],
    };
    let rooms: Vec<_> = (0..ROOMS).map(|room| command(room, Action::CreateRoom(new.clone()))).collect();
    let known = rooms.iter().map(|command| ((command.room, command.message_id), None)).collect();
    let mut looked = Looked { known, ..Looked::default() };
    let asks = rooms.iter().map(|command| Ask { command, met_before: false, waited_out: false });
    let made = plan(asks, &mut heads, &mut looked, &Settlements::new(), now());
    assert!(made.decisions.iter().all(|decision| matches!(decision, Decision::Store { .. })), "{:?}", made.decisions);
    let content = Content::text(&"what people say to one another ".repeat(5)).expect("a text");
    let texts = || (0..ROOMS).map(|room| command(room, Action::Append(Draft::new(Kind::Text, content.clone()))));
    for _ in 0..TIMES {
        let texts: Vec<_> = texts().collect();
        let planned = measured_plan(black_box(&texts), &mut heads);
        assert_eq!(planned.writes.len(), usize::from(ROOMS));
    }
}
