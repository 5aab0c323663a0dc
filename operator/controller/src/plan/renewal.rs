//! The certificate between gateways and api, and how the next one follows it while no query is refused: its authority is believed
//! beside those so far, then it is used, then the others are forgotten. Between two of these steps everybody has time to read the Secret.
//! Each step is one write, and what is noted with it says when the next one is due: a process that ends anywhere goes on there, and
//! where nothing is due the Secret is not read. When a certificate ends stands in itself; a note only says when to look.

use std::time::Duration;

use klatch_domain::Timestamp;

/// Days that a certificate is good for.
pub const LIFE_DAYS: u16 = 90;
/// How long before its end the next one is made: so long an operator may be away and nobody notices.
pub const RENEW_BEFORE: Duration = Duration::from_secs(30 * DAY);
/// Until everybody knows what was written into the Secret: a kubelet looks about every minute, and may go by what it has kept for another
/// (<https://kubernetes.io/docs/concepts/configuration/secret/#mounted-secrets-are-updated-automatically>); api and gateways read
/// their files every minute. As long again is for busy nodes.
pub const KNOWN_AFTER: Duration = Duration::from_secs(300);
/// The longest until the Secret is looked at again: a note of a clock that was wrong counts no longer.
const LOOK_AFTER: Duration = Duration::from_secs(LIFE_DAYS as u64 * DAY);
/// Seconds.
const DAY: u64 = 24 * 3600;

/// Annotation of the Secret while a renewal is under way: from when on everybody knows what was written last.
pub const KNOWN_FROM: &str = "klatch.dev/known-from";
/// Annotation of the Secret: from when on the next certificate is made, unless a look at this one says otherwise.
pub const RENEW_FROM: &str = "klatch.dev/renew-from";

/// What is noted beside the certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Notes {
    /// See [`KNOWN_FROM`]. One that cannot be read lies too far ahead to be believed.
    pub known_from: Option<Timestamp>,
    /// See [`RENEW_FROM`].
    pub renew_from: Option<Timestamp>,
}

/// How long a certificate is good.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Validity {
    /// From when on.
    pub from: Timestamp,
    /// Until when.
    pub until: Timestamp,
}

/// What the Secret holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Held {
    /// The certificate in use. `None`: there is none that can be read.
    pub current: Option<Validity>,
    /// The one that waits.
    pub next: Option<Validity>,
    /// What is noted.
    pub notes: Notes,
}

/// What to write.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// A note alone, with when the Secret is to be looked at again.
    Note(Timestamp),
    /// A note alone: nobody can say since when what is there has been there, so everybody gets their time anew.
    Wait,
    /// A new authority, believed beside those so far, and its certificate, which waits.
    Prepare,
    /// The certificate that waits is used.
    Use,
    /// Only its authority is believed, and the Secret is looked at again then.
    Forget(Timestamp),
}

impl Notes {
    /// From annotations.
    #[must_use]
    pub fn read<'a>(annotation: impl Fn(&str) -> Option<&'a str>) -> Self {
        let never = Timestamp::from_millis(i64::MAX);
        Self {
            known_from: annotation(KNOWN_FROM).map(|text| text.parse().unwrap_or(never)),
            renew_from: annotation(RENEW_FROM).and_then(|text| text.parse().ok()),
        }
    }

    /// Whether there may be something to do. `asked`: somebody wants a certificate that nobody has used yet. While a renewal is under way
    /// that waits for its next step, which answers it or lets the next renewal begin.
    #[must_use]
    pub fn is_due(&self, asked: bool, now: Timestamp) -> bool {
        match (self.known_from, self.renew_from) {
            (Some(from), _) => !lies_ahead(from, KNOWN_AFTER, now),
            (None, Some(from)) => asked || !lies_ahead(from, LOOK_AFTER, now),
            (None, None) => true,
        }
    }

    /// How long until the next step of a renewal under way.
    #[must_use]
    pub fn wait(&self, now: Timestamp) -> Option<Duration> {
        let from = self.known_from.filter(|from| lies_ahead(*from, KNOWN_AFTER, now))?;
        u64::try_from(from.as_millis() - now.as_millis()).ok().map(Duration::from_millis)
    }
}

/// Whether a note is of a time to come, and of one that can have been meant.
fn lies_ahead(from: Timestamp, most: Duration, now: Timestamp) -> bool {
    now < from && from <= now.plus(most)
}

impl Validity {
    /// Whether it is good, and will be for a while: one of a clock that was wrong is not.
    fn serves(&self, now: Timestamp) -> bool {
        self.from <= now && now < self.until.minus(RENEW_BEFORE)
    }

    /// When to look at it again.
    #[must_use]
    pub fn renew_from(&self, now: Timestamp) -> Timestamp {
        self.until.minus(RENEW_BEFORE).min(now.plus(LOOK_AFTER))
    }
}

impl Held {
    /// What to write now. `asked`: as in [`Notes::is_due`].
    #[must_use]
    pub fn step(&self, asked: bool, now: Timestamp) -> Step {
        let under_way = self.next.is_some() || self.notes.known_from.is_some();
        let newest = self.next.or(self.current).filter(|newest| newest.serves(now));
        let Some(newest) = newest.filter(|_| under_way || !asked) else { return Step::Prepare };
        match self.notes.known_from {
            _ if !self.notes.is_due(asked, now) => Step::Rest,
            Some(from) if from <= now && self.next.is_some() => Step::Use,
            Some(from) if from <= now => Step::Forget(newest.renew_from(now)),
            _ if under_way => Step::Wait,
            _ => Step::Note(newest.renew_from(now)),
        }
    }
}

#[cfg(test)]
mod tests;
