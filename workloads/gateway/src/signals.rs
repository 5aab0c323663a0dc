//! Signals: to those here who watch at once, to other gateways once a tick.

use std::{mem::take, sync::Arc, time::Duration};

use bytes::Bytes;
use klatch_bus::{Signal, SignalReceiver};
use klatch_domain::{Content, RoomId, UserId};
use klatch_protocol::{ServerFrame, SignalIn};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::sleep};

use crate::{
    batch::Batch,
    connection::{Connection, Piece},
    core::Core,
    registry::Connections,
    rooms::Waiting,
};

/// How long signals are gathered for other gateways: a tenth of what an eye notices.
const TICK: Duration = Duration::from_millis(20);
/// Signals gathered in one tick. More are dropped and counted: typing is no news a tick later.
const MOST: usize = 8_192;

/// Signals for other gateways.
#[derive(Default)]
pub(crate) struct Outgoing {
    signals: Mutex<Vec<Signal>>,
    wake: Notify,
}

impl Outgoing {
    /// Hands a signal over, if there is another gateway at all.
    pub(crate) fn add(&self, core: &Core, signal: Signal) {
        if !core.registrar.has_others() {
            return;
        }
        let mut signals = self.signals.lock();
        if signals.len() >= MOST {
            core.instruments.metrics.dropped("signals_out").inc();
            return;
        }
        let first = signals.is_empty();
        signals.push(signal);
        drop(signals);
        if first {
            self.wake.notify_one();
        }
    }
}

/// Sends gathered signals to the other gateways.
pub(crate) async fn run_out(core: Arc<Core>) {
    loop {
        tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            () = core.outgoing.wake.notified() => {}
        }
        sleep(TICK).await;
        let signals = take(&mut *core.outgoing.signals.lock());
        core.bus.signals.publish(core.incarnation, signals).await;
    }
}

/// Delivers what other gateways send.
pub(crate) async fn run_in(core: Arc<Core>, mut receiver: Box<dyn SignalReceiver>) {
    let mut batch = Batch::default();
    loop {
        let signals = tokio::select! {
            biased;
            () = core.stop.cancelled() => return,
            signals = receiver.receive() => signals,
        };
        let Some(signals) = signals else { return };
        for signal in signals {
            match signal {
                Signal::Room { room, user, kind, payload } => {
                    take_remote(&core, room, user, &frame(room, user, &kind, payload), &mut batch);
                }
                Signal::Presence { user, status, last_active } => {
                    core.presence.tell(user, status, last_active, &mut batch);
                }
            }
        }
        batch.flush().await;
    }
}

fn take_remote(core: &Core, room: RoomId, user: UserId, frame: &ServerFrame, batch: &mut Batch) {
    match core.rooms.watchers_for(room, user) {
        Some(watchers) => {
            let piece = batch.frame(frame);
            watchers.iter().for_each(|watcher| batch.add(watcher, piece));
        }
        None if core.rooms.has_watchers(room) => {
            let waiting = Waiting::Remote { user, line: line(frame).into() };
            if core.rooms.ask(room, waiting).is_err() {
                core.instruments.metrics.dropped("signals_in").inc();
            }
        }
        None => {}
    }
}

/// The frame those who watch get.
pub(crate) fn frame(room: RoomId, user: UserId, kind: &str, payload: Option<Content>) -> ServerFrame {
    ServerFrame::Signal(SignalIn { room, user, kind: kind.into(), payload })
}

pub(crate) fn line(frame: &ServerFrame) -> Vec<u8> {
    let mut line = Vec::with_capacity(256);
    frame.encode_into(&mut line);
    line.push(b'\n');
    line
}

/// To those who watch, except who sent it: one direct write each.
pub(crate) fn push_to(watchers: &Connections, except: Option<&Arc<Connection>>, line: Piece<'_>) {
    for watcher in watchers {
        if except.is_none_or(|sender| !Arc::ptr_eq(sender, watcher)) {
            watcher.push(&[line]);
        }
    }
}

/// A signal that waited: its sender is a member.
pub(crate) fn deliver_decided(core: &Core, room: RoomId, user: UserId, from: Option<&Arc<Connection>>, line: &Bytes) {
    if let Some(watchers) = core.rooms.watchers_for(room, user) {
        push_to(&watchers, from, Piece::Shared(line));
    }
}
