//! Messages on their way.

use klatch_domain::{Code, MessageId, Refusal, RoomId};

use super::super::outbox::{Outbox, Refusing};
use super::super::settings::{ANSWER_MOST_MS, ANSWER_MS, FAILED_MESSAGES, OUTBOX_MESSAGES};
use super::{ROOM, SESSION, draft, id, random};

const NOW: u64 = 100_000;
const OTHER_ROOM: RoomId = RoomId::from_bytes([6; 16]);

fn outbox(in_flight: u64, messages: &[(RoomId, u8)]) -> Outbox {
    let mut outbox = Outbox::default();
    outbox.connected(in_flight, 0);
    for (room, number) in messages {
        assert!(outbox.push(*room, id(*number), draft("hi"), None));
    }
    outbox
}

fn leave(outbox: &mut Outbox, now: u64) -> Vec<MessageId> {
    outbox.pump(now, Some(SESSION)).into_iter().map(|(_, send)| send.message_id).collect()
}

fn refuse(outbox: &mut Outbox, number: u8, code: Code, wait: Option<u64>) -> Refusing {
    let refusal = match wait {
        Some(wait) => Refusal::retryable(code, "later", wait),
        None => Refusal::new(code, "no"),
    };
    outbox.refused(ROOM, id(number), refusal, NOW, &mut random())
}

#[test]
fn messages_leave_once_in_the_order_said_up_to_what_may_be_in_flight() {
    let mut outbox = outbox(3, &[(ROOM, 1), (OTHER_ROOM, 2), (ROOM, 3), (OTHER_ROOM, 4)]);
    assert_eq!(leave(&mut outbox, NOW), [id(1), id(2), id(3)]);
    assert_eq!(leave(&mut outbox, NOW), []);
    assert!(outbox.acknowledge(ROOM, id(1), NOW).is_some());
    assert!(outbox.acknowledge(ROOM, id(1), NOW).is_none(), "once");
    assert_eq!(leave(&mut outbox, NOW), [id(4)]);
    assert_eq!(outbox.len(), 3);
}

#[test]
fn what_is_there_already_and_what_is_too_much_is_not_taken() {
    let mut outbox = outbox(1, &[(ROOM, 1)]);
    assert!(!outbox.push(ROOM, id(1), draft("again"), None));
    for _ in 1..OUTBOX_MESSAGES {
        assert!(outbox.push(ROOM, MessageId::now(), draft("x"), None));
    }
    assert!(!outbox.push(ROOM, MessageId::now(), draft("x"), None));
}

#[test]
fn a_broken_connection_sends_everything_again_oldest_first() {
    let mut outbox = outbox(8, &[(ROOM, 1), (ROOM, 2)]);
    leave(&mut outbox, NOW);
    outbox.push(ROOM, id(3), draft("hi"), None);
    outbox.disconnected();
    outbox.connected(8, 0);
    assert_eq!(leave(&mut outbox, NOW), [id(1), id(2), id(3)]);
}

#[test]
fn a_retryable_refusal_holds_the_room_from_that_message_on() {
    let mut outbox = outbox(8, &[(ROOM, 1), (ROOM, 2), (ROOM, 3), (OTHER_ROOM, 4)]);
    leave(&mut outbox, NOW);
    assert_eq!(refuse(&mut outbox, 2, Code::Busy, Some(700)), Refusing::Again);
    assert_eq!(refuse(&mut outbox, 3, Code::Busy, Some(200)), Refusing::Again);
    assert_eq!(leave(&mut outbox, NOW + 699), [], "the longer wait counts, and the first is still on its way");
    outbox.push(OTHER_ROOM, id(5), draft("hi"), None);
    assert_eq!(leave(&mut outbox, NOW + 699), [id(5)], "other rooms go on");
    assert_eq!(outbox.due().map(|due| due <= NOW + 700), Some(true));
    assert_eq!(leave(&mut outbox, NOW + 700), [id(2), id(3)]);
}

#[test]
fn a_rate_limit_holds_every_room() {
    let mut outbox = outbox(8, &[(ROOM, 1), (OTHER_ROOM, 2)]);
    leave(&mut outbox, NOW);
    assert_eq!(refuse(&mut outbox, 1, Code::RateLimited, Some(1_000)), Refusing::Again);
    outbox.push(OTHER_ROOM, id(3), draft("hi"), None);
    assert_eq!(leave(&mut outbox, NOW + 999), []);
    assert_eq!(leave(&mut outbox, NOW + 1_000), [id(1), id(3)]);
}

