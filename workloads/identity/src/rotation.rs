//! When a signing key is followed by the next, and when it may go.

use std::time::Duration;

use klatch_domain::Timestamp;

/// How long a key signs: should one leak unseen, it is worth a month at most.
pub const SIGNS_FOR: Duration = Duration::from_secs(30 * 24 * 3600);
/// How long verifiers may keep the key set they have read.
pub const JWKS_CACHED: Duration = Duration::from_secs(300);
/// How long before it signs a key is published: whoever asks at least daily never meets a token whose key they do not know.
pub const PUBLISHED_AHEAD: Duration = Duration::from_secs(24 * 3600);
/// The same for a key that somebody asked for: each api replica reads its folder every minute, the kubelet that fills it looks about as
/// often (<https://kubernetes.io/docs/concepts/configuration/secret/#mounted-secrets-are-updated-automatically>), and twice [`JWKS_CACHED`] is for verifiers.
pub const PUBLISHED_AHEAD_WHEN_ASKED: Duration = Duration::from_secs(15 * 60);
/// How long after its successor began to sign a key still verifies: tokens made with it live an hour at most, and another
/// hour is for processes that have not read the new key yet.
pub const KEPT_AFTER_ROTATION: Duration = Duration::from_secs(2 * 3600);
/// Between two looks whether a rotation is due: small beside all of the above.
pub const LOOK_EVERY: Duration = Duration::from_secs(600);

const _: () = assert!(PUBLISHED_AHEAD_WHEN_ASKED.as_secs() >= 2 * JWKS_CACHED.as_secs() + 2 * 120);
const _: () = assert!(PUBLISHED_AHEAD.as_secs() >= 2 * JWKS_CACHED.as_secs() + LOOK_EVERY.as_secs());

/// From when on the next key is to sign, when it is time to make it. `signs_from` of the keys there are is in order; a key
/// that signs only after the time ahead was made by a clock that was wrong, and waits.
pub(crate) fn next_signs_from(signs_from: &[Timestamp], now: Timestamp) -> Option<Timestamp> {
    let ahead = now.plus(PUBLISHED_AHEAD);
    match signs_from.iter().rfind(|from| **from <= ahead) {
        Some(newest) if ahead < newest.plus(SIGNS_FOR) => None,
        Some(_) => Some(ahead),
        None => Some(now),
    }
}

/// What whoever keeps keys elsewhere than in a folder has to do with them.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Due {
    /// From when on a key is to sign that has to be made.
    pub make: Option<Timestamp>,
    /// Keys whose tokens have all expired.
    pub forget: Vec<String>,
}

/// What is due, given each key's name and from when on it signs. `asked`: somebody wants a key that nobody has signed with yet.
#[must_use]
pub fn due(keys: &[(String, Timestamp)], asked: bool, now: Timestamp) -> Due {
    let mut keys: Vec<_> = keys.iter().map(|(name, from)| (*from, name.as_str())).collect();
    keys.sort_unstable();
    let times: Vec<_> = keys.iter().map(|(from, _)| *from).collect();
    let soon = now.plus(PUBLISHED_AHEAD_WHEN_ASKED);
    let waits = times.iter().any(|from| now < *from && *from <= soon);
    let make = if asked && !waits { Some(soon) } else { next_signs_from(&times, now) };
    let old = keys.windows(2).filter(|pair| pair[1].0.plus(KEPT_AFTER_ROTATION) <= now);
    Due { make, forget: old.map(|pair| pair[0].1.to_owned()).collect() }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: i64 = 3_600_000;
    const DAY: i64 = 24 * HOUR;

    fn at(millis: i64) -> Timestamp {
        Timestamp::from_millis(1_800_000_000_000 + millis)
    }

    #[test]
    fn a_key_is_made_a_day_before_its_predecessor_has_signed_a_month() {
        let one = [at(0)];
        assert_eq!(next_signs_from(&one, at(0)), None);
        assert_eq!(next_signs_from(&one, at(29 * DAY - 1)), None);
        assert_eq!(next_signs_from(&one, at(29 * DAY)), Some(at(30 * DAY)));
        let two = [at(0), at(30 * DAY)];
        assert_eq!(next_signs_from(&two, at(29 * DAY)), None, "it is made once");
        assert_eq!(next_signs_from(&two, at(59 * DAY - 1)), None);
        assert_eq!(next_signs_from(&two, at(59 * DAY)), Some(at(60 * DAY)));
    }

    #[test]
    fn after_a_long_stop_the_next_key_is_published_ahead_all_the_same() {
        assert_eq!(next_signs_from(&[at(0)], at(400 * DAY)), Some(at(401 * DAY)));
    }

    #[test]
    fn a_key_of_a_clock_that_was_wrong_stops_no_rotation() {
        let years = at(4_000 * DAY);
        assert_eq!(next_signs_from(&[years], at(0)), Some(at(0)));
        assert_eq!(next_signs_from(&[at(0), years], at(10 * DAY)), None);
        assert_eq!(next_signs_from(&[at(0), years], at(29 * DAY)), Some(at(30 * DAY)));
    }

    /// What is due of keys that sign from these times on, by their number.
    fn due_of(times: &[i64], asked: bool, now: i64) -> (Option<i64>, Vec<String>) {
        let keys = times.iter().enumerate().map(|(number, from)| (number.to_string(), at(*from)));
        let Due { make, forget } = due(&keys.collect::<Vec<_>>(), asked, at(now));
        (make.map(|from| from.as_millis() - at(0).as_millis()), forget)
    }

    #[test]
    fn a_key_that_is_asked_for_is_known_before_it_signs_and_is_made_once() {
        let soon = 15 * 60_000;
        assert_eq!(due_of(&[0], true, 5 * DAY), (Some(5 * DAY + soon), Vec::new()));
        assert_eq!(due_of(&[0, 5 * DAY + soon], true, 5 * DAY), (None, Vec::new()), "nobody has signed with it yet");
        assert_eq!(due_of(&[0, 6 * DAY], true, 5 * DAY), (Some(5 * DAY + soon), Vec::new()), "a day is too long");
        assert_eq!(due_of(&[0], false, 5 * DAY), (None, Vec::new()));
        assert_eq!(due_of(&[0], false, 29 * DAY), (Some(30 * DAY), Vec::new()));
    }

    #[test]
    fn a_key_goes_when_its_tokens_have_expired_and_the_last_one_never() {
        let successor = 5 * DAY;
        assert_eq!(due_of(&[successor, 0], false, successor + 2 * HOUR - 1).1, Vec::<String>::new());
        assert_eq!(due_of(&[successor, 0], false, successor + 2 * HOUR).1, ["1"]);
        assert_eq!(due_of(&[0], false, 400 * DAY).1, Vec::<String>::new());
    }
}
