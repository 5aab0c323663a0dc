//! What every twin of the bus must do, rule by rule. A twin opens a fresh [`Subject`] for each, with the bounds given
//! here, and runs all of them by [`bus_conformance!`](crate::bus_conformance).

#![allow(clippy::expect_used, clippy::panic, reason = "rules are tests that stand in a library")]

pub mod commands;
pub mod events;
pub mod notifications;
pub mod presence;
pub mod rate_limits;
pub mod recent;
pub mod signals;
pub mod watermarks;

use std::{future::Future, pin::pin, task::Poll, time::Duration};

use futures_util::{future::BoxFuture, poll};
use klatch_bus::Bus;
use klatch_domain::{
    Action, Command, Content, Draft, Event, Incarnation, Kind, MessageId, RoomId, Sender, SessionId, UserId,
};

/// Ingest queues of a subject.
pub const QUEUES: u16 = 2;
/// What each queue of a subject holds at most: commands, events, signals, moves.
pub const AT_MOST: usize = 64;
/// Unacknowledged deliveries of a subject's consumer.
pub const PREFETCH: usize = 4;

/// No rule waits for time to pass; this only ends a test whose subject never answers.
const NEVER: Duration = Duration::from_secs(60);

/// A bus on which nobody else is.
pub struct Subject {
    /// The bus, with the bounds of this module.
    pub bus: Bus,
    /// Lets time pass for leases.
    pub pass: Box<dyn Fn(Duration) -> BoxFuture<'static, ()> + Send + Sync>,
    /// Waits until so many events in all, over all subscribers, have come to their queues and were kept or dropped there.
    pub arrived: Box<dyn Fn(u64) -> BoxFuture<'static, ()> + Send + Sync>,
}

/// Makes one test of every rule, or of those of some nouns (`bus_conformance!(open; presence, signals)`); `$open`, an async
/// function of the module it stands in, makes a [`Subject`](crate::conformance_bus::Subject).
#[macro_export]
macro_rules! bus_conformance {
    ($open:ident) => {
        $crate::bus_conformance! { $open; commands, events, signals, watermarks, notifications, presence, rate_limits, recent }
    };
    ($open:ident; $($noun:ident),+) => {
        $( $crate::bus_conformance! { @$noun $open } )+
    };
    (@commands $open:ident) => {
        $crate::bus_conformance! { $open, commands:
            a_delivery_carries_what_one_publish_carried,
            a_queue_carries_only_its_own_commands,
            a_full_queue_takes_all_of_a_batch_or_nothing,
            an_empty_batch_delivers_nothing,
            a_queue_that_does_not_exist_takes_nothing,
            every_publisher_keeps_its_order,
            a_waiting_consumer_hears_of_a_publish,
            a_cancelled_receive_loses_nothing,
            what_is_acknowledged_never_comes_again,
            what_a_dropped_consumer_held_comes_back_in_front_in_order,
            every_return_counts_as_a_redelivery,
            a_consumer_holds_at_most_its_prefetch,
            a_standby_waits_until_the_active_consumer_is_dropped,
            standbys_take_over_in_turn,
            a_dropped_standby_takes_nothing_along,
            consumers_get_what_waits_and_then_the_end,
            whoever_waits_hears_of_the_end,
        }
    };
    (@events $open:ident) => {
        $crate::bus_conformance! { $open, events:
            one_reaches_exactly_that_process,
            everyone_reaches_every_subscriber,
            a_lane_reaches_those_who_asked_for_lanes,
            a_target_nobody_has_harms_nobody,
            every_publisher_keeps_its_order,
            a_loss_is_one_gap_in_its_place,
            every_run_of_losses_is_a_gap,
            a_full_subscriber_costs_no_other_anything,
            a_waiting_receiver_hears_of_a_publish,
            a_cancelled_receive_loses_nothing,
            dropping_the_receiver_unsubscribes,
            receivers_get_what_waits_and_then_the_end,
            whoever_waits_hears_of_the_end,
        }
    };
    (@signals $open:ident) => {
        $crate::bus_conformance! { $open, signals:
            a_signal_reaches_every_other_gateway_in_order,
            a_full_queue_drops_and_goes_on,
            a_waiting_receiver_hears_of_a_publish,
            a_cancelled_receive_loses_nothing,
            dropping_the_receiver_unsubscribes,
            receivers_get_what_waits_and_then_the_end,
            whoever_waits_hears_of_the_end,
        }
    };
    (@watermarks $open:ident) => {
        $crate::bus_conformance! { $open, watermarks:
            the_greatest_of_every_report_arrives,
            members_and_sessions_are_kept_apart,
            a_move_goes_to_one_of_the_consumers,
            a_full_queue_drops_and_goes_on,
            a_waiting_consumer_hears_of_a_publish,
            a_cancelled_receive_loses_nothing,
            consumers_get_what_waits_and_then_the_end,
            whoever_waits_hears_of_the_end,
        }
    };
    (@presence $open:ident) => {
        $crate::bus_conformance! { $open, presence:
            a_lease_is_held_until_it_runs_out,
            a_lease_that_ran_out_takes_its_entries_along,
            one_lease_running_out_leaves_the_others,
            leaving_gives_up_every_entry,
            without_a_lease_nothing_is_set,
            the_first_gateway_brings_a_user_online_and_the_last_takes_them_offline,
            setting_again_changes_nothing,
            named_twice_the_last_word_counts,
            gateways_are_answered_once_each,
            statuses_are_answered_in_the_order_asked,
            who_holds_a_large_room_is_answered,
            a_room_nobody_holds_is_everyones,
            a_gateway_that_does_not_keep_its_rooms_is_answered_for_any,
            a_lease_that_ran_out_takes_its_rooms_along,
            without_a_lease_no_room_is_held,
            rooms_and_users_are_asked_for_together,
            gateways_hear_of_each_others_load,
        }
    };
    (@recent $open:ident) => {
        $crate::bus_conformance! { $open, recent:
            what_was_kept_is_read_as_it_was,
            a_newer_head_or_a_longer_run_takes_the_place,
            what_was_forgotten_is_not_read_and_not_taken_again,
            rooms_are_answered_in_the_order_asked,
        }
    };
    (@rate_limits $open:ident) => {
        $crate::bus_conformance! { $open, rate_limits:
            a_burst_passes_then_the_pace_holds,
            a_refusal_takes_nothing,
            what_has_happened_counts_in_any_case,
            what_is_given_back_does_not_count,
            everything_limited_is_counted_apart,
            nothing_asked_is_nothing_answered,
        }
    };
    (@notifications $open:ident) => {
        $crate::bus_conformance! { $open, notifications:
            a_delivery_carries_what_one_publish_carried,
            an_empty_batch_delivers_nothing,
            a_delivery_goes_to_one_of_the_consumers,
            what_is_acknowledged_never_comes_again,
            what_a_dropped_consumer_held_comes_to_another,
            a_consumer_holds_at_most_its_prefetch,
            a_full_queue_skips_and_goes_on,
            a_waiting_consumer_hears_of_a_publish,
            a_cancelled_receive_loses_nothing,
            consumers_get_what_waits_and_then_the_end,
            whoever_waits_hears_of_the_end,
        }
    };
    ($open:ident, $noun:ident: $($rule:ident,)*) => {
        mod $noun {
            $(
                #[tokio::test]
                async fn $rule() {
                    $crate::conformance_bus::$noun::$rule(super::$open().await).await;
                }
            )*
        }
    };
}

