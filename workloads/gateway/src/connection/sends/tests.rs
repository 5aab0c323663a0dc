use super::*;

const HERE: RoomId = RoomId::from_bytes([9; 16]);
const ELSEWHERE: RoomId = RoomId::from_bytes([8; 16]);

fn id(number: usize) -> MessageId {
    MessageId::from_bytes((number as u128).to_be_bytes())
}

/// Passes a send on. Answers what it comes after.
fn pass(sends: &mut Sends, number: usize) -> Option<MessageId> {
    sends.begin(HERE, id(number), 0).unwrap().after
}

fn turn_away(sends: &mut Sends, number: usize) {
    assert_eq!(sends.begin(HERE, id(number), 0), Err(Held::Waits));
    assert!(!sends.admits(HERE, id(number), 0));
    sends.refuse(HERE, id(number), 0).unwrap();
}

#[test]
fn each_names_its_unsettled_predecessor_in_the_room() {
    let mut sends = Sends::default();
    let begin = |sends: &mut Sends, room, number| sends.begin(room, id(number), 0).unwrap();
    assert_eq!(begin(&mut sends, HERE, 1), Begun { after: None, repeat: false });
    assert_eq!(begin(&mut sends, ELSEWHERE, 4), Begun { after: None, repeat: false });
    assert_eq!(begin(&mut sends, HERE, 2), Begun { after: Some(id(1)), repeat: false });
    // A repeat keeps its place.
    assert_eq!(begin(&mut sends, HERE, 1), Begun { after: None, repeat: true });
    assert_eq!(begin(&mut sends, HERE, 2), Begun { after: Some(id(1)), repeat: true });
    assert_eq!(sends.store(HERE, id(1)), Was::InFlight);
    assert_eq!(sends.store(HERE, id(1)), Was::Nothing);
    assert_eq!(begin(&mut sends, HERE, 3), Begun { after: Some(id(2)), repeat: false });
    assert_eq!(sends.in_flight(), 3);
}

#[test]
fn a_failed_send_blocks_its_room_until_it_comes_again() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    assert_eq!(sends.fail(HERE, id(1), 0), Was::InFlight);
    // However often others are tried.
    for _ in 0..5 {
        turn_away(&mut sends, 2);
        turn_away(&mut sends, 3);
    }
    assert!(sends.is_blocked(HERE) && !sends.is_blocked(ELSEWHERE));
    assert!(sends.admits(ELSEWHERE, id(2), 0));
    assert_eq!(pass(&mut sends, 1), None);
    assert_eq!(pass(&mut sends, 2), Some(id(1)));
    assert_eq!(pass(&mut sends, 3), Some(id(2)));
    assert!(!sends.is_blocked(HERE));
}

#[test]
fn outcomes_in_the_wrong_order_leave_the_sends_in_theirs() {
    let mut sends = Sends::default();
    for number in 1..=3 {
        pass(&mut sends, number);
    }
    assert_eq!(sends.fail(HERE, id(2), 0), Was::InFlight);
    assert_eq!(sends.fail(HERE, id(1), 0), Was::InFlight);
    turn_away(&mut sends, 2);
    turn_away(&mut sends, 3);
    for number in 1..=3 {
        assert_eq!(pass(&mut sends, number), (number > 1).then(|| id(number - 1)));
    }
}

#[test]
fn what_was_passed_on_behind_a_failed_send_loses_its_place() {
    let mut sends = Sends::default();
    for number in 1..=4 {
        pass(&mut sends, number);
    }
    sends.begin(ELSEWHERE, id(7), 0).unwrap();
    assert_eq!(sends.fail(HERE, id(2), 0), Was::InFlight);
    // Nothing that failed behind it is its predecessor; what went before it still is.
    assert_eq!(pass(&mut sends, 2), Some(id(1)));
    // Without its outcome, the next one waits for it all the same.
    turn_away(&mut sends, 5);
    turn_away(&mut sends, 4);
    assert_eq!(sends.begin(HERE, id(3), 0), Ok(Begun { after: Some(id(2)), repeat: true }));
    assert_eq!(sends.begin(HERE, id(4), 0), Ok(Begun { after: Some(id(3)), repeat: false }));
    assert_eq!(pass(&mut sends, 5), Some(id(4)));
    assert_eq!(sends.in_flight(), 6);
    assert_eq!(sends.begin(ELSEWHERE, id(8), 0).unwrap().after, Some(id(7)));
}

