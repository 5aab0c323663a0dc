//! `send`: an entry on its way to the one writer of its room.

use std::sync::atomic::Ordering;

use klatch_domain::{
    Action, Code, Command, MessageId, Refusal, ReplyAddress, RoomId, check_draft, limits::CONTENT_BYTES,
};
use klatch_protocol::{Busy, Refused, Send, ServerFrame};
use klatch_service_kit::trace;
use serde::Deserialize;
use serde_json::value::RawValue;
use tracing::Level;

use super::{Client, named};
use crate::{connection::Held, ingest::RETRY_AFTER_MS};

/// Characters of a `traceparent` that is passed on; W3C Trace Context has 55.
const TRACE_BYTES: usize = 64;

/// What a refusal of a `send` that cannot be read needs.
#[derive(Deserialize)]
struct Sized<'a> {
    room: RoomId,
    #[serde(borrow)]
    content: &'a RawValue,
}

impl Client {
    pub(super) fn on_send(&mut self, send: Send) {
        let (room, message_id) = (send.room, send.message_id);
        if let Err(refusal) = self.check_send(room, message_id) {
            return self.refuse(room, message_id, refusal);
        }
        if let Err(refusal) = self.pass_on(send) {
            self.refuse(room, message_id, refusal);
        }
    }

    /// Whether a send may pass now. Membership is not looked at: what a gateway knows of it may be older than the client's
    /// own knowledge, and a final refusal must be right. The writer knows.
    fn check_send(&self, room: RoomId, message_id: MessageId) -> Result<(), Refusal> {
        let core = &self.core;
        let busy_for = core.busy.wait_for(room, core.settings.slots, core.instruments.timer.millis());
        if !self.connection.admits(room, message_id) {
            // Not before the one that it waits for may come.
            let refusal = held(Held::Waits);
            return Err(Refusal { retry_after_ms: refusal.retry_after_ms.max(busy_for), ..refusal });
        }
        self.check_limits(room, message_id)?;
        match busy_for {
            Some(wait_ms) => Err(busy("this room takes no messages just now", wait_ms)),
            None => Ok(()),
        }
    }

    fn check_limits(&self, room: RoomId, message_id: MessageId) -> Result<(), Refusal> {
        let core = &self.core;
        let limits = &core.settings.limits;
        let Some(identity) = self.identity() else { return Ok(()) };
        if !limits.enabled {
            return Ok(());
        }
        let too_many = |wait: u64| Refusal::retryable(Code::RateLimited, "too many sends", wait.div_ceil(1_000));
        let now = core.instruments.timer.micros();
        // What was sent by other gateways.
        let held = identity.user.held_until.load(Ordering::Relaxed).saturating_sub(now);
        if held > 0 {
            return Err(too_many(held));
        }
        core.paces.sends.check(&identity.user.sends, now).map_err(too_many)?;
        if core.registrar.has_others() {
            core.shared_sends.sent(&identity.user);
        }
        if identity.user.in_flight.load(Ordering::Relaxed) >= limits.in_flight
            && !self.connection.is_in_flight(room, message_id)
        {
            return Err(Refusal::retryable(Code::RateLimited, "too many sends without an outcome", RETRY_AFTER_MS));
        }
        Ok(())
    }

    fn pass_on(&self, mut send: Send) -> Result<(), Refusal> {
        let core = &self.core;
        let Some(identity) = self.identity() else { return Ok(()) };
        let (room, message_id) = (send.room, send.message_id);
        let traced = trace::begin("send", send.traceparent.as_deref());
        let trace = match &traced {
            Some(traced) => Some(traced.parent().into()),
            None => trace_of(&mut send),
        };
        let draft = send.into_draft();
        check_draft(&draft)?;
        // Asked again: an earlier send may have failed since it was asked first.
        let begun = self.connection.begin_send(room, message_id).map_err(held)?;
        tracing::debug!(trace = trace.as_deref(), %room, %message_id, repeat = begun.repeat, "send taken");
        let command = Command {
            room,
            message_id,
            sender: identity.sender(),
            action: Action::Append(draft),
            reply: Some(ReplyAddress { incarnation: core.incarnation, connection: self.connection.id }),
            after: begun.after,
            accepted_micros: core.clock.micros(),
            trace,
        };
        core.ingest
            .submit(command, traced)
            .map_err(|_| busy("the server has more messages than it can pass on just now", RETRY_AFTER_MS))
    }

    /// Refuses, and remembers what has to come again first.
    fn refuse(&mut self, room: RoomId, message_id: MessageId, refusal: Refusal) {
        self.core.instruments.metrics.refused(refusal.code).inc();
        if refusal.retryable {
            if refusal.code == Code::Busy && !self.connection.is_blocked(room) {
                let retry_after_ms = refusal.retry_after_ms.unwrap_or(RETRY_AFTER_MS);
                self.say(&ServerFrame::Busy(Busy { room: Some(room), retry_after_ms }));
            }
            self.connection.refuse_send(room, message_id);
        } else {
            self.connection.settle_send(room, message_id);
        }
        self.say(&ServerFrame::Refused(Refused::new(message_id, room, refusal)));
        self.count_refusal();
    }

    /// A `send` that cannot be read, of which the id can: refused when its content is too large, else an error.
    pub(super) fn on_bad_send(&mut self, line: &str, message_id: MessageId, detail: String) {
        match serde_json::from_str::<Sized<'_>>(line) {
            Ok(sized) if sized.content.get().len() > CONTENT_BYTES => {
                let refusal = Refusal::new(Code::ContentTooLarge, format!("content has at most {CONTENT_BYTES} bytes"));
                self.refuse(sized.room, message_id, refusal);
            }
            _ => self.error(Code::ValidationFailed, detail, named(message_id)),
        }
    }
}

fn held(held: Held) -> Refusal {
    let detail = match held {
        Held::Waits => "an earlier send to this room has to come again first",
        Held::TooMany => "too many sends without an outcome",
    };
    busy(detail, RETRY_AFTER_MS)
}

fn busy(detail: &'static str, retry_after_ms: u64) -> Refusal {
    Refusal::retryable(Code::Busy, detail, retry_after_ms)
}

/// The id that follows a message through the logs: the client's, or one of our own while someone reads such logs.
fn trace_of(send: &mut Send) -> Option<Box<str>> {
    match send.traceparent.take() {
        Some(trace) if trace.len() <= TRACE_BYTES && trace.bytes().all(|byte| byte.is_ascii_graphic()) => Some(trace),
        _ if tracing::enabled!(Level::DEBUG) => Some(send.message_id.to_string().into()),
        _ => None,
    }
}
