//! What `tests/instructions` counts here: one block of a room, encoded once, for many connections.

use std::{
    hint::black_box,
    pin::pin,
    sync::Arc,
    task::{Context, Waker},
};

use bytes::Bytes;
use klatch_domain::ConnectionId;
use prometheus::Registry;
use tokio::net::{TcpListener, TcpStream};

use crate::{
    batch::Batch,
    connection::{Connection, Instruments},
    metrics::Metrics,
    timer::Timer,
};

/// Connections that a room's block goes to: two open files each.
const CONNECTIONS: u32 = 120;
const TIMES: usize = 20;
/// Far beyond what is pushed.
const OUTPUT_BYTES: usize = 64 * 1024 * 1024;
const NEVER_MS: u64 = 3_600_000;

#[inline(never)]
fn measured_fan_out(batch: &mut Batch, connections: &[Arc<Connection>], lines: &[u8]) {
    let whole = batch.shared(Bytes::copy_from_slice(lines));
    for connection in connections {
        batch.add(connection, whole);
    }
    let flushed = pin!(batch.flush()).poll(&mut Context::from_waker(Waker::noop()));
    assert!(flushed.is_ready(), "fewer connections than a turn writes to");
}

/// Connections that are not welcomed yet: what is pushed waits in them, as behind a write that is under way, and no time is
/// spent in the kernel.
async fn connections() -> Vec<Arc<Connection>> {
    let metrics = Metrics::register(&Registry::new()).expect("a fresh registry");
    let instruments = Arc::new(Instruments { metrics, timer: Timer::start(), output_bytes: OUTPUT_BYTES });
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
    let address = listener.local_addr().expect("an address");
    let mut connections = Vec::new();
    for index in 0..CONNECTIONS {
        let socket = TcpStream::connect(address).await.expect("a connection");
        let connection = Connection::new(ConnectionId::now(), index, socket, NEVER_MS, Arc::clone(&instruments));
        connections.push(Arc::new(connection));
        let _far = listener.accept().await.expect("the other end");
    }
    connections
}

#[tokio::test]
#[ignore = "counted by tests/instructions"]
async fn fan_out() {
    let (connections, mut batch) = (connections().await, Batch::default());
    let lines = [b'x'; 600];
    for _ in 0..TIMES {
        measured_fan_out(&mut batch, black_box(&connections), black_box(&lines));
    }
}
