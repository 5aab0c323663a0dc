//! A client that resends in order, its connection's sends, a broker and a writer, in every order of what may happen: what
//! the client says to a room is stored in the order said, and all of it in the end.

use std::collections::{BTreeSet, HashMap, HashSet, VecDeque};

use proptest::prelude::*;

use super::*;

const ROOM: RoomId = RoomId::from_bytes([9; 16]);
/// Rounds of calm after which everything is stored: each settles something.
const CALM_ROUNDS: usize = 400;

/// How a client resends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Style {
    /// Each id as it hears of its refusal.
    Each,
    /// Everything from the refused one on.
    FromThere,
}

#[derive(Debug, Clone, Copy)]
enum Step {
    /// Says something new, unless something is to be resent first; resends the earliest otherwise.
    Say,
    Hear,
    /// Gives up what was turned away.
    GiveUp,
    /// The connection reads the next frame.
    Take,
    /// The same, while a limit is reached.
    TakeLimited,
    /// The same, while the ingest queue is full.
    TakeFull,
    Publish,
    /// A publish is not confirmed, though it was taken.
    PublishUnknown,
    PublishFull,
    Decide,
    DecideBusy,
    /// What waits for its predecessor has waited long enough.
    WaitedOut,
    Event,
    /// Events are lost; the connection finds out.
    Gap,
    /// Half the time after which what was turned away counts as given up; within it, the client does what it is to do.
    Later,
}

#[derive(Debug, Clone, Copy)]
struct Passed {
    number: usize,
    after: Option<usize>,
}

#[derive(Debug, Clone, Copy)]
enum Event {
    Appended(usize),
    Stored(usize),
    Refused(usize),
    RefusedForGood(usize),
}

#[derive(Debug, Clone, Copy)]
enum Frame {
    Refused(usize),
    RefusedForGood(usize),
    Done(usize),
}

struct World {
    style: Style,
    /// Every so many-th message is refused for good; 0: none.
    bad: usize,
    sends: Sends,
    // The client.
    said: usize,
    now: u32,
    resend: BTreeSet<usize>,
    done: HashSet<usize>,
    given_up: HashSet<usize>,
    to_gateway: VecDeque<usize>,
    to_client: VecDeque<Frame>,
    // The gateway, as this model sees it.
    in_flight: usize,
    for_itself: BTreeSet<usize>,
    turned_away: BTreeSet<usize>,
    // Broker and writer.
    publishing: VecDeque<Passed>,
    queue: VecDeque<Passed>,
    waiting: Vec<Passed>,
    /// Whether what came of a command is final.
    settlements: HashMap<usize, bool>,
    log: Vec<usize>,
    events: VecDeque<Event>,
}

fn id(number: usize) -> MessageId {
    MessageId::from_bytes((number as u128).to_be_bytes())
}

impl World {
    fn new(style: Style, bad: usize) -> Self {
        Self {
            style,
            bad,
            sends: Sends::default(),
            said: 0,
            now: 0,
            resend: BTreeSet::new(),
            done: HashSet::new(),
            given_up: HashSet::new(),
            to_gateway: VecDeque::new(),
            to_client: VecDeque::new(),
            in_flight: 0,
            for_itself: BTreeSet::new(),
            turned_away: BTreeSet::new(),
            publishing: VecDeque::new(),
            queue: VecDeque::new(),
            waiting: Vec::new(),
            settlements: HashMap::new(),
            log: Vec::new(),
            events: VecDeque::new(),
        }
    }

    fn is_bad(&self, number: usize) -> bool {
        self.bad > 0 && number % self.bad == self.bad - 1
    }

    fn step(&mut self, step: Step) {
        match step {
            Step::Say => self.say(),
            Step::Hear => self.hear(),
            Step::GiveUp => self.give_up(),
            Step::Take => self.take(false, false),
            Step::TakeLimited => self.take(true, false),
            Step::TakeFull => self.take(false, true),
            Step::Publish => self.queue.append(&mut self.publishing),
            Step::PublishUnknown => {
                self.queue.extend(self.publishing.iter().copied());
                self.publish_failed();
            }
            Step::PublishFull => self.publish_failed(),
            Step::Decide => self.decide(false),
            Step::DecideBusy => self.decide(true),
            Step::WaitedOut => {
                for Passed { number, .. } in std::mem::take(&mut self.waiting) {
                    self.refuse_for_now(number);
                }
            }
            Step::Event => self.event(),
            Step::Later => {
                self.catch_up();
                self.now += GIVEN_UP_SECONDS.div_ceil(2);
            }
            Step::Gap => {
                self.events.clear();
                for (_, id) in self.sends.overdue(u32::MAX) {
                    self.fail(u128::from_be_bytes(*id.as_bytes()) as usize);
                }
            }
        }
        assert_eq!(self.sends.in_flight(), self.in_flight, "{step:?}");
    }

