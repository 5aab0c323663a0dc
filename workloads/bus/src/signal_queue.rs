//! The queue of one subscriber to signals, whatever they come by: bounded; what does not fit is dropped.

use std::mem::take;

use parking_lot::Mutex;
use tokio::sync::Notify;

use crate::{Signal, size};

/// See the module.
#[derive(Default)]
pub(crate) struct SignalQueue {
    wake: Notify,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    signals: Vec<Signal>,
    bytes: usize,
    closed: bool,
}

/// How much a queue takes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Bounds {
    pub(crate) signals: usize,
    /// Estimated.
    pub(crate) bytes: usize,
}

impl SignalQueue {
    /// Takes the first ones that fit, and answers how many. `None`: nothing is taken any more.
    pub(crate) fn put(&self, signals: &[Signal], bounds: Bounds) -> Option<usize> {
        let mut taken = 0;
        {
            let mut state = self.state.lock();
            if state.closed {
                return None;
            }
            for signal in signals {
                let bytes = size::of_signal(signal);
                if state.signals.len() >= bounds.signals || state.bytes + bytes > bounds.bytes {
                    break;
                }
                state.bytes += bytes;
                state.signals.push(signal.clone());
                taken += 1;
            }
        }
        self.wake.notify_one();
        Some(taken)
    }

    /// Everything that waits, as soon as something does; `None` when it is closed and empty. Cancel safe. For one receiver.
    pub(crate) async fn receive(&self) -> Option<Vec<Signal>> {
        loop {
            let (signals, closed) = {
                let mut state = self.state.lock();
                state.bytes = 0;
                (take(&mut state.signals), state.closed)
            };
            if !signals.is_empty() {
                return Some(signals);
            }
            if closed {
                return None;
            }
            self.wake.notified().await;
        }
    }

    /// What waits is still received; nothing more comes.
    pub(crate) fn close(&self) {
        self.state.lock().closed = true;
        self.wake.notify_one();
    }

    pub(crate) fn len(&self) -> usize {
        self.state.lock().signals.len()
    }
}
