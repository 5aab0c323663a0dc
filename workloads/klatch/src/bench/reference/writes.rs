//! W: how many frames of 150 B one core writes to loopback WebSockets in a second, one write each.

use std::{
    io::{ErrorKind, Write},
    net::{SocketAddr, TcpListener, TcpStream},
    sync::mpsc,
    time::{Duration, Instant},
};

use anyhow::Context;
use futures_util::future::join_all;

use super::{DURATION, MESSAGE_BYTES};
use crate::bench::{generator::READ_BYTES, machine, wire};

/// As many as the large room has.
const CONNECTIONS: usize = 1_000;

/// Writes a second. The calling thread reads; the writer has a thread on the server's core.
///
/// # Errors
/// When loopback sockets cannot be had.
pub(super) fn measure(core: usize) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
    let address = listener.local_addr()?;
    let (done, finished) = mpsc::channel();
    let writer = std::thread::spawn(move || {
        machine::pin(core);
        let rate = write(&listener);
        let _ = done.send(());
        rate
    });
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(read(address, &finished))?;
    writer.join().map_err(|_| anyhow::anyhow!("the writer panicked"))?
}

fn write(listener: &TcpListener) -> anyhow::Result<f64> {
    let mut sockets = Vec::with_capacity(CONNECTIONS);
    for _ in 0..CONNECTIONS {
        let (socket, _) = listener.accept()?;
        socket.set_nodelay(true)?;
        socket.set_nonblocking(true)?;
        sockets.push(socket);
    }
    let mut frame = Vec::new();
    wire::push_plain(&mut frame, wire::TEXT, &[b'x'; MESSAGE_BYTES]);
    let (start, mut written) = (Instant::now(), 0u64);
    while start.elapsed() < DURATION {
        for socket in &mut sockets {
            written += u64::from(write_one(socket, &frame)?);
        }
    }
    Ok(written as f64 / start.elapsed().as_secs_f64())
}

/// Whether the socket took it; a full one is passed over.
fn write_one(socket: &mut TcpStream, frame: &[u8]) -> anyhow::Result<bool> {
    match socket.write(frame) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == ErrorKind::WouldBlock => Ok(false),
        Err(error) => Err(error).context("cannot write to loopback"),
    }
}

async fn read(address: SocketAddr, finished: &mpsc::Receiver<()>) -> anyhow::Result<()> {
    let local = tokio::task::LocalSet::new();
    local
        .run_until(async {
            let mut sockets = Vec::with_capacity(CONNECTIONS);
            for _ in 0..CONNECTIONS {
                sockets.push(tokio::net::TcpStream::connect(address).await?);
            }
            let reading = sockets.into_iter().map(|socket| tokio::task::spawn_local(drain(socket)));
            let reading: Vec<_> = reading.collect();
            while matches!(finished.try_recv(), Err(mpsc::TryRecvError::Empty)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            reading.iter().for_each(tokio::task::JoinHandle::abort);
            join_all(reading).await;
            Ok(())
        })
        .await
}

async fn drain(socket: tokio::net::TcpStream) {
    thread_local! {
        static BUFFER: std::cell::RefCell<Vec<u8>> = std::cell::RefCell::new(vec![0; READ_BYTES]);
    }
    while socket.readable().await.is_ok() {
        match BUFFER.with_borrow_mut(|buffer| socket.try_read(buffer)) {
            Ok(0) => return,
            Err(error) if error.kind() != ErrorKind::WouldBlock => return,
            _ => {}
        }
    }
}
