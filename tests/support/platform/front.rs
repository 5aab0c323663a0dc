//! The smallest load balancer there can be: one address for clients, WebSockets to one gateway, other calls to an api that
//! takes the connection. The tests have one for each gateway, so that a client knows which one it has left.

use std::{
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, copy_bidirectional},
    net::{TcpListener, TcpStream},
};
use tokio_util::task::AbortOnDropHandle;

/// What decides where a connection goes.
const WEB_SOCKET: &[u8] = b"GET /v1/connect";
/// Bytes of a request that are read before it is decided.
const FIRST_BYTES: usize = 4_096;

/// A running front; dropping it cuts its connections.
pub(super) struct Front {
    /// `http://HOST:PORT`
    pub(super) url: String,
    _accepting: AbortOnDropHandle<()>,
}

impl Front {
    pub(super) async fn start(gateway: SocketAddr, apis: Vec<SocketAddr>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("http://{}", listener.local_addr().expect("an address"));
        let apis = Arc::new(Apis { addresses: apis, next: AtomicUsize::new(0) });
        let accepting = tokio::spawn(async move {
            let mut connections = tokio::task::JoinSet::new();
            loop {
                tokio::select! {
                    accepted = listener.accept() => {
                        let Ok((client, _)) = accepted else { continue };
                        connections.spawn(carry(client, gateway, Arc::clone(&apis)));
                    }
                    Some(_ended) = connections.join_next() => {}
                }
            }
        });
        Self { url, _accepting: AbortOnDropHandle::new(accepting) }
    }
}

struct Apis {
    addresses: Vec<SocketAddr>,
    next: AtomicUsize,
}

impl Apis {
    /// The next one in turn that takes a connection.
    async fn connect(&self) -> Option<TcpStream> {
        for _ in &self.addresses {
            let address = self.addresses[self.next.fetch_add(1, Ordering::Relaxed) % self.addresses.len()];
            if let Ok(stream) = TcpStream::connect(address).await {
                return Some(stream);
            }
        }
        None
    }
}

/// Carries one connection to its end. Errors are ends as well.
async fn carry(mut client: TcpStream, gateway: SocketAddr, apis: Arc<Apis>) {
    let mut first = Vec::with_capacity(FIRST_BYTES);
    while first.len() < WEB_SOCKET.len() {
        match client.read_buf(&mut first).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
    let server =
        if first.starts_with(WEB_SOCKET) { TcpStream::connect(gateway).await.ok() } else { apis.connect().await };
    let Some(mut server) = server else { return };
    let _ = (client.set_nodelay(true), server.set_nodelay(true));
    if server.write_all(&first).await.is_ok() {
        let _ended = copy_bidirectional(&mut client, &mut server).await;
    }
}
