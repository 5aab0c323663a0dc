//! Rules of [`RateLimits`](klatch_bus::RateLimits).
//!
//! Units take minutes here: what answering takes does not matter.

use std::time::Duration;

use klatch_bus::{Limited, Rate, RateLimits, Take};

use super::{Subject, user};

/// Of one unit.
const UNIT: Duration = Duration::from_secs(600);
const BURST: u32 = 3;
/// Well above what answering takes.
const A_MOMENT: Duration = Duration::from_secs(60);

fn of(which: u64, units: u32) -> Take {
    Take { limited: Limited::Sends(user(which)), rate: Rate::new(1, UNIT, BURST), units }
}

async fn take(limits: &dyn RateLimits, which: u64, units: u32) -> Duration {
    limits.take(&[of(which, units)]).await.expect("limits are known")[0]
}

async fn charge(limits: &dyn RateLimits, which: u64, units: u32) -> Duration {
    limits.charge(&[of(which, units)]).await.expect("limits are known")[0]
}

fn assert_about(wait: Duration, expected: Duration) {
    assert!(wait <= expected && wait + A_MOMENT > expected, "{wait:?} is not about {expected:?}");
}

/// And a whole burst again after a rest.
pub async fn a_burst_passes_then_the_pace_holds(subject: Subject) {
    let limits = subject.bus.rate_limits;
    for _ in 0..BURST {
        assert_eq!(take(&*limits, 1, 1).await, Duration::ZERO);
    }
    assert_about(take(&*limits, 1, 1).await, UNIT);
    (subject.pass)(UNIT).await;
    assert_eq!(take(&*limits, 1, 1).await, Duration::ZERO);
    assert_about(take(&*limits, 1, 1).await, UNIT);
    (subject.pass)(UNIT * (BURST + 1)).await;
    assert_eq!(take(&*limits, 1, BURST).await, Duration::ZERO);
}

/// However often it is asked.
pub async fn a_refusal_takes_nothing(subject: Subject) {
    let limits = subject.bus.rate_limits;
    take(&*limits, 1, 2).await;
    for _ in 0..5 {
        assert_about(take(&*limits, 1, 2).await, UNIT);
    }
    assert_eq!(take(&*limits, 1, 1).await, Duration::ZERO);
}

/// But nobody pays for more than a burst.
pub async fn what_has_happened_counts_in_any_case(subject: Subject) {
    let limits = subject.bus.rate_limits;
    assert_eq!(charge(&*limits, 1, 2).await, Duration::ZERO);
    assert_about(charge(&*limits, 1, 3).await, UNIT * 2);
    assert_about(take(&*limits, 1, 1).await, UNIT);
    (subject.pass)(UNIT).await;
    assert_eq!(take(&*limits, 1, 1).await, Duration::ZERO);
}

/// And nothing is gained by giving back more than was taken.
pub async fn what_is_given_back_does_not_count(subject: Subject) {
    let limits = subject.bus.rate_limits;
    take(&*limits, 1, BURST).await;
    limits.give_back(&[of(1, 1)]).await.expect("limits are known");
    assert_eq!(take(&*limits, 1, 1).await, Duration::ZERO);
    assert_about(take(&*limits, 1, 1).await, UNIT);
    for _ in 0..5 {
        limits.give_back(&[of(1, BURST)]).await.expect("limits are known");
    }
    assert_eq!(take(&*limits, 1, BURST).await, Duration::ZERO);
    assert_about(take(&*limits, 1, 1).await, UNIT);
}

/// Answers stand in the order asked.
pub async fn everything_limited_is_counted_apart(subject: Subject) {
    let limits = subject.bus.rate_limits;
    let address = Take { limited: Limited::Unauthenticated([192, 0, 2, 1].into()), ..of(1, BURST) };
    take(&*limits, 1, BURST).await;
    let waits = limits.take(&[address.clone(), of(1, 1), of(2, 1), address]).await.expect("limits are known");
    assert_eq!((waits[0], waits[2]), (Duration::ZERO, Duration::ZERO));
    assert_about(waits[1], UNIT);
    assert_about(waits[3], UNIT * BURST);
}

/// Without asking anybody.
pub async fn nothing_asked_is_nothing_answered(subject: Subject) {
    assert_eq!(subject.bus.rate_limits.take(&[]).await, Ok(vec![]));
}
