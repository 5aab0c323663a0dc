//! Many sockets of people who only listen. Each stays until it is told to go, comes back when a gateway asks it to, and is counted.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use futures_util::{StreamExt, stream};
use klatch_protocol::{ClientFrame, Ping, ServerFrame};
use parking_lot::Mutex;
use tokio::{task::JoinHandle, time::timeout};
use tokio_util::sync::CancellationToken;

use crate::person::{Person, Socket};

/// Sockets of one person: below what one gateway lets one user have, should all of them come there.
const SOCKETS_EACH: usize = 20;
/// That come at a time.
const AT_ONCE: usize = 16;
/// What coming may take on a busy machine, before it is tried again.
const COMES_WITHIN: Duration = Duration::from_secs(20);
/// After a try that came to nothing.
const AGAIN_AFTER: Duration = Duration::from_secs(1);
/// Between two words of somebody who only listens, so that silence can be told from a dead peer.
const PING_EVERY: Duration = Duration::from_secs(25);

/// What became of all sockets together.
#[derive(Debug, Default)]
pub struct Counts {
    /// That are connected now.
    pub connected: AtomicU64,
    /// Asked to come back by a gateway that goes away.
    pub drained: AtomicU64,
    /// Asked to come back by a gateway that holds more than others.
    pub shed: AtomicU64,
    /// Ended without being asked first.
    pub unasked: AtomicU64,
    /// Tries that came to nothing.
    pub failed: AtomicU64,
    came_back: Mutex<Vec<Instant>>,
}

impl Counts {
    /// How many came back, and the most in one second.
    #[must_use]
    pub fn came_back(&self) -> (usize, usize) {
        let all = self.came_back.lock();
        let within =
            |from: usize| all[from..].iter().take_while(|at| **at - all[from] < Duration::from_secs(1)).count();
        (all.len(), (0..all.len()).map(within).max().unwrap_or(0))
    }

    /// Now.
    #[must_use]
    pub fn get(count: &AtomicU64) -> u64 {
        count.load(Ordering::SeqCst)
    }
}

/// All of them.
pub struct Crowd {
    /// What became of them.
    pub counts: Arc<Counts>,
    sockets: Vec<(CancellationToken, JoinHandle<()>)>,
}

impl Crowd {
    /// So many sockets come to an address, of people with names that begin so, who sign up at `server`.
    pub async fn come(server: &str, address: &str, prefix: &str, sockets: usize) -> Self {
        let names = (0..sockets.div_ceil(SOCKETS_EACH)).map(|number| format!("{prefix}{number}"));
        let people: Vec<Person> = stream::iter(names)
            .map(|name| async move { Person::sign_up_at_busy(server, &name).await.at(address) })
            .buffered(AT_ONCE)
            .collect()
            .await;
        let mut crowd = Self { counts: Arc::default(), sockets: Vec::new() };
        let doors = Arc::new(tokio::sync::Semaphore::new(AT_ONCE));
        for number in 0..sockets {
            let (person, counts, stop) =
                (people[number / SOCKETS_EACH].clone(), Arc::clone(&crowd.counts), CancellationToken::new());
            let (stopped, doors) = (stop.clone(), Arc::clone(&doors));
            crowd.sockets.push((
                stop,
                tokio::spawn(async move {
                    let staying = Box::pin(stay(&person, &counts, &doors));
                    let _gone = stopped.run_until_cancelled(staying).await;
                }),
            ));
        }
        crowd
    }

    /// The first leave, until so many are left.
    pub async fn leave(&mut self, left: usize) {
        for (stop, task) in self.sockets.drain(..self.sockets.len() - left) {
            stop.cancel();
            let _ended = task.await;
        }
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.sockets.iter().for_each(|(stop, _)| stop.cancel());
    }
}

/// Counts a socket for as long as it is there.
struct Connected<'a>(&'a Counts);

impl<'a> Connected<'a> {
    fn count(counts: &'a Counts) -> Self {
        counts.connected.fetch_add(1, Ordering::SeqCst);
        Self(counts)
    }
}

impl Drop for Connected<'_> {
    fn drop(&mut self) {
        self.0.connected.fetch_sub(1, Ordering::SeqCst);
    }
}

async fn stay(person: &Person, counts: &Counts, doors: &tokio::sync::Semaphore) {
    let mut was_here = false;
    loop {
        let door = doors.acquire().await.expect("doors");
        let coming = async {
            let mut socket = Socket::open(&person.server).await.ok()?;
            socket.try_hello(&person.token).await.ok()?;
            Some(socket)
        };
        let Ok(Some(mut socket)) = timeout(COMES_WITHIN, coming).await else {
            drop(door);
            counts.failed.fetch_add(1, Ordering::SeqCst);
            tokio::time::sleep(AGAIN_AFTER).await;
            continue;
        };
        drop(door);
        let connected = Connected::count(counts);
        if was_here {
            counts.came_back.lock().push(Instant::now());
        }
        was_here = true;
        let after = listen(&mut socket, counts).await;
        drop(connected);
        tokio::time::sleep(after).await;
    }
}

/// Until the connection ends; when to come back.
async fn listen(socket: &mut Socket, counts: &Counts) -> Duration {
    let mut asked = None;
    loop {
        tokio::select! {
            frame = socket.next() => match frame {
                Ok(ServerFrame::Reconnect(reconnect)) => {
                    let count = if reconnect.reason == "rebalance" { &counts.shed } else { &counts.drained };
                    count.fetch_add(1, Ordering::SeqCst);
                    asked = Some(Duration::from_millis(reconnect.after_ms));
                }
                Ok(_) => {}
                Err(_) => {
                    if asked.is_none() {
                        counts.unasked.fetch_add(1, Ordering::SeqCst);
                    }
                    return asked.unwrap_or(AGAIN_AFTER);
                }
            },
            () = tokio::time::sleep(PING_EVERY) => socket.send(&ClientFrame::Ping(Ping { reference: None })).await,
        }
    }
}
