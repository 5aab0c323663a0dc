//! Fixtures shared with the web client: what happens to a client, and what it does. `workloads/web` runs the same files.

use std::{collections::BTreeMap, fs, path::Path};

use klatch_client_sdk::core::{
    Change, Connection, Core, Depth, Failure, Input, ListedRoom, MessageState, Output, Part, RequestId, Settings,
    Snapshot, Stop,
};
use klatch_domain::{Code, Draft, Entry, MessageId, Position, RoomId, Seq};
use klatch_protocol::http::SyncAnswer;
use klatch_protocol::{ClientFrame, ClientInfo, ServerFrame, SignalOut, Watch};
use rand::{SeedableRng, rngs::Xoshiro256PlusPlus};
use serde::{Deserialize, de::DeserializeOwned};
use serde_json::{Value, json};

/// Any time will do; it is not zero, so that "never" differs from "now".
const START_MS: u64 = 1_000_000;
/// Fewer than this would mean that the folder is the wrong one.
const FIXTURES_AT_LEAST: usize = 25;

#[derive(Deserialize)]
struct Fixture {
    settings: FixtureSettings,
    #[serde(default)]
    snapshot: Snapshot,
    #[serde(default)]
    read: BTreeMap<RoomId, u64>,
    steps: Vec<Step>,
    expect: Value,
}

#[derive(Deserialize)]
struct FixtureSettings {
    depth: String,
    rows_per_room: usize,
    delivered: bool,
}

#[derive(Deserialize)]
struct Step {
    input: Option<Value>,
    advance_ms: Option<u64>,
    #[serde(default)]
    clock_ms: i64,
    expect: Value,
}

#[test]
fn both_clients_do_the_same() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("samples/client");
    let mut files: Vec<_> = fs::read_dir(&folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "json"));
    files.sort();
    assert!(files.len() >= FIXTURES_AT_LEAST, "{} files in {}", files.len(), folder.display());
    let wrong: Vec<String> = files
        .iter()
        .filter_map(|file| {
            let fixture = serde_json::from_str(&fs::read_to_string(file).unwrap()).unwrap();
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            run(fixture).err().map(|difference| format!("{name}: {difference}"))
        })
        .collect();
    assert!(wrong.is_empty(), "{} of {} differ:\n{}", wrong.len(), files.len(), wrong.join("\n"));
}

fn run(fixture: Fixture) -> Result<(), String> {
    let settings = Settings {
        client: ClientInfo { name: "fixture".to_owned(), version: "1".to_owned() },
        depth: if fixture.settings.depth == "everything" { Depth::Everything } else { Depth::FromNow },
        rows_per_room: fixture.settings.rows_per_room,
        delivered: fixture.settings.delivered,
        save: false,
    };
    let mut player = Player {
        core: Core::new(settings, Xoshiro256PlusPlus::seed_from_u64(7), fixture.snapshot),
        now: START_MS,
        timer: None,
    };
    for (place, step) in fixture.steps.into_iter().enumerate() {
        player.now = player.now.checked_add_signed(step.clock_ms).unwrap();
        let mut told = step.advance_ms.map_or_else(Vec::new, |ms| player.advance(ms));
        if let Some(input) = step.input {
            told.extend(player.tell(read_input(&input)));
        }
        same(&format!("step {place}"), &Value::Array(told), &step.expect)?;
    }
    same("the end", &player.outcome(&fixture.read), &fixture.expect)
}

fn same(place: &str, got: &Value, want: &Value) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{place}\n   the file says {want}\n   Rust says     {got}")) }
}

struct Player {
    core: Core,
    now: u64,
    timer: Option<u64>,
}

impl Player {
    /// Time passes, with a tick whenever the core asked for one.
    fn advance(&mut self, ms: u64) -> Vec<Value> {
        let until = self.now + ms;
        let mut told = Vec::new();
        while let Some(at) = self.timer.filter(|at| *at <= until) {
            self.now = self.now.max(at);
            self.timer = None;
            told.extend(self.tell(Input::Tick));
        }
        self.now = until;
        told
    }

    fn tell(&mut self, input: Input) -> Vec<Value> {
        let outputs = self.core.handle(self.now, input);
        if let Some(at) = outputs.iter().rev().find_map(|output| match output {
            Output::SetTimer(at) => Some(*at),
            _ => None,
        }) {
            self.timer = at;
        }
        outputs.into_iter().flat_map(shown).collect()
    }

