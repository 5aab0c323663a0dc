//! Time, and everything that is on its way.

use std::cmp::Reverse;
use std::collections::{BTreeSet, BinaryHeap};

use klatch_client_sdk::core::{Input, Output};
use klatch_domain::{Draft, Entry, MessageId, RoomId, Sender, Timestamp};
use klatch_protocol::{ClientFrame, ServerFrame};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::gate::{Connection, Gateway};
use super::http::Call;
use super::model::Model;
use super::person::Person;
use super::plan::QUIET_MS;
use super::{Plan, Report, ids};

/// A world that does more than this per client and second never comes to rest.
const STEPS_PER_CLIENT_SECOND: u64 = 400;
/// Between "Start" of one client and the next, milliseconds.
const START_SPREAD_MS: u64 = 3_000;
/// 2026-01-01, milliseconds since 1970: the service's clock when the world begins.
const BEGINNING_MS: i64 = 1_767_225_600_000;

/// Something that is going to happen.
pub(super) enum Event {
    /// A client does the next thing on its mind.
    Act(usize),
    /// A client's timer.
    Timer { who: usize, timer: u64 },
    /// An opening socket reaches its gateway.
    Arrive { connection: usize },
    /// Frames reach a gateway.
    FromClient { connection: usize, frames: Vec<ClientFrame> },
    /// Something reaches a client.
    ToClient { connection: usize, what: Delivery },
    /// A command reaches the writer.
    Ingest(Box<Command>),
    /// An entry reaches a gateway's connection.
    FanOut { connection: usize, room: RoomId, entry: Box<Entry> },
    /// A gateway says where a log ends.
    Position { connection: usize, room: RoomId },
    /// A log was restored, and a gateway says so.
    Reset { connection: usize, room: RoomId },
    /// A call reaches the API.
    Call { who: usize, life: u64, call: Box<Call> },
    /// Its answer, or that there is none, reaches the client.
    Answer { who: usize, life: u64, input: Box<Input> },
    /// A gateway pings.
    Ping { connection: usize },
    /// A gateway notices that a client is gone.
    Noticed { connection: usize },
    /// The network between a client and the service breaks.
    Sever { who: usize, again: bool },
    /// A gateway goes away, with or without a word before.
    Restart { gateway: usize, drain: bool },
    /// It closes what is left.
    GoAway { gateway: usize },
    /// A process is killed; `at_output` of what it does next, or now.
    Crash { who: usize, at_output: Option<usize> },
    /// And started again.
    Begin { who: usize },
    /// A clock is set.
    Jump { who: usize, by: i64 },
    /// Somebody joins or leaves.
    Churn,
    /// News of it reaches their inbox.
    Notice { user: u64, room: RoomId, joined: bool },
    /// A log comes back from a backup.
    Restore,
    /// Nothing goes wrong any more.
    Quiet,
    /// A client loads all there is.
    Deepen { who: usize, left: u32 },
}

/// What a client's socket brings.
pub(super) enum Delivery {
    Opened,
    Frame(Box<ServerFrame>),
    Ping,
    Closed { code: Option<u16>, retry_after_ms: Option<u64> },
}

/// A send on its way to the writer.
#[derive(Debug, Clone)]
pub(super) struct Command {
    pub(super) connection: usize,
    pub(super) room: RoomId,
    pub(super) message_id: MessageId,
    pub(super) sender: Sender,
    pub(super) draft: Draft,
    /// Stored only once this one is settled.
    pub(super) after: Option<MessageId>,
    /// Refused if it still waits then.
    pub(super) patience: u64,
}

struct Scheduled {
    at: u64,
    order: u64,
    event: Event,
}

impl PartialEq for Scheduled {
    fn eq(&self, other: &Self) -> bool {
        (self.at, self.order) == (other.at, other.order)
    }
}
impl Eq for Scheduled {}
impl PartialOrd for Scheduled {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}
impl Ord for Scheduled {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.at, self.order).cmp(&(other.at, other.order))
    }
}

