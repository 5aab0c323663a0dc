//! What a client says: one file a frame. Nothing here waits; what must be asked is asked in the background.

mod hello;
mod refresh;
mod send;
mod signal;
mod watch;
mod watermark;

use std::{borrow::Cow, mem::take, sync::Arc};

use klatch_domain::{Code, MessageId};
use klatch_protocol::{ClientFrame, ErrorFrame, FrameError, Ping, Pong, ServerFrame, close, lines};

use crate::{
    connection::{Connection, Identity, Piece},
    core::Core,
    limits::Cell,
};

pub(crate) use signal::decide as decide_signal;
pub(crate) use watch::decide as decide_watch;
pub(crate) use watermark::decide as decide_watermark;

/// Lines that are no frame at all after which a connection is closed: the wire contract's ten.
const MALFORMED: u8 = 10;
/// Answers that are gathered before they are pushed, bytes; all answers to what came at once leave together.
const ANSWERS_BYTES: usize = 32 * 1024;
/// Refusals and errors within [`FLOOD_MS`] after which a connection is closed: a client that waits as it is told never gets
/// there.
const FLOOD: u32 = 1_000;
/// Milliseconds.
const FLOOD_MS: u64 = 10_000;

/// One client's side of the talk: belongs to the connection's task.
pub(crate) struct Client {
    pub(crate) core: Arc<Core>,
    pub(crate) connection: Arc<Connection>,
    /// Frames for this client, whole lines, until the end of the turn.
    answers: Vec<u8>,
    malformed: u8,
    /// Refusals and errors since then, milliseconds of the timer.
    flood: (u64, u32),
    signals: Cell,
    refreshes: Cell,
}

impl Client {
    pub(crate) fn new(core: Arc<Core>, connection: Arc<Connection>) -> Self {
        Self {
            core,
            connection,
            answers: Vec::new(),
            malformed: 0,
            flood: (0, 0),
            signals: Cell::default(),
            refreshes: Cell::default(),
        }
    }

    /// Something was heard of the client.
    pub(crate) fn heard(&self) {
        self.connection.hear(self.core.instruments.timer.millis());
    }

    /// Handles one text message.
    pub(crate) fn on_message(&mut self, message: &str) {
        for line in lines(message) {
            if self.connection.is_closing() {
                break;
            }
            self.on_line(line);
            if self.answers.len() > ANSWERS_BYTES {
                self.answer();
            }
        }
    }

    fn on_line(&mut self, line: &str) {
        let decoded = ClientFrame::decode(line);
        if let Ok(frame) = &decoded {
            self.core.instruments.metrics.frame_in(frame).inc();
        }
        match decoded {
            Ok(ClientFrame::Hello(hello)) if self.connection.identity().is_none() => self.on_hello(&hello),
            _ if self.connection.identity().is_none() => {
                self.close(close::HELLO_MISSING, "the first frame is hello");
            }
            Ok(frame) => self.on_frame(frame),
            Err(error) => self.on_bad_line(line, error),
        }
    }

    fn on_frame(&mut self, frame: ClientFrame) {
        match frame {
            ClientFrame::Hello(_) => self.error(Code::ValidationFailed, "hello was said already", None),
            ClientFrame::Send(send) => self.on_send(send),
            ClientFrame::Watermark(watermark) => self.on_watermark(&watermark),
            ClientFrame::Signal(signal) => self.on_signal(signal),
            ClientFrame::Watch(watch) => self.on_watch(watch),
            ClientFrame::Unwatch(watch) => self.on_unwatch(watch),
            ClientFrame::Refresh(refresh) => self.on_refresh(&refresh),
            ClientFrame::Ping(ping) => self.on_ping(ping),
        }
    }

    fn on_ping(&mut self, Ping { reference }: Ping) {
        self.say(&ServerFrame::Pong(Pong { reference, server_time: self.core.now() }));
    }

    fn on_bad_line(&mut self, line: &str, error: FrameError) {
        self.core.instruments.metrics.malformed.inc();
        match error {
            FrameError::NotAFrame => {
                self.malformed += 1;
                self.error(Code::ValidationFailed, error.to_string(), None);
                if self.malformed >= MALFORMED {
                    self.close(close::MALFORMED, "too many lines that are no frames");
                }
            }
            FrameError::Unknown(_) => self.error(Code::UnknownFrame, error.to_string(), None),
            FrameError::Invalid { frame: "send", message_id: Some(message_id), .. } => {
                self.on_bad_send(line, message_id, error.to_string());
            }
            FrameError::Invalid { message_id, .. } => {
                self.error(Code::ValidationFailed, error.to_string(), message_id.map(|id| id.to_string()));
            }
        }
    }

    /// Whose connection it is: known from `hello` on, before any other frame is handled.
    fn identity(&self) -> Option<&Identity> {
        self.connection.identity()
    }

    /// A frame for this client, at the end of the turn.
    fn say(&mut self, frame: &ServerFrame) {
        frame.encode_into(&mut self.answers);
        self.answers.push(b'\n');
    }

    fn error(&mut self, code: Code, detail: impl Into<Cow<'static, str>>, reference: Option<String>) {
        self.say(&ServerFrame::Error(ErrorFrame { code, detail: detail.into(), reference }));
        self.count_refusal();
    }

    /// Refusals and errors cost more than what they answer: a client that only causes them is closed.
    fn count_refusal(&mut self) {
        let now_ms = self.core.instruments.timer.millis();
        let (since, count) = &mut self.flood;
        if now_ms.saturating_sub(*since) > FLOOD_MS {
            (*since, *count) = (now_ms, 0);
        }
        *count += 1;
        if *count > FLOOD && self.core.settings.limits.enabled {
            self.close(close::TOO_MANY, "too much of what is refused");
        }
    }

    /// Pushes what was said in this turn.
    pub(crate) fn answer(&mut self) {
        if !self.answers.is_empty() {
            let answers = take(&mut self.answers);
            self.connection.push(&[Piece::Own(&answers)]);
        }
    }

    /// Closes, behind what was said.
    pub(crate) fn close(&mut self, code: u16, reason: &'static str) {
        self.answer();
        self.connection.close(code, reason);
    }
}

/// The message id an error names.
fn named(message_id: MessageId) -> Option<String> {
    Some(message_id.to_string())
}