#[test]
fn what_is_displaced_and_stored_after_all_holds_nothing() {
    let mut sends = Sends::default();
    for number in 1..=2 {
        pass(&mut sends, number);
    }
    sends.fail(HERE, id(1), 0);
    assert_eq!(sends.store(HERE, id(1)), Was::Refused);
    turn_away(&mut sends, 3);
    assert_eq!(sends.store(HERE, id(2)), Was::InFlight);
    assert_eq!(pass(&mut sends, 3), None);
    assert_eq!(sends.store(HERE, id(3)), Was::InFlight);
    assert!(!sends.is_blocked(HERE));
}

#[test]
fn what_was_turned_away_comes_again_in_its_order() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    sends.fail(HERE, id(1), 0);
    for number in 2..=4 {
        turn_away(&mut sends, number);
    }
    pass(&mut sends, 1);
    sends.settle(HERE, id(1));
    // Neither a new one nor a later one overtakes: its sender may not have heard of the second's refusal.
    turn_away(&mut sends, 5);
    turn_away(&mut sends, 3);
    for number in 2..=5 {
        pass(&mut sends, number);
    }
}

#[test]
fn what_was_turned_away_and_given_up_holds_a_room_for_a_while_only() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    sends.fail(HERE, id(1), 0);
    turn_away(&mut sends, 2);
    turn_away(&mut sends, 3);
    sends.begin(HERE, id(1), 5).unwrap();
    sends.refuse(HERE, id(3), 6).unwrap();
    // The second is given up first.
    assert_eq!(sends.begin(HERE, id(3), GIVEN_UP_SECONDS - 1), Err(Held::Waits));
    assert_eq!(sends.begin(HERE, id(4), GIVEN_UP_SECONDS), Err(Held::Waits));
    let passed = Ok(Begun { after: Some(id(1)), repeat: false });
    let mut in_order = Sends { open: sends.open.clone(), stored: VecDeque::new(), ..sends };
    assert_eq!(in_order.begin(HERE, id(3), GIVEN_UP_SECONDS), passed);
    assert!(!in_order.is_blocked(HERE));
    // Should it come after all, it is a new one.
    assert_eq!(in_order.begin(HERE, id(2), GIVEN_UP_SECONDS).unwrap().after, Some(id(3)));
    // Both are.
    assert_eq!(sends.begin(HERE, id(4), GIVEN_UP_SECONDS + 6), passed);
    assert!(!sends.is_blocked(HERE));
    assert_eq!((sends.in_flight(), sends.open.len()), (2, 2));
}

#[test]
fn what_was_refused_for_itself_is_never_taken_for_given_up() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    pass(&mut sends, 2);
    sends.fail(HERE, id(1), 0);
    assert_eq!(sends.begin(HERE, id(3), u32::MAX), Err(Held::Waits));
    pass(&mut sends, 1);
    // Behind a failed one; its outcome says whether it is to come again.
    assert_eq!(sends.begin(HERE, id(3), u32::MAX), Err(Held::Waits));
    sends.fail(HERE, id(2), 0);
    assert!(sends.admits(HERE, id(3), GIVEN_UP_SECONDS));
    // A limit, say.
    assert!(sends.admits(HERE, id(2), 0));
    assert_eq!(sends.refuse(HERE, id(2), 0), Ok(Was::Refused));
    assert_eq!(sends.begin(HERE, id(3), u32::MAX), Err(Held::Waits));
    pass(&mut sends, 2);
    pass(&mut sends, 3);
}