    /// Whatever is under way between client and connection arrives.
    fn catch_up(&mut self) {
        (0..self.to_gateway.len()).for_each(|_| self.take(false, false));
        (0..self.to_client.len()).for_each(|_| self.hear());
        (0..self.resend.len()).for_each(|_| self.say());
        (0..self.to_gateway.len()).for_each(|_| self.take(false, false));
    }

    fn say(&mut self) {
        let number = self.resend.pop_first().unwrap_or_else(|| {
            self.said += 1;
            self.said - 1
        });
        self.to_gateway.push_back(number);
    }

    fn hear(&mut self) {
        match self.to_client.pop_front() {
            Some(Frame::Refused(number)) if !self.done.contains(&number) && !self.given_up.contains(&number) => {
                let last = if self.style == Style::Each { number } else { self.said - 1 };
                let open = |number: &usize| !self.done.contains(number) && !self.given_up.contains(number);
                self.resend.extend((number..=last).filter(open));
            }
            Some(Frame::Done(number) | Frame::RefusedForGood(number)) => {
                self.done.insert(number);
                self.resend.remove(&number);
            }
            // It has sent this one twice, and takes the last word.
            Some(Frame::Refused(number)) if self.is_bad(number) && !self.given_up.contains(&number) => {
                self.resend.insert(number);
            }
            Some(Frame::Refused(_)) | None => {}
        }
    }

    fn give_up(&mut self) {
        let Some(number) = self.resend.iter().copied().find(|number| self.turned_away.contains(number)) else { return };
        self.resend.remove(&number);
        if !self.to_gateway.contains(&number) {
            self.given_up.insert(number);
        } else {
            self.resend.insert(number);
        }
    }

    fn take(&mut self, limited: bool, full: bool) {
        let Some(number) = self.to_gateway.pop_front() else { return };
        let admitted = self.sends.admits(ROOM, id(number), self.now);
        if !admitted || limited {
            return self.refuse(number, admitted);
        }
        // One that is refused for good and comes once more is a new send.
        let earlier: Vec<_> = self.for_itself.range(..number).filter(|earlier| !self.is_bad(**earlier)).collect();
        assert!(
            earlier.is_empty() || self.log.contains(&number),
            "{number} passed while the room waited for {earlier:?}"
        );
        let begun = self.sends.begin(ROOM, id(number), self.now).unwrap();
        self.in_flight += usize::from(!begun.repeat);
        self.came(number);
        if full {
            return self.refuse(number, true);
        }
        let after = begun.after.map(|id| u128::from_be_bytes(*id.as_bytes()) as usize);
        // What is settled may come once more, as something new.
        let is_settled = self.log.contains(&number) || self.is_bad(number);
        let in_order = |after| after < number || is_settled || self.given_up.contains(&number);
        assert!(after.is_none_or(in_order), "{number} after {after:?}");
        self.publishing.push_back(Passed { number, after });
    }

    fn came(&mut self, number: usize) {
        self.for_itself.remove(&number);
        self.turned_away.remove(&number);
    }

    fn refuse(&mut self, number: usize, for_itself: bool) {
        self.in_flight -= usize::from(self.sends.refuse(ROOM, id(number), self.now) == Ok(Was::InFlight));
        self.came(number);
        let refused = if for_itself { &mut self.for_itself } else { &mut self.turned_away };
        if !self.log.contains(&number) {
            refused.insert(number);
        }
        self.to_client.push_back(Frame::Refused(number));
    }

    fn publish_failed(&mut self) {
        for Passed { number, .. } in std::mem::take(&mut self.publishing) {
            self.fail(number);
        }
    }

    fn fail(&mut self, number: usize) {
        match self.sends.fail(ROOM, id(number), self.now) {
            Was::InFlight => self.in_flight -= 1,
            Was::Refused => {}
            Was::Nothing => return,
        }
        self.to_client.push_back(Frame::Refused(number));
    }

    fn decide(&mut self, busy: bool) {
        let Some(passed) = self.queue.pop_front() else { return };
        self.decide_one(passed, busy);
        let settled = |one: &mut Passed| one.after.is_none_or(|after| self.settlements.contains_key(&after));
        for passed in self.waiting.extract_if(.., settled).collect::<Vec<_>>() {
            self.decide_one(passed, busy);
        }
    }

