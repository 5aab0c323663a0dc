//! What is asked of the server, when, and again.

use klatch_domain::limits::{HISTORY_PAGE, SYNC_ROOMS};
use klatch_domain::{Code, RoomId};
use klatch_protocol::{MessageFrame, PositionFrame, Resumed, ServerFrame};

use super::super::input::RequestId;
use super::super::settings::{CHECK_EVERY_MS, GAP_WAIT_MS, SYNC_ENTRIES_PER_ROOM};
use super::super::sync::{List, Question, Sync};
use super::super::{Change, Depth, Failure, Input, ListedRoom, Output, Part};
use super::{INBOX, ROOM, Rig, Settings, Snapshot, at, changes, joined, random, said, sync_request};

fn room(number: u32) -> RoomId {
    let mut bytes = [0; 16];
    bytes[..4].copy_from_slice(&number.to_be_bytes());
    RoomId::from_bytes(bytes)
}

fn connected(rooms: u32) -> Sync {
    let mut sync = Sync::new(List::Read);
    sync.connected((0..rooms).map(room), false, 0, &mut random());
    sync
}

#[test]
fn a_new_client_reads_its_list_then_its_inbox_then_its_rooms() {
    let mut sync = Sync::new(List::Wanted(None));
    sync.connected([ROOM].into_iter(), false, 0, &mut random());
    assert_eq!(sync.question(0, true), Some(Question::Rooms(None)));
    sync.list = List::Wanted(Some("next".to_owned()));
    assert_eq!(sync.question(0, true), Some(Question::Rooms(Some("next".to_owned()))));
    sync.list = List::Read;
    assert!(matches!(sync.question(0, true), Some(Question::Logs { inbox: true, rooms, .. }) if rooms.is_empty()));
    sync.inbox_settled();
    assert!(matches!(sync.question(0, false), Some(Question::Logs { inbox: false, rooms, .. }) if rooms == [ROOM]));
    sync.settled(ROOM);
    assert_eq!(sync.question(0, false), None);
    assert!(sync.has_just_caught_up() && !sync.has_just_caught_up(), "told once");
}

#[test]
fn a_client_from_now_on_starts_where_the_list_says_a_log_ends_and_one_for_everything_at_its_start() {
    for (depth, position) in [(Depth::FromNow, at(1, 40)), (Depth::Everything, at(0, 0))] {
        let mut rig = Rig::new(Settings { depth, ..Settings::default() }, Snapshot::default());
        let outputs = rig.online(Resumed::None);
        let Some(Output::RequestRooms { request, .. }) =
            outputs.iter().find(|output| matches!(output, Output::RequestRooms { .. }))
        else {
            panic!("{outputs:?}")
        };
        let listed = ListedRoom { room: ROOM, head: at(1, 40), members: 2 };
        let outputs = rig.tell(Input::RoomsAnswer { request: *request, rooms: vec![listed], next: None });
        let (request, body) = sync_request(&outputs).unwrap();
        assert!(body.rooms.is_empty(), "the inbox first");
        let inbox = Some(super::log_after(INBOX, at(1, 0), &[joined()]));
        let answer = klatch_protocol::http::SyncAnswer { rooms: Vec::new(), inbox };
        let (_, body) = sync_request(&rig.tell(Input::SyncAnswer { request, answer })).unwrap();
        assert_eq!((body.rooms[0].room, body.rooms[0].position), (ROOM, position));
    }
}

#[test]
fn questions_are_bounded_and_one_at_a_time() {
    let mut sync = connected(u32::try_from(SYNC_ROOMS).unwrap() + 7);
    let Some(Question::Logs { rooms, limit, .. }) = sync.question(0, false) else { panic!() };
    assert_eq!((rooms.len(), limit), (SYNC_ROOMS, SYNC_ENTRIES_PER_ROOM));
    let epoch = sync.asked(RequestId(1));
    assert_eq!(sync.question(0, false), None);
    assert!(sync.answered(RequestId(1), epoch));
    for room in rooms {
        sync.settled(room);
    }
    let Some(Question::Logs { rooms, limit, .. }) = sync.question(0, false) else { panic!() };
    assert_eq!((rooms.len(), limit), (7, HISTORY_PAGE));
}

#[test]
fn an_answer_of_the_connection_before_settles_nothing() {
    let mut sync = connected(1);
    let epoch = sync.asked(RequestId(1));
    sync.connected([room(0)].into_iter(), false, 0, &mut random());
    assert!(!sync.answered(RequestId(1), epoch));
    assert!(sync.question(0, false).is_some());
}