#[test]
fn a_send_that_is_settled_after_all_blocks_nothing() {
    for settle in [Sends::see, Sends::store, Sends::settle] {
        let mut sends = Sends::default();
        pass(&mut sends, 1);
        sends.fail(HERE, id(1), 0);
        assert_eq!(settle(&mut sends, HERE, id(1)), Was::Refused);
        assert!(!sends.is_blocked(HERE));
        assert_eq!(pass(&mut sends, 2), None);
    }
}

#[test]
fn what_is_seen_in_the_log_need_not_come_again_and_still_has_an_outcome() {
    let mut sends = Sends::default();
    for number in 1..=3 {
        pass(&mut sends, number);
    }
    sends.fail(HERE, id(1), 0);
    for number in 1..=2 {
        sends.see(HERE, id(number));
    }
    assert!(!sends.is_in_flight(HERE, id(1)) && sends.is_in_flight(HERE, id(2)));
    turn_away(&mut sends, 4);
    assert_eq!(sends.see(HERE, id(3)), Was::InFlight);
    assert_eq!(pass(&mut sends, 4), None);
    assert_eq!(sends.in_flight(), 3);
    // Whatever is said of it, the room waits for nothing that is in its log.
    sends.fail(HERE, id(4), 0);
    assert_eq!(sends.begin(HERE, id(3), 0), Ok(Begun { after: None, repeat: true }));
    assert_eq!(sends.fail(HERE, id(2), 0), Was::InFlight);
    assert_eq!(sends.refuse(HERE, id(3), 0), Ok(Was::InFlight));
    assert_eq!(pass(&mut sends, 4), None);
    assert!(!sends.is_blocked(HERE));
    assert_eq!(sends.in_flight(), 1);
    assert_eq!(sends.see(ELSEWHERE, id(3)), Was::Nothing);
}

#[test]
fn a_resend_under_way_of_what_is_stored_neither_waits_nor_holds() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    sends.fail(HERE, id(1), 0);
    turn_away(&mut sends, 2);
    assert_eq!(sends.store(HERE, id(1)), Was::Refused);
    turn_away(&mut sends, 3);
    // A failure of an earlier try says nothing of what is stored, nor does a refusal of the resend.
    assert_eq!(sends.fail(HERE, id(1), 0), Was::Nothing);
    assert!(sends.admits(HERE, id(1), 0));
    assert_eq!(sends.refuse(HERE, id(1), 0), Ok(Was::Nothing));
    assert_eq!(pass(&mut sends, 1), None);
    turn_away(&mut sends, 3);
    assert_eq!(pass(&mut sends, 2), None);
    assert_eq!(sends.fail(HERE, id(1), 0), Was::InFlight);
    assert_eq!(pass(&mut sends, 3), Some(id(2)));
    assert_eq!(pass(&mut sends, 1), None);
    for number in 1..=3 {
        assert_eq!(sends.store(HERE, id(number)), Was::InFlight);
        assert_eq!(sends.fail(HERE, id(number), 0), Was::Nothing);
    }
    // Nor does one that came before it was stored, and is refused only now.
    sends.refuse(HERE, id(3), 0).unwrap();
    assert!(!sends.is_blocked(HERE));
}

#[test]
fn nothing_is_remembered_of_what_goes_well() {
    let mut sends = Sends::default();
    for number in 0..3 {
        pass(&mut sends, number);
        assert_eq!(sends.store(HERE, id(number)), Was::InFlight);
        assert!(sends.is_empty());
    }
    for _ in 0..2 {
        pass(&mut sends, 4);
    }
    sends.store(HERE, id(4));
    sends.refuse(HERE, id(4), 0).unwrap();
    assert!(!sends.is_blocked(HERE));
}

