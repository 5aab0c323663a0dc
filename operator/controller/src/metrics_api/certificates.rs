//! The certificate that the apiserver knows us by, and how it changes. Each is signed by an authority of its own, which is forgotten
//! at once. A new one is shown to apiservers for a day before it is used, and the one before it stays known: a replica that is late
//! is believed all the same.

use std::collections::BTreeMap;

use jiff::{SignedDuration, Timestamp};
use k8s_openapi::ByteString;

use crate::make::{self, MakeError};

/// How long a certificate is good for, days.
const LIFE_DAYS: i64 = 90;
/// When the next one is made, days after this one: an operator may be away for the rest.
const RENEW_DAYS: i64 = 60;
/// How long the next one is only shown, days.
const SHOWN_DAYS: i64 = 1;

/// A certificate with all that belongs to it, in PEM.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificate {
    /// When it was made.
    pub made: Timestamp,
    /// Who signed it.
    pub authority: String,
    /// Itself.
    pub certificate: String,
    /// Its key.
    pub key: String,
}

/// What the Secret holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Certificates {
    /// The authority of the one before.
    pub previous: Option<String>,
    /// The one in use.
    pub current: Certificate,
    /// The one to come.
    pub next: Option<Certificate>,
}

/// What to do about them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Nothing.
    Rest,
    /// Make one for use at once.
    Make,
    /// Make the next one.
    Prepare,
    /// Use the next one.
    Promote,
}

/// What to do about them now.
#[must_use]
pub fn step(held: Option<&Certificates>, now: Timestamp) -> Step {
    let Some(held) = held else { return Step::Make };
    let age = |one: &Certificate| now.duration_since(one.made);
    let days = |days: i64| SignedDuration::from_hours(days * 24);
    let over = age(&held.current) >= days(LIFE_DAYS - 1);
    match &held.next {
        Some(next) if over || age(next) >= days(SHOWN_DAYS) => Step::Promote,
        None if over => Step::Make,
        None if age(&held.current) >= days(RENEW_DAYS) => Step::Prepare,
        _ => Step::Rest,
    }
}

/// The certificates after a step; `None` when it changes nothing.
///
/// # Errors
/// [`MakeError`].
pub fn change(
    held: Option<Certificates>,
    step: Step,
    host: &str,
    now: Timestamp,
) -> Result<Option<Certificates>, MakeError> {
    Ok(match (step, held) {
        (Step::Rest, _) | (Step::Prepare | Step::Promote, None) => None,
        (Step::Make, held) => {
            let previous = held.map(|held| held.current.authority);
            Some(Certificates { previous, current: new(host, now)?, next: None })
        }
        (Step::Prepare, Some(held)) => Some(Certificates { next: Some(new(host, now)?), ..held }),
        (Step::Promote, Some(held)) => {
            held.next.map(|next| Certificates { previous: Some(held.current.authority), current: next, next: None })
        }
    })
}

fn new(host: &str, now: Timestamp) -> Result<Certificate, MakeError> {
    let made = make::certificate(&[host.to_owned()], jiff::Span::new().days(LIFE_DAYS))?;
    Ok(Certificate { made: now, authority: made.authority, certificate: made.certificate, key: made.key })
}

impl Certificates {
    /// Everything apiservers are to believe.
    #[must_use]
    pub fn bundle(&self) -> String {
        let next = self.next.as_ref().map(|next| next.authority.as_str());
        [self.previous.as_deref(), Some(self.current.authority.as_str()), next].into_iter().flatten().collect()
    }

    /// From a Secret's data. `None`: it holds something else.
    #[must_use]
    pub fn read(data: &BTreeMap<String, ByteString>) -> Option<Self> {
        let text = |key: &str| String::from_utf8(data.get(key)?.0.clone()).ok();
        let one = |prefix: &str| {
            Some(Certificate {
                made: text(&format!("{prefix}made"))?.parse().ok()?,
                authority: text(&format!("{prefix}ca.crt"))?,
                certificate: text(&format!("{prefix}tls.crt"))?,
                key: text(&format!("{prefix}tls.key"))?,
            })
        };
        Some(Self { previous: text("previous-ca.crt"), current: one("")?, next: one("next-") })
    }

    /// As a Secret's data.
    #[must_use]
    pub fn write(&self) -> BTreeMap<String, ByteString> {
        let mut data = BTreeMap::new();
        let mut add = |key: String, text: &str| {
            data.insert(key, ByteString(text.as_bytes().to_vec()));
        };
        if let Some(previous) = &self.previous {
            add("previous-ca.crt".to_owned(), previous);
        }
        for (prefix, one) in [("", Some(&self.current)), ("next-", self.next.as_ref())] {
            let Some(one) = one else { continue };
            add(format!("{prefix}made"), &one.made.to_string());
            add(format!("{prefix}ca.crt"), &one.authority);
            add(format!("{prefix}tls.crt"), &one.certificate);
            add(format!("{prefix}tls.key"), &one.key);
        }
        data
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(number: i64) -> Timestamp {
        "2026-01-01T00:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(number * 24)
    }

    fn after(held: Option<Certificates>, number: i64) -> (Step, Certificates) {
        let step = step(held.as_ref(), day(number));
        let changed = change(held.clone(), step, "klatch-operator.klatch.svc", day(number)).unwrap();
        (step, changed.or(held).unwrap())
    }

    #[test]
    fn the_next_one_is_shown_for_a_day_and_the_last_one_stays_known() {
        let (made, first) = after(None, 0);
        assert_eq!((made, first.previous.is_none(), first.next.is_none()), (Step::Make, true, true));
        assert_eq!(after(Some(first.clone()), 59).0, Step::Rest);
        let (prepared, both) = after(Some(first.clone()), 60);
        assert_eq!((prepared, &both.current), (Step::Prepare, &first.current), "it is not used yet");
        let next = both.next.clone().unwrap();
        assert!(both.bundle().contains(&next.authority) && both.bundle().contains(&first.current.authority));
        assert_eq!(after(Some(both.clone()), 60).0, Step::Rest, "apiservers hear of it first");
        let (promoted, second) = after(Some(both), 61);
        assert_eq!((promoted, &second.current), (Step::Promote, &next));
        assert!(second.bundle().contains(&first.current.authority), "who is late is believed");
        assert_eq!(after(Some(second), 61).0, Step::Rest);
    }

    #[test]
    fn an_operator_that_was_away_makes_one_at_once() {
        let (_, first) = after(None, 0);
        let (made, second) = after(Some(first.clone()), 200);
        assert_eq!(made, Step::Make);
        assert_ne!(second.current, first.current);
        let (_, both) = after(Some(first), 60);
        assert_eq!(after(Some(both), 89).0, Step::Promote);
    }

    #[test]
    fn a_secret_holds_all_of_it() {
        let (_, first) = after(None, 0);
        let (_, both) = after(Some(first), 60);
        let (_, second) = after(Some(both.clone()), 61);
        for one in [both, second] {
            assert_eq!(Certificates::read(&one.write()), Some(one));
        }
        assert_eq!(Certificates::read(&BTreeMap::new()), None);
    }
}
