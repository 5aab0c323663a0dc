//! `watermark`: how far the user has come.

use klatch_bus::WatermarkMove;
use klatch_domain::{Code, Position, Refusal};
use klatch_protocol::{ErrorFrame, ServerFrame, WatermarkOut};
use std::sync::Arc;

use super::Client;
use crate::{
    connection::Connection,
    core::Core,
    rooms::{CannotAsk, Waiting},
};

/// Integers of the wire contract stay below this.
const INTEGER: u64 = 1 << 53;

fn is_valid(position: Option<Position>) -> bool {
    position.is_none_or(|position| position.seq.0 < INTEGER && position.generation.0 < INTEGER)
}

impl Client {
    pub(super) fn on_watermark(&mut self, watermark: &WatermarkOut) {
        let WatermarkOut { room, read, delivered } = *watermark;
        let Some(identity) = self.identity() else { return };
        let (user, session) = (identity.user.id, identity.session);
        if !(is_valid(read) && is_valid(delivered)) || (read.is_none() && delivered.is_none()) {
            let detail = "a watermark has read or delivered, a position each";
            return self.error(Code::ValidationFailed, detail, Some(room.to_string()));
        }
        let moved = WatermarkMove { room, user, session, read, delivered };
        if self.core.rooms.is_member(room, user) == Some(true) {
            return report(&self.core, moved);
        }
        if !self.connection.begin_asking() {
            return self.too_many_questions(room);
        }
        let waiting = Waiting::Watermark(Arc::clone(&self.connection), moved);
        if let Err(CannotAsk) = self.core.rooms.ask(room, waiting) {
            self.connection.end_asking();
            self.too_many_questions(room);
        }
    }

    /// More of this connection's frames, or of all, wait for answers than may.
    pub(super) fn too_many_questions(&mut self, about: impl ToString) {
        self.error(Code::Busy, "too much is being asked just now", Some(about.to_string()));
    }
}

fn report(core: &Core, moved: WatermarkMove) {
    if !core.reports.add(moved) {
        core.instruments.metrics.dropped("watermarks").inc();
    }
}

/// The answer a watermark waited for has come.
pub(crate) fn decide(core: &Core, connection: &Connection, moved: WatermarkMove, member: Option<bool>) {
    connection.end_asking();
    match member {
        Some(true) => report(core, moved),
        other => connection.push_frame(&refused(moved.room, other)),
    }
}

/// What a frame about a room gets that its user is not in, or of whose members nothing is known just now.
pub(super) fn refused(room: klatch_domain::RoomId, member: Option<bool>) -> ServerFrame {
    let (code, detail) = match member {
        Some(_) => {
            let Refusal { code, detail, .. } = Refusal::room_not_found();
            (code, detail)
        }
        None => (Code::Busy, "who is in this room is not known just now".into()),
    };
    ServerFrame::Error(ErrorFrame { code, detail, reference: Some(room.to_string()) })
}
