//! Writing by a WebSocket: several sends at once, all unsettled ones again on every new connection, oldest first.

use std::{collections::VecDeque, time::Duration};

use klatch_domain::{Content, Kind};
use klatch_protocol::{ClientFrame, Hello, Ping, Send, ServerFrame, close};
use tokio::time::{Instant, timeout, timeout_at};

use super::{ANSWER_WITHIN, Author, Heard, Order};
use crate::person::{Ended, Socket};

/// With something unsettled, or a ping under way, a connection that says nothing for so long is given up.
const SILENCE: Duration = Duration::from_secs(15);

pub(super) async fn write(mut author: Author, in_flight: usize) {
    let mut outbox = VecDeque::new();
    loop {
        let server = author.server();
        if let Ok(Ok(socket)) = timeout(ANSWER_WITHIN, Socket::open(&server)).await {
            Conversation { author: &mut author, outbox: &mut outbox, socket, in_flight }.hold().await;
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
    outbox: &'a mut VecDeque<Send>,
    socket: Socket,
    in_flight: usize,
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
        self.author.desk.reconnects.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        for send in self.outbox.iter() {
            self.socket.send(&ClientFrame::Send(send.clone())).await;
        }
        let mut silent_until = Instant::now() + SILENCE;
        let mut pinged = false;
        loop {
            self.say_what_is_due().await;
            if self.author.order() == Order::End && self.outbox.is_empty() {
                return;
            }
            let may_say = self.outbox.len() < self.in_flight && self.author.writes();
            let due = self.author.due;
            tokio::select! {
                frame = timeout_at(silent_until, self.socket.next()) => match frame {
                    Ok(Ok(frame)) => {
                        (silent_until, pinged) = (Instant::now() + SILENCE, false);
                        if !self.take(frame).await {
                            return;
                        }
                    }
                    Ok(Err(ended)) => return self.ended(ended).await,
                    Err(_) if pinged || !self.outbox.is_empty() => return self.author.desk.refused("silence"),
                    Err(_) => {
                        self.socket.send(&ClientFrame::Ping(Ping { reference: None })).await;
                        (silent_until, pinged) = (Instant::now() + SILENCE, true);
                    }
                },
                () = tokio::time::sleep_until(due), if may_say => {}
                _ = self.author.order.changed() => {}
            }
        }
    }

    async fn say_what_is_due(&mut self) {
        while self.outbox.len() < self.in_flight {
            let Some(said) = self.author.draw() else { return };
            let send = Send::new(said.id, said.room, Kind::Text, Content::text(&said.text).expect("content"));
            self.outbox.push_back(send.clone());
            self.socket.send(&ClientFrame::Send(send)).await;
        }
    }

    /// Whether the connection goes on.
    async fn take(&mut self, frame: ServerFrame) -> bool {
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
            ServerFrame::Refused(refused) => {
                assert!(refused.retryable, "refused for good: {refused:?}");
                self.author.desk.refused(refused.code.name());
                // Simplest of all retries: begin the connection again.
                let wait = Duration::from_millis(refused.retry_after_ms.unwrap_or_default().min(1_000));
                tokio::time::sleep(wait).await;
                return false;
            }
            _ => {}
        }
        true
    }

    async fn ended(&mut self, ended: Ended) {
        match ended {
            Ended::Closed(close::TOKEN_EXPIRED) => self.author.renew().await,
            Ended::Closed(code) if !close::comes_back(code) => panic!("closed for good: {code}"),
            Ended::Closed(_) | Ended::Broken => {}
        }
    }
}
