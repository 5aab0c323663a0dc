//! What outlives the process.

use klatch_domain::{Code, Position, Refusal};
use klatch_protocol::{ClientFrame, Refused, ServerFrame};

use super::super::{Input, Output, SavedMessage};
use super::{ME, ROOM, Rig, SESSION, Settings, Snapshot, at, draft, frames, id, joined, said, sync_request};

fn saving() -> Settings {
    Settings { save: true, ..Settings::default() }
}

fn say(rig: &mut Rig, number: u8) -> Vec<Output> {
    rig.tell(Input::Say { message_id: id(number), room: ROOM, draft: Box::new(draft("hi")) })
}

fn sent(outputs: &[Output]) -> Vec<klatch_domain::MessageId> {
    let sends = frames(outputs).into_iter();
    sends.filter_map(|frame| if let ClientFrame::Send(send) = frame { Some(send.message_id) } else { None }).collect()
}

#[test]
fn a_message_is_saved_before_it_leaves() {
    let mut rig = Rig::new(saving(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    let outputs = say(&mut rig, 50);
    let place = |wanted: &dyn Fn(&Output) -> bool| outputs.iter().position(wanted);
    let save = place(&|output| *output == Output::Save).unwrap();
    assert!(save < place(&|output| matches!(output, Output::SendFrames(_))).unwrap(), "{outputs:?}");
    assert_eq!(sent(&outputs), [id(50)]);
}

#[test]
fn the_next_life_goes_on_where_this_one_ended() {
    let mut rig = Rig::new(saving(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1), said(2)]);
    for number in [50, 51, 52] {
        say(&mut rig, number);
    }
    let refused = |number, retryable| {
        let refusal = Refusal::new(Code::NotAllowed, "no");
        Refused {
            message_id: id(number),
            room: ROOM,
            code: refusal.code,
            detail: refusal.detail,
            retryable,
            retry_after_ms: retryable.then_some(10),
        }
    };
    rig.frame(ServerFrame::Refused(refused(51, false)));
    let snapshot = rig.core.snapshot();
    assert_eq!((snapshot.user, snapshot.inbox), (Some(ME), at(1, 1)));
    assert_eq!(snapshot.rooms.iter().map(|saved| (saved.room, saved.position)).collect::<Vec<_>>(), [(ROOM, at(1, 2))]);
    let outbox: Vec<_> = snapshot.outbox.iter().map(|saved| (saved.message_id, saved.refused.is_some())).collect();
    assert_eq!(outbox, [(id(50), false), (id(52), false), (id(51), true)]);
    assert_eq!(snapshot.outbox[0].session, Some(SESSION));

    let text = serde_json::to_string(&snapshot).unwrap();
    let snapshot: Snapshot = serde_json::from_str(&text).unwrap();
    let mut next = Rig::new(saving(), snapshot.clone());
    assert_eq!(next.core.snapshot(), snapshot, "nothing is lost by coming back");
    let outputs = next.online(klatch_protocol::Resumed::None);
    let (_, body) = sync_request(&outputs).expect("it knows its rooms: no list is read");
    assert_eq!((body.inbox, body.rooms[0].position), (Some(at(1, 1)), at(1, 2)));
    let outputs = next.pass(super::super::settings::CATCH_UP_WAIT_MS);
    assert_eq!(sent(&outputs), [id(50), id(52)], "in order, and without what was refused");
}

#[test]
fn a_life_that_knew_no_rooms_yet_starts_anew_but_for_its_messages() {
    let mut rig = Rig::new(saving(), Snapshot::default());
    rig.online(klatch_protocol::Resumed::None);
    say(&mut rig, 50);
    let snapshot = rig.core.snapshot();
    assert_eq!((snapshot.inbox, snapshot.rooms.len(), snapshot.outbox.len()), (Position::NOTHING, 0, 1));
}

#[test]
fn what_another_session_sent_first_is_shown_as_the_log_has_it() {
    for (session, shown) in [(SESSION, 2), (klatch_domain::SessionId::from_bytes([77; 16]), 1)] {
        let saved =
            SavedMessage { message_id: id(50), room: ROOM, draft: draft("hi"), session: Some(session), refused: None };
        let mut rig = Rig::new(Settings::default(), Snapshot { outbox: vec![saved], ..Snapshot::default() });
        rig.caught_up(vec![joined()], vec![said(1)]);
        rig.pass(1);
        let stored = klatch_protocol::StoredFrame {
            message_id: id(50),
            room: ROOM,
            position: at(1, 2),
            ordinal: klatch_domain::Ordinal(2),
            at: klatch_domain::Timestamp::default(),
        };
        rig.frame(ServerFrame::Stored(stored));
        let timeline = rig.core.timeline(ROOM).unwrap();
        assert_eq!(
            (timeline.rows().len(), timeline.is_behind()),
            (shown, shown == 1),
            "fetched when its sender is not known"
        );
    }
}

#[test]
fn nothing_is_saved_unless_wanted() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    assert!(!say(&mut rig, 50).contains(&Output::Save));
}
