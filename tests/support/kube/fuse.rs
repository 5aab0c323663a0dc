//! A fuse in the operator's way to the apiserver and to the brokers: it burns through at a chosen write, and from then on nothing
//! gets through, as when a process is killed there.

use std::sync::Arc;

use klatch_controller::client::{Call, Guard, Refused};
use parking_lot::Mutex;

/// Where it burns through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Point {
    /// Never.
    Never,
    /// Before the write of this number, from 1.
    Before(usize),
    /// After it: it is made, and nobody learns of it.
    After(usize),
}

impl Point {
    /// Before and after each of so many writes.
    pub fn all(writes: usize) -> impl Iterator<Item = Self> {
        (1..=writes).flat_map(|number| [Self::Before(number), Self::After(number)])
    }
}

/// So many of all there are, spread evenly.
pub fn spread<T: Copy>(all: &[T], wanted: usize) -> impl Iterator<Item = T> {
    let tried = wanted.min(all.len());
    (0..tried).map(move |index| all[index * all.len() / tried])
}

/// The fuse.
pub struct Fuse {
    point: Point,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    reads: Vec<Call>,
    writes: Vec<Call>,
    blown: bool,
}

impl Fuse {
    /// Burns through there.
    #[must_use]
    pub fn at(point: Point) -> Arc<Self> {
        Arc::new(Self { point, state: Mutex::default() })
    }

    /// Reads that were let through.
    #[must_use]
    pub fn reads(&self) -> Vec<Call> {
        self.state.lock().reads.clone()
    }

    /// Writes that were let through.
    #[must_use]
    pub fn writes(&self) -> Vec<Call> {
        self.state.lock().writes.clone()
    }

    /// Whether it has burnt through.
    #[must_use]
    pub fn is_blown(&self) -> bool {
        self.state.lock().blown
    }
}

fn blown() -> Refused {
    Refused("the process is dead".to_owned())
}

impl Guard for Fuse {
    fn before(&self, call: &Call) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if state.blown {
            return Err(blown());
        }
        if call.is_write() {
            if self.point == Point::Before(state.writes.len() + 1) {
                state.blown = true;
                return Err(blown());
            }
            state.writes.push(call.clone());
        } else {
            state.reads.push(call.clone());
        }
        Ok(())
    }

    fn after(&self, call: &Call) -> Result<(), Refused> {
        let mut state = self.state.lock();
        if call.is_write() && self.point == Point::After(state.writes.len()) {
            state.blown = true;
        }
        if state.blown { Err(blown()) } else { Ok(()) }
    }
}