#[test]
fn a_final_refusal_parks_one_message_and_holds_nothing() {
    let mut outbox = outbox(8, &[(ROOM, 1), (ROOM, 2)]);
    leave(&mut outbox, NOW);
    assert_eq!(refuse(&mut outbox, 1, Code::ContentInvalid, None), Refusing::Parked);
    assert_eq!(refuse(&mut outbox, 1, Code::ContentInvalid, None), Refusing::Unknown);
    outbox.push(ROOM, id(3), draft("hi"), None);
    assert_eq!(leave(&mut outbox, NOW), [id(3)]);
    assert_eq!(outbox.parked().map(|failed| failed.item.message_id).collect::<Vec<_>>(), [id(1)]);
    // Said again it goes to the end, and alone.
    assert_eq!(outbox.retry(id(1)), Some(ROOM));
    assert_eq!(outbox.retry(id(1)), None);
    assert_eq!(leave(&mut outbox, NOW), [], "it waits until all before it are answered");
    outbox.acknowledge(ROOM, id(2), NOW);
    outbox.acknowledge(ROOM, id(3), NOW);
    outbox.push(ROOM, id(4), draft("hi"), None);
    assert_eq!(leave(&mut outbox, NOW), [id(1)], "and nothing follows before its answer");
    outbox.acknowledge(ROOM, id(1), NOW);
    assert_eq!(leave(&mut outbox, NOW), [id(4)]);
}

#[test]
fn parked_messages_are_bounded_and_a_late_acknowledgement_takes_one_out() {
    let mut outbox = outbox(8, &[]);
    for _ in 0..FAILED_MESSAGES + 1 {
        let message_id = MessageId::now();
        outbox.push(ROOM, message_id, draft("hi"), None);
        outbox.pump(NOW, None);
        outbox.refused(ROOM, message_id, Refusal::new(Code::NotAllowed, "no"), NOW, &mut random());
    }
    assert_eq!(outbox.parked().count(), FAILED_MESSAGES);
    let one = outbox.parked().next().unwrap().item.message_id;
    assert!(outbox.has(ROOM));
    assert_eq!(outbox.acknowledge(ROOM, one, NOW).map(|item| item.message_id), Some(one));
    assert_eq!(outbox.parked().count(), FAILED_MESSAGES - 1);
}

#[test]
fn silence_sends_again_after_waits_that_double() {
    let mut outbox = outbox(8, &[(ROOM, 1), (ROOM, 2)]);
    let mut now = NOW;
    leave(&mut outbox, now);
    for wait in [ANSWER_MS, 2 * ANSWER_MS, 4 * ANSWER_MS, 8 * ANSWER_MS, ANSWER_MOST_MS, ANSWER_MOST_MS] {
        outbox.check_silence(now + wait - 1);
        assert_eq!(leave(&mut outbox, now + wait - 1), []);
        assert_eq!(outbox.due(), Some(now + wait));
        now += wait;
        outbox.check_silence(now);
        assert_eq!(leave(&mut outbox, now), [id(1), id(2)]);
    }
    // A sign of life puts it off.
    outbox.stir(id(1), now + ANSWER_MOST_MS - 1);
    outbox.check_silence(now + ANSWER_MOST_MS);
    assert_eq!(leave(&mut outbox, now + ANSWER_MOST_MS), []);
}

#[test]
fn busy_holds_a_room_or_all() {
    let mut outbox = outbox(8, &[(ROOM, 1), (OTHER_ROOM, 2)]);
    outbox.hold(Some(ROOM), NOW + 500, NOW);
    assert_eq!(leave(&mut outbox, NOW), [id(2)]);
    outbox.hold(None, NOW + 1_000, NOW);
    assert_eq!(leave(&mut outbox, NOW + 999), []);
    assert_eq!(leave(&mut outbox, NOW + 1_000), [id(1)]);
}

#[test]
fn a_gateway_that_waits_for_what_will_not_come_is_left() {
    let mut outbox = outbox(8, &[(ROOM, 1), (ROOM, 2)]);
    leave(&mut outbox, NOW);
    refuse(&mut outbox, 1, Code::Busy, Some(10));
    assert!(outbox.discard(id(1), NOW));
    assert!(!outbox.discard(id(1), NOW));
    assert_eq!(leave(&mut outbox, NOW + 10), [id(2)]);
    assert_eq!(refuse(&mut outbox, 2, Code::Busy, Some(10)), Refusing::Stuck);
    // A new connection waits for nothing.
    outbox.disconnected();
    outbox.connected(8, 0);
    assert_eq!(leave(&mut outbox, NOW + 20), [id(2)]);
    assert_eq!(refuse(&mut outbox, 2, Code::Busy, Some(10)), Refusing::Again);
}

#[test]
fn the_first_session_that_sends_a_message_stays_its_sender() {
    let mut outbox = outbox(8, &[(ROOM, 1)]);
    leave(&mut outbox, NOW);
    outbox.disconnected();
    outbox.connected(8, 0);
    outbox.pump(NOW, Some(klatch_domain::SessionId::from_bytes([77; 16])));
    assert_eq!(outbox.acknowledge(ROOM, id(1), NOW).unwrap().session, Some(SESSION));
}
