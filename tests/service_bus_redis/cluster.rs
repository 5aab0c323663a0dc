//! On a cluster of several servers: every rule holds wherever keys hash to, and through a server that dies and a slot that moves.

use std::sync::OnceLock;

use klatch_tests::services::redis_cluster::RedisCluster;

use super::*;

/// Enough that leases, users, limits and channels lie apart.
const MASTERS: u16 = 3;

async fn open() -> Subject {
    static CLUSTER: OnceLock<RedisCluster> = OnceLock::new();
    let cluster = CLUSTER.get_or_init(|| RedisCluster::start(MASTERS));
    subject(Options { prefix: format!("cluster-{}", UserId::now()), ..cluster.options() }).await
}

mod conformance {
    use super::open;

    klatch_tests::bus_conformance!(open; presence, signals, rate_limits, recent);
}

/// A user for each piece of the registry.
fn users() -> Vec<UserId> {
    (0..64).map(|piece| UserId::from_bytes([piece; 16])).collect()
}

/// The number of the server that holds a key's slot.
fn holder(cluster: &RedisCluster, key: &str) -> usize {
    // Each answers for its own slots and names another for the rest.
    let holds = |master: &Redis| !master.ask(&format!("EXISTS {key}")).contains("MOVED");
    cluster.masters().iter().position(holds).expect("a holder")
}

/// Asks again and again. A call on a link that is closed answers without waiting.
async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    let asking = async {
        while !holds().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within(what, asking).await;
}

#[tokio::test]
async fn the_registry_is_spread_over_all_servers() {
    let cluster = RedisCluster::start(MASTERS);
    let presence = connect(cluster.options()).await.presence;
    renewed(&*presence, ONE).await;
    for user in users() {
        came(&*presence, ONE, user).await;
    }
    for master in cluster.masters() {
        let keys = master.ask("DBSIZE");
        assert!(!keys.contains(":0"), "a server holds nothing: {keys}");
    }
    assert_eq!(of(&*presence, ADA).await, Ok(vec![ONE]));
}

/// A server that is gone and has no replica takes the answers of all along: its users may be anywhere, so everybody's events
/// go by the lanes until it is back.
#[tokio::test]
async fn a_dead_server_makes_presence_unknown_and_comes_back_by_itself() {
    let mut cluster = RedisCluster::start(MASTERS);
    let presence = connect(cluster.options()).await.presence;
    renewed(&*presence, ONE).await;
    for user in users() {
        came(&*presence, ONE, user).await;
    }
    assert!(renewed(&*presence, ONE).await);
    let leases = holder(&cluster, "{klatch:leases}ends");
    let dead = (leases + 1) % usize::from(MASTERS);
    let piece_of = |user: &UserId| format!("{{klatch:{}}}mark", user.as_bytes()[15]);
    let lost = users().into_iter().find(|user| holder(&cluster, &piece_of(user)) == dead).expect("a user there");
    cluster.masters_mut()[dead].kill();
    until("the end of answers", async || of(&*presence, lost).await.is_err()).await;

    cluster.masters_mut()[dead].restart();
    assert!(!renewed(&*presence, ONE).await, "the gateway notices what was lost");
    for user in users() {
        until("a user to be registered", async || presence.set(ONE, &[(user, true)], now()).await.is_ok()).await;
    }
    assert!(renewed(&*presence, ONE).await);
    for user in users() {
        assert_eq!(of(&*presence, user).await, Ok(vec![ONE]));
    }
}

#[tokio::test]
async fn a_slot_that_moves_to_another_server_is_followed() {
    let cluster = RedisCluster::start(MASTERS);
    let (room, run) = (RoomId::now(), recent::run(3, 9));
    let recent = connect(cluster.options()).await.recent;
    recent.keep(room, run.clone()).await;
    assert_eq!(recent.read(&[room]).await.remove(0), Some(run.clone()));
    let key = format!("{{klatch:recent:{room}}}");
    let from = holder(&cluster, &key);
    let to = (from + 1) % usize::from(MASTERS);
    cluster.move_slot_of(&key, from, to);
    assert_eq!(holder(&cluster, &key), to);
    assert_eq!(recent.read(&[room]).await.remove(0), Some(run), "asked for where it is now");
}
