//! Writing by a WebSocket: several sends at once, all unsettled ones again on every new connection, oldest first. What is
//! refused for now is sent again in its room, with all that came after it; the other rooms go on.

use std::{collections::HashMap, sync::atomic::Ordering, time::Duration};

use klatch_domain::{Content, Kind, RoomId};
use klatch_protocol::{
    ClientFrame, Hello, Ping, PositionFrame, Refused, Reset, Send, ServerFrame, SignalIn, WatermarkFrame, close,
};
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use super::{ANSWER_WITHIN, Author, Heard, Order};
use crate::person::{Ended, Socket};

/// With something unsettled, or a ping under way, a connection that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(15);
/// After a refusal that does not say when to come again.
const AGAIN_AFTER_MS: u64 = 200;

pub(super) async fn write(mut author: Author, in_flight: usize) {
    let mut outbox = Vec::new();
    loop {
        let server = author.server();
        if let Ok(Ok(socket)) = timeout(ANSWER_WITHIN, Socket::open(&server)).await {
            let refused = HashMap::new();
            Conversation { author: &mut author, outbox: &mut outbox, socket, in_flight, refused }.hold().await;
        }
        if author.order() == Order::End && outbox.is_empty() {
            return;
        }
        author.rest().await;
    }
}

struct Conversation<'a> {
    author: &'a mut Author,
    /// Not acknowledged, oldest first.
    outbox: &'a mut Vec<Send>,
    socket: Socket,
    in_flight: usize,
    /// Rooms where something was refused, and when to send it again.
    refused: HashMap<RoomId, Instant>,
}

impl Conversation<'_> {
    /// Until the connection ends, or all is said.
    async fn hold(&mut self) {
        let token = self.author.person.token.clone();
        let hello = Hello { token, device: None, client: None, encodings: Vec::new(), resume: None };
        self.socket.send(&ClientFrame::Hello(hello)).await;
        match timeout(ANSWER_WITHIN, self.socket.next()).await {
            Ok(Ok(ServerFrame::Welcome(_))) => {}
            Ok(Ok(other)) => panic!("{other:?} came before welcome"),
            Ok(Err(ended)) => return self.ended(ended).await,
            Err(_) => return,
        }
        self.author.desk.connections.fetch_add(1, Ordering::Relaxed);
        self.send_again(|_| true).await;
        let (mut silent_until, mut pinged) = (Instant::now() + SILENCE, false);
        loop {
            self.say_what_is_due().await;
            if self.author.order() == Order::End && self.outbox.is_empty() {
                return;
            }
            let wake = self.wake();
            tokio::select! {
                frame = timeout_at(silent_until, self.socket.next()) => match frame {
                    Ok(Ok(frame)) => {
                        (silent_until, pinged) = (Instant::now() + SILENCE, false);
                        self.take(frame);
                    }
                    Ok(Err(ended)) => return self.ended(ended).await,
                    Err(_) if pinged || !self.outbox.is_empty() => return self.author.desk.refused("silence"),
                    Err(_) => {
                        self.socket.send(&ClientFrame::Ping(Ping { reference: None })).await;
                        (silent_until, pinged) = (Instant::now() + SILENCE, true);
                    }
                },
                () = sleep_until(wake.unwrap_or(silent_until)), if wake.is_some() => {}
                _ = self.author.order.changed() => {}
            }
        }
    }

    /// When there is something to send, unless something comes first.
    fn wake(&self) -> Option<Instant> {
        let again = self.refused.values().min().copied();
        let takes = self.author.rooms.iter().any(|room| self.takes(*room));
        let new = (takes && self.author.order() == Order::Write).then_some(self.author.due);
        again.into_iter().chain(new).min()
    }

    /// Whether there is a place for something new in this room.
    fn takes(&self, room: RoomId) -> bool {
        let unsettled = self.outbox.iter().filter(|send| send.room == room).count();
        unsettled < self.in_flight && !self.refused.contains_key(&room)
    }

    async fn say_what_is_due(&mut self) {
        let now = Instant::now();
        let due: Vec<_> = self.refused.iter().filter(|(_, at)| **at <= now).map(|(room, _)| *room).collect();
        for room in due {
            self.refused.remove(&room);
            self.send_again(|send| send.room == room).await;
        }
        let takes: Vec<_> = self.author.rooms.iter().copied().filter(|room| self.takes(*room)).collect();
        let Some(said) = self.author.draw(|room| takes.contains(&room)) else { return };
        let send = Send::new(said.id, said.room, Kind::Text, Content::text(&said.text).expect("content"));
        self.outbox.push(send.clone());
        self.socket.send(&ClientFrame::Send(send)).await;
    }

    /// Everything unsettled that fits, oldest first.
    async fn send_again(&mut self, fits: impl Fn(&Send) -> bool) {
        for send in self.outbox.iter().filter(|send| fits(send)) {
            self.socket.send(&ClientFrame::Send(send.clone())).await;
        }
    }

    fn take(&mut self, frame: ServerFrame) {
        match frame {
            ServerFrame::Stored(stored) => {
                self.outbox.retain(|send| send.message_id != stored.message_id);
                self.author.settle(stored.message_id, stored.position);
            }
            ServerFrame::Message(message) => self.author.hear(Heard {
                room: message.room,
                position: message.entry.position,
                id: message.entry.message_id,
            }),
            ServerFrame::Refused(refused) => self.refused(&refused),
            ServerFrame::Position(PositionFrame { room, .. })
            | ServerFrame::Reset(Reset { room, .. })
            | ServerFrame::Watermark(WatermarkFrame { room, .. })
            | ServerFrame::Signal(SignalIn { room, .. }) => {
                self.author.journal.lock().named.insert(room);
            }
            _ => {}
        }
    }

    fn refused(&mut self, refused: &Refused) {
        assert!(refused.retryable, "refused for good: {refused:?}");
        self.author.desk.refused(refused.code.name());
        // One that was stored meanwhile, by another connection, needs nothing.
        if self.outbox.iter().any(|send| send.message_id == refused.message_id) {
            let wait = Duration::from_millis(refused.retry_after_ms.unwrap_or(AGAIN_AFTER_MS));
            self.refused.insert(refused.room, Instant::now() + wait);
        }
    }

    async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Closed(close::TOKEN_EXPIRED) => self.author.renew().await,
            Ended::Closed(code) if !close::comes_back(code) => panic!("closed for good: {code}"),
            Ended::Closed(_) | Ended::Broken => {}
        }
    }
}