    fn outcome(&self, read: &BTreeMap<RoomId, u64>) -> Value {
        let mut rooms: Vec<RoomId> = self.core.rooms().collect();
        rooms.sort();
        let mut timelines = serde_json::Map::new();
        let mut unread = serde_json::Map::new();
        let mut threads = serde_json::Map::new();
        for room in &rooms {
            let timeline = self.core.timeline(*room).unwrap();
            let rows: Vec<&Entry> = timeline.rows().collect();
            let read_row = read.get(room).and_then(|seq| timeline.row(Seq(*seq)));
            if let (Some(row), Some(last)) = (read_row, rows.last()) {
                unread.insert(room.to_string(), json!(last.ordinal.0 - row.ordinal.0));
            }
            let summaries: serde_json::Map<String, Value> = rows
                .iter()
                .filter_map(|row| {
                    let root = row.position.seq;
                    let summary = timeline.thread(root)?;
                    Some((root.0.to_string(), json!({"replies": summary.replies, "last": summary.last})))
                })
                .collect();
            if !summaries.is_empty() {
                threads.insert(room.to_string(), Value::Object(summaries));
            }
            let view = json!({"position": timeline.position(), "floor": timeline.floor(), "rows": rows});
            timelines.insert(room.to_string(), view);
        }
        let outbox = self.core.snapshot().outbox;
        let mut outcome = json!({"rooms": rooms, "timelines": timelines, "unread": unread, "outbox": outbox});
        if !threads.is_empty() {
            outcome["threads"] = Value::Object(threads);
        }
        outcome
    }
}

fn field<T: DeserializeOwned>(value: &Value, name: &str) -> T {
    serde_json::from_value(value[name].clone()).unwrap_or_else(|error| panic!("{name} of {value}: {error}"))
}

fn optional<T: DeserializeOwned>(value: &Value, name: &str) -> Option<T> {
    value.get(name).map(|_| field(value, name))
}

fn read_failure(value: &Value) -> Failure {
    let code = optional::<String>(value, "code").map(|code| Code::from_name(&code));
    Failure { code, retry_after_ms: optional(value, "retry_after_ms") }
}

fn read_input(input: &Value) -> Input {
    let kind: String = field(input, "type");
    let request = || RequestId(field(input, "request"));
    match kind.as_str() {
        "start" => Input::Start,
        "stop" => Input::Stop,
        "foreground" => Input::Foreground,
        "connected" => Input::Connected,
        "heard" => Input::Heard,
        "frame" => {
            ServerFrame::decode(&input["frame"].to_string()).map_or(Input::Heard, |frame| Input::Frame(Box::new(frame)))
        }
        "disconnected" => {
            Input::Disconnected { code: optional(input, "code"), retry_after_ms: optional(input, "retry_after_ms") }
        }
        "token_refreshed" => {
            Input::TokenRefreshed { access_token: field(input, "access_token"), lives_ms: field(input, "lives_ms") }
        }
        "refresh_failed" => Input::RefreshFailed(read_failure(&input["failure"])),
        "token_rejected" => Input::TokenRejected,
        "rooms_answer" => {
            let rooms: Vec<Value> = field(input, "rooms");
            let listed = |room: &Value| ListedRoom {
                room: field(room, "room"),
                head: field(room, "head"),
                members: field(room, "members"),
            };
            let rooms = rooms.iter().map(listed).collect();
            Input::RoomsAnswer { request: request(), rooms, next: optional(input, "next") }
        }
        "sync_answer" => Input::SyncAnswer { request: request(), answer: field::<SyncAnswer>(input, "answer") },
        "history_answer" => {
            Input::HistoryAnswer { request: request(), entries: field(input, "entries"), more: field(input, "more") }
        }
        "request_failed" => Input::RequestFailed { request: request(), failure: read_failure(&input["failure"]) },
        "say" => Input::Say {
            message_id: field::<MessageId>(input, "message_id"),
            room: field(input, "room"),
            draft: Box::new(field::<Draft>(input, "draft")),
        },
        "retry" => Input::Retry(field(input, "message_id")),
        "discard" => Input::Discard(field(input, "message_id")),
        "read" => Input::Read { room: field(input, "room"), seq: field(input, "seq") },
        "watch" => Input::Watch(field::<Watch>(input, "watch")),
        "unwatch" => Input::Unwatch(field::<Watch>(input, "watch")),
        "signal" => Input::Signal(field::<SignalOut>(input, "signal")),
        "older" => Input::Older { room: field(input, "room"), limit: field(input, "limit") },
        "entered" => Input::Entered(field(input, "room")),
        other => panic!("no input is called {other}"),
    }
}

