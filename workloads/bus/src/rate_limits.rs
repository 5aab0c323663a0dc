//! Rate limits that hold over all processes. Each process also has its own, which come first and need no answer.

use std::{fmt, net::IpAddr, time::Duration};

use async_trait::async_trait;
use klatch_domain::{UserId, Username};

/// Whoever should know the limits does not answer: the process's own decide alone.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("rate limits are unknown: {0}")]
pub struct RatesUnknown(pub String);

/// What is limited.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Limited {
    /// Sends of a user.
    Sends(UserId),
    /// Calls without a valid token from an address.
    Unauthenticated(IpAddr),
    /// Failed sign-ins: of a username from an address, or of one of the two.
    SignIn(Option<Username>, Option<IpAddr>),
}

/// A steady pace and a burst: the generic cell rate algorithm (ITU-T I.371).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// Microseconds that one unit takes.
    unit: u64,
    /// Microseconds that may be used ahead.
    burst: u64,
}

/// Some units of something limited.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Take {
    /// Of what.
    pub limited: Limited,
    /// How fast it may go.
    pub rate: Rate,
    /// How many; more than a burst counts as one.
    pub units: u32,
}

/// What is done with units.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Act {
    Take,
    Charge,
    GiveBack,
}

impl Rate {
    /// `units` in `period`, and `burst` at once. Zero counts as one.
    #[must_use]
    pub fn new(units: u32, period: Duration, burst: u32) -> Self {
        let period = u64::try_from(period.as_micros()).unwrap_or(u64::MAX);
        let unit = (period / u64::from(units.max(1))).max(1);
        Self { unit, burst: unit.saturating_mul(u64::from(burst.max(1))) }
    }

    pub(crate) const fn burst(self) -> u64 {
        self.burst
    }

    pub(crate) fn cost(self, units: u32) -> u64 {
        self.unit.saturating_mul(u64::from(units)).min(self.burst)
    }

    /// Until when everything is paid for after this, given until when it was, and how long to wait. Microseconds. The Redis
    /// twin's script does the same.
    pub(crate) fn apply(self, act: Act, units: u32, paid: u64, now: u64) -> (u64, u64) {
        let paid = paid.clamp(now, now + self.burst);
        let (cost, most) = (self.cost(units), now + self.burst);
        let due = paid + cost;
        match act {
            Act::GiveBack => (paid.saturating_sub(cost).max(now), 0),
            Act::Take if due > most => (paid, due - most),
            Act::Take | Act::Charge => (due.min(most), due.saturating_sub(most)),
        }
    }
}

/// As it stands in a key.
impl fmt::Display for Limited {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sends(user) => write!(formatter, "sends:{user}"),
            Self::Unauthenticated(address) => write!(formatter, "address:{address}"),
            Self::SignIn(username, address) => {
                formatter.write_str("sign-in:")?;
                username.iter().try_for_each(|username| formatter.write_str(username.as_str()))?;
                address.iter().try_for_each(|address| write!(formatter, "@{address}"))
            }
        }
    }
}

/// Counts over all processes. Answers are in the order asked; zero: go on.
#[async_trait]
pub trait RateLimits: Send + Sync + 'static {
    /// Takes units, or answers how long to wait for them: whoever is refused has used nothing.
    ///
    /// # Errors
    /// [`RatesUnknown`].
    async fn take(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown>;

    /// Counts what has happened already, and answers how long to wait before more.
    ///
    /// # Errors
    /// [`RatesUnknown`].
    async fn charge(&self, takes: &[Take]) -> Result<Vec<Duration>, RatesUnknown>;

    /// Takes units back that should not count.
    ///
    /// # Errors
    /// [`RatesUnknown`].
    async fn give_back(&self, takes: &[Take]) -> Result<(), RatesUnknown>;
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: u64 = 1_800_000_000_000_000;

    #[test]
    fn a_burst_then_the_pace_and_a_refusal_costs_nothing() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let mut paid = 0;
        for _ in 0..3 {
            let (due, wait) = rate.apply(Act::Take, 1, paid, NOW);
            assert_eq!(wait, 0);
            paid = due;
        }
        assert_eq!(rate.apply(Act::Take, 1, paid, NOW), (paid, 100_000));
        assert_eq!(rate.apply(Act::Take, 1, paid, NOW + 100_000).1, 0);
        assert_eq!(rate.apply(Act::GiveBack, 1, paid, NOW), (paid - 100_000, 0));
        assert_eq!(rate.apply(Act::GiveBack, 9, paid, NOW), (NOW, 0));
    }

    #[test]
    fn what_has_happened_counts_but_never_more_than_a_burst() {
        let rate = Rate::new(10, Duration::from_secs(1), 3);
        let (paid, wait) = rate.apply(Act::Charge, 2, NOW, NOW);
        assert_eq!((paid, wait), (NOW + 200_000, 0));
        assert_eq!(rate.apply(Act::Charge, 100, paid, NOW), (NOW + 300_000, 200_000));
        // A clock that was set back makes nobody wait for longer than the burst.
        assert_eq!(rate.apply(Act::Take, 1, NOW + 9_000_000, NOW), (NOW + 300_000, 100_000));
    }

    #[test]
    fn keys_say_what_is_limited() {
        let name = Username::parse("ada").unwrap();
        let address: IpAddr = [192, 0, 2, 1].into();
        let key = |limited: Limited| limited.to_string();
        assert_eq!(key(Limited::Unauthenticated(address)), "address:192.0.2.1");
        assert_eq!(key(Limited::SignIn(Some(name.clone()), Some(address))), "sign-in:ada@192.0.2.1");
        assert_eq!(key(Limited::SignIn(Some(name), None)), "sign-in:ada");
        assert_eq!(key(Limited::SignIn(None, Some(address))), "sign-in:@192.0.2.1");
    }
}
