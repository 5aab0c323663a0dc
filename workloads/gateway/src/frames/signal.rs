//! `signal`: lossy news for those who watch the room.

use std::sync::Arc;

use klatch_bus::Signal;
use klatch_domain::Code;
use klatch_protocol::SignalOut;

use super::{Client, watermark::refused};
use crate::{
    connection::{Connection, Piece},
    core::Core,
    rooms::{CannotAsk, Waiting},
    signals::{deliver_decided, frame, line, push_to},
};

/// Bytes of a signal's kind.
const KIND_BYTES: usize = 64;
/// Bytes of a signal's payload: a cursor, a sticker's name; no message.
const PAYLOAD_BYTES: usize = 4 * 1024;
/// How long a signal may wait for an answer when it does not say, milliseconds: a typing mark lives about as long.
const TTL_MS: u64 = 5_000;

impl Client {
    pub(super) fn on_signal(&mut self, signal: SignalOut) {
        let SignalOut { room, kind, payload, ttl_ms } = signal;
        let core = Arc::clone(&self.core);
        let Some(identity) = self.identity() else { return };
        let user = identity.user.id;
        if kind.is_empty() || kind.len() > KIND_BYTES {
            let detail = format!("a signal's kind has 1 to {KIND_BYTES} bytes");
            return self.error(Code::ValidationFailed, detail, Some(room.to_string()));
        }
        if payload.as_ref().is_some_and(|payload| payload.as_str().len() > PAYLOAD_BYTES) {
            let detail = format!("a signal's payload has at most {PAYLOAD_BYTES} bytes");
            return self.error(Code::ContentTooLarge, detail, Some(room.to_string()));
        }
        if core.settings.limits.enabled
            && core.paces.signals.check(&self.signals, core.instruments.timer.micros()).is_err()
        {
            core.instruments.metrics.dropped("signals").inc();
            return;
        }
        let line = line(&frame(room, user, &kind, payload.clone()));
        if let Some(watchers) = core.rooms.watchers_for(room, user) {
            push_to(&watchers, Some(&self.connection), Piece::Own(&line));
            if core.registrar.has_others() {
                core.outgoing.add(&core, Signal::Room { room, user, kind: kind.into(), payload });
            }
            return;
        }
        if !self.connection.begin_asking() {
            return self.too_many_questions(room);
        }
        let waiting = Waiting::Signal {
            from: Arc::clone(&self.connection),
            line: line.into(),
            signal: Signal::Room { room, user, kind: kind.into(), payload },
            until_ms: core.instruments.timer.millis().saturating_add(ttl_ms.unwrap_or(TTL_MS).min(TTL_MS)),
        };
        if let Err(CannotAsk) = core.rooms.ask(room, waiting) {
            self.connection.end_asking();
            self.too_many_questions(room);
        }
    }
}

/// The answer a signal waited for has come.
pub(crate) fn decide(
    core: &Core,
    from: &Arc<Connection>,
    line: &bytes::Bytes,
    signal: Signal,
    until_ms: u64,
    member: Option<bool>,
) {
    from.end_asking();
    let Signal::Room { room, user, .. } = signal else { return };
    match member {
        Some(true) if core.instruments.timer.millis() <= until_ms => {
            deliver_decided(core, room, user, Some(from), line);
            core.outgoing.add(core, signal);
        }
        Some(true) => core.instruments.metrics.dropped("signals").inc(),
        other => from.push_frame(&refused(room, other)),
    }
}