#[test]
fn a_failed_question_waits_as_told() {
    let mut sync = connected(1);
    sync.asked(RequestId(1));
    sync.failed(RequestId(1), Some(5_000), 0, &mut random());
    assert_eq!((sync.question(4_999, false), sync.due()), (None, 5_000));
    assert!(sync.question(5_000, false).is_some());
}

#[test]
fn everything_is_compared_every_few_minutes() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    let mut waited = 0;
    while waited < CHECK_EVERY_MS {
        rig.tell(Input::Heard);
        let outputs = rig.pass(10_000);
        waited += 10_000;
        if let Some((_, body)) = sync_request(&outputs) {
            assert_eq!((body.rooms[0].position, body.inbox), (at(1, 1), Some(at(1, 1))));
            assert!(waited >= CHECK_EVERY_MS * 4 / 5 - 10_000, "{waited}");
            return;
        }
    }
    panic!("not compared");
}

#[test]
fn a_resumed_connection_asks_for_nothing_and_another_for_all() {
    for (resumed, asks) in [(Resumed::Full, false), (Resumed::Partial, true), (Resumed::None, true)] {
        let mut rig = Rig::new(Settings::default(), Snapshot::default());
        rig.caught_up(vec![joined()], vec![said(1)]);
        rig.tell(Input::Disconnected { code: None, retry_after_ms: Some(0) });
        rig.pass(1);
        rig.tell(Input::Connected);
        let outputs = rig.frame(ServerFrame::Welcome(Rig::welcome(resumed)));
        assert_eq!(sync_request(&outputs).is_some(), asks, "{resumed:?}");
        assert_eq!(changes(&outputs).contains(&Change::CaughtUp), !asks);
    }
}

#[test]
fn a_gap_gets_a_moment_and_is_then_asked_for() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    let message = |seq| MessageFrame { room: ROOM, entry: said(seq), members_version: klatch_domain::Seq(1) };
    assert_eq!(changes(&rig.frame(ServerFrame::Message(message(3)))), []);
    let outputs = rig.pass(GAP_WAIT_MS);
    let Some((request, Part::After(after))) = outputs.iter().find_map(|output| match output {
        Output::RequestHistory { request, room: ROOM, part, .. } => Some((*request, *part)),
        _ => None,
    }) else {
        panic!("{outputs:?}")
    };
    assert_eq!(after, klatch_domain::Seq(1));
    let outputs = rig.tell(Input::HistoryAnswer { request, entries: vec![said(2), said(3)], more: false });
    assert!(matches!(&changes(&outputs)[..], [Change::Appended { entries, .. }] if entries.len() == 2), "{outputs:?}");
    // A head further on is a gap, too.
    let frame = PositionFrame { room: ROOM, head: at(1, 9), head_ordinal: klatch_domain::Ordinal(9) };
    rig.frame(ServerFrame::Position(frame));
    let asks = |outputs: &[Output]| outputs.iter().any(|output| matches!(output, Output::RequestHistory { .. }));
    assert!(asks(&rig.pass(GAP_WAIT_MS)));
}

#[test]
fn a_room_we_are_not_in_any_more_is_dropped_until_the_inbox_has_spoken() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    let outputs = rig.tell(Input::Foreground);
    let (request, _) = sync_request(&outputs).unwrap();
    let denied = klatch_protocol::http::SyncRoomAnswer {
        error: Some(Code::RoomNotFound),
        head: None,
        head_ordinal: None,
        entries: None,
        more: None,
        ..super::log_after(ROOM, at(1, 0), &[])
    };
    let answer = klatch_protocol::http::SyncAnswer {
        rooms: vec![denied],
        inbox: Some(super::log_after(INBOX, at(1, 1), &[joined()])),
    };
    let outputs = rig.tell(Input::SyncAnswer { request, answer });
    assert!(changes(&outputs).contains(&Change::Left { room: ROOM }), "{outputs:?}");
    assert!(rig.core.timeline(ROOM).is_none() && rig.core.rooms().count() == 0);
}

#[test]
fn a_revoked_session_met_by_a_question_stops() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1)]);
    let outputs = rig.tell(Input::Foreground);
    let (request, _) = sync_request(&outputs).unwrap();
    let failure = Failure { code: Some(Code::SessionRevoked), retry_after_ms: None };
    let outputs = rig.tell(Input::RequestFailed { request, failure });
    assert!(changes(&outputs).iter().any(|change| matches!(change, Change::Connection(_))), "{outputs:?}");
    assert!(!rig.core.is_online());
}