    fn decide_one(&mut self, passed: Passed, busy: bool) {
        let Passed { number, after } = passed;
        match after.map(|after| self.settlements.get(&after)) {
            Some(None) => return self.waiting.push(passed),
            Some(Some(false)) => return self.refuse_for_now(number),
            Some(Some(true)) | None => {}
        }
        if self.log.contains(&number) {
            self.events.push_back(Event::Stored(number));
        } else if busy {
            return self.refuse_for_now(number);
        } else if self.is_bad(number) {
            self.events.push_back(Event::RefusedForGood(number));
        } else {
            self.append(number);
        }
        self.settlements.insert(number, true);
    }

    fn refuse_for_now(&mut self, number: usize) {
        self.settlements.insert(number, false);
        self.events.push_back(Event::Refused(number));
    }

    fn append(&mut self, number: usize) {
        if !self.given_up.contains(&number) {
            let behind = |earlier: &usize| self.is_bad(*earlier) || self.given_up.contains(earlier);
            let missing = (0..number).filter(|earlier| !self.log.contains(earlier)).find(|earlier| !behind(earlier));
            assert_eq!(missing, None, "is missing in {:?} before {number}", self.log);
        }
        self.log.push(number);
        self.events.extend([Event::Appended(number), Event::Stored(number)]);
    }

    fn event(&mut self) {
        match self.events.pop_front() {
            Some(Event::Appended(number)) => {
                self.sends.see(ROOM, id(number));
                self.came(number);
                self.to_client.push_back(Frame::Done(number));
            }
            Some(Event::Stored(number)) => {
                let was = self.sends.store(ROOM, id(number));
                self.settled(number, was, Frame::Done(number));
            }
            Some(Event::RefusedForGood(number)) => {
                let was = self.sends.settle(ROOM, id(number));
                self.settled(number, was, Frame::RefusedForGood(number));
            }
            Some(Event::Refused(number)) => self.fail(number),
            None => {}
        }
    }

    fn settled(&mut self, number: usize, was: Was, frame: Frame) {
        self.in_flight -= usize::from(was == Was::InFlight);
        self.came(number);
        self.to_client.push_back(frame);
    }

    /// Everything works again. Answers whether everything is settled.
    fn calm(&mut self) -> bool {
        for _ in 0..CALM_ROUNDS {
            let (wire, queue) =
                (self.to_gateway.len(), self.publishing.len() + self.queue.len() + self.to_gateway.len());
            (0..wire).for_each(|_| self.step(Step::Take));
            self.step(Step::Publish);
            (0..queue).for_each(|_| self.step(Step::Decide));
            self.step(Step::WaitedOut);
            (0..self.events.len()).for_each(|_| self.step(Step::Event));
            if self.in_flight > 0 && self.queue.is_empty() && self.publishing.is_empty() && self.events.is_empty() {
                self.step(Step::Gap);
            }
            (0..self.to_client.len()).for_each(|_| self.step(Step::Hear));
            let open = (0..self.said).any(|number| !self.done.contains(&number) && !self.given_up.contains(&number));
            if !open {
                return true;
            }
            self.step(Step::Later);
        }
        false
    }
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        6 => Just(Step::Say),
        6 => Just(Step::Hear),
        6 => Just(Step::Take),
        1 => Just(Step::TakeLimited),
        1 => Just(Step::TakeFull),
        4 => Just(Step::Publish),
        1 => Just(Step::PublishUnknown),
        1 => Just(Step::PublishFull),
        4 => Just(Step::Decide),
        2 => Just(Step::DecideBusy),
        1 => Just(Step::WaitedOut),
        6 => Just(Step::Event),
        1 => Just(Step::Gap),
        1 => Just(Step::GiveUp),
        1 => Just(Step::Later),
    ];
    proptest::collection::vec(step, 0..120)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 1_000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn what_a_client_says_is_stored_in_order_and_all_of_it(
        each in any::<bool>(),
        bad in 0..5_usize,
        gives_up in any::<bool>(),
        steps in steps(),
    ) {
        let mut world = World::new(if each { Style::Each } else { Style::FromThere }, if bad > 1 { bad } else { 0 });
        for step in steps {
            if gives_up || !matches!(step, Step::GiveUp) {
                world.step(step);
            }
        }
        prop_assert!(world.calm(), "not settled: {:?} of {}", world.log, world.said);
        // Nothing given up holds what comes later for good.
        let last = world.said;
        while world.said == last {
            world.step(Step::Say);
        }
        prop_assert!(world.calm());
        prop_assert!(world.done.contains(&last));
    }
}
