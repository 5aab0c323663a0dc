//! Which keys exist. What a script needs together carries one tag in braces, so that a cluster keeps it on one server.
//!
//! | key | what |
//! |---|---|
//! | `{P:leases}ends` | sorted set: gateway -> end of its lease, ms of the server's clock |
//! | `{P:leases}tenures` | hash: gateway -> tenure of its lease |
//! | `{P:leases}version` | changes whenever the set of living gateways does |
//! | `{P:leases}since` | when this registry of leases was begun, ms |
//! | `{P:leases}kept` | hash: gateway -> tenure under which it says which large rooms it holds |
//! | `{P:leases}loads` | hash: gateway -> connections it says it holds |
//! | `{P:leases}lapsed` | list of gateway and tenure, whose entries are still to be cleared away |
//! | `{P:N}mark` | when piece N of the registry was begun, ms, and a nonce |
//! | `{P:N}user:U` | hash of a user: gateway -> tenure, and `a` -> last active, ms |
//! | `{P:N}held:GT` | set of the users whom gateway G has registered under tenure T in this piece |
//! | `{P:N}room:R` | hash of a large room: gateway that holds a member of it -> tenure |
//! | `{P:N}rooms:GT` | set of the large rooms that gateway G has registered under tenure T in this piece |
//! | `{P:N}turn:GT` | number of the last call of G under T that changed this piece |
//! | `{P:rate:K}` | what a rate limit has let pass: until when it is paid for, microseconds |
//! | `{P:recent:R}` | the newest entries of a room, as of a head, or the mark that older ones are of no use: one minute |
//! | `{P:stream:R}` | channels of very large rooms; sharded in a cluster |
//! | `P:signals:N` | channels of signals; in a cluster `{P:signals:N}`, sharded |
//!
//! P is the prefix. Gateways, users and tenures are 16 bytes each. A **tenure** is one uninterrupted hold of a lease: an
//! entry counts only while the tenure it was made under holds, so that a lease's end takes all entries along at once,
//! wherever they are. A **piece** is the part of the users and rooms that one server of a cluster surely holds: who loses a piece
//! loses its mark too, and every gateway notices.

use klatch_domain::{Incarnation, RoomId, UserId};

use super::Mode;

/// Pieces of the registry in a cluster: enough to spread over some 20 servers, few enough to look at every one at each
/// renewal. One server is lost as a whole: one piece.
const CLUSTER_PIECES: usize = 64;
/// Channels of signals in a cluster, over which publishers are spread. More cost a subscription each and spread no better.
const CLUSTER_CHANNELS: usize = 16;

/// One uninterrupted hold of a lease; a number used once.
pub(super) type Nonce = [u8; 16];

/// A number that nobody has used before.
pub(super) fn nonce() -> Nonce {
    // UUIDv7: 74 random bits behind the time.
    *RoomId::now().as_bytes()
}

#[derive(Debug, Clone)]
pub(super) struct Keys {
    prefix: String,
    mode: Mode,
}

impl Keys {
    pub(super) fn new(prefix: &str, mode: Mode) -> Self {
        Self { prefix: prefix.to_owned(), mode }
    }

    pub(super) const fn pieces(&self) -> usize {
        match self.mode {
            Mode::Standalone => 1,
            Mode::Cluster => CLUSTER_PIECES,
        }
    }

    pub(super) fn piece_of(&self, user: UserId) -> usize {
        self.piece(user.as_bytes())
    }

    pub(super) fn piece_of_room(&self, room: RoomId) -> usize {
        self.piece(room.as_bytes())
    }

    fn piece(&self, id: &[u8; 16]) -> usize {
        // The last byte of a UUID is random.
        usize::from(id[15]) % self.pieces()
    }

    /// In the order the lease script takes them.
    pub(super) fn leases(&self) -> [Vec<u8>; 6] {
        ["ends", "tenures", "version", "since", "lapsed", "kept"]
            .map(|name| format!("{{{}:leases}}{name}", self.prefix).into())
    }

    pub(super) fn lapsed(&self) -> Vec<u8> {
        let [.., lapsed, _] = self.leases();
        lapsed
    }

    /// In the order the load script takes them.
    pub(super) fn loads(&self) -> [Vec<u8>; 2] {
        ["tenures", "loads"].map(|name| format!("{{{}:leases}}{name}", self.prefix).into())
    }

    fn in_piece(&self, piece: usize, name: &str, ids: &[&[u8]]) -> Vec<u8> {
        let mut key = format!("{{{}:{piece}}}{name}", self.prefix).into_bytes();
        ids.iter().for_each(|id| key.extend_from_slice(id));
        key
    }

    pub(super) fn mark(&self, piece: usize) -> Vec<u8> {
        self.in_piece(piece, "mark", &[])
    }

    pub(super) fn user(&self, piece: usize, user: UserId) -> Vec<u8> {
        self.in_piece(piece, "user:", &[user.as_bytes()])
    }

    pub(super) fn held(&self, piece: usize, gateway: Incarnation, tenure: &Nonce) -> Vec<u8> {
        self.in_piece(piece, "held:", &[gateway.as_bytes(), tenure])
    }

    pub(super) fn room(&self, piece: usize, room: RoomId) -> Vec<u8> {
        self.in_piece(piece, "room:", &[room.as_bytes()])
    }

    pub(super) fn rooms(&self, piece: usize, gateway: Incarnation, tenure: &Nonce) -> Vec<u8> {
        self.in_piece(piece, "rooms:", &[gateway.as_bytes(), tenure])
    }

    pub(super) fn turn(&self, piece: usize, gateway: Incarnation, tenure: &Nonce) -> Vec<u8> {
        self.in_piece(piece, "turn:", &[gateway.as_bytes(), tenure])
    }

    pub(super) fn rate(&self, key: &str) -> Vec<u8> {
        format!("{{{}:rate:{key}}}", self.prefix).into_bytes()
    }

    pub(super) fn recent(&self, room: RoomId) -> Vec<u8> {
        format!("{{{}:recent:{room}}}", self.prefix).into_bytes()
    }

    /// The channel of a very large room.
    pub(super) fn room_channel(&self, room: RoomId) -> String {
        format!("{{{}:stream:{room}}}", self.prefix)
    }

    pub(super) fn room_of_channel(channel: &[u8]) -> Option<RoomId> {
        std::str::from_utf8(channel).ok()?.strip_suffix('}')?.rsplit(':').next()?.parse().ok()
    }

    pub(super) fn channels(&self) -> Vec<String> {
        match self.mode {
            Mode::Standalone => vec![format!("{}:signals:0", self.prefix)],
            Mode::Cluster => (0..CLUSTER_CHANNELS).map(|n| format!("{{{}:signals:{n}}}", self.prefix)).collect(),
        }
    }

    /// The one channel a gateway publishes in, so that its signals keep their order.
    pub(super) fn channel_of(&self, gateway: Incarnation) -> String {
        let mut channels = self.channels();
        channels.swap_remove(usize::from(gateway.as_bytes()[15]) % channels.len())
    }
}
