//! One connection of the generator.

use std::{
    cell::{Cell, RefCell},
    net::SocketAddr,
    rc::Rc,
};

use anyhow::{Context, bail};
use klatch_protocol::{ClientFrame, Hello};
use tokio::{io::AsyncReadExt, net::TcpStream, task::JoinHandle};

use super::{
    generator::Generator,
    wire::{self, Control, Incoming},
};

/// Bytes of the answer to the upgrade: far beyond what ours has.
const ANSWER_BYTES: usize = 8 * 1024;

/// A connection on which `welcome` was seen.
pub(super) struct Peer {
    stream: TcpStream,
    /// What the socket did not take yet.
    unsent: RefCell<Vec<u8>>,
    ended: Cell<bool>,
}

impl Peer {
    /// Connects, upgrades, says `hello` and waits for `welcome`.
    ///
    /// # Errors
    /// What the server said instead.
    pub(super) async fn connect(address: SocketAddr, token: &str) -> anyhow::Result<(Rc<Self>, Incoming)> {
        let mut stream = TcpStream::connect(address).await.with_context(|| format!("cannot connect to {address}"))?;
        stream.set_nodelay(true)?;
        let peer = |stream| Rc::new(Self { stream, unsent: RefCell::default(), ended: Cell::new(false) });
        write_all(&stream, &wire::upgrade_request(&address.to_string())).await?;
        let left_over = read_upgrade_answer(&mut stream).await?;
        let hello = Hello { token: token.to_owned(), device: None, client: None, encodings: Vec::new(), resume: None };
        let mut frame = Vec::with_capacity(512);
        wire::push_masked(&mut frame, wire::TEXT, ClientFrame::Hello(hello).encode().as_bytes());
        write_all(&stream, &frame).await?;
        let incoming = read_welcome(&mut stream, &left_over).await?;
        Ok((peer(stream), incoming))
    }

    /// Sends bytes of whole frames, now or as soon as the socket takes them, in order.
    pub(super) fn send(self: &Rc<Self>, generator: &Generator, bytes: &[u8]) {
        let mut unsent = self.unsent.borrow_mut();
        if self.ended.get() {
            return;
        }
        let written = if unsent.is_empty() { self.stream.try_write(bytes).unwrap_or(0) } else { 0 };
        if written < bytes.len() {
            if unsent.is_empty() {
                generator.note_stuck(Rc::clone(self));
            }
            unsent.extend_from_slice(&bytes[written..]);
        }
    }

    /// Tries to write what is left. Answers whether nothing is.
    pub(super) fn flush(&self) -> bool {
        let mut unsent = self.unsent.borrow_mut();
        if let Ok(written) = self.stream.try_write(&unsent) {
            unsent.drain(..written);
        }
        unsent.is_empty() || self.ended.get()
    }

    /// The server closed it, or it broke.
    pub(super) fn has_ended(&self) -> bool {
        self.ended.get()
    }

    /// Reads until the connection ends; `lines` gets whole lines, one or more at a time. Answers pings.
    pub(super) fn listen(
        self: Rc<Self>,
        generator: Rc<Generator>,
        mut incoming: Incoming,
        mut lines: impl FnMut(&[u8]) + 'static,
    ) -> JoinHandle<()> {
        tokio::task::spawn_local(async move {
            let mut code = None;
            while self.stream.readable().await.is_ok() {
                // Borrowed between two waits only.
                let mut buffer = generator.buffer.borrow_mut();
                let read = match self.stream.try_read(&mut buffer) {
                    Ok(0) => break,
                    Ok(read) => read,
                    Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => continue,
                    Err(_) => break,
                };
                generator.note_read();
                let mut pings = Vec::new();
                let mut control = |control| match control {
                    Control::Ping(payload) => wire::push_masked(&mut pings, wire::PONG, &payload),
                    Control::Close(with) => code = Some(with),
                };
                if incoming.feed(&buffer[..read], &mut lines, &mut control).is_err() || code.is_some() {
                    break;
                }
                if !pings.is_empty() {
                    self.send(&generator, &pings);
                }
            }
            self.ended.set(true);
            generator.note_end(code);
        })
    }
}

async fn write_all(stream: &TcpStream, mut bytes: &[u8]) -> anyhow::Result<()> {
    while !bytes.is_empty() {
        stream.writable().await?;
        match stream.try_write(bytes) {
            Ok(written) => bytes = &bytes[written..],
            Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {}
            Err(error) => return Err(error).context("cannot write to the server"),
        }
    }
    Ok(())
}

/// Reads up to the end of the answer's head; returns what came behind it.
async fn read_upgrade_answer(stream: &mut TcpStream) -> anyhow::Result<Vec<u8>> {
    let mut answer = Vec::with_capacity(512);
    loop {
        if stream.read_buf(&mut answer).await.context("cannot read the answer to the upgrade")? == 0 {
            bail!("the server hung up instead of upgrading");
        }
        if let Some(end) = answer.windows(4).position(|bytes| bytes == b"\r\n\r\n") {
            if !answer.starts_with(b"HTTP/1.1 101 ") {
                bail!("the server did not upgrade: {}", String::from_utf8_lossy(&answer));
            }
            return Ok(answer.split_off(end + 4));
        }
        if answer.len() > ANSWER_BYTES {
            bail!("the answer to the upgrade has no end");
        }
    }
}

async fn read_welcome(stream: &mut TcpStream, left_over: &[u8]) -> anyhow::Result<Incoming> {
    let (mut incoming, mut welcome, mut refusal) = (Incoming::default(), false, None);
    let mut bytes = left_over.to_vec();
    loop {
        let mut lines = |piece: &[u8]| {
            welcome |= piece.starts_with(b"{\"type\":\"welcome\"");
            if !welcome {
                refusal = Some(String::from_utf8_lossy(piece).into_owned());
            }
        };
        let mut code = None;
        incoming.feed(&bytes, &mut lines, &mut |control| {
            if let Control::Close(with) = control {
                code = Some(with);
            }
        })?;
        if welcome {
            return Ok(incoming);
        }
        if let Some(code) = code {
            bail!("the server closed with {code} instead of welcome; are the tokens older than an hour?");
        }
        if let Some(refusal) = refusal {
            bail!("the server said {refusal} instead of welcome");
        }
        bytes.clear();
        if stream.read_buf(&mut bytes).await.context("cannot read welcome")? == 0 {
            bail!("the server hung up instead of welcome");
        }
    }
}
