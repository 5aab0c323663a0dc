//! A TCP proxy between two parts: the network of the tests, which can be cut in the two ways networks are.

use std::{net::SocketAddr, sync::Arc};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpListener, TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
    sync::watch,
    task::JoinSet,
};
use tokio_util::task::AbortOnDropHandle;

/// Bytes read at once.
const BUFFER: usize = 64 * 1024;

/// How the network is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Whole,
    /// Connections are reset, new ones too.
    Severed,
    /// Connections stay and carry nothing, new ones too.
    Silent,
}

/// A running proxy; dropping it ends its connections.
pub(super) struct Way {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    _accepting: AbortOnDropHandle<()>,
}

impl Way {
    pub(super) async fn to(target: SocketAddr) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let address = listener.local_addr().expect("an address");
        let state = Arc::new(watch::Sender::new(State::Whole));
        let accepting = tokio::spawn(accept(listener, target, Arc::clone(&state)));
        Self { address, state, _accepting: AbortOnDropHandle::new(accepting) }
    }

    /// Where it is entered.
    pub(super) fn address(&self) -> SocketAddr {
        self.address
    }

    pub(super) fn sever(&self) {
        self.state.send_replace(State::Severed);
    }

    pub(super) fn silence(&self) {
        self.state.send_replace(State::Silent);
    }

    /// Connections that were silent go on with what they have held back: a network loses packets, TCP does not lose bytes.
    pub(super) fn heal(&self) {
        self.state.send_replace(State::Whole);
    }
}

async fn accept(listener: TcpListener, target: SocketAddr, state: Arc<watch::Sender<State>>) {
    let mut connections = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                let Ok((client, _)) = accepted else { continue };
                connections.spawn(connection(client, target, state.subscribe()));
            }
            Some(_ended) = connections.join_next() => {}
        }
    }
}

async fn connection(mut client: TcpStream, target: SocketAddr, mut state: watch::Receiver<State>) {
    let severed = |state: &State| *state == State::Severed;
    let whole_or_severed = |state: &State| *state != State::Silent;
    // The sender lives as long as this connection may.
    let _ = state.wait_for(whole_or_severed).await;
    if severed(&state.borrow()) {
        let _ = client.set_zero_linger();
        return;
    }
    let Ok(mut server) = TcpStream::connect(target).await else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    let was_severed = {
        let ((client_in, client_out), (server_in, server_out)) = (client.split(), server.split());
        let (up, down) = (copy(client_in, server_out, state.clone()), copy(server_in, client_out, state.clone()));
        tokio::select! {
            _ = async { tokio::join!(up, down) } => false,
            _severed = state.wait_for(severed) => true,
        }
    };
    if was_severed {
        // Both ends see a reset, not a farewell.
        let _ = (client.set_zero_linger(), server.set_zero_linger());
    }
}

async fn copy(mut from: ReadHalf<'_>, mut to: WriteHalf<'_>, mut state: watch::Receiver<State>) {
    let mut buffer = vec![0; BUFFER];
    loop {
        let Ok(count) = from.read(&mut buffer).await else { break };
        let _ = state.wait_for(|state| *state != State::Silent).await;
        if count == 0 || to.write_all(&buffer[..count]).await.is_err() {
            break;
        }
    }
    let _ = to.shutdown().await;
}
