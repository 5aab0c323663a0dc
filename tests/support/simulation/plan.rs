//! What a seed decides before anything happens.

use rand::{RngExt, rngs::Xoshiro256PlusPlus};

/// Length of the quiet time at the end, milliseconds: above the five minutes after which clients compare heads, and the
/// longest wait for an answer.
pub(super) const QUIET_MS: u64 = 900_000;

/// One world.
#[derive(Debug, Clone)]
pub struct Plan {
    /// Devices that take part.
    pub clients: u64,
    /// Their owners.
    pub users: u64,
    /// Rooms.
    pub rooms: u64,
    /// Gateways.
    pub gateways: usize,
    /// How long things go wrong, milliseconds.
    pub chaos_ms: u64,
    /// Things a client does meanwhile.
    pub actions: u64,
    /// One way through the network, milliseconds at most.
    pub latency_ms: u64,
    /// A pushed entry is lost.
    pub drop: f64,
    /// A pushed entry comes twice.
    pub double: f64,
    /// Pushed entries are held back by up to this, milliseconds: later ones overtake them.
    pub reorder_ms: u64,
    /// A loss is noticed by the gateway, which then says where the log ends.
    pub noticed: f64,
    /// The answer to a send is lost.
    pub lose_outcome: f64,
    /// A send is refused for the time being.
    pub refuse: f64,
    /// A send is refused for the time being although it was published.
    pub unknown: f64,
    /// A command is held back in the broker: later ones overtake it.
    pub overtake: f64,
    /// An HTTP call fails.
    pub fail_call: f64,
    /// Mean time between disconnects of one client, milliseconds; 0: none.
    pub disconnect_ms: u64,
    /// Restarts of gateways.
    pub restarts: u64,
    /// Clients killed and started again.
    pub crashes: u64,
    /// Clocks set forward or back.
    pub jumps: u64,
    /// Members that come and go.
    pub churn: u64,
    /// Logs restored from a backup that lacks their last entries.
    pub restores: u64,
    /// Life of an access token, milliseconds.
    pub token_ms: u64,
    /// Entries per room of a sync answer, and of a history page.
    pub page: usize,
    /// Unsettled sends of a connection.
    pub in_flight: u64,
    /// Announced pace of sends; 0: none.
    pub sends_per_second: u64,
    /// Rooms whose members never got an inbox entry.
    pub provisioned: bool,
    /// Gateways wait for a refused id even when they hear that it is stored; others then wait for the next they refused.
    pub strict: bool,
    /// Clients compare everything at once when the quiet time starts, instead of within five minutes.
    pub foreground: bool,
}

impl Plan {
    /// The world of a seed.
    pub fn draw(random: &mut Xoshiro256PlusPlus) -> Self {
        // Most worlds are small and quick; a few are crowded.
        let clients = match random.random_range(0..400) {
            0 => random.random_range(100..=200),
            1..=5 => random.random_range(20..=60),
            _ => random.random_range(2..=10),
        };
        let crowded = clients > 10;
        let often = |random: &mut Xoshiro256PlusPlus, most: f64| {
            if random.random_bool(0.6) { random.random::<f64>() * most } else { 0.0 }
        };
        let some = |random: &mut Xoshiro256PlusPlus, most: u64| {
            if random.random_bool(0.5) { random.random_range(1..=most) } else { 0 }
        };
        Self {
            clients,
            users: clients.div_ceil(random.random_range(1..=2)),
            rooms: random.random_range(1..=if crowded { 3 } else { 4 }),
            gateways: random.random_range(1..=3),
            chaos_ms: random.random_range(20_000..=180_000),
            actions: if crowded { random.random_range(2..=4) } else { random.random_range(4..=16) },
            latency_ms: random.random_range(1..=300),
            drop: often(random, 0.3),
            double: often(random, 0.3),
            reorder_ms: if random.random_bool(0.6) { random.random_range(1..=4_000) } else { 0 },
            noticed: random.random(),
            lose_outcome: often(random, 0.15),
            refuse: often(random, 0.15),
            unknown: often(random, 0.15),
            overtake: often(random, 0.3),
            fail_call: often(random, 0.3),
            disconnect_ms: if random.random_bool(0.7) { random.random_range(5_000..=60_000) } else { 0 },
            restarts: some(random, 3),
            crashes: some(random, 4),
            jumps: some(random, 4),
            churn: some(random, 8),
            restores: if random.random_bool(0.12) { random.random_range(1..=2) } else { 0 },
            token_ms: random.random_range(20_000..=900_000),
            page: *[2, 5, 50, 200].get(random.random_range(0..4_usize)).unwrap_or(&50),
            in_flight: random.random_range(1..=32),
            sends_per_second: if random.random_bool(0.3) { random.random_range(1..=20) } else { 0 },
            provisioned: random.random_bool(0.2),
            strict: random.random_bool(0.5),
            foreground: random.random_bool(0.5),
        }
    }
}
