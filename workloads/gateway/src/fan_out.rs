//! From events to frames: what arrives together for a room becomes one block, encoded once.

use std::{collections::HashMap, mem::take, ops::Range, sync::Arc};

use bytes::Bytes;
use foldhash::fast::RandomState;
use klatch_domain::{
    Appended, Audience, Code, Event, Kind, Outcome, OutcomeEvent, Refusal, RoomId, UserId, WatermarkMoved,
};
use klatch_protocol::{PositionFrame, Refused, ServerFrame, StoredFrame, WatermarkFrame, encode_message};
use klatch_service_kit::trace::{self, Traced};
use serde::Deserialize;

use crate::{
    batch::{Batch, PieceId},
    connection::{Connection, MESSAGE_BYTES},
    core::Core,
    frames::{decide_signal, decide_watch, decide_watermark},
    ingest::RETRY_AFTER_MS,
    presence,
    registry::Connections,
    revocation,
    rooms::{Delivery, Found, Head, Recipients, Resolved, Segment, Waiting},
    signals::deliver_decided,
};

/// Recipients up to which a block is not shared: copying it for the rare one that cannot take it at once is cheaper.
const FEW: usize = 4;

/// The state of the event task.
pub(crate) struct FanOut {
    core: Arc<Core>,
    batch: Batch,
    /// Entries of the batch by room, in order of their first.
    rooms: Vec<(RoomId, Vec<Delivery>)>,
    places: HashMap<RoomId, usize, RandomState>,
    /// When the entries that are about to be written were accepted, microseconds since 1970.
    accepted: Vec<u64>,
    /// Spans of entries that are about to be written.
    traced: Vec<Traced>,
    block: Block,
}

/// Frames of one room, encoded one behind the other.
#[derive(Default)]
struct Block {
    lines: Vec<u8>,
    /// Where each frame ends.
    ends: Vec<usize>,
    /// Connections that do not get a frame, and which.
    skips: Vec<(Arc<Connection>, usize)>,
}

impl FanOut {
    pub(crate) fn new(core: Arc<Core>) -> Self {
        Self {
            core,
            batch: Batch::default(),
            rooms: Vec::new(),
            places: HashMap::default(),
            accepted: Vec::new(),
            traced: Vec::new(),
            block: Block::default(),
        }
    }

    /// Turns events that came together into frames.
    pub(crate) fn take(&mut self, events: Vec<Event>) {
        // Entries are looked at before any outcome settles a send: either may come first, and the sender's own connection
        // is known by its unsettled send.
        for event in &events {
            if let Event::Appended(appended) = event {
                self.gather(appended);
            }
        }
        for event in &events {
            if let Event::Outcome(outcome) = event {
                self.outcome(outcome);
            }
        }
        for (room, deliveries) in take(&mut self.rooms) {
            let (segments, dropped) = self.core.rooms.sort_out(room, deliveries, &self.core.registry);
            self.push_segments(room, segments, dropped);
        }
        self.places.clear();
        for event in events {
            match event {
                Event::Appended(_) | Event::Outcome(_) => {}
                Event::Watermark(moved) => self.watermark(&moved),
                Event::SessionRevoked { session, user } => revocation::revoke(&self.core, session, user),
                Event::RoomDeleted { room } => {
                    presence::see_deleted(&self.core, room);
                    let resolved = self.core.rooms.deleted(room);
                    self.resolved(room, resolved);
                }
                Event::SlotsBusy { slots, retry_after_ms } => {
                    self.core.busy.set(&slots, retry_after_ms, self.core.instruments.timer.millis());
                }
            }
        }
    }

    fn gather(&mut self, appended: &Arc<Appended>) {
        let room = appended.room;
        presence::see(&self.core, appended);
        if appended.entry.kind == Kind::FriendChanged {
            self.friend_changed(appended);
        }
        let delivery = Delivery { appended: Arc::clone(appended), skip: self.sender_of(appended) };
        let place = *self.places.entry(room).or_insert_with(|| {
            self.rooms.push((room, Vec::new()));
            self.rooms.len() - 1
        });
        self.rooms[place].1.push(delivery);
    }

