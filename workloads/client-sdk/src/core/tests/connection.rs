//! From no socket to a welcomed one and back.

use klatch_domain::Code;
use klatch_protocol::{ClientFrame, Reconnect, Resumed, ServerFrame};

use super::super::{Change, Connection, Failure, Input, Output, Stop};
use super::{ME, Rig, Settings, Snapshot, changes, frames};

fn rig() -> Rig {
    Rig::new(Settings::default(), Snapshot::default())
}

fn opens(outputs: &[Output]) -> bool {
    outputs.contains(&Output::OpenSocket)
}

fn lost(rig: &mut Rig, code: Option<u16>) -> Vec<Output> {
    rig.tell(Input::Disconnected { code, retry_after_ms: None })
}

#[test]
fn hello_names_the_connection_before() {
    let mut rig = rig();
    assert!(opens(&rig.tell(Input::Start)));
    let hello = |outputs: &[Output]| match &frames(outputs)[..] {
        [ClientFrame::Hello(hello)] => hello.clone(),
        other => panic!("{other:?}"),
    };
    let first = hello(&rig.tell(Input::Connected));
    assert_eq!((first.token.as_str(), first.resume), ("token", None));
    rig.frame(ServerFrame::Welcome(Rig::welcome(Resumed::None)));
    assert!(rig.core.is_online());
    lost(&mut rig, None);
    assert!(!rig.core.is_online());
    assert!(opens(&rig.pass(30_000)));
    let again = hello(&rig.tell(Input::Connected));
    assert_eq!(again.resume.unwrap().connection, Rig::welcome(Resumed::None).connection);
}

#[test]
fn codes_below_4500_come_back_and_those_above_do_not() {
    for code in [None, Some(1006), Some(4000), Some(4008), Some(4009), Some(4029), Some(4401), Some(4499)] {
        let mut rig = rig();
        rig.online(Resumed::None);
        let outputs = lost(&mut rig, code);
        assert!(
            matches!(changes(&outputs)[..], [Change::Connection(Connection::Offline { code: told, .. })] if told == code),
            "{code:?} {outputs:?}"
        );
    }
    for (code, stop) in
        [(4500, Stop::Closed(4500)), (4503, Stop::SignedOut), (4505, Stop::Closed(4505)), (4999, Stop::Closed(4999))]
    {
        let mut rig = rig();
        rig.online(Resumed::None);
        let outputs = lost(&mut rig, Some(code));
        assert_eq!(changes(&outputs), [Change::Connection(Connection::Stopped(stop))]);
        assert!(!opens(&rig.pass(3_600_000)), "not without the user");
        // The user may want it all the same.
        if stop != Stop::SignedOut {
            assert!(rig.tell(Input::Start).contains(&Output::RefreshToken), "its token is old by now");
        }
    }
}

#[test]
fn an_expired_token_is_replaced_before_the_next_hello() {
    let mut rig = rig();
    rig.online(Resumed::None);
    lost(&mut rig, Some(4401));
    let outputs = rig.pass(30_000);
    assert!(outputs.contains(&Output::RefreshToken) && !opens(&outputs), "{outputs:?}");
    assert!(opens(&rig.tell(Input::TokenRefreshed { access_token: "newer".to_owned(), lives_ms: 900_000 })));
    let hello = frames(&rig.tell(Input::Connected));
    assert!(matches!(&hello[..], [ClientFrame::Hello(hello)] if hello.token == "newer"));
}

#[test]
fn a_newer_token_is_shown_on_a_live_connection() {
    let mut rig = rig();
    rig.online(Resumed::None);
    let outputs = rig.tell(Input::TokenRefreshed { access_token: "newer".to_owned(), lives_ms: 900_000 });
    assert!(matches!(&frames(&outputs)[..], [ClientFrame::Refresh(refresh)] if refresh.token == "newer"));
}