/// The answer of something that must come.
async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    match tokio::time::timeout(NEVER, answer).await {
        Ok(answer) => answer,
        Err(_) => panic!("{what} never came"),
    }
}

/// Asks once, then gives up: cancels a call that has nothing to answer.
async fn assert_waits<T>(what: &str, answer: impl Future<Output = T>) {
    let mut answer = pin!(answer);
    assert!(matches!(poll!(answer.as_mut()), Poll::Pending), "{what}");
}

fn bytes(number: u64) -> [u8; 16] {
    u128::from(number).to_be_bytes()
}

fn number(bytes: &[u8; 16]) -> u64 {
    u64::try_from(u128::from_be_bytes(*bytes)).expect("made by `bytes`")
}

fn gateway(which: u64) -> Incarnation {
    Incarnation::from_bytes(bytes(which))
}

fn user(which: u64) -> UserId {
    UserId::from_bytes(bytes(which))
}

fn room(which: u64) -> RoomId {
    RoomId::from_bytes(bytes(which))
}

/// A command with a number in it.
#[must_use]
pub fn command(which: u64) -> Command {
    Command {
        room: room(1),
        message_id: MessageId::from_bytes(bytes(which)),
        sender: Sender { user: user(1), session: SessionId::from_bytes(bytes(1)) },
        action: Action::Append(Draft::new(Kind::Text, Content::text("hello").expect("small"))),
        reply: None,
        after: None,
        accepted_micros: which,
        trace: None,
    }
}

/// Commands with these numbers in them.
pub fn batch(which: impl IntoIterator<Item = u64>) -> Vec<Command> {
    which.into_iter().map(command).collect()
}

/// The numbers in these commands.
#[must_use]
pub fn numbers(commands: &[Command]) -> Vec<u64> {
    commands.iter().map(|command| number(command.message_id.as_bytes())).collect()
}

/// An event with a number in it.
#[must_use]
pub fn event(which: u64) -> Event {
    Event::RoomDeleted { room: room(which) }
}

/// The number in such an event.
#[must_use]
pub fn event_number(event: &Event) -> u64 {
    match event {
        Event::RoomDeleted { room } => number(room.as_bytes()),
        other => panic!("nobody sent {other:?}"),
    }
}