/// Everything there is.
pub(super) struct World {
    pub(super) now: u64,
    pub(super) plan: Plan,
    pub(super) random: Xoshiro256PlusPlus,
    queue: BinaryHeap<Reverse<Scheduled>>,
    order: u64,
    pub(super) people: Vec<Person>,
    pub(super) connections: Vec<Connection>,
    pub(super) gateways: Vec<Gateway>,
    pub(super) model: Model,
    /// Sends of a connection refused for good: what came after them need not wait.
    pub(super) dead: BTreeSet<(usize, MessageId)>,
    /// Rooms that somebody left, or that were restored.
    pub(super) unsteady: BTreeSet<RoomId>,
    /// When the last news went to a user's inbox: they keep their order.
    pub(super) notice_at: Vec<u64>,
    pub(super) quiet: bool,
    pub(super) crash_at: Option<(usize, usize)>,
    pub(super) messages: u64,
    pub(super) report: Report,
    trace: bool,
}

impl World {
    pub(super) fn new(seed: u64, trace: bool) -> Self {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let plan = Plan::draw(&mut random);
        let clients = usize::try_from(plan.clients).unwrap_or(usize::MAX);
        let people = (0..clients).map(|number| Person::new(number, &plan, &mut random)).collect();
        let gateways = (0..plan.gateways).map(|_| Gateway::default()).collect();
        let users = usize::try_from(plan.users).unwrap_or(usize::MAX);
        Self {
            now: 0,
            random,
            queue: BinaryHeap::new(),
            order: 0,
            people,
            connections: Vec::new(),
            gateways,
            model: Model::default(),
            dead: BTreeSet::new(),
            unsteady: BTreeSet::new(),
            notice_at: vec![0; users],
            quiet: false,
            crash_at: None,
            messages: 0,
            report: Report { clients: plan.clients, ..Report::default() },
            trace,
            plan,
        }
    }

    pub(super) fn run(mut self) -> Result<Report, String> {
        self.note(|world| format!("{:?}", world.plan));
        self.make_rooms();
        for who in 0..self.people.len() {
            let start = self.random.random_range(0..=START_SPREAD_MS);
            self.after(start, Event::Begin { who });
            self.plan_action(who);
        }
        self.plan_troubles();
        self.after(self.plan.chaos_ms, Event::Quiet);
        let end = self.plan.chaos_ms + QUIET_MS;
        let most = self.plan.clients * (end / 1_000) * STEPS_PER_CLIENT_SECOND;
        while let Some(Reverse(next)) = self.queue.pop() {
            if next.at > end {
                break;
            }
            self.now = self.now.max(next.at);
            self.report.steps += 1;
            if self.report.steps > most {
                return Err("the world does not come to rest".to_owned());
            }
            self.happen(next.event)?;
        }
        self.judge()?;
        self.report.entries = self.model.logs.values().map(|log| log.len() as u64).sum();
        Ok(self.report)
    }

    fn happen(&mut self, event: Event) -> Result<(), String> {
        match event {
            Event::Act(who) => self.act(who),
            Event::Timer { who, timer } => self.timer(who, timer),
            Event::Arrive { connection } => self.arrive(connection),
            Event::FromClient { connection, frames } => self.receive(connection, frames),
            Event::ToClient { connection, what } => self.deliver(connection, what),
            Event::Ingest(command) => self.ingest(*command),
            Event::FanOut { connection, room, entry } => self.push_entry(connection, room, &entry),
            Event::Position { connection, room } => self.push_position(connection, room),
            Event::Reset { connection, room } => self.push_reset(connection, room),
            Event::Call { who, life, call } => self.answer_call(who, life, *call),
            Event::Answer { who, life, input } => self.tell_life(who, life, *input),
            Event::Ping { connection } => self.ping(connection),
            Event::Noticed { connection } => self.close(connection),
            Event::Sever { who, again } => self.sever(who, again),
            Event::Restart { gateway, drain } => self.restart(gateway, drain),
            Event::GoAway { gateway } => self.go_away(gateway),
            Event::Crash { who, at_output } => self.crash(who, at_output),
            Event::Begin { who } => self.begin(who),
            Event::Jump { who, by } => self.jump(who, by),
            Event::Churn => self.churn(),
            Event::Notice { user, room, joined } => self.notice(user, room, joined),
            Event::Restore => self.restore(),
            Event::Quiet => self.be_quiet(),
            Event::Deepen { who, left } => self.deepen(who, left),
        }
    }

