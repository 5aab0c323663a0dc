//! Whether the other side is still there.

/// Before `welcome` says otherwise, milliseconds: the pace most servers announce.
const DEFAULT_MS: u64 = 30_000;
/// Heartbeats that may be missed (wire contract).
const SILENT_HEARTBEATS: u64 = 2;
/// No server is believed that asks for more pings than this, milliseconds: a wrong setting would cut every connection.
const SHORTEST_MS: u64 = 1_000;

/// Watches the silence of one connection.
#[derive(Debug, Clone)]
pub(crate) struct Heartbeat {
    every: u64,
    heard: u64,
}

impl Heartbeat {
    pub(crate) const fn new() -> Self {
        Self { every: DEFAULT_MS, heard: 0 }
    }

    /// A connection starts, or says its pace.
    pub(crate) fn start(&mut self, now: u64, every_ms: Option<u64>) {
        self.every = every_ms.unwrap_or(DEFAULT_MS).max(SHORTEST_MS);
        self.heard = now;
    }

    /// Anything came in: a frame, a ping, a pong.
    pub(crate) fn heard(&mut self, now: u64) {
        self.heard = now;
    }

    /// From then on the connection counts as dead.
    pub(crate) fn dead_at(&self) -> u64 {
        self.heard.saturating_add(self.every.saturating_mul(SILENT_HEARTBEATS))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_silent_heartbeats_end_it() {
        let mut heartbeat = Heartbeat::new();
        heartbeat.start(1_000, Some(20_000));
        assert_eq!(heartbeat.dead_at(), 41_000);
        heartbeat.heard(30_000);
        assert_eq!(heartbeat.dead_at(), 70_000);
        heartbeat.start(0, Some(1));
        assert_eq!(heartbeat.dead_at(), 2 * SHORTEST_MS);
    }
}