#[test]
fn what_is_refused_for_good_and_comes_again_is_a_new_send() {
    let mut sends = Sends::default();
    pass(&mut sends, 1);
    assert_eq!(sends.settle(HERE, id(1)), Was::InFlight);
    assert!(sends.is_empty());
    pass(&mut sends, 2);
    sends.fail(HERE, id(2), 0);
    turn_away(&mut sends, 1);
    assert_eq!(sends.settle(HERE, id(1)), Was::Refused);
    turn_away(&mut sends, 1);
}

#[test]
fn few_are_remembered_that_turned_out_stored() {
    let mut sends = Sends::default();
    for number in 0..=MOST_STORED {
        sends.refuse(HERE, id(number), 0).unwrap();
        sends.store(HERE, id(number));
    }
    sends.refuse(HERE, id(1), 0).unwrap();
    assert!(!sends.is_blocked(HERE));
    sends.refuse(HERE, id(0), 0).unwrap();
    assert!(sends.is_blocked(HERE));
    assert_eq!(sends.stored.len(), MOST_STORED);
}

#[test]
fn the_outcome_of_an_earlier_try_changes_nothing_of_what_was_turned_away() {
    let mut sends = Sends::default();
    for number in 1..=2 {
        pass(&mut sends, number);
    }
    sends.fail(HERE, id(1), 0);
    assert_eq!(sends.refuse(HERE, id(2), 0), Ok(Was::InFlight));
    assert_eq!(sends.fail(HERE, id(2), 9), Was::Refused);
    assert_eq!(sends.in_flight(), 0);
    pass(&mut sends, 1);
    assert!(sends.admits(HERE, id(3), GIVEN_UP_SECONDS));
}

#[test]
fn what_is_overdue_is_told_in_the_order_sent() {
    let mut sends = Sends::default();
    for (number, second) in [(1, 5), (2, 6), (3, 7)] {
        sends.begin(HERE, id(number), second).unwrap();
    }
    assert_eq!(sends.overdue(6), [(HERE, id(1)), (HERE, id(2))]);
    sends.fail(HERE, id(1), 0);
    assert_eq!(sends.overdue(9), [(HERE, id(2)), (HERE, id(3))]);
    sends.begin(HERE, id(1), 8).unwrap();
    // A repeat of what is in flight is no younger; what comes again is.
    sends.begin(HERE, id(1), 9).unwrap();
    assert_eq!(sends.overdue(7), [(HERE, id(2)), (HERE, id(3))]);
    assert_eq!(sends.overdue(8), [(HERE, id(1)), (HERE, id(2)), (HERE, id(3))]);
}

#[test]
fn what_one_connection_may_leave_open_is_bounded() {
    let mut sends = Sends::default();
    let room = |number: usize| RoomId::from_bytes((number as u128).to_be_bytes());
    for number in 0..MOST_IN_FLIGHT {
        sends.begin(ELSEWHERE, id(number), 0).unwrap();
    }
    assert_eq!(sends.begin(ELSEWHERE, id(MOST_IN_FLIGHT), 0), Err(Held::TooMany));
    for number in MOST_IN_FLIGHT..MOST_OPEN {
        // What `refuse` does, without its search of all others.
        let state = State::Refused { for_itself: true };
        sends.put(number, Sent { room: room(number), message_id: id(number), since_seconds: 0, state });
    }
    assert_eq!(sends.open.len(), MOST_OPEN);
    assert_eq!(sends.refuse(HERE, id(0), 0), Err(TooMany));
    sends.settle(ELSEWHERE, id(0));
    assert_eq!(sends.begin(room(MOST_IN_FLIGHT), id(MOST_IN_FLIGHT), 0).unwrap().after, None);
    assert_eq!(sends.begin(room(MOST_OPEN - 1), id(MOST_OPEN - 1), 0), Err(Held::TooMany));
    sends.settle(ELSEWHERE, id(1));
    assert_eq!(sends.begin(HERE, id(1), 0), Ok(Begun { after: None, repeat: false }));
    assert_eq!(sends.refuse(HERE, id(2), 0), Ok(Was::Nothing));
    assert_eq!(sends.refuse(HERE, id(3), 0), Err(TooMany));
}
