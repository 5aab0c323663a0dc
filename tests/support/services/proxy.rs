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

/// A proxy to one port. It runs on a thread of its own, and ends when it is dropped.
pub struct Proxy {
    port: u16,
    state: watch::Sender<State>,
}

impl Proxy {
    /// Opens one to a loopback port.
    ///
    /// # Panics
    /// When there is no free port.
    #[must_use]
    pub fn to(upstream: u16) -> Self {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").expect("a free port");
        let port = listener.local_addr().expect("its address").port();
        listener.set_nonblocking(true).expect("a listener that tokio takes");
        let (state, watched) = watch::channel(State::Open);
        thread::spawn(move || {
            let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
            runtime.block_on(async move {
                accept(TcpListener::from_std(listener).expect("a listener"), upstream, watched).await;
            });
        });
        Self { port, state }
    }

    /// Where clients connect.
    #[must_use]
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Ends every connection, and each that comes, until it is healed.
    pub fn cut(&self) {
        self.state.send_replace(State::Cut);
    }

    /// Forwards nothing in either direction and ends nothing, as a network does that is gone. New connections are taken and
    /// hang.
    pub fn freeze(&self) {
        self.state.send_replace(State::Frozen);
    }

    /// Forwards again, first what was held.
    pub fn heal(&self) {
        self.state.send_replace(State::Open);
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.state.send_replace(State::Ended);
    }
}

async fn accept(listener: TcpListener, upstream: u16, mut state: watch::Receiver<State>) {
    let carried = state.clone();
    loop {
        tokio::select! {
            _ = state.wait_for(|state| *state == State::Ended) => return,
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    tokio::spawn(carry(client, upstream, carried.clone()));
                }
            }
        }
    }
}

async fn carry(client: TcpStream, upstream: u16, mut state: watch::Receiver<State>) {
    if !may_forward(&mut state).await {
        return;
    }
    let Ok(server) = TcpStream::connect(SocketAddr::from(([127, 0, 0, 1], upstream))).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let (from_client, to_client) = client.into_split();
    let (from_server, to_server) = server.into_split();
    // When one direction ends, so does the other: half-open connections are no part of what is tested.
    tokio::select! {
        () = pump(from_client, to_server, state.clone()) => {}
        () = pump(from_server, to_client, state) => {}
    }
}

/// Waits until something may be forwarded; false when nothing ever may again.
async fn may_forward(state: &mut watch::Receiver<State>) -> bool {
    state.wait_for(|state| *state != State::Frozen).await.is_ok_and(|state| *state == State::Open)
}

async fn pump(mut from: OwnedReadHalf, mut to: OwnedWriteHalf, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; BUFFER_BYTES];
    while may_forward(&mut state).await {
        let read = tokio::select! {
            biased;
            _ = state.wait_for(|state| *state != State::Open) => continue,
            read = from.read(&mut buffer) => read.unwrap_or(0),
        };
        if read == 0 || !may_forward(&mut state).await {
            return;
        }
        tokio::select! {
            biased;
            _ = state.wait_for(|state| matches!(state, State::Cut | State::Ended)) => return,
            written = to.write_all(&buffer[..read]) => {
                if written.is_err() {
                    return;
                }
            }
        }
    }
}
