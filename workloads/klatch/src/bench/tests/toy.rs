//! A server of our protocol that stores nothing and keeps its one order by one lock.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{Arc, Mutex},
    time::Duration,
};

use klatch_domain::{
    Code, ConnectionId, Draft, Entry, Ordinal, Position, Refusal, RoomId, Sender, Seq, SessionId, Stored, Timestamp,
    UserId,
};
use klatch_protocol::{
    ClientFrame, Limits, MessageFrame, Pong, Refused, Resumed, Send, ServerFrame, SignalIn, StoredFrame, Welcome, lines,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
    sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
};

use crate::bench::{accounts::Accounts, wire};

/// What it does wrong.
#[derive(Clone, Copy)]
pub(super) struct Faults {
    /// Sleeps this long on the first message, with everything behind it waiting.
    pub(super) stall: Option<Duration>,
    /// Refuses every n-th message.
    pub(super) refuse_every: Option<u64>,
    /// Closes the connection of every message after the n-th.
    pub(super) close_after: Option<u64>,
    /// Drops every n-th signal.
    pub(super) drop_every: Option<u64>,
    /// Frames of one WebSocket message to members who do not send.
    pub(super) together: usize,
}

impl Default for Faults {
    fn default() -> Self {
        Self { stall: None, refuse_every: None, close_after: None, drop_every: None, together: 1 }
    }
}

type Output = UnboundedSender<Vec<u8>>;

struct State {
    faults: Faults,
    users: HashMap<String, UserId>,
    rooms: HashMap<RoomId, Vec<UserId>>,
    outputs: HashMap<UserId, Output>,
    /// Lines gathered for a user.
    gathered: HashMap<UserId, Vec<String>>,
    count: u64,
}

/// The server; it ends with the process.
pub(super) struct Toy {
    address: SocketAddr,
}

impl Toy {
    pub(super) fn start(accounts: &Accounts, faults: Faults) -> Self {
        let rooms = accounts.direct_rooms.iter().chain(&accounts.groups);
        let members = |users: &[usize]| users.iter().map(|index| accounts.users[*index].id).collect();
        let state = Arc::new(Mutex::new(State {
            faults,
            users: accounts.users.iter().map(|user| (user.token.clone(), user.id)).collect(),
            rooms: rooms.map(|room| (room.room, members(&room.users))).collect(),
            outputs: HashMap::new(),
            gathered: HashMap::new(),
            count: 0,
        }));
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async {
                let listener = TcpListener::from_std(listener).unwrap();
                loop {
                    let (stream, _) = listener.accept().await.unwrap();
                    tokio::spawn(serve(stream, Arc::clone(&state)));
                }
            });
        });
        Self { address }
    }

    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }
}

async fn serve(mut stream: TcpStream, state: Arc<Mutex<State>>) {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        head.push(stream.read_u8().await.unwrap());
    }
    assert!(head.starts_with(b"GET /v1/connect HTTP/1.1\r\n"));
    stream.write_all(b"HTTP/1.1 101 Switching Protocols\r\n\r\n").await.unwrap();
    let (mut reader, mut writer) = stream.into_split();
    let (output, mut waiting): (Output, UnboundedReceiver<Vec<u8>>) = unbounded_channel();
    tokio::spawn(async move {
        while let Some(bytes) = waiting.recv().await {
            if writer.write_all(&bytes).await.is_err() {
                return;
            }
        }
    });
    let mut user = None;
    while let Ok(text) = read_text(&mut reader).await {
        for line in lines(&text) {
            let frame = ClientFrame::decode(line).unwrap();
            if !State::handle(&state, frame, &mut user, &output) {
                return;
            }
        }
    }
}

/// One masked text frame of at most 64 KiB.
async fn read_text(reader: &mut (impl AsyncReadExt + Unpin)) -> std::io::Result<String> {
    loop {
        let opcode = reader.read_u8().await? & 0x0f;
        let length = match reader.read_u8().await? & 0x7f {
            126 => usize::from(reader.read_u16().await?),
            short => usize::from(short),
        };
        let mut mask = [0; 4];
        reader.read_exact(&mut mask).await?;
        let mut payload = vec![0; length];
        reader.read_exact(&mut payload).await?;
        payload.iter_mut().zip(mask.iter().cycle()).for_each(|(byte, mask)| *byte ^= mask);
        if opcode == wire::TEXT {
            return Ok(String::from_utf8(payload).unwrap());
        }
    }
}

