//! One device: the real core, what it remembers on disk, and what its owner did and was told.

use std::collections::BTreeMap;

use klatch_client_sdk::core::{Change, Connection, Core, Depth, MessageState, Settings, Snapshot};
use klatch_domain::{MessageId, Position, RoomId, SessionId, UserId};
use rand::{RngExt, SeedableRng, rngs::Xoshiro256PlusPlus};

use super::mirror::{Mirror, Shown};
use super::{Plan, ids};

/// What a message's owner knows of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Nothing yet.
    Waiting,
    /// It is stored here.
    Stored(Position),
    /// It was refused for good.
    Refused,
    /// Given up by its owner, or forgotten in a crash before it was saved: it may be stored, once, or not.
    Open,
}

/// One thing said.
#[derive(Debug, Clone)]
pub(super) struct Said {
    pub(super) message_id: MessageId,
    pub(super) room: RoomId,
    pub(super) fate: Fate,
    /// Order holds among messages of one lineage: a device that forgot its outbox starts another.
    pub(super) lineage: u64,
    /// It holds its place among them: not refused and said again, not lost with a backup.
    pub(super) ordered: bool,
    /// A restore took it back; news of it that was under way may still have come.
    pub(super) lost: bool,
}

/// One device.
pub(super) struct Person {
    pub(super) number: usize,
    pub(super) user: UserId,
    pub(super) inbox: RoomId,
    pub(super) session: SessionId,
    pub(super) settings: Settings,
    pub(super) core: Option<Core>,
    /// Rises with every start of the process; what was meant for an earlier one is dropped.
    pub(super) life: u64,
    pub(super) socket: Option<usize>,
    pub(super) socket_is_open: bool,
    pub(super) timer: u64,
    pub(super) timer_at: Option<u64>,
    /// How far its clock is off.
    pub(super) clock: i64,
    pub(super) saved: Snapshot,
    pub(super) mirror: Mirror,
    pub(super) said: Vec<Said>,
    by_id: BTreeMap<MessageId, usize>,
    lineage: u64,
    pub(super) actions: u64,
    /// Until when its access token is good, in the world's time.
    pub(super) token_until: u64,
}

impl Person {
    pub(super) fn new(number: usize, plan: &Plan, random: &mut Xoshiro256PlusPlus) -> Self {
        let owner = number as u64 % plan.users;
        let settings = Settings {
            depth: if random.random_bool(0.5) { Depth::Everything } else { Depth::FromNow },
            rows_per_room: if random.random_bool(0.2) { random.random_range(3..=20) } else { 100_000 },
            save: random.random_bool(0.6),
            ..Settings::default()
        };
        let mut person = Self {
            number,
            user: ids::user(owner),
            inbox: ids::inbox(owner),
            session: ids::session(number as u64),
            settings,
            core: None,
            life: 0,
            socket: None,
            socket_is_open: false,
            timer: 0,
            timer_at: None,
            clock: random.random_range(0..=1_000_000_000),
            saved: Snapshot::default(),
            mirror: Mirror::default(),
            said: Vec::new(),
            by_id: BTreeMap::new(),
            lineage: 0,
            actions: plan.actions,
            token_until: 0,
        };
        person.begin(random);
        person
    }

    /// The process starts, with what it finds on disk.
    pub(super) fn begin(&mut self, random: &mut Xoshiro256PlusPlus) {
        let generator = Xoshiro256PlusPlus::seed_from_u64(random.random());
        let saved = if self.settings.save { self.saved.clone() } else { Snapshot::default() };
        self.mirror = Mirror::default();
        for room in &saved.rooms {
            self.mirror.rooms.insert(room.room, Shown::default());
        }
        for said in &mut self.said {
            let kept = saved.outbox.iter().find(|message| message.message_id == said.message_id);
            if said.fate == Fate::Waiting {
                said.fate = match kept {
                    Some(message) if message.refused.is_none() => Fate::Waiting,
                    // Its second try was not saved.
                    Some(_) => Fate::Refused,
                    None => Fate::Open,
                };
            }
        }
        if !self.settings.save {
            self.lineage += 1;
        }
        self.core = Some(Core::new(self.settings.clone(), generator, saved));
    }

    /// The process is gone.
    pub(super) fn crash(&mut self) {
        self.core = None;
        self.life += 1;
        self.socket = None;
        self.socket_is_open = false;
        self.timer += 1;
        self.timer_at = None;
    }

    /// What this device's clock shows.
    pub(super) fn clock_at(&self, now: u64) -> u64 {
        now.saturating_add_signed(self.clock)
    }

    /// When the world's clock stands where this device's shows `clock`.
    pub(super) fn world_time(&self, clock: u64) -> u64 {
        clock.saturating_add_signed(self.clock.saturating_neg())
    }

    pub(super) fn say(&mut self, message_id: MessageId, room: RoomId) {
        self.by_id.insert(message_id, self.said.len());
        self.said.push(Said {
            message_id,
            room,
            fate: Fate::Waiting,
            lineage: self.lineage,
            ordered: true,
            lost: false,
        });
    }

    pub(super) fn give_up(&mut self, message_id: MessageId) {
        if let Some(said) = self.find(message_id)
            && said.fate == Fate::Waiting
        {
            said.fate = Fate::Open;
        }
    }

    /// The log was restored from a backup without it.
    pub(super) fn lost(&mut self, message_id: MessageId) {
        if let Some(said) = self.find(message_id) {
            said.ordered = false;
            said.lost = true;
            if matches!(said.fate, Fate::Stored(_)) {
                said.fate = Fate::Open;
            }
        }
    }

    /// It was refused, and goes to the end of the queue.
    pub(super) fn again(&mut self, message_id: MessageId) {
        if let Some(said) = self.find(message_id) {
            said.ordered = false;
            said.fate = Fate::Waiting;
        }
    }

    fn find(&mut self, message_id: MessageId) -> Option<&mut Said> {
        self.by_id.get(&message_id).and_then(|at| self.said.get_mut(*at))
    }

    /// Takes what the core tells; says what is wrong with it.
    pub(super) fn hear(&mut self, change: &Change) -> Result<(), String> {
        match change {
            Change::Message { message_id, state, .. } => self.learn(*message_id, state)?,
            Change::Connection(Connection::Stopped(reason)) => {
                return Err(format!("stopped for good: {reason:?}"));
            }
            _ => {}
        }
        self.mirror.take(change)
    }

    fn learn(&mut self, message_id: MessageId, state: &MessageState) -> Result<(), String> {
        let Some(said) = self.find(message_id) else {
            return Err(format!("{message_id:?} was never said"));
        };
        match (state, said.fate) {
            (MessageState::Queued | MessageState::Sending, _) => Ok(()),
            (MessageState::Stored { position, .. }, Fate::Stored(before)) => {
                // A crash may have forgotten the news, and a restore renames generations; the place stays.
                if before.seq == position.seq || said.lost {
                    said.fate = Fate::Stored(*position);
                    Ok(())
                } else {
                    Err(format!("{message_id:?} is stored at {before:?} and at {position:?}"))
                }
            }
            (MessageState::Stored { position, .. }, _) => {
                said.fate = Fate::Stored(*position);
                Ok(())
            }
            (MessageState::Refused(_), Fate::Stored(_)) => Err(format!("{message_id:?} was stored and then refused")),
            (MessageState::Refused(_), _) => {
                said.fate = Fate::Refused;
                Ok(())
            }
        }
    }
}
