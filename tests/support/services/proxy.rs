//! A TCP proxy on loopback that tests put between two parts, to cut, freeze and heal what runs through it.

use std::{net::SocketAddr, thread};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    runtime::Builder,
    sync::watch,
};

/// Bytes that are taken at once; what was taken when the proxy freezes is held.
const BUFFER_BYTES: usize = 64 * 1024;

/// What becomes of what comes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Open,
    Frozen,
    Cut,
    /// The proxy is gone.
    Ended,
}

/// What connections watch.
#[derive(Debug, Clone, Copy)]
struct Now {
    state: State,
    /// How often it was cut: a connection from before a cut ends, even if that was healed at once.
    cuts: u64,
}

/// A proxy to one address. It runs on a thread of its own, and ends when it is dropped.
pub struct Proxy {
    port: u16,
    now: watch::Sender<Now>,
}

impl Proxy {
    /// Opens one to a loopback port.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn to(upstream: u16) -> Self {
        Self::before(SocketAddr::from(([127, 0, 0, 1], upstream)))
    }

    /// Opens one to an address of this machine's networks.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn before(upstream: SocketAddr) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a listener that tokio takes");
        let (now, watched) = watch::channel(Now { state: State::Open, cuts: 0 });
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                accept(TcpListener::from_std(listener).expect("a listener"), upstream, watched).await;
            });
        });
        Self { port, now }
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection, and each that comes, until it is healed.
    pub fn cut(&self) {
        self.now.send_modify(|now| *now = Now { state: State::Cut, cuts: now.cuts + 1 });
    }

    /// Forwards nothing in either direction and ends nothing, as a network does that is gone. New connections are taken and
    /// hang.
    pub fn freeze(&self) {
        self.now.send_modify(|now| now.state = State::Frozen);
    }

    /// Forwards again, first what was held.
    pub fn heal(&self) {
        self.now.send_modify(|now| now.state = State::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.now.send_modify(|now| now.state = State::Ended);
    }
}

async fn accept(listener: TcpListener, upstream: SocketAddr, mut now: watch::Receiver<Now>) {
    let watched = now.clone();
    loop {
        tokio::select! {
            _ = now.wait_for(|now| now.state == State::Ended) => return,
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    let cuts = watched.borrow().cuts;
                    tokio::spawn(carry(client, upstream, Line { now: watched.clone(), cuts }));
                }
            }
        }
    }
}

/// One connection's view.
#[derive(Clone)]
struct Line {
    now: watch::Receiver<Now>,
    /// As it began.
    cuts: u64,
}

impl Line {
    /// Waits until something may be forwarded; false when nothing ever may again.
    async fn may_forward(&mut self) -> bool {
        let cuts = self.cuts;
        let settled = self.now.wait_for(|now| now.cuts != cuts || now.state != State::Frozen).await;
        settled.is_ok_and(|now| now.cuts == cuts && now.state == State::Open)
    }

    /// Waits until nothing may be forwarded, for now or ever.
    async fn stops(&mut self) {
        let cuts = self.cuts;
        let _ = self.now.wait_for(|now| now.cuts != cuts || now.state != State::Open).await;
    }

    /// Waits until nothing may be forwarded ever again.
    async fn ends(&mut self) {
        let cuts = self.cuts;
        let _ = self.now.wait_for(|now| now.cuts != cuts || matches!(now.state, State::Cut | State::Ended)).await;
    }
}

async fn carry(client: TcpStream, upstream: SocketAddr, mut line: Line) {
    if !line.may_forward().await {
        return;
    }
    let Ok(server) = TcpStream::connect(upstream).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one direction ends, so does the other: half-open connections are no part of what is tested.
    tokio::select! {
        () = pump(from_client, to_server, line.clone()) => {}
        () = pump(from_server, to_client, line) => {}
    }
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut line: Line) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while line.may_forward().await {
        let read = tokio::select! {
            biased;
            () = line.stops() => continue,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        if read == 0 || !line.may_forward().await {
            return;
        }
        tokio::select! {
            biased;
            () = line.ends() => return,
            written = to.write_all(&buffer[..read]) => {
                if written.is_err() {
                    return;
                }
            }
        }
    }
}