    /// An entry of an inbox: its owner's watch of that user is asked about again.
    fn friend_changed(&self, appended: &Appended) {
        #[derive(Deserialize)]
        struct Changed {
            user: UserId,
        }
        if let (Ok(Changed { user }), Audience::Members(owners)) = (appended.entry.content.read(), &appended.audience) {
            owners.iter().for_each(|owner| presence::verify_watch(&self.core, *owner, user));
        }
    }

    /// The connection that waits for the outcome of this entry. All of the sender's hear that it is in the log: the same
    /// message may have been sent by several.
    fn sender_of(&self, appended: &Appended) -> Option<Arc<Connection>> {
        let Appended { room, entry, .. } = appended;
        let user = self.core.registry.user(entry.sender.user)?;
        let mut sender = None;
        for connection in user.connections() {
            let awaits_outcome = connection.see_sent(*room, entry.message_id);
            if awaits_outcome && sender.is_none() && connection.is_of(entry.sender.session) {
                sender = Some(connection);
            }
        }
        sender
    }

    fn outcome(&mut self, event: &OutcomeEvent) {
        let OutcomeEvent { reply, message_id, room, outcome } = event;
        let Some(connection) = self.core.registry.connection(reply.connection) else { return };
        let refusal = match outcome {
            Outcome::Stored(stored) => {
                connection.store_send(*room, *message_id);
                let frame = ServerFrame::Stored(StoredFrame::new(*message_id, *room, *stored));
                return self.batch.add_frame(&connection, &frame);
            }
            Outcome::Refused(refusal) => refusal.clone(),
            // A send is stored or refused; whatever this is, the same send finds out what became of it.
            Outcome::Unchanged => Refusal::retryable(Code::Internal, "no outcome came: send it again", RETRY_AFTER_MS),
        };
        if !refusal.retryable {
            connection.settle_send(*room, *message_id);
        } else if !connection.fail_send(*room, *message_id) {
            // Of an earlier try, and the message is stored: to say "send it again" would be wrong.
            return;
        }
        let frame = ServerFrame::Refused(Refused::new(*message_id, *room, refusal));
        self.batch.add_frame(&connection, &frame);
    }

    fn push_segments(&mut self, room: RoomId, segments: Vec<Segment>, dropped: usize) {
        if dropped > 0 {
            self.core.instruments.metrics.dropped("entries").inc_by(dropped as u64);
            tracing::warn!(%room, dropped, "entries were dropped while the members were asked for; a position follows");
        }
        for segment in segments {
            match &segment.recipients {
                Recipients::Local(connections) => {
                    presence::see_delivery(&self.core, room, connections);
                    self.push_segment(room, &segment, connections);
                }
                Recipients::Users(users) => {
                    let connections = self.connections_of(users);
                    self.push_segment(room, &segment, &connections);
                }
            }
        }
    }

    fn connections_of(&self, users: &[UserId]) -> Connections {
        let mut connections = Connections::new();
        for user in users {
            self.core.registry.connections_of(*user, &mut connections);
        }
        connections
    }

    fn push_segment(&mut self, room: RoomId, segment: &Segment, connections: &[Arc<Connection>]) {
        if connections.is_empty() {
            return;
        }
        for Delivery { appended, skip } in &segment.deliveries {
            let start = self.block.lines.len();
            encode_message(room, &appended.entry, appended.members_version, &mut self.block.lines);
            self.block.lines.push(b'\n');
            if start > 0 && self.block.lines.len() > MESSAGE_BYTES {
                let last = self.block.lines.split_off(start);
                self.push_block(connections);
                self.block.lines.extend_from_slice(&last);
            }
            if let Some(skip) = skip {
                self.block.skips.push((Arc::clone(skip), self.block.ends.len()));
            }
            self.block.ends.push(self.block.lines.len());
            self.accepted.push(appended.accepted_micros);
            self.traced.extend(trace::follow("deliver", appended.trace.as_deref()));
            tracing::debug!(
                trace = appended.trace.as_deref(),
                %room,
                message_id = %appended.entry.message_id,
                connections = connections.len(),
                "message delivered"
            );
        }
        self.push_block(connections);
    }

