//! Whose turn it is, by what was seen of the lease. Times written in it are another machine's and count for nothing: a lease runs
//! out when it has not changed for its length on our own clock.

use std::time::Duration;

use k8s_openapi::api::coordination::v1::LeaseSpec;
use tokio::time::Instant;

/// What was seen of a lease.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Seen {
    /// Its version.
    pub(super) version: String,
    /// When that was first seen.
    pub(super) at: Instant,
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Turn {
    /// Ours, or nobody's.
    Ours,
    /// Somebody else's.
    Theirs,
}

pub(super) fn turn(
    before: Option<&Seen>,
    spec: &LeaseSpec,
    version: Option<&str>,
    identity: &str,
    now: Instant,
) -> (Turn, Seen) {
    let version = version.unwrap_or_default();
    let at = before.filter(|seen| seen.version == version).map_or(now, |seen| seen.at);
    let seen = Seen { version: version.to_owned(), at };
    let length = u64::try_from(spec.lease_duration_seconds.unwrap_or(0)).unwrap_or(0);
    let holder = spec.holder_identity.as_deref().unwrap_or_default();
    let free = holder.is_empty() || holder == identity || now.duration_since(at) >= Duration::from_secs(length);
    (if free { Turn::Ours } else { Turn::Theirs }, seen)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_lease_runs_out_when_it_has_not_changed_for_its_length() {
        let spec = LeaseSpec {
            holder_identity: Some("other".to_owned()),
            lease_duration_seconds: Some(15),
            ..LeaseSpec::default()
        };
        let look = |before: Option<&Seen>, version| turn(before, &spec, Some(version), "me", Instant::now());
        let (whose, seen) = look(None, "1");
        assert_eq!(whose, Turn::Theirs, "whatever time it says");
        tokio::time::advance(Duration::from_secs(14)).await;
        let (whose, seen) = look(Some(&seen), "1");
        assert_eq!(whose, Turn::Theirs);
        tokio::time::advance(Duration::from_secs(1)).await;
        assert_eq!(look(Some(&seen), "1").0, Turn::Ours);
        assert_eq!(look(Some(&seen), "2").0, Turn::Theirs, "it was renewed");
        let mine = LeaseSpec { holder_identity: Some("me".to_owned()), ..spec.clone() };
        assert_eq!(turn(None, &mine, Some("3"), "me", Instant::now()).0, Turn::Ours);
    }
}