fn say(output: &Output, frame: &ServerFrame) {
    let mut bytes = Vec::new();
    wire::push_plain(&mut bytes, wire::TEXT, frame.encode().as_bytes());
    let _ = output.send(bytes);
}

/// Answers that the connection does not live on.
fn close(output: &Output, code: u16) -> bool {
    let mut bytes = Vec::new();
    wire::push_plain(&mut bytes, 8, &code.to_be_bytes());
    let _ = output.send(bytes);
    false
}

impl State {
    /// Whether the connection lives on.
    fn handle(state: &Mutex<Self>, frame: ClientFrame, user: &mut Option<UserId>, output: &Output) -> bool {
        let mut state = state.lock().unwrap();
        match (frame, *user) {
            (ClientFrame::Hello(hello), None) => {
                let Some(id) = state.users.get(&hello.token).copied() else {
                    return close(output, 4401);
                };
                *user = Some(id);
                state.outputs.insert(id, output.clone());
                say(output, &ServerFrame::Welcome(welcome(id)));
            }
            (ClientFrame::Ping(ping), Some(_)) => {
                say(output, &ServerFrame::Pong(Pong { reference: ping.reference, server_time: Timestamp::default() }));
            }
            (ClientFrame::Send(send), Some(user)) => return state.send(send, user, output),
            (ClientFrame::Signal(signal), Some(user)) => {
                state.count += 1;
                if !state.faults.drop_every.is_some_and(|every| state.count.is_multiple_of(every)) {
                    let frame = SignalIn { room: signal.room, user, kind: signal.kind, payload: signal.payload };
                    let others = state.rooms[&signal.room].iter().filter(|other| **other != user);
                    others.for_each(|other| say(&state.outputs[other], &ServerFrame::Signal(frame.clone())));
                }
            }
            (ClientFrame::Watch(_), Some(_)) => {}
            (frame, _) => panic!("{} out of place", frame.name()),
        }
        true
    }

    fn send(&mut self, send: Send, user: UserId, output: &Output) -> bool {
        self.count += 1;
        if self.count == 1
            && let Some(stall) = self.faults.stall
        {
            // With the lock held, on the server's one thread: nothing moves.
            std::thread::sleep(stall);
        }
        if self.faults.close_after.is_some_and(|after| self.count > after) {
            return close(output, 4008);
        }
        let (id, room) = (send.message_id, send.room);
        if self.faults.refuse_every.is_some_and(|every| self.count.is_multiple_of(every)) {
            let refusal = Refusal::new(Code::Busy, "the toy is tired");
            say(output, &ServerFrame::Refused(Refused::new(id, room, refusal)));
            return true;
        }
        let position = Position::first(self.count);
        let stored = Stored { position, ordinal: Ordinal(self.count), at: Timestamp::default(), repeat: false };
        say(output, &ServerFrame::Stored(StoredFrame::new(id, room, stored)));
        let line =
            ServerFrame::Message(MessageFrame { room, entry: entry(send, user, position), members_version: Seq(1) })
                .encode();
        for other in self.rooms[&room].clone().into_iter().filter(|other| *other != user) {
            self.gather(other, &line);
        }
        true
    }

    fn gather(&mut self, user: UserId, line: &str) {
        let gathered = self.gathered.entry(user).or_default();
        gathered.push(line.to_owned());
        if gathered.len() >= self.faults.together {
            let mut bytes = Vec::new();
            wire::push_plain(&mut bytes, wire::TEXT, gathered.join("\n").as_bytes());
            gathered.clear();
            let _ = self.outputs[&user].send(bytes);
        }
    }
}

fn welcome(user: UserId) -> Welcome {
    Welcome {
        connection: ConnectionId::now(),
        session: SessionId::now(),
        user,
        inbox: RoomId::inbox_of(user),
        server_time: Timestamp::default(),
        heartbeat_ms: 30_000,
        limits: Limits { frame_bytes: 65_536, content_bytes: 32_768, in_flight: 512, sends_per_second: 50 },
        resumed: Resumed::None,
    }
}

fn entry(send: Send, user: UserId, position: Position) -> Entry {
    let (draft, sender) = (Draft::new(send.kind, send.content), Sender { user, session: SessionId::now() });
    Entry::of(&draft, position, Ordinal(position.seq.0), send.message_id, sender, Timestamp::default())
}
