//! What notices mean.

use klatch_domain::Kind;
use klatch_protocol::http::FriendStatus;

use super::super::Change;
use super::super::inbox::{Notice, read};
use super::{OTHER, ROOM, Rig, Settings, Snapshot, entry, joined, json, said};

#[test]
fn every_kind_is_read_and_what_is_none_is_left_to_the_user() {
    let cases = [
        (Kind::MemberJoined, json!({"room": ROOM}), Notice::Joined(ROOM)),
        (Kind::MemberLeft, json!({"room": ROOM}), Notice::Left(ROOM)),
        (Kind::PreferencesChanged, json!({"room": ROOM}), Notice::Preferences(ROOM)),
        (Kind::DeviceListChanged, json!({"user": OTHER}), Notice::DeviceList(OTHER)),
        (
            Kind::FriendChanged,
            json!({"user": OTHER, "status": "accepted"}),
            Notice::Friend(OTHER, Some(FriendStatus::Accepted)),
        ),
        (Kind::FriendChanged, json!({"user": OTHER}), Notice::Friend(OTHER, None)),
        (Kind::FriendChanged, json!({"user": OTHER, "status": "rival"}), Notice::Friend(OTHER, None)),
        (Kind::MemberJoined, json!({"room": 7}), Notice::Other),
        (Kind::Text, json!({"text": "hello"}), Notice::Other),
    ];
    for (kind, content, notice) in cases {
        assert_eq!(read(&entry(1, kind, &content)), notice, "{content}");
    }
}

#[test]
fn the_inbox_decides_which_rooms_there_are() {
    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    let left = entry(2, Kind::MemberLeft, &json!({"room": ROOM}));
    let changes = rig.caught_up(vec![joined(), left.clone()], vec![]);
    assert!(changes.contains(&Change::Joined { room: ROOM }) && changes.contains(&Change::Left { room: ROOM }));
    assert_eq!(rig.core.rooms().count(), 0);

    let mut rig = Rig::new(Settings::default(), Snapshot::default());
    rig.caught_up(vec![joined()], vec![said(1), said(2)]);
    assert_eq!(rig.core.rooms().collect::<Vec<_>>(), [ROOM]);
    assert_eq!(rig.core.timeline(ROOM).unwrap().rows().len(), 2);
    let frame =
        klatch_protocol::MessageFrame { room: super::INBOX, entry: left, members_version: klatch_domain::Seq(1) };
    let outputs = rig.frame(klatch_protocol::ServerFrame::Message(frame));
    assert!(super::changes(&outputs).contains(&Change::Left { room: ROOM }));
    assert!(rig.core.timeline(ROOM).is_none());
}
