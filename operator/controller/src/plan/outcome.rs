//! How a pass ended, and when the next one begins.

use std::time::Duration;

use crate::failure::{Cause, Failure};

/// All is as it should be: watches say when it is not; this is for what they miss.
pub const SETTLED_EVERY: Duration = Duration::from_secs(600);
/// Something was written: look at what came of it.
const AFTER_PROGRESS: Duration = Duration::from_millis(200);
/// Something is awaited: watches say when it has come; this is for what they cannot see, such as a broker.
const WAITING_EVERY: Duration = Duration::from_secs(10);
/// All is as it should be as far as anybody knows: a broker did not answer.
pub const UNKNOWN_EVERY: Duration = Duration::from_secs(30);
/// The user must do something, which watches see, but for what is outside of the cluster.
const BLOCKED_EVERY: Duration = Duration::from_secs(300);
/// The first repetition.
const RETRY_FIRST: Duration = Duration::from_secs(1);
/// The longest time between repetitions.
const RETRY_MOST: Duration = Duration::from_secs(300);
/// Failures in a row before people are told: most pass at once.
pub const SHOWN_AFTER: u32 = 3;

/// How a pass ended.
#[derive(Debug, Clone)]
pub enum Outcome {
    /// All is as it should be.
    Settled,
    /// Something was written.
    Progress {
        /// For people.
        message: String,
    },
    /// Something is awaited.
    Waiting {
        /// Reason of the condition.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// The user must do something.
    Blocked {
        /// Reason of the condition.
        reason: &'static str,
        /// For people.
        message: String,
    },
    /// A step failed.
    Failed(Failure),
}

impl Outcome {
    /// For metrics and logs.
    #[must_use]
    pub const fn name(&self) -> &'static str {
        match self {
            Self::Settled => "settled",
            Self::Progress { .. } => "progress",
            Self::Waiting { .. } => "waiting",
            Self::Blocked { .. } => "blocked",
            Self::Failed(Failure { cause: Cause::Passing, .. }) => "retry",
            Self::Failed(_) => "rejected",
        }
    }

    /// Until the next pass, after this many failures in a row.
    #[must_use]
    pub fn next(&self, failures: u32) -> Duration {
        match self {
            Self::Settled => SETTLED_EVERY,
            Self::Progress { .. } => AFTER_PROGRESS,
            Self::Waiting { .. } => WAITING_EVERY,
            Self::Blocked { .. } => BLOCKED_EVERY,
            Self::Failed(Failure { cause: Cause::Passing, .. }) => backoff(failures),
            Self::Failed(_) => backoff(failures.saturating_add(4)),
        }
    }
}

/// One second, doubling up to five minutes.
#[must_use]
pub fn backoff(failures: u32) -> Duration {
    let doublings = failures.saturating_sub(1).min(16);
    RETRY_FIRST.saturating_mul(1 << doublings).min(RETRY_MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn repetitions_come_ever_more_slowly_up_to_a_bound() {
        let seconds: Vec<_> = (1..12).map(|failures| backoff(failures).as_secs()).collect();
        assert_eq!(seconds, [1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]);
        assert_eq!(backoff(u32::MAX), RETRY_MOST);
    }
}
