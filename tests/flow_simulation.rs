//! The client core in simulated worlds: whatever the network does, all clients converge to one gapless log.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    thread,
};

use klatch_tests::{
    asked::number,
    simulation::{self, Report},
};

/// Worlds of one run of `make test`; `KLATCH_SIMULATION_SEEDS` asks for more.
const SEEDS: u64 = 1_000;
/// Threads that run worlds: one a core of the smallest machine we test on.
const THREADS: usize = 2;

#[test]
fn simulated_clients_converge() {
    if let Some(seed) = number("KLATCH_SIMULATION_SEED") {
        let report = simulation::run(seed, true).unwrap_or_else(|failure| panic!("{failure}"));
        eprintln!("{report:?}");
        return;
    }
    let seeds = number("KLATCH_SIMULATION_SEEDS").unwrap_or(SEEDS);
    let next = AtomicU64::new(0);
    let work = || {
        let mut sum = Report::default();
        loop {
            let seed = next.fetch_add(1, Ordering::Relaxed);
            if seed >= seeds {
                return sum;
            }
            sum += simulation::run(seed, false).unwrap_or_else(|failure| panic!("{failure}"));
        }
    };
    let sum = thread::scope(|scope| {
        let threads: Vec<_> = (0..THREADS).map(|_| scope.spawn(work)).collect();
        threads.into_iter().fold(Report::default(), |mut sum, thread| {
            sum += thread.join().unwrap_or_else(|_| panic!("a world failed: its seed stands above"));
            sum
        })
    });
    eprintln!("{seeds} worlds: {sum:?}");
    // Worlds in which nothing happens would prove nothing.
    assert!(sum.clients > 2 * seeds && sum.said > seeds && sum.mangled > seeds, "{sum:?}");
}
