//! Frames for many connections that leave together: encoded once, one write for each connection.

use std::{ops::Range, sync::Arc};

use bytes::Bytes;
use klatch_protocol::ServerFrame;
use smallvec::SmallVec;

use crate::connection::{Connection, Piece};

/// Writes to sockets before others get their turn: about a millisecond.
const TURN_WRITES: usize = 128;
/// Capacity that is kept from one batch to the next, bytes.
const KEPT_BYTES: usize = 1024 * 1024;

/// Names a piece of its batch.
#[derive(Debug, Clone, Copy)]
pub(crate) struct PieceId(u32);

enum Made {
    Shared(Bytes),
    Own(Range<usize>),
}

/// Gathers first, writes then: a connection gets everything of a batch at once, in the order in which it was added.
#[derive(Default)]
pub(crate) struct Batch {
    arena: Vec<u8>,
    pieces: Vec<Made>,
    items: Vec<(Arc<Connection>, PieceId)>,
}

impl Batch {
    /// A frame for few: copied for those who cannot take it at once.
    pub(crate) fn frame(&mut self, frame: &ServerFrame) -> PieceId {
        let start = self.arena.len();
        frame.encode_into(&mut self.arena);
        self.arena.push(b'\n');
        self.piece(Made::Own(start..self.arena.len()))
    }

    /// Lines for few.
    pub(crate) fn own(&mut self, lines: &[u8]) -> PieceId {
        let start = self.arena.len();
        self.arena.extend_from_slice(lines);
        self.piece(Made::Own(start..self.arena.len()))
    }

    /// Lines for many: shared by those who cannot take them at once.
    pub(crate) fn shared(&mut self, lines: Bytes) -> PieceId {
        self.piece(Made::Shared(lines))
    }

    /// Some of the lines of a piece.
    pub(crate) fn part(&mut self, whole: PieceId, range: Range<usize>) -> PieceId {
        let part = match &self.pieces[whole.0 as usize] {
            Made::Shared(bytes) => Made::Shared(bytes.slice(range)),
            Made::Own(own) => Made::Own(own.start + range.start..own.start + range.end),
        };
        self.piece(part)
    }

    fn piece(&mut self, made: Made) -> PieceId {
        // A batch is far from 2^32 pieces.
        let id = PieceId(self.pieces.len() as u32);
        self.pieces.push(made);
        id
    }

    pub(crate) fn add(&mut self, connection: &Arc<Connection>, piece: PieceId) {
        self.items.push((Arc::clone(connection), piece));
    }

    /// One frame for one connection.
    pub(crate) fn add_frame(&mut self, connection: &Arc<Connection>, frame: &ServerFrame) {
        let piece = self.frame(frame);
        self.add(connection, piece);
    }

    /// Writes everything, and is empty then. Not cancel safe: what was not written yet is written by nobody.
    pub(crate) async fn flush(&mut self) {
        if self.pieces.len() > 1 {
            // By address, to bring together what is for the same connection; stable, so its order stays.
            self.items.sort_by_key(|(connection, _)| Arc::as_ptr(connection).addr());
        }
        let same = |one: &(Arc<Connection>, _), other: &(Arc<Connection>, _)| Arc::ptr_eq(&one.0, &other.0);
        for (count, run) in self.items.chunk_by(same).enumerate() {
            if count % TURN_WRITES == TURN_WRITES - 1 {
                tokio::task::yield_now().await;
            }
            let pieces: SmallVec<[Piece<'_>; 16]> = run.iter().map(|(_, piece)| self.get(*piece)).collect();
            run[0].0.push(&pieces);
        }
        self.clear();
    }

    fn get(&self, piece: PieceId) -> Piece<'_> {
        match &self.pieces[piece.0 as usize] {
            Made::Shared(bytes) => Piece::Shared(bytes),
            Made::Own(range) => Piece::Own(&self.arena[range.clone()]),
        }
    }

    fn clear(&mut self) {
        self.items.clear();
        self.pieces.clear();
        self.arena.clear();
        self.arena.shrink_to(KEPT_BYTES);
        self.items.shrink_to(KEPT_BYTES / size_of::<(Arc<Connection>, PieceId)>());
    }
}
