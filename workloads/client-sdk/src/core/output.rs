//! What the core asks for, and what it tells.

use klatch_domain::{Entry, MessageId, Ordinal, Position, Refusal, RoomId, Seq, Timestamp, UserId};
use klatch_protocol::http::{FriendStatus, SyncRequest};
use klatch_protocol::{ClientFrame, ErrorFrame, PresenceFrame, SignalIn, WatermarkFrame};

use super::input::RequestId;

/// Something to be done for the core, in the order given.
#[derive(Debug, Clone, PartialEq)]
pub enum Output {
    /// Write a [`Snapshot`](super::Snapshot), and let it be on disk before anything after this is done.
    Save,
    /// Open a socket; answer `Connected` or `Disconnected`.
    OpenSocket,
    /// Close the socket, open or opening; no answer, and nothing more of that socket.
    CloseSocket {
        /// Close code to send.
        code: u16,
    },
    /// Send these, in order, on the open socket.
    SendFrames(Vec<ClientFrame>),
    /// Get an access token; answer `TokenRefreshed` or `RefreshFailed`.
    RefreshToken,
    /// `GET /v1/rooms`; answer `RoomsAnswer` or `RequestFailed`.
    RequestRooms {
        /// For the answer.
        request: RequestId,
        /// `next` of the page before.
        after: Option<String>,
    },
    /// `POST /v1/sync`; answer `SyncAnswer` or `RequestFailed`.
    RequestSync {
        /// For the answer.
        request: RequestId,
        /// The question.
        body: SyncRequest,
    },
    /// `GET /v1/rooms/{id}/messages`; answer `HistoryAnswer` or `RequestFailed`.
    RequestHistory {
        /// For the answer.
        request: RequestId,
        /// Whose log.
        room: RoomId,
        /// Which part.
        part: Part,
        /// How many entries.
        limit: usize,
    },
    /// Send `Tick` at this time of the outside clock; replaces the one before. None: no tick is needed.
    SetTimer(Option<u64>),
    /// For the user.
    Changed(Change),
}

/// Which part of a log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Part {
    /// The first entries above this seq.
    After(Seq),
    /// The last entries below this seq.
    Before(Seq),
}

/// Something the user may want to know.
#[derive(Debug, Clone, PartialEq)]
pub enum Change {
    /// How the connection stands.
    Connection(Connection),
    /// Everything that was written while we were away is here.
    CaughtUp,
    /// We are in this room from now on.
    Joined {
        /// Which.
        room: RoomId,
    },
    /// We are not any more; everything about it is dropped.
    Left {
        /// Which.
        room: RoomId,
    },
    /// New entries at the end of a room's log: dense, in order, each once.
    Appended {
        /// Whose log.
        room: RoomId,
        /// In seq order.
        entries: Vec<Entry>,
    },
    /// Older entries before those held: dense, in order.
    Older {
        /// Whose log.
        room: RoomId,
        /// In seq order.
        entries: Vec<Entry>,
    },
    /// A row is now this: it was edited, deleted or reacted to.
    Updated {
        /// Whose log.
        room: RoomId,
        /// The row.
        entry: Box<Entry>,
    },
    /// Rows held so far are dropped; what follows starts after this position.
    Restarted {
        /// Whose log.
        room: RoomId,
        /// From where.
        position: Position,
    },
    /// What became of a message of ours.
    Message {
        /// Which.
        message_id: MessageId,
        /// Where to.
        room: RoomId,
        /// How it stands.
        state: MessageState,
    },
    /// A friendship changed.
    Friend {
        /// With whom.
        user: UserId,
        /// How it stands; none when there is none any more.
        status: Option<FriendStatus>,
    },
    /// Our own settings of a room changed on another device.
    Preferences {
        /// Which.
        room: RoomId,
    },
    /// A user's device list changed.
    DeviceList {
        /// Whose.
        user: UserId,
    },
    /// Another entry of our inbox.
    Notice(Box<Entry>),
    /// How far a member has come.
    Watermark(WatermarkFrame),
    /// Lossy news of a room we watch.
    Signal(SignalIn),
    /// How a user we watch stands.
    Presence(PresenceFrame),
    /// The server did not like a frame.
    Problem(ErrorFrame),
}

/// How the connection stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Connection {
    /// It carries messages.
    Online,
    /// It does not; the next try comes in this long.
    Offline {
        /// Why it ended, if the server said.
        code: Option<u16>,
        /// Until the next try.
        retry_in_ms: u64,
    },
    /// There will be no try until the user acts.
    Stopped(Stop),
}

/// Why there will be no further try.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The user wanted it.
    Asked,
    /// The server closed for good.
    Closed(u16),
    /// The session is over: sign in again.
    SignedOut,
    /// The session belongs to another user than the state that was imported.
    OtherUser,
}

/// How a message of ours stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum MessageState {
    /// It waits in the outbox.
    Queued,
    /// It was sent on this connection.
    Sending,
    /// It is in the log.
    Stored {
        /// Where.
        position: Position,
        /// Its ordinal.
        ordinal: Ordinal,
        /// The server's time of it.
        at: Timestamp,
    },
    /// It was refused for good and is parked until the user sends it again or gives it up.
    Refused(Refusal),
}
