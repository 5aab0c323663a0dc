//! Failed sign-ins: after some, sign-in waits.

use std::{num::NonZeroUsize, time::Duration};

use klatch_domain::{Timestamp, Username};
use lru::LruCache;
use parking_lot::Mutex;

use crate::address::ClientAddress;

/// How long failures count.
pub(crate) const WINDOW: Duration = Duration::from_secs(15 * 60);
/// A username may fail from many addresses, and an address for many usernames (an office, a carrier), this many times as
/// often as one username from one address. So guessing stays slow, and a stranger elsewhere does not lock anybody out
/// with a few tries.
pub(crate) const WIDER: u32 = 10;
/// Counts kept; the one untouched for longest is forgotten. Some 150 bytes each.
const COUNTED: NonZeroUsize = NonZeroUsize::new(100_000).unwrap();

#[derive(Clone, PartialEq, Eq, Hash)]
enum Key {
    Both(Username, ClientAddress),
    Username(Username),
    Address(ClientAddress),
}

#[derive(Clone, Copy)]
struct Count {
    since: Timestamp,
    failed: u32,
}

/// Counts failures per username and address.
pub(crate) struct SignInFailures {
    limit: u32,
    /// `None`: no limits.
    counts: Option<Mutex<LruCache<Key, Count>>>,
}

/// A sign-in under way. It counts as failed until it has succeeded, so that a thousand tries at once are a thousand.
pub(crate) struct Attempt<'a> {
    failures: &'a SignInFailures,
    keys: Vec<Key>,
}

impl SignInFailures {
    pub(crate) fn new(enabled: bool, limit: u32) -> Self {
        Self { limit: limit.max(1), counts: enabled.then(|| Mutex::new(LruCache::new(COUNTED))) }
    }

    /// Begins an attempt, or answers how many milliseconds to wait. A text that is no username counts for its address.
    pub(crate) fn begin(
        &self,
        username: Option<&Username>,
        address: ClientAddress,
        now: Timestamp,
    ) -> Result<Attempt<'_>, u64> {
        let mut keys = vec![Key::Address(address)];
        if let Some(username) = username {
            keys.push(Key::Both(username.clone(), address));
            keys.push(Key::Username(username.clone()));
        }
        let Some(counts) = &self.counts else { return Ok(Attempt { failures: self, keys }) };
        let mut counts = counts.lock();
        for key in &keys {
            let limit = if matches!(key, Key::Both(..)) { self.limit } else { self.limit.saturating_mul(WIDER) };
            if let Some(count) = counts.get(key).filter(|count| count.counts_at(now) && count.failed >= limit) {
                let wait = count.since.plus(WINDOW).as_millis() - now.as_millis();
                return Err(u64::try_from(wait).unwrap_or(0).max(1));
            }
        }
        for key in &keys {
            let count = counts.get_or_insert_mut(key.clone(), || Count { since: now, failed: 0 });
            if !count.counts_at(now) {
                *count = Count { since: now, failed: 0 };
            }
            count.failed += 1;
        }
        drop(counts);
        Ok(Attempt { failures: self, keys })
    }
}

impl Count {
    /// A clock that was set back ends a window too.
    fn counts_at(&self, now: Timestamp) -> bool {
        now >= self.since && now < self.since.plus(WINDOW)
    }
}

impl Attempt<'_> {
    /// It was not made after all.
    pub(crate) fn withdrawn(self) {
        let Some(counts) = &self.failures.counts else { return };
        let mut counts = counts.lock();
        for key in self.keys {
            if let Some(count) = counts.get_mut(&key) {
                count.failed = count.failed.saturating_sub(1);
            }
        }
    }

    /// It was the right password: this username from this address starts anew.
    pub(crate) fn succeeded(self) {
        let Some(counts) = &self.failures.counts else { return };
        let mut counts = counts.lock();
        for key in self.keys {
            if matches!(key, Key::Both(..)) {
                counts.pop(&key);
            } else if let Some(count) = counts.get_mut(&key) {
                count.failed = count.failed.saturating_sub(1);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn now() -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000)
    }

    fn address(last: u8) -> ClientAddress {
        ClientAddress([192, 0, 2, last].into())
    }

    fn name(text: &str) -> Username {
        Username::parse(text).unwrap()
    }

    #[test]
    fn after_the_limit_sign_in_waits_for_the_window() {
        let failures = SignInFailures::new(true, 3);
        let ada = name("ada");
        for _ in 0..3 {
            assert!(failures.begin(Some(&ada), address(1), now()).is_ok());
        }
        let later = now().plus(Duration::from_secs(60));
        assert_eq!(failures.begin(Some(&ada), address(1), later).err(), Some(14 * 60 * 1_000));
        // Others, and ada herself from elsewhere, are not concerned.
        assert!(failures.begin(Some(&name("bob")), address(1), later).is_ok());
        assert!(failures.begin(Some(&ada), address(2), later).is_ok());
        assert!(failures.begin(Some(&ada), address(1), now().plus(WINDOW)).is_ok());
    }

    #[test]
    fn success_clears_the_pair() {
        let failures = SignInFailures::new(true, 2);
        for _ in 0..10 {
            failures.begin(Some(&name("ada")), address(1), now()).unwrap_or_else(|_| panic!("waits")).succeeded();
        }
    }

    #[test]
    fn many_addresses_or_many_names_are_counted_too() {
        let failures = SignInFailures::new(true, 2);
        let taken = (0..100).take_while(|n| failures.begin(Some(&name("ada")), address(*n), now()).is_ok()).count();
        assert_eq!(taken, 20);
        let failures = SignInFailures::new(true, 2);
        let name = |n| name(&format!("user{n}"));
        let taken = (0..100).take_while(|n| failures.begin(Some(&name(*n)), address(1), now()).is_ok()).count();
        assert_eq!(taken, 20);
        let failures = SignInFailures::new(false, 2);
        assert!((0..100).all(|_| failures.begin(None, address(1), now()).is_ok()));
    }
}