/// What both clients show alike: waits are drawn by chance, and saving is each one's own affair.
fn shown(output: Output) -> Vec<Value> {
    match output {
        Output::Save | Output::SetTimer(_) => Vec::new(),
        Output::OpenSocket => vec![json!({"type": "open_socket"})],
        Output::CloseSocket { code } => vec![json!({"type": "close_socket", "code": code})],
        Output::SendFrames(frames) => frames.iter().map(shown_frame).collect(),
        Output::RefreshToken => vec![json!({"type": "refresh_token"})],
        Output::RequestRooms { request, after } => {
            let mut asked = json!({"type": "request_rooms", "request": request.0});
            if let Some(after) = after {
                asked["after"] = json!(after);
            }
            vec![asked]
        }
        Output::RequestSync { request, body } => {
            vec![json!({"type": "request_sync", "request": request.0, "body": body})]
        }
        Output::RequestHistory { request, room, part, limit } => {
            let mut asked = json!({"type": "request_history", "request": request.0, "room": room, "limit": limit});
            match part {
                Part::After(seq) => asked["after"] = json!(seq),
                Part::Before(seq) => asked["before"] = json!(seq),
            }
            vec![asked]
        }
        Output::Changed(change) => vec![json!({"type": "changed", "change": shown_change(change)})],
    }
}

fn shown_frame(frame: &ClientFrame) -> Value {
    let frame: Value = serde_json::from_str(&frame.encode()).unwrap();
    json!({"type": "send_frame", "frame": frame})
}

fn shown_change(change: Change) -> Value {
    match change {
        Change::Connection(connection) => shown_connection(connection),
        Change::CaughtUp => json!({"type": "caught_up"}),
        Change::Joined { room } => json!({"type": "joined", "room": room}),
        Change::Left { room } => json!({"type": "left", "room": room}),
        Change::Appended { room, entries } => json!({"type": "appended", "room": room, "entries": entries}),
        Change::Older { room, entries } => json!({"type": "older", "room": room, "entries": entries}),
        Change::Updated { room, entry } => json!({"type": "updated", "room": room, "entry": entry}),
        Change::Restarted { room, position } => shown_restart(room, position),
        Change::Message { message_id, room, state } => {
            let mut message = json!({"type": "message", "message_id": message_id, "room": room});
            merge(&mut message, shown_state(state));
            message
        }
        Change::Friend { user, status } => {
            let mut friend = json!({"type": "friend", "user": user});
            if let Some(status) = status {
                friend["status"] = json!(status);
            }
            friend
        }
        Change::Preferences { room } => json!({"type": "preferences", "room": room}),
        Change::DeviceList { user } => json!({"type": "device_list", "user": user}),
        Change::Notice(entry) => json!({"type": "notice", "entry": entry}),
        Change::Watermark(frame) => shown_server_frame("watermark", json!(frame)),
        Change::Signal(frame) => shown_server_frame("signal", json!(frame)),
        Change::Presence(frame) => shown_server_frame("presence", json!(frame)),
        Change::Problem(frame) => {
            let mut shown = shown_server_frame("problem", json!(frame));
            shown["frame"]["type"] = json!("error");
            shown
        }
    }
}

fn shown_restart(room: RoomId, position: Position) -> Value {
    json!({"type": "restarted", "room": room, "position": position})
}

fn shown_server_frame(name: &str, mut frame: Value) -> Value {
    frame["type"] = json!(name);
    json!({"type": name, "frame": frame})
}

fn shown_connection(connection: Connection) -> Value {
    match connection {
        Connection::Online => json!({"type": "online"}),
        Connection::Offline { code: None, .. } => json!({"type": "offline"}),
        Connection::Offline { code: Some(code), .. } => json!({"type": "offline", "code": code}),
        Connection::Stopped(Stop::Asked) => json!({"type": "stopped", "reason": "asked"}),
        Connection::Stopped(Stop::Closed(code)) => json!({"type": "stopped", "reason": "closed", "code": code}),
        Connection::Stopped(Stop::SignedOut) => json!({"type": "stopped", "reason": "signed_out"}),
        Connection::Stopped(Stop::OtherUser) => json!({"type": "stopped", "reason": "other_user"}),
    }
}

fn shown_state(state: MessageState) -> Value {
    match state {
        MessageState::Queued => json!({"state": "queued"}),
        MessageState::Sending => json!({"state": "sending"}),
        MessageState::Stored { position, ordinal, at } => {
            json!({"state": "stored", "position": position, "ordinal": ordinal, "at": at})
        }
        MessageState::Refused(refusal) => {
            let mut shown = json!({"code": refusal.code, "detail": refusal.detail, "retryable": refusal.retryable});
            if let Some(ms) = refusal.retry_after_ms {
                shown["retry_after_ms"] = json!(ms);
            }
            json!({"state": "refused", "refusal": shown})
        }
    }
}

fn merge(into: &mut Value, from: Value) {
    if let (Value::Object(into), Value::Object(from)) = (into, from) {
        into.extend(from);
    }
}
