use super::*;

const MINUTE: i64 = 60_000;
const DAYS: i64 = 24 * 60 * MINUTE;

fn at(millis: i64) -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000 + millis)
}

fn good(from: i64, until: i64) -> Validity {
    Validity { from: at(from), until: at(until) }
}

/// A Secret as steps change it: authorities by the time at which they were made, the first believed since ever.
#[derive(Debug, Clone, PartialEq)]
struct Secret {
    held: Held,
    used: i64,
    waits: Option<i64>,
    believed: Vec<i64>,
    /// The value that was answered last.
    asked: Option<u8>,
}

impl Secret {
    fn made(now: i64) -> Self {
        let current = good(now - DAYS, now + 89 * DAYS);
        let notes = Notes { known_from: None, renew_from: Some(current.renew_from(at(now))) };
        let held = Held { current: Some(current), next: None, notes };
        Self { held, used: now, waits: None, believed: vec![now], asked: None }
    }

    /// What an operator that knows nothing but the Secret does now. Nothing is read while nothing is due.
    fn look(&mut self, asked: Option<u8>, now: i64) -> Step {
        let news = asked.is_some() && asked != self.asked;
        if !self.held.notes.is_due(news, at(now)) {
            return Step::Rest;
        }
        let step = self.held.step(news, at(now));
        let known_from = Some(at(now).plus(KNOWN_AFTER));
        match step {
            Step::Rest => {}
            Step::Note(from) => self.held.notes.renew_from = Some(from),
            Step::Wait => self.held.notes.known_from = known_from,
            Step::Prepare => {
                self.held.next = Some(good(now - DAYS, now + 89 * DAYS));
                self.held.notes = Notes { known_from, renew_from: None };
                self.waits = Some(now);
                self.believed.insert(0, now);
                self.asked = asked.or(self.asked);
            }
            Step::Use => {
                self.held.current = self.held.next.take();
                self.held.notes.known_from = known_from;
                self.used = self.waits.take().unwrap();
                self.asked = asked.or(self.asked);
            }
            Step::Forget(from) => {
                self.held.notes = Notes { known_from: None, renew_from: Some(from) };
                self.believed = vec![self.used];
            }
        }
        assert!(self.believed.contains(&self.used), "{self:?}");
        step
    }
}

/// All that happens at a look every minute, with when it did.
fn run(secret: &mut Secret, asked: Option<u8>, minutes: std::ops::Range<i64>) -> Vec<(i64, &'static str)> {
    let mut story = Vec::new();
    for minute in minutes {
        let name = match secret.look(asked, minute * MINUTE) {
            Step::Rest => continue,
            Step::Note(_) => "note",
            Step::Wait => "wait",
            Step::Prepare => "prepare",
            Step::Use => "use",
            Step::Forget(_) => "forget",
        };
        story.push((minute, name));
    }
    story
}

#[test]
fn the_next_one_is_made_a_month_before_the_end_and_everybody_has_time_to_read_each_step() {
    let mut secret = Secret::made(0);
    let due = 59 * 24 * 60;
    assert_eq!(run(&mut secret, None, 0..due), []);
    assert_eq!(run(&mut secret, None, due..due + 600), [(due, "prepare"), (due + 5, "use"), (due + 10, "forget")]);
    assert_eq!((secret.used, secret.believed.as_slice()), (due * MINUTE, [due * MINUTE].as_slice()));
    let next = due + 59 * 24 * 60;
    assert_eq!(run(&mut secret, None, due + 600..next + 1), [(next, "prepare")]);
}

#[test]
fn a_value_asks_for_one_renewal_and_for_another_only_when_its_certificate_was_used_already() {
    let mut secret = Secret::made(0);
    assert_eq!(run(&mut secret, Some(1), 1..100), [(1, "prepare"), (6, "use"), (11, "forget")]);
    assert_eq!(run(&mut secret, Some(1), 100..200), [], "it was asked for once");
    // While it waits, nobody has used it: what is asked then has its answer.
    let mut story = run(&mut secret, Some(2), 200..203);
    story.extend(run(&mut secret, Some(3), 203..300));
    assert_eq!(story, [(200, "prepare"), (205, "use"), (210, "forget")]);
    // Once it is used, there is another one, after this renewal.
    let mut story = run(&mut secret, Some(4), 300..306);
    story.extend(run(&mut secret, Some(5), 306..400));
    let renewals = ["prepare", "use", "forget", "prepare", "use", "forget"];
    assert_eq!(story.iter().map(|(_, name)| *name).collect::<Vec<_>>(), renewals);
    assert_eq!(story[3].0, 311, "at the first look after it: {story:?}");
}

