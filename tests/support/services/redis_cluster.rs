//! A Redis Cluster of several masters, each of which holds its share of the slots.

use klatch_bus::redis::{Endpoint, Options};

use super::redis::{CLUSTER_SLOTS, Redis, Start};

/// A running cluster. Dropping it kills all of it.
pub struct RedisCluster {
    masters: Vec<Redis>,
}

impl RedisCluster {
    /// Starts so many masters and waits until each knows who holds what.
    ///
    /// # Panics
    /// With a log, when they do not become one.
    #[must_use]
    pub fn start(masters: u16) -> Self {
        let start = Start { cluster: true, ..Start::default() };
        let cluster = Self { masters: (0..masters).map(|_| Redis::launch(start)).collect() };
        let bound = |number: u16| u32::from(CLUSTER_SLOTS) * u32::from(number) / u32::from(masters);
        for (number, master) in (0..).zip(&cluster.masters) {
            let [first, next] = [bound(number), bound(number + 1)].map(|slot| u16::try_from(slot).expect("a slot"));
            master.take_slots(first, next - 1);
            // Two servers must not draw the same, or the cluster has to settle first who gives way.
            let _ = master.ask(&format!("CLUSTER SET-CONFIG-EPOCH {}", number + 1));
        }
        let first = &cluster.masters[0];
        for other in &cluster.masters[1..] {
            let met = first.ask(&format!("CLUSTER MEET 127.0.0.1 {} {}", other.port(), other.cluster_port()));
            assert!(met.contains("OK"), "{met}");
        }
        for master in &cluster.masters {
            master.wait("CLUSTER INFO", &format!("cluster_size:{masters}\r"));
            master.wait("CLUSTER INFO", "cluster_state:ok");
        }
        cluster
    }

    /// How to reach it: by any of its servers, which tell of the others.
    #[must_use]
    pub fn options(&self) -> Options {
        let endpoint = |master: &Redis| Endpoint { host: "127.0.0.1".to_owned(), port: master.port() };
        Options { endpoints: self.masters.iter().map(endpoint).collect(), ..self.masters[0].options() }
    }

    /// Moves the slot of a key, which is the only one in it, from one server to another, as a resharding does
    /// (<https://redis.io/docs/latest/commands/cluster-setslot/>).
    ///
    /// # Panics
    /// When a server does not take part.
    pub fn move_slot_of(&self, key: &str, from: usize, to: usize) {
        let number = |answer: &str| answer.lines().next().unwrap_or_default().trim_start_matches(':').to_owned();
        let name = |master: &Redis| {
            let answer = master.ask("CLUSTER MYID");
            answer.lines().nth(1).unwrap_or_default().to_owned()
        };
        let (source, target) = (&self.masters[from], &self.masters[to]);
        let slot = number(&source.ask(&format!("CLUSTER KEYSLOT {key}")));
        let set = |master: &Redis, what: &str| {
            let answer = master.ask(&format!("CLUSTER SETSLOT {slot} {what}"));
            assert!(answer.contains("OK"), "{what}: {answer}");
        };
        set(target, &format!("IMPORTING {}", name(source)));
        set(source, &format!("MIGRATING {}", name(target)));
        let moved = source.ask(&format!("MIGRATE 127.0.0.1 {} {key} 0 5000", target.port()));
        assert!(moved.contains("OK"), "{key}: {moved}");
        let owner = format!("NODE {}", name(target));
        set(target, &owner);
        set(source, &owner);
    }

    /// Its servers.
    #[must_use]
    pub fn masters(&self) -> &[Redis] {
        &self.masters
    }

    /// The same, to be killed and started again.
    pub fn masters_mut(&mut self) -> &mut [Redis] {
        &mut self.masters
    }
}