    /// Lets something happen after so long.
    pub(super) fn after(&mut self, wait: u64, event: Event) {
        self.at(self.now + wait, event);
    }

    /// Lets something happen then.
    pub(super) fn at(&mut self, at: u64, event: Event) {
        self.order += 1;
        self.queue.push(Reverse(Scheduled { at: at.max(self.now), order: self.order, event }));
    }

    /// Whether something of this likelihood goes wrong now.
    pub(super) fn goes_wrong(&mut self, likelihood: f64) -> bool {
        !self.quiet && likelihood > 0.0 && self.random.random_bool(likelihood)
    }

    pub(super) fn latency(&mut self) -> u64 {
        self.random.random_range(0..=self.plan.latency_ms)
    }

    /// The service's clock.
    pub(super) fn service_time(&self) -> Timestamp {
        Timestamp::from_millis(BEGINNING_MS.saturating_add_unsigned(self.now))
    }

    pub(super) fn new_message_id(&mut self) -> MessageId {
        self.messages += 1;
        ids::message(self.messages)
    }

    pub(super) fn note(&self, what: impl FnOnce(&Self) -> String) {
        if self.trace {
            eprintln!("{:>9} {}", self.now, what(self));
        }
    }

    fn tell_life(&mut self, who: usize, life: u64, input: Input) -> Result<(), String> {
        if self.people.get(who).is_some_and(|person| person.life == life) { self.tell(who, input) } else { Ok(()) }
    }

    /// Tells a client's core what happened, and does what it says.
    pub(super) fn tell(&mut self, who: usize, input: Input) -> Result<(), String> {
        let now = self.now;
        self.note(|_| format!("{who} <- {input:?}"));
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        let clock = person.clock_at(now);
        let Some(core) = &mut person.core else { return Ok(()) };
        let outputs = core.handle(clock, input);
        for (done, output) in outputs.into_iter().enumerate() {
            if let Some((victim, at_output)) = self.crash_at
                && victim == who
                && done >= at_output
            {
                self.crash_at = None;
                return self.kill(who);
            }
            self.note(|_| format!("{who} -> {output:?}"));
            self.perform(who, output).map_err(|wrong| format!("client {who} at {now} ms: {wrong}"))?;
        }
        Ok(())
    }

    fn perform(&mut self, who: usize, output: Output) -> Result<(), String> {
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        match output {
            Output::Save => {
                if let Some(core) = &person.core {
                    person.saved = core.snapshot();
                }
            }
            Output::OpenSocket => return self.open_socket(who),
            Output::CloseSocket { .. } => {
                if let Some(connection) = person.socket.take() {
                    person.socket_is_open = false;
                    let latency = self.latency();
                    self.after(latency, Event::Noticed { connection });
                }
            }
            Output::SendFrames(frames) => {
                let Some(connection) = person.socket.filter(|_| person.socket_is_open) else {
                    return Err(format!("frames without a socket: {frames:?}"));
                };
                self.send_up(connection, frames);
            }
            Output::SetTimer(at) => {
                person.timer += 1;
                person.timer_at = at;
                self.set_timer(who);
            }
            Output::Changed(change) => person.hear(&change)?,
            call => self.call(who, call),
        }
        Ok(())
    }

    pub(super) fn set_timer(&mut self, who: usize) {
        let Some(person) = self.people.get(who) else { return };
        if let Some(at) = person.timer_at {
            let (at, timer) = (person.world_time(at), person.timer);
            self.at(at, Event::Timer { who, timer });
        }
    }

    fn timer(&mut self, who: usize, timer: u64) -> Result<(), String> {
        let due = self.people.get(who).is_some_and(|person| person.timer == timer);
        if due { self.tell(who, Input::Tick) } else { Ok(()) }
    }
}