#[test]
fn one_of_an_earlier_version_is_looked_at_and_renewed_when_asked_or_near_its_end() {
    let ten_years = Held { current: Some(good(-DAYS, 3650 * DAYS)), ..Held::default() };
    let mut secret = Secret { held: ten_years, ..Secret::made(0) };
    assert_eq!(run(&mut secret, None, 0..1000), [(0, "note")]);
    assert_eq!(secret.held.notes.renew_from, Some(at(90 * DAYS)), "it is looked at again");
    assert_eq!(secret.look(None, 90 * DAYS), Step::Note(at(180 * DAYS)));
    assert_eq!(secret.clone().look(Some(1), 91 * DAYS), Step::Prepare);
    assert_eq!(secret.look(None, 3620 * DAYS), Step::Prepare);
}

#[test]
fn an_operator_that_was_away_goes_on_wherever_it_was() {
    let mut secret = Secret::made(0);
    assert_eq!(secret.look(None, 200 * DAYS), Step::Prepare, "it has ended long since");
    let waits = secret.clone();
    assert_eq!(secret.look(None, 201 * DAYS), Step::Use);
    let used = secret.clone();
    assert!(matches!(secret.look(None, 202 * DAYS), Step::Forget(_)));
    // What waited has grown old itself: it is replaced before anybody uses it, and none of those believed is forgotten.
    for mut old in [waits, used] {
        assert_eq!(old.look(None, 270 * DAYS), Step::Prepare);
        let story = run(&mut old, None, 270 * 24 * 60..271 * 24 * 60);
        assert_eq!(story.iter().map(|(_, name)| *name).collect::<Vec<_>>(), ["use", "forget"]);
        assert_eq!(old.believed, [270 * DAYS]);
    }
}

#[test]
fn a_note_of_a_clock_that_was_wrong_holds_nothing_up() {
    // Far ahead when it was noted: everybody gets their time anew.
    for lost in [None, Some(at(4_000 * DAYS)), Some(Timestamp::from_millis(i64::MAX))] {
        let mut secret = Secret::made(0);
        secret.look(Some(1), MINUTE);
        secret.held.notes.known_from = lost;
        let story = run(&mut secret, Some(1), 2..100);
        assert_eq!(story, [(2, "wait"), (7, "use"), (12, "forget")], "{lost:?}");
    }
    // Made by such a clock: nobody would believe it yet, whether it waits or is in use.
    let mut secret = Secret::made(4_000 * DAYS);
    assert_eq!(secret.look(None, 0), Step::Prepare);
    let mut secret = Secret::made(0);
    assert_eq!(secret.look(None, 4_000 * DAYS), Step::Prepare);
    assert_eq!(run(&mut secret, None, 1..100), [(1, "prepare"), (6, "use"), (11, "forget")]);
    // A clock that goes back a little only waits longer.
    let mut secret = Secret::made(0);
    secret.look(Some(1), 10 * MINUTE);
    assert_eq!(secret.look(Some(1), 14 * MINUTE), Step::Rest);
    assert_eq!(secret.held.notes.wait(at(14 * MINUTE)), Some(Duration::from_secs(60)));
}

#[test]
fn what_cannot_be_read_is_made_new_and_a_bundle_of_somebody_elses_stays() {
    let mut secret = Secret { held: Held::default(), ..Secret::made(0) };
    let story = run(&mut secret, None, 0..100);
    assert_eq!(story, [(0, "prepare"), (5, "use"), (10, "forget")]);
    let mut secret = Secret { believed: vec![7, 0], ..Secret::made(0) };
    secret.held.notes = Notes::default();
    assert_eq!(run(&mut secret, None, 0..100), [(0, "note")]);
    assert_eq!(secret.believed, [7, 0]);
}

#[test]
fn notes_are_read_from_annotations() {
    let of = |known: &'static str, renew: &'static str| {
        Notes::read(move |name| Some(if name == KNOWN_FROM { known } else { renew }).filter(|text| !text.is_empty()))
    };
    let time: &str = at(0).to_string().leak();
    assert_eq!(of("", time), Notes { known_from: None, renew_from: Some(at(0)) });
    assert_eq!(of(time, ""), Notes { known_from: Some(at(0)), renew_from: None });
    assert!(of("soon", time).is_due(false, at(-DAYS)) && of("", "soon").is_due(false, at(0)));
    assert!(!of("", time).is_due(false, at(-DAYS)) && of("", time).is_due(true, at(-DAYS)));
}