    fn push_block(&mut self, connections: &[Arc<Connection>]) {
        let Block { lines, ends, skips } = &mut self.block;
        let whole = if connections.len() <= FEW {
            self.batch.own(lines)
        } else {
            self.batch.shared(Bytes::copy_from_slice(lines))
        };
        for connection in connections {
            if skips.iter().any(|(skip, _)| Arc::ptr_eq(skip, connection)) {
                push_parts(&mut self.batch, whole, connection, ends, skips);
            } else {
                self.batch.add(connection, whole);
            }
        }
        lines.clear();
        lines.shrink_to(4 * MESSAGE_BYTES);
        ends.clear();
        skips.clear();
    }

    fn watermark(&mut self, moved: &WatermarkMoved) {
        let WatermarkMoved { room, user, read, delivered, audience } = moved;
        let frame =
            ServerFrame::Watermark(WatermarkFrame { room: *room, user: *user, read: *read, delivered: *delivered });
        match audience {
            Audience::Members(users) => {
                let connections = self.connections_of(users);
                self.push_to(&connections, &frame);
            }
            Audience::Room => {
                if let Some(connections) = self.core.rooms.local(*room, &self.core.registry) {
                    self.push_to(&connections, &frame);
                }
            }
        }
    }

    fn push_to(&mut self, connections: &[Arc<Connection>], frame: &ServerFrame) {
        if connections.is_empty() {
            return;
        }
        let piece = self.batch.frame(frame);
        connections.iter().for_each(|connection| self.batch.add(connection, piece));
    }

    /// Takes an answer about a room.
    pub(crate) fn found(&mut self, found: Found) {
        let room = found.room;
        let resolved = self.core.rooms.resolve(found, &self.core.registry);
        self.resolved(room, resolved);
    }

    fn resolved(&mut self, room: RoomId, resolved: Resolved) {
        let Resolved { position, segments, decided, dropped } = resolved;
        if let Some((connections, head)) = position {
            self.push_to(&connections, &position_frame(room, head));
        }
        self.push_segments(room, segments, dropped);
        for (waiting, member) in decided {
            self.decide(room, waiting, member);
        }
    }

    fn decide(&self, room: RoomId, waiting: Waiting, member: Option<bool>) {
        let core = &self.core;
        match waiting {
            Waiting::Watch(connection) => decide_watch(core, room, &connection, member),
            Waiting::Watermark(connection, moved) => decide_watermark(core, &connection, moved, member),
            Waiting::Signal { from, line, signal, until_ms } => {
                decide_signal(core, &from, &line, signal, until_ms, member);
            }
            Waiting::Remote { user, line } if member == Some(true) => deliver_decided(core, room, user, None, &line),
            Waiting::Remote { .. } => core.instruments.metrics.dropped("signals_in").inc(),
        }
    }

    /// Writes everything that was gathered.
    pub(crate) async fn flush(&mut self) {
        self.batch.flush().await;
        self.traced.clear();
        let now = self.core.clock.micros();
        for accepted in self.accepted.drain(..) {
            let micros = now.saturating_sub(accepted);
            self.core.instruments.metrics.delivery_seconds.observe(micros as f64 / 1e6);
        }
    }
}

fn position_frame(room: RoomId, (head, head_ordinal): Head) -> ServerFrame {
    ServerFrame::Position(PositionFrame { room, head, head_ordinal })
}

/// Everything of a block but the frames this connection has sent itself.
fn push_parts(
    batch: &mut Batch,
    whole: PieceId,
    connection: &Arc<Connection>,
    ends: &[usize],
    skips: &[(Arc<Connection>, usize)],
) {
    let mut push = |range: Range<usize>| {
        if !range.is_empty() {
            let part = batch.part(whole, range);
            batch.add(connection, part);
        }
    };
    let mut from = 0;
    for (_, frame) in skips.iter().filter(|(skip, _)| Arc::ptr_eq(skip, connection)) {
        let start = frame.checked_sub(1).map_or(0, |before| ends[before]);
        push(from..start);
        from = ends[*frame];
    }
    push(from..ends.last().copied().unwrap_or(from));
}
