//! The core's parts, and the core by hand. That they hold together whatever happens is the simulation's to prove.

mod connection;
mod expiry;
mod inbox;
mod outbox;
mod revision;
mod snapshot;
mod sync;
mod timeline;

use klatch_domain::{
    ConnectionId, Content, Draft, Entry, Kind, MessageId, Ordinal, Position, RoomId, Sender, SessionId, Timestamp,
    UserId,
};
use klatch_domain::{Generation, Seq};
use klatch_protocol::http::{SyncAnswer, SyncRoomAnswer};
use klatch_protocol::{ClientFrame, Limits, Resumed, ServerFrame, Welcome};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use serde_json::{Value, json};

use super::{Change, Core, Input, Output, RequestId, Settings, Snapshot};

const ME: UserId = UserId::from_bytes([1; 16]);
const OTHER: UserId = UserId::from_bytes([2; 16]);
const SESSION: SessionId = SessionId::from_bytes([3; 16]);
const INBOX: RoomId = RoomId::from_bytes([4; 16]);
const ROOM: RoomId = RoomId::from_bytes([5; 16]);
const SERVER_TIME: i64 = 1_800_000_000_000;

fn id(number: u8) -> MessageId {
    MessageId::from_bytes([number; 16])
}

fn text(text: &str) -> Content {
    Content::text(text).unwrap()
}

fn draft(words: &str) -> Draft {
    Draft::new(Kind::Text, text(words))
}

fn random() -> Xoshiro256PlusPlus {
    Xoshiro256PlusPlus::seed_from_u64(7)
}

fn at(generation: u64, seq: u64) -> Position {
    Position { generation: Generation(generation), seq: Seq(seq) }
}

/// An entry of another user's.
fn entry(seq: u64, kind: Kind, content: &Value) -> Entry {
    let draft = Draft::new(kind, Content::of(content).unwrap());
    let sender = Sender { user: OTHER, session: SessionId::from_bytes([9; 16]) };
    let (id, at) = (id(u8::try_from(seq).unwrap()), Timestamp::from_millis(SERVER_TIME));
    Entry::of(&draft, Position::first(seq), Ordinal(seq), id, sender, at)
}

fn said(seq: u64) -> Entry {
    entry(seq, Kind::Text, &json!({"text": format!("message {seq}")}))
}

fn change(seq: u64, kind: Kind, target: u64, content: &Value) -> Entry {
    Entry { target: Some(Seq(target)), ..entry(seq, kind, content) }
}

/// A core, driven by hand.
struct Rig {
    core: Core,
    now: u64,
}

impl Rig {
    fn new(settings: Settings, snapshot: Snapshot) -> Self {
        let mut rig = Self { core: Core::new(settings, random(), snapshot), now: 1_000 };
        rig.tell(Input::TokenRefreshed { access_token: "token".to_owned(), lives_ms: 900_000 });
        rig
    }

    fn tell(&mut self, input: Input) -> Vec<Output> {
        self.core.handle(self.now, input)
    }

    fn frame(&mut self, frame: ServerFrame) -> Vec<Output> {
        self.tell(Input::Frame(Box::new(frame)))
    }

    fn pass(&mut self, millis: u64) -> Vec<Output> {
        self.now += millis;
        self.tell(Input::Tick)
    }

    fn welcome(resumed: Resumed) -> Welcome {
        Welcome {
            connection: ConnectionId::from_bytes([8; 16]),
            session: SESSION,
            user: ME,
            inbox: INBOX,
            server_time: Timestamp::from_millis(SERVER_TIME),
            heartbeat_ms: 30_000,
            limits: Limits { frame_bytes: 65_536, content_bytes: 32_768, in_flight: 8, sends_per_second: 50 },
            resumed,
        }
    }

    fn greeted(&mut self) -> Vec<Output> {
        self.tell(Input::Start);
        self.tell(Input::Connected)
    }

    fn online(&mut self, resumed: Resumed) -> Vec<Output> {
        self.greeted();
        self.frame(ServerFrame::Welcome(Self::welcome(resumed)))
    }

    /// Online, in [`ROOM`], and caught up with logs of these entries.
    fn caught_up(&mut self, inbox: Vec<Entry>, room: Vec<Entry>) -> Vec<Change> {
        let mut outputs = self.online(Resumed::None);
        let mut changes = changes(&outputs);
        for _ in 0..8 {
            let mut next = Vec::new();
            for output in outputs {
                next.extend(match output {
                    Output::RequestRooms { request, .. } => {
                        self.tell(Input::RoomsAnswer { request, rooms: Vec::new(), next: None })
                    }
                    Output::RequestSync { request, body } => {
                        let rooms = body.rooms.iter().map(|asked| log_after(asked.room, asked.position, &room));
                        let answer = SyncAnswer {
                            rooms: rooms.collect(),
                            inbox: body.inbox.map(|position| log_after(INBOX, position, &inbox)),
                        };
                        self.tell(Input::SyncAnswer { request, answer })
                    }
                    _ => continue,
                });
            }
            changes.extend(self::changes(&next));
            outputs = next;
        }
        assert!(changes.contains(&Change::CaughtUp), "{changes:?}");
        changes
    }
}

fn log_after(room: RoomId, position: Position, log: &[Entry]) -> SyncRoomAnswer {
    SyncRoomAnswer {
        room,
        head: Some(Position::first(log.len() as u64)),
        head_ordinal: Some(Ordinal(log.len() as u64)),
        entries: Some(log.iter().filter(|entry| entry.position.seq > position.seq).cloned().collect()),
        more: Some(false),
        reset: false,
        error: None,
    }
}

fn joined() -> Entry {
    entry(1, Kind::MemberJoined, &json!({"room": ROOM}))
}

fn changes(outputs: &[Output]) -> Vec<Change> {
    outputs
        .iter()
        .filter_map(|output| if let Output::Changed(change) = output { Some(change.clone()) } else { None })
        .collect()
}

fn frames(outputs: &[Output]) -> Vec<ClientFrame> {
    outputs
        .iter()
        .filter_map(|output| if let Output::SendFrames(frames) = output { Some(frames.clone()) } else { None })
        .flatten()
        .collect()
}

fn sync_request(outputs: &[Output]) -> Option<(RequestId, klatch_protocol::http::SyncRequest)> {
    outputs.iter().find_map(|output| {
        if let Output::RequestSync { request, body } = output { Some((*request, body.clone())) } else { None }
    })
}
