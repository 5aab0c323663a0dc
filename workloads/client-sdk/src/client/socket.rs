//! The WebSocket: opened, written to without ever blocking the reader, closed with a word.

use std::{collections::VecDeque, future::poll_fn, pin::Pin, sync::Arc, task::Poll, time::Duration};

use futures_util::{Sink, SinkExt, StreamExt, stream::SplitSink, stream::SplitStream};
use klatch_protocol::{ClientFrame, SUBPROTOCOL};
use reqwest::header::HeaderValue;
use rustls::ClientConfig;
use tokio::net::TcpStream;
use tokio_tungstenite::tungstenite::client::IntoClientRequest;
use tokio_tungstenite::tungstenite::error::Error as SocketError;
use tokio_tungstenite::tungstenite::protocol::{CloseFrame, Message, WebSocketConfig, frame::coding::CloseCode};
use tokio_tungstenite::{Connector, MaybeTlsStream, WebSocketStream, connect_async_tls_with_config};

use super::http::retry_after;

type Stream = WebSocketStream<MaybeTlsStream<TcpStream>>;

/// One message of the server: a block of many frames stays far below this.
const INCOMING_BYTES: usize = 16 * 1024 * 1024;
/// Frames are gathered into messages up to this size, half of what the wire contract allows.
const MESSAGE_BYTES: usize = 32 * 1024;
/// Messages not written yet; a server that lets more gather does not read.
const QUEUED_MESSAGES: usize = 1_024;
/// A socket that is closed gets this long for the last words.
const CLOSE_WAIT: Duration = Duration::from_secs(2);

/// Why a socket did not open.
#[derive(Debug)]
pub(crate) struct OpenError {
    pub(crate) reason: String,
    pub(crate) retry_after_ms: Option<u64>,
}

/// An open socket.
pub(crate) struct Socket {
    pub(crate) incoming: SplitStream<Stream>,
    pub(crate) outgoing: Outgoing,
}

/// The writing half.
pub(crate) struct Outgoing {
    sink: SplitSink<Stream, Message>,
    queue: VecDeque<Message>,
}

/// Opens a socket and agrees on the subprotocol.
pub(crate) async fn open(url: &str, tls: Option<Arc<ClientConfig>>) -> Result<Socket, OpenError> {
    let fail = |error: SocketError| {
        let retry_after_ms = match &error {
            SocketError::Http(response) => retry_after(response.headers()),
            _ => None,
        };
        OpenError { reason: error.to_string(), retry_after_ms }
    };
    let mut request = url.into_client_request().map_err(fail)?;
    request.headers_mut().insert("sec-websocket-protocol", HeaderValue::from_static(SUBPROTOCOL));
    let config = WebSocketConfig::default().max_message_size(Some(INCOMING_BYTES)).max_frame_size(Some(INCOMING_BYTES));
    let connector = tls.map_or(Connector::Plain, Connector::Rustls);
    let opening = connect_async_tls_with_config(request, Some(config), true, Some(connector));
    let (stream, _) = opening.await.map_err(fail)?;
    let (sink, incoming) = stream.split();
    Ok(Socket { incoming, outgoing: Outgoing { sink, queue: VecDeque::new() } })
}

impl Outgoing {
    /// Queues frames, several a message; false when the server does not read.
    pub(crate) fn push(&mut self, frames: &[ClientFrame]) -> bool {
        for message in pack(frames) {
            if self.queue.len() >= QUEUED_MESSAGES {
                return false;
            }
            self.queue.push_back(Message::text(message));
        }
        true
    }

    /// Writes what is queued; ends only by an error. Cancel safe: a message is either queued or handed over.
    pub(crate) async fn write(&mut self) -> SocketError {
        loop {
            if let Err(error) = self.write_all().await {
                return error;
            }
            std::future::pending::<()>().await;
        }
    }

    async fn write_all(&mut self) -> Result<(), SocketError> {
        poll_fn(|context| {
            loop {
                let mut sink = Pin::new(&mut self.sink);
                if self.queue.is_empty() {
                    return sink.poll_flush(context);
                }
                match sink.as_mut().poll_ready(context) {
                    Poll::Ready(Ok(())) => {}
                    other => return other,
                }
                if let Some(message) = self.queue.pop_front()
                    && let Err(error) = sink.start_send(message)
                {
                    return Poll::Ready(Err(error));
                }
            }
        })
        .await
    }
}

/// Writes what is queued, says goodbye and lets go; takes no longer than it must.
pub(crate) async fn close(mut socket: Socket, code: u16) {
    let goodbye = async {
        socket.outgoing.write_all().await?;
        let frame = CloseFrame { code: CloseCode::from(code), reason: "".into() };
        socket.outgoing.sink.send(Message::Close(Some(frame))).await?;
        while socket.incoming.next().await.is_some_and(|message| message.is_ok()) {}
        Ok::<_, SocketError>(())
    };
    // Whoever does not answer a goodbye is gone too.
    let _ = tokio::time::timeout(CLOSE_WAIT, goodbye).await;
}

/// Frames as the texts of few messages, each below [`MESSAGE_BYTES`] unless a single frame is larger.
fn pack(frames: &[ClientFrame]) -> Vec<String> {
    let mut messages: Vec<String> = Vec::new();
    for frame in frames {
        let line = frame.encode();
        match messages.last_mut() {
            Some(message) if message.len() + 1 + line.len() <= MESSAGE_BYTES => {
                message.push('\n');
                message.push_str(&line);
            }
            _ => messages.push(line),
        }
    }
    messages
}

#[cfg(test)]
mod tests {
    use klatch_protocol::{Ping, lines};

    use super::*;

    #[test]
    fn frames_share_messages_up_to_the_bound() {
        let ping = |length| ClientFrame::Ping(Ping { reference: Some("x".repeat(length)) });
        let frames = [ping(10), ping(20_000), ping(20_000), ping(10), ping(40_000), ping(10)];
        let messages = pack(&frames);
        assert_eq!(messages.iter().map(|message| lines(message).count()).collect::<Vec<_>>(), [2, 2, 1, 1]);
        let back: Vec<_> =
            messages.iter().flat_map(|message| lines(message)).map(|line| ClientFrame::decode(line).unwrap()).collect();
        assert_eq!(back, frames);
    }
}
