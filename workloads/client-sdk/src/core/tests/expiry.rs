//! Entries whose time has passed.

use klatch_domain::{Content, Entry, Seq, Timestamp};
use klatch_protocol::{MessageFrame, ServerFrame};

use super::super::{Change, Input, Output};
use super::{Kind, ROOM, Rig, SERVER_TIME, Settings, Snapshot, change, changes, joined, json, said, text};

fn expires(entry: Entry, after_ms: i64) -> Entry {
    Entry { expires_at: Some(Timestamp::from_millis(SERVER_TIME + after_ms)), ..entry }
}

fn rig(room: Vec<Entry>) -> (Rig, Vec<Change>) {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    let changes = rig.caught_up(vec![joined()], room);
    (rig, changes)
}

fn shown(rig: &Rig, seq: u64) -> (Content, bool) {
    let row = rig.core.timeline(ROOM).unwrap().row(Seq(seq)).unwrap();
    (row.content.clone(), row.deleted)
}

fn updated(changes: &[Change]) -> Vec<u64> {
    let rows = changes.iter().filter_map(|change| match change {
        Change::Updated { entry, .. } => Some(entry.position.seq.0),
        _ => None,
    });
    rows.collect()
}

#[test]
fn a_row_is_emptied_at_its_time_by_the_server_s_clock_and_its_edits_with_it() {
    let edit = change(3, Kind::Edit, 1, &json!({"text": "edited"}));
    let (mut rig, _) = rig(vec![expires(said(1), 20_000), said(2), edit]);
    assert_eq!(shown(&rig, 1), (text("edited"), false));
    let outputs = rig.pass(19_999);
    assert!(updated(&changes(&outputs)).is_empty());
    let outputs = rig.pass(1);
    assert_eq!(updated(&changes(&outputs)), [1, 3]);
    assert_eq!(shown(&rig, 1), (Content::empty(), true));
    assert_eq!(shown(&rig, 3), (Content::empty(), false), "an edit is no deleted row");
    assert_eq!(shown(&rig, 2), (text("message 2"), false));
    assert!(updated(&changes(&rig.pass(10_000))).is_empty(), "told once");
}

#[test]
fn the_timer_is_set_for_it_also_without_a_connection() {
    let (mut rig, _) = rig(vec![expires(said(1), 5_000)]);
    rig.tell(Input::Stop);
    let timer = rig.core.timer;
    assert_eq!(timer, Some(rig.now + 5_000));
    assert_eq!(updated(&changes(&rig.pass(5_000))), [1]);
    let outputs = rig.pass(1);
    assert!(!outputs.iter().any(|output| matches!(output, Output::SetTimer(Some(_)))), "{outputs:?}");
}

#[test]
fn what_comes_too_late_is_shown_empty_and_an_edit_does_not_bring_it_back() {
    let (mut rig, changes_at_start) = rig(vec![expires(said(1), -1), said(2)]);
    assert_eq!(updated(&changes_at_start), [1]);
    assert_eq!(shown(&rig, 1), (Content::empty(), true));
    let edit = change(3, Kind::Edit, 1, &json!({"text": "back"}));
    let frame = MessageFrame { room: ROOM, entry: edit, members_version: Seq(1) };
    rig.frame(ServerFrame::Message(frame));
    assert_eq!((shown(&rig, 1), shown(&rig, 3).0), ((Content::empty(), true), Content::empty()));
    // Nor does the row as somebody else read it before.
    let stale = Entry { changed_seq: Some(Seq(4)), ..expires(said(1), -1) };
    let frame = MessageFrame { room: ROOM, entry: stale, members_version: Seq(1) };
    rig.frame(ServerFrame::Message(frame));
    assert_eq!(shown(&rig, 1), (Content::empty(), true));
}
