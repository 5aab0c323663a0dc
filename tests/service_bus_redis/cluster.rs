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

klatch_tests::bus_conformance!(open; presence, signals, rate_limits, recent);

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

#[tokio::test]
async fn a_dead_server_makes_its_users_unknown_and_comes_back_by_itself() {
    let mut cluster = RedisCluster::start(MASTERS);
    let presence = connect(cluster.options()).await.presence;
    renewed(&*presence, ONE).await;
    for user in users() {
        came(&*presence, ONE, user).await;
    }
    let leases = holder(&cluster, "{klatch:leases}ends");
    let dead = (leases + 1) % usize::from(MASTERS);
    let piece_of = |user: &UserId| format!("{{klatch:{}}}mark", user.as_bytes()[15]);
    let (lost, kept): (Vec<_>, Vec<_>) =
        users().into_iter().partition(|user| holder(&cluster, &piece_of(user)) == dead);
    assert!(!lost.is_empty() && !kept.is_empty());
    cluster.masters_mut()[dead].kill();
    let unknown = async { while of(&*presence, lost[0]).await.is_ok() {} };
    within("the end of answers", unknown).await;
    let others = async { while of(&*presence, kept[0]).await != Ok(vec![ONE]) {} };
    within("what the other servers hold", others).await;

    cluster.masters_mut()[dead].restart();
    assert!(!renewed(&*presence, ONE).await, "the gateway notices what was lost");
    let registered = async {
        for user in users() {
            while presence.set(ONE, &[(user, true)], now()).await.is_err() {
                tokio::time::sleep(Duration::from_millis(5)).await;
            }
        }
    };
    within("a registry that is whole", registered).await;
    assert!(renewed(&*presence, ONE).await);
    for user in users() {
        assert_eq!(of(&*presence, user).await, Ok(vec![ONE]));
    }
}

#[tokio::test]
async fn a_slot_that_moves_to_another_server_is_followed() {
    let cluster = RedisCluster::start(MASTERS);
    let parts = connect(cluster.options()).await;
    renewed(&*parts.presence, ONE).await;
    came(&*parts.presence, ONE, ADA).await;
    let key = format!("{{klatch:{}}}mark", 0xa);
    let from = holder(&cluster, &key);
    let to = (from + 1) % usize::from(MASTERS);
    cluster.move_slot_of(&key, from, to);
    assert_eq!(holder(&cluster, &key), to);
    let still = async { while of(&*parts.presence, ADA).await != Ok(vec![ONE]) {} };
    within("the user at the slot's new server", still).await;
    assert!(renewed(&*parts.presence, ONE).await, "nothing was lost");
}
