//! How many gateways would do, and which of them should go first.

use super::Measured;

/// What an autoscaler of gateways aims at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Aim {
    /// Connections a replica holds on average.
    pub target: u64,
    /// Fewest replicas.
    pub least: u64,
}

/// Changes below one in so many are no news, neither in a status nor for the order of deletion.
const NEWS_SHARE: u64 = 10;

/// Whether a number tells more than the one that was told last.
#[must_use]
pub fn is_news(told: u64, now: u64) -> bool {
    told != now && (told == 0 || now == 0 || told.abs_diff(now).saturating_mul(NEWS_SHARE) >= told)
}

/// Costs to write, while fewer replicas would do: the emptiest gateway is the cheapest. Who did not answer keeps what it has: it is
/// not ready either, and goes before all others.
#[must_use]
pub(super) fn costs(aim: Aim, replicas: usize, measured: &[Measured]) -> Vec<(&Measured, i64)> {
    let total: u64 = measured.iter().map(|one| one.connections).sum();
    let needed = total.div_ceil(aim.target.max(1)).max(aim.least);
    if needed >= replicas as u64 {
        return Vec::new();
    }
    let of = |one: &Measured| i64::from(i32::try_from(one.connections).unwrap_or(i32::MAX));
    let is_old = |one: &&Measured| {
        one.pod.cost.is_none_or(|cost| u64::try_from(cost).map_or(true, |cost| is_news(cost, one.connections)))
    };
    measured.iter().filter(is_old).map(|one| (one, of(one))).collect()
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::{Key, gateways::GatewayPod};

    fn gateway(name: &str, connections: u64, cost: Option<i64>) -> Measured {
        let key = Key { namespace: "talk".to_owned(), name: "chat".to_owned() };
        let pod = GatewayPod {
            key,
            name: name.to_owned(),
            uid: name.to_owned(),
            labels: [].into(),
            ip: None,
            port: None,
            running: true,
            cost,
        };
        Measured { pod, connections, at: Timestamp::UNIX_EPOCH }
    }

    fn written(aim: Aim, measured: &[Measured]) -> Vec<(String, i64)> {
        costs(aim, measured.len(), measured).into_iter().map(|(one, cost)| (one.pod.name.clone(), cost)).collect()
    }

    #[test]
    fn costs_are_written_while_fewer_would_do_and_only_when_they_changed() {
        let aim = Aim { target: 100, least: 2 };
        let full = [gateway("a", 90, None), gateway("b", 80, None), gateway("c", 70, None)];
        assert!(written(aim, &full).is_empty(), "240 connections need three");
        let fewer = [gateway("a", 90, None), gateway("b", 80, Some(80)), gateway("c", 20, Some(70))];
        assert_eq!(written(aim, &fewer), [("a".to_owned(), 90), ("c".to_owned(), 20)]);
        let near = [gateway("a", 90, Some(85)), gateway("b", 0, Some(0)), gateway("c", 20, Some(21))];
        assert!(written(aim, &near).is_empty(), "near enough");
        let least = [gateway("a", 1, None), gateway("b", 0, None)];
        assert!(written(aim, &least).is_empty(), "fewer than two there shall not be");
    }

    #[test]
    fn a_tenth_is_news() {
        for (told, now, news) in
            [(100, 109, false), (100, 110, true), (100, 90, true), (0, 1, true), (5, 0, true), (0, 0, false)]
        {
            assert_eq!(is_news(told, now), news, "{told} {now}");
        }
    }
}
