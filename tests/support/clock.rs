//! The time of day.

use klatch_domain::Timestamp;
use klatch_service_kit::Clock;

/// Now, by the machine's clock.
#[must_use]
pub fn now() -> Timestamp {
    Timestamp::from_millis(Clock::system().millis())
}
