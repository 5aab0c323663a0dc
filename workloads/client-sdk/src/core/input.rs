//! What the core is told.

use klatch_domain::{Code, Draft, Entry, MessageId, Position, RoomId, Seq};
use klatch_protocol::http::SyncAnswer;
use klatch_protocol::{ServerFrame, SignalOut, Watch};

/// Names one request of the core; its answer carries it back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RequestId(pub u64);

/// Why a request was not answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Failure {
    /// The server's code; none when it did not answer at all.
    pub code: Option<Code>,
    /// Not before this.
    pub retry_after_ms: Option<u64>,
}

/// A line of the server's room list.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ListedRoom {
    /// Which.
    pub room: RoomId,
    /// Where its log ends.
    pub head: Position,
    /// How many are in it.
    pub members: u64,
}

/// Everything that can happen to a client.
#[derive(Debug, Clone)]
pub enum Input {
    /// The user wants to be connected; also after a stop.
    Start,
    /// The user does not.
    Stop,
    /// The user is looking: check everything, do not wait.
    Foreground,
    /// Time has passed.
    Tick,

    /// The socket is open.
    Connected,
    /// A frame came in.
    Frame(Box<ServerFrame>),
    /// Something else came in: a ping, a pong, a frame of a newer version.
    Heard,
    /// The socket is closed, or could not be opened. Not told after [`Output::CloseSocket`](super::Output::CloseSocket).
    Disconnected {
        /// The server's close code, if it sent one.
        code: Option<u16>,
        /// The server's hint, if the opening was refused with one.
        retry_after_ms: Option<u64>,
    },

    /// An access token, the first or a newer one.
    TokenRefreshed {
        /// For `hello` and `refresh`.
        access_token: String,
        /// How long it lives.
        lives_ms: u64,
    },
    /// There is none.
    RefreshFailed(Failure),
    /// The server did not take the access token in an HTTP call: get another.
    TokenRejected,

    /// A page of the room list.
    RoomsAnswer {
        /// Of the request.
        request: RequestId,
        /// The page.
        rooms: Vec<ListedRoom>,
        /// For the page after it.
        next: Option<String>,
    },
    /// A page of many logs.
    SyncAnswer {
        /// Of the request.
        request: RequestId,
        /// The page.
        answer: SyncAnswer,
    },
    /// A page of one log.
    HistoryAnswer {
        /// Of the request.
        request: RequestId,
        /// In seq order.
        entries: Vec<Entry>,
        /// There is more that way.
        more: bool,
    },
    /// No answer.
    RequestFailed {
        /// Of the request.
        request: RequestId,
        /// Why.
        failure: Failure,
    },

    /// The user writes.
    Say {
        /// A new id.
        message_id: MessageId,
        /// Where to.
        room: RoomId,
        /// What.
        draft: Box<Draft>,
    },
    /// The user wants a refused message sent again.
    Retry(MessageId),
    /// The user gives a message up. One that is on its way may be stored all the same.
    Discard(MessageId),
    /// The user has read up to here.
    Read {
        /// In which room.
        room: RoomId,
        /// Up to which seq.
        seq: Seq,
    },
    /// The user looks at these.
    Watch(Watch),
    /// No longer.
    Unwatch(Watch),
    /// Lossy news for a room.
    Signal(SignalOut),
    /// The user scrolls back.
    Older {
        /// In which room.
        room: RoomId,
        /// How many entries.
        limit: usize,
    },
    /// The user is in this room, as an answer of the API has just said.
    Entered(RoomId),
}