#[test]
fn waits_grow_and_a_long_connection_forgets_them() {
    let mut rig = rig();
    rig.tell(Input::Start);
    let mut ceilings = Vec::new();
    for _ in 0..12 {
        let outputs = lost(&mut rig, None);
        let [Change::Connection(Connection::Offline { retry_in_ms, .. })] = changes(&outputs)[..] else { panic!() };
        ceilings.push(retry_in_ms);
        assert!(retry_in_ms <= 30_000);
        assert!(opens(&rig.pass(retry_in_ms)), "when it said");
    }
    assert!(ceilings.iter().max() > Some(&1_000), "{ceilings:?}");
    rig.tell(Input::Connected);
    rig.frame(ServerFrame::Welcome(Rig::welcome(Resumed::None)));
    for _ in 0..4 {
        rig.now += 20_000;
        rig.tell(Input::Heard);
    }
    let outputs = lost(&mut rig, None);
    let wait = changes(&outputs);
    assert!(
        matches!(wait[..], [Change::Connection(Connection::Offline { retry_in_ms, .. })] if retry_in_ms <= 500),
        "{wait:?}"
    );
}

#[test]
fn hints_win() {
    let mut rig = rig();
    rig.online(Resumed::None);
    rig.frame(ServerFrame::Reconnect(Reconnect { after_ms: 7_000, reason: "drain".into() }));
    // The server closes before: the hint still counts.
    rig.now += 1_000;
    let outputs = lost(&mut rig, Some(4000));
    assert_eq!(changes(&outputs), [Change::Connection(Connection::Offline { code: Some(4000), retry_in_ms: 6_000 })]);
    assert!(!opens(&rig.pass(5_999)));
    assert!(opens(&rig.pass(1)));
    let outputs = rig.tell(Input::Disconnected { code: None, retry_after_ms: Some(12_345) });
    assert_eq!(changes(&outputs), [Change::Connection(Connection::Offline { code: None, retry_in_ms: 12_345 })]);
}

#[test]
fn a_hint_the_server_does_not_act_on_is_followed() {
    let mut rig = rig();
    rig.online(Resumed::None);
    rig.frame(ServerFrame::Reconnect(Reconnect { after_ms: 7_000, reason: "rebalance".into() }));
    assert!(rig.pass(6_999).iter().all(|output| !matches!(output, Output::CloseSocket { .. })));
    let outputs = rig.pass(1);
    assert!(outputs.contains(&Output::CloseSocket { code: 1000 }) && opens(&outputs), "{outputs:?}");
    rig.tell(Input::Connected);
    rig.frame(ServerFrame::Welcome(Rig::welcome(Resumed::Full)));
    assert!(!opens(&rig.pass(20_000)), "once");
}

#[test]
fn silence_ends_a_connection_and_so_do_openings_that_take_too_long() {
    let mut rig = rig();
    rig.online(Resumed::None);
    assert!(rig.pass(59_999).iter().all(|output| !matches!(output, Output::CloseSocket { .. })));
    assert!(rig.pass(1).contains(&Output::CloseSocket { code: 4009 }));
    let mut rig = self::rig();
    rig.greeted();
    assert!(rig.pass(super::super::settings::GREETING_MS).contains(&Output::CloseSocket { code: 1000 }));
    let mut rig = self::rig();
    rig.tell(Input::Start);
    assert!(rig.pass(super::super::settings::OPENING_MS).contains(&Output::CloseSocket { code: 1000 }));
    // What is heard of a socket given up changes nothing.
    rig.tell(Input::Connected);
    assert!(!rig.core.is_online());
}

#[test]
fn a_session_that_is_over_stops_and_a_server_that_is_away_does_not() {
    let mut rig = rig();
    rig.online(Resumed::None);
    let failed = |code| Input::RefreshFailed(Failure { code, retry_after_ms: None });
    assert_eq!(changes(&rig.tell(failed(None))), []);
    assert_eq!(changes(&rig.tell(failed(Some(Code::Busy)))), []);
    let outputs = rig.tell(failed(Some(Code::SessionRevoked)));
    assert_eq!(changes(&outputs), [Change::Connection(Connection::Stopped(Stop::SignedOut))]);
}

#[test]
fn another_user_s_state_is_not_gone_on_with() {
    let other = klatch_domain::UserId::from_bytes([7; 16]);
    let mut rig = Rig::new(Settings::default(), Snapshot { user: Some(other), ..Snapshot::default() });
    let outputs = rig.online(Resumed::None);
    assert_eq!(changes(&outputs), [Change::Connection(Connection::Stopped(Stop::OtherUser))]);
    assert_ne!(other, ME);
}
