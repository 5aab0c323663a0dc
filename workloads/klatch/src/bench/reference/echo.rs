//! E: how many messages one core passes from one of a pair to the other in a second, one read and one write each.

use std::{
    io::ErrorKind,
    net::{SocketAddr, TcpListener},
    rc::Rc,
    time::{Duration, Instant},
};

use anyhow::Context;
use tokio::net::TcpStream;

use super::{DURATION, MESSAGE_BYTES};
use crate::bench::{machine, wire};

/// Pairs, each with one message under way.
const PAIRS: usize = 500;

/// Messages a second. The calling thread is both of every pair; the server in between has a thread on its core.
///
/// # Errors
/// When loopback sockets cannot be had.
pub(super) fn measure(core: usize) -> anyhow::Result<f64> {
    let listener = TcpListener::bind("127.0.0.1:0").context("cannot listen on loopback")?;
    let address = listener.local_addr()?;
    listener.set_nonblocking(true)?;
    let server = std::thread::spawn(move || {
        machine::pin(core);
        local(pass_on(listener))
    });
    let rate = local(play(address))?;
    server.join().map_err(|_| anyhow::anyhow!("the echo server panicked"))??;
    Ok(rate)
}

fn local<T>(future: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    tokio::task::LocalSet::new().block_on(&runtime, future)
}

/// Passes what one of a pair sends to the other until all have hung up.
async fn pass_on(listener: TcpListener) -> anyhow::Result<()> {
    let listener = tokio::net::TcpListener::from_std(listener)?;
    let mut tasks = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        let (from, to) = (accept(&listener).await?, accept(&listener).await?);
        tasks.push(tokio::task::spawn_local(async move {
            let mut buffer = [0; 2 * MESSAGE_BYTES];
            while let Some(read) = read(&from, &mut buffer).await {
                // One message is under way at a time: the socket has room for it.
                if to.try_write(&buffer[..read]).is_err() {
                    return;
                }
            }
        }));
    }
    for task in tasks {
        task.await?;
    }
    Ok(())
}

async fn accept(listener: &tokio::net::TcpListener) -> anyhow::Result<TcpStream> {
    let (socket, _) = listener.accept().await?;
    socket.set_nodelay(true)?;
    Ok(socket)
}

/// Bytes read; `None` when the other side hung up.
async fn read(socket: &TcpStream, buffer: &mut [u8]) -> Option<usize> {
    loop {
        socket.readable().await.ok()?;
        match socket.try_read(buffer) {
            Ok(0) => return None,
            Ok(read) => return Some(read),
            Err(error) if error.kind() == ErrorKind::WouldBlock => {}
            Err(_) => return None,
        }
    }
}

async fn play(address: SocketAddr) -> anyhow::Result<f64> {
    let mut frame = Vec::new();
    wire::push_plain(&mut frame, wire::TEXT, &[b'x'; MESSAGE_BYTES]);
    let frame = Rc::new(frame);
    let mut pairs = Vec::with_capacity(PAIRS);
    for _ in 0..PAIRS {
        // The server takes connections in the order in which they were made.
        let (from, to) = (TcpStream::connect(address).await?, TcpStream::connect(address).await?);
        from.set_nodelay(true)?;
        pairs.push((from, to));
    }
    let start = Instant::now();
    let playing = pairs.into_iter().map(|(from, to)| {
        let frame = Rc::clone(&frame);
        tokio::task::spawn_local(async move { pair(&from, &to, &frame, start + DURATION).await })
    });
    let playing: Vec<_> = playing.collect();
    let mut passed = 0;
    for task in playing {
        passed += task.await?;
    }
    Ok(passed as f64 / start.elapsed().min(DURATION + Duration::from_millis(200)).as_secs_f64())
}

async fn pair(from: &TcpStream, to: &TcpStream, frame: &[u8], until: Instant) -> u64 {
    let mut buffer = [0; 2 * MESSAGE_BYTES];
    let mut passed = 0;
    while Instant::now() < until {
        if from.try_write(frame).is_err() {
            break;
        }
        let mut arrived = 0;
        while arrived < frame.len() {
            let Some(read) = read(to, &mut buffer).await else { return passed };
            arrived += read;
        }
        passed += 1;
    }
    passed
}
