//! The Redis twin keeps every rule of presence, signals and rate limits, on one server and on a cluster, and comes through
//! what Redis may do: be emptied, lose a part, be killed, freeze, or not be there yet.

use std::{sync::Arc, time::Duration};

use futures_util::FutureExt;
use klatch_bus::{
    Addressees, Bus, GatewaysOf, Limited, Presence, PresenceUnknown, Rate, Signal, Take,
    in_process::{self, MonotonicClock},
    redis::{self, Options, RedisParts},
};
use klatch_domain::{Incarnation, RoomId, Timestamp, UserId};
use klatch_tests::{
    conformance_bus::{AT_MOST, PREFETCH, QUEUES, Subject, recent},
    services::redis::{Redis, Start, shared},
};
use parking_lot::Mutex;
use prometheus::{Registry, TextEncoder};

mod cluster;
mod rooms;

const LEASE: Duration = Duration::from_secs(<dyn Presence>::LEASE_SECONDS);
/// Nothing here takes that long; this only ends a test that waits for what never comes.
const NEVER: Duration = Duration::from_secs(60);
const ONE: Incarnation = Incarnation::from_bytes([1; 16]);
const TWO: Incarnation = Incarnation::from_bytes([2; 16]);
const ADA: UserId = UserId::from_bytes([0xa; 16]);
const BOB: UserId = UserId::from_bytes([0xb; 16]);
fn now() -> Timestamp {
    Timestamp::from_millis(1_800_000_000_000)
}

/// A clock that tests move: what leases are measured with runs ahead of the server's by it.
#[derive(Clone, Default)]
struct Ahead(Arc<Mutex<Duration>>);

impl Ahead {
    fn pass(&self, time: Duration) {
        *self.0.lock() += time;
    }

    fn in_options(&self, options: Options) -> Options {
        let read = Arc::clone(&self.0);
        Options { ahead: Arc::new(move || *read.lock()), ..options }
    }
}

async fn connect(options: Options) -> RedisParts {
    redis::connect(options, &Registry::new()).await.expect("options that can be meant")
}

/// A whole bus: what Redis does not do is done in process.
async fn subject(options: Options) -> Subject {
    let ahead = Ahead::default();
    let parts = connect(ahead.in_options(Options { signal_queue_signals: AT_MOST, ..options })).await;
    let monotonic: MonotonicClock = Arc::new(tokio::time::Instant::now);
    let rest = in_process::Options {
        ingest_queues: QUEUES,
        ingest_commands: AT_MOST,
        prefetch: PREFETCH,
        monotonic,
        ..in_process::Options::default()
    };
    let rest = in_process::bus(rest, &Registry::new()).expect("a fresh registry");
    let RedisParts { presence, signals, rate_limits, recent } = parts;
    let bus = Bus { presence, signals, rate_limits, recent, ..rest };
    let pass = move |time| {
        ahead.pass(time);
        std::future::ready(()).boxed()
    };
    let arrived = |_| std::future::ready(()).boxed();
    Subject { bus, pass: Box::new(pass), arrived: Box::new(arrived) }
}

mod standalone {
    use super::*;

    async fn open() -> Subject {
        subject(shared()).await
    }

    klatch_tests::bus_conformance!(open; presence, signals, rate_limits, recent);
}

async fn within<T>(what: &str, answer: impl Future<Output = T>) -> T {
    tokio::time::timeout(NEVER, answer).await.unwrap_or_else(|_| panic!("{what} never came"))
}

/// Asks until there is an answer.
async fn renewed(presence: &dyn Presence, gateway: Incarnation) -> bool {
    let renewing = async {
        loop {
            match presence.renew(gateway).await {
                Ok(held) => return held,
                Err(_) => tokio::time::sleep(Duration::from_millis(5)).await,
            }
        }
    };
    within("a lease", renewing).await
}

async fn of(presence: &dyn Presence, user: UserId) -> Result<Vec<Incarnation>, PresenceUnknown> {
    presence.gateways_of(&[user]).await.map(|GatewaysOf { gateways, .. }| gateways)
}

async fn came(presence: &dyn Presence, gateway: Incarnation, user: UserId) {
    presence.set(gateway, &[(user, true)], now()).await.expect("the gateway holds a lease");
}

#[tokio::test]
async fn an_emptied_registry_is_not_believed_until_every_gateway_has_registered_again() {
    let server = Redis::start(Start::default());
    let ahead = Ahead::default();
    let options = ahead.in_options(Options { doubt: LEASE, ..server.options() });
    let (here, there) = (connect(options.clone()).await.presence, connect(options).await.presence);
    assert!(!renewed(&*here, ONE).await && !renewed(&*there, TWO).await);
    came(&*here, ONE, ADA).await;
    assert!(of(&*here, ADA).await.is_err(), "a registry that has just begun cannot know everybody");
    ahead.pass(LEASE / 2);
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    ahead.pass(LEASE / 2);
    assert_eq!(of(&*there, ADA).await, Ok(vec![ONE]));

    server.empty();
    assert!(of(&*there, ADA).await.is_err(), "nobody knows anything: lanes");
    assert!(here.set(ONE, &[(BOB, true)], now()).await.is_err());
    assert!(!renewed(&*there, TWO).await);
    assert!(of(&*there, ADA).await.is_err(), "one of two gateways has not registered again");
    assert!(!renewed(&*here, ONE).await);
    came(&*here, ONE, ADA).await;
    assert!(of(&*there, ADA).await.is_err());
    ahead.pass(LEASE / 2);
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    ahead.pass(LEASE / 2);
    assert_eq!(of(&*there, ADA).await, Ok(vec![ONE]));
}

#[tokio::test]
async fn every_gateway_notices_a_lost_piece_of_a_cluster() {
    let server = Redis::start(Start { cluster: true, ..Start::default() });
    let options = server.options();
    let (here, there) = (connect(options.clone()).await.presence, connect(options).await.presence);
    renewed(&*here, ONE).await;
    renewed(&*there, TWO).await;
    came(&*here, ONE, ADA).await;
    came(&*there, TWO, BOB).await;
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    // A server that held one piece comes back empty; the leases are elsewhere. ADA's piece is that of her last byte.
    let lost = server.ask(&format!("DEL {{klatch:{}}}mark", 0xa));
    assert!(lost.contains(":1"), "{lost}");
    assert!(of(&*there, ADA).await.is_err());
    assert_eq!(of(&*there, BOB).await, Ok(vec![TWO]), "other pieces are still known");
    assert!(here.set(ONE, &[(ADA, false)], now()).await.is_err());
    assert!(!renewed(&*here, ONE).await, "the first gateway begins the piece anew");
    assert!(!renewed(&*there, TWO).await, "and the second one notices all the same");
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    assert_eq!(of(&*there, ADA).await, Ok(vec![ONE]));
}

#[tokio::test]
async fn a_gateway_notices_that_the_last_writes_were_lost() {
    let server = Redis::start(Start::default());
    let presence = connect(server.options()).await.presence;
    renewed(&*presence, ONE).await;
    came(&*presence, ONE, ADA).await;
    came(&*presence, ONE, BOB).await;
    came(&*presence, ONE, BOB).await;
    presence.set(ONE, &[(BOB, false), (UserId::now(), false)], now()).await.unwrap();
    assert!(renewed(&*presence, ONE).await, "as it left it");
    // A replica has taken over that did not get the last write.
    let lost = "for _, key in ipairs(redis.call('KEYS', '*held:*')) do redis.call('DEL', key) end for _, key in \
                ipairs(redis.call('KEYS', '*user:*')) do redis.call('DEL', key) end";
    let answer = server.ask(&format!("EVAL \"{lost}\" 0"));
    assert!(!answer.contains("ERR"), "{answer}");
    assert_eq!(of(&*presence, ADA).await, Ok(vec![]));
    assert!(!renewed(&*presence, ONE).await);
    came(&*presence, ONE, ADA).await;
    assert!(renewed(&*presence, ONE).await);
    assert_eq!(of(&*presence, ADA).await, Ok(vec![ONE]));
}

#[tokio::test]
async fn of_several_endpoints_the_primary_is_used() {
    let (replica, primary) = (Redis::start(Start::default()), Redis::start(Start::default()));
    assert!(replica.ask(&format!("REPLICAOF 127.0.0.1 {}", primary.port())).contains("OK"));
    let endpoints = [replica.options().endpoints, primary.options().endpoints].concat();
    let presence = connect(Options { endpoints, ..primary.options() }).await.presence;
    assert_eq!(presence.renew(ONE).await, Ok(false));
    assert!(primary.ask("KEYS *").contains("leases"));
}

#[tokio::test]
async fn a_killed_redis_costs_answers_and_comes_back_by_itself() {
    let mut server = Redis::start(Start::default());
    let registry = Registry::new();
    let parts = redis::connect(server.options(), &registry).await.unwrap();
    renewed(&*parts.presence, ONE).await;
    came(&*parts.presence, ONE, ADA).await;
    let mut receiver = parts.signals.subscribe(TWO).await;

    server.kill();
    // Unknown, not empty.
    let unknown = async { while parts.presence.gateways_of(&[ADA]).await.is_ok() {} };
    within("the end of answers", unknown).await;
    assert!(parts.rate_limits.take(&[sends(ADA)]).await.is_err());
    parts.signals.publish(ONE, typing(1)).await;

    server.restart();
    assert!(!renewed(&*parts.presence, ONE).await, "what was registered is gone");
    came(&*parts.presence, ONE, ADA).await;
    assert_eq!(of(&*parts.presence, ADA).await, Ok(vec![ONE]));
    let heard = async {
        loop {
            parts.signals.publish(ONE, typing(2)).await;
            if let Some(signals) = receiver.receive().now_or_never().flatten() {
                return signals;
            }
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert_eq!(within("a signal", heard).await[0], typing(2)[0], "what was published meanwhile is lost");
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(!text.contains("klatch_redis_signals_dropped_total{where=\"publish\"} 0"), "and counted:\n{text}");
}

#[tokio::test]
async fn a_frozen_redis_costs_one_timeout_and_not_one_for_each_call() {
    let server = Redis::start(Start::default());
    let hurried = Options { response_timeout: Duration::from_millis(50), ..server.options() };
    let hurried = Options { connect_timeout: Duration::from_millis(500), ..hurried };
    let presence = connect(hurried).await.presence;
    renewed(&*presence, ONE).await;
    server.freeze();
    let unanswered = presence.gateways_of(&[ADA]).await.unwrap_err();
    assert!(!unanswered.0.contains("no connection"), "{unanswered}: it waited for its answer");
    for _ in 0..100 {
        let closed = presence.gateways_of(&[ADA]).await.unwrap_err();
        assert!(closed.0.contains("no connection"), "{closed}: it did not wait");
    }
    server.thaw();
    renewed(&*presence, ONE).await;
}

#[tokio::test]
async fn a_call_that_a_later_one_has_overtaken_changes_nothing() {
    // Two processes stand for two connections of one gateway, one of which was frozen.
    let options = shared();
    let (slow, fast) = (connect(options.clone()).await.presence, connect(options).await.presence);
    renewed(&*slow, ONE).await;
    renewed(&*fast, ONE).await;
    fast.set(ONE, &[(ADA, false)], now()).await.unwrap();
    came(&*fast, ONE, ADA).await;
    let overtaken = slow.set(ONE, &[(ADA, false)], now()).await.unwrap_err();
    assert!(overtaken.0.contains("overtaken"), "{overtaken}");
    assert_eq!(of(&*fast, ADA).await, Ok(vec![ONE]));
}

#[tokio::test]
async fn what_a_lapsed_gateway_has_left_is_cleared_away() {
    let server = Redis::start(Start::default());
    let ahead = Ahead::default();
    let presence = connect(ahead.in_options(server.options())).await.presence;
    renewed(&*presence, ONE).await;
    let users: Vec<_> = (0..3_000).map(|_| (UserId::now(), true)).collect();
    assert_eq!(presence.set(ONE, &users, now()).await.unwrap().len(), users.len());
    ahead.pass(LEASE * 2);
    let keys = |pattern: &str| server.ask(&format!("EVAL \"return #redis.call('KEYS','{pattern}')\" 0"));
    assert!(keys("*held:*").contains(":1"), "one set of users");
    renewed(&*presence, TWO).await;
    assert!(keys("*held:*").contains(":1"), "one renewal clears a bounded number away");
    for _ in 0..20 {
        renewed(&*presence, TWO).await;
    }
    assert!(keys("*held:*").contains(":0"), "{}", keys("*held:*"));
    let lapsed = server.ask("LLEN {klatch:leases}lapsed");
    assert!(lapsed.contains(":0"), "{lapsed}");
    // What is left of a user goes by itself.
    let timed = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*user:*')) do if redis.call('TTL', key) < 0 then n = \
                 n + 1 end end return n";
    let timed = server.ask(&format!("EVAL \"{timed}\" 0"));
    assert!(timed.contains(":0"), "{timed} users have no time to live");
}

#[tokio::test]
async fn one_round_trip_answers_for_all_groups() {
    let server = Redis::start(Start::default());
    let presence = connect(server.options()).await.presence;
    renewed(&*presence, ONE).await;
    let users: Vec<_> = (0..100).map(|_| UserId::now()).collect();
    let connected: Vec<_> = users.iter().map(|user| (*user, true)).collect();
    presence.set(ONE, &connected, now()).await.unwrap();
    let rooms: Vec<_> = (0..25).map(|_| RoomId::now()).collect();
    presence.hold_rooms(ONE, &rooms.iter().map(|room| (*room, true)).collect::<Vec<_>>()).await.unwrap();
    let of_users = users.chunks(4).map(|users| Addressees { users: users.into(), room: None });
    let of_rooms = rooms.iter().map(|room| Addressees { room: Some(*room), ..Addressees::default() });
    let groups: Vec<_> = of_users.chain(of_rooms).collect();
    let commands = || {
        let text = server.ask("INFO stats");
        let line = text.lines().find_map(|line| line.strip_prefix("total_commands_processed:")).unwrap().trim();
        line.parse::<u64>().unwrap()
    };
    let before = commands();
    let answers = presence.gateways_of_each(&groups).await.unwrap();
    assert_eq!(answers.len(), 50);
    assert!(answers.iter().all(|answer| answer.gateways == [ONE] && answer.live == 1));
    // Three scripts sent together; the commands inside them count too, as do INFO and QUIT.
    assert!(commands() - before < 180, "{} commands", commands() - before);
}

#[tokio::test]
async fn recent_entries_cost_nothing_but_speed_when_redis_goes() {
    let mut server = Redis::start(Start::default());
    let registry = Registry::new();
    let (room, run) = (RoomId::now(), recent::run(3, 9));
    let recent = redis::connect(server.options(), &registry).await.unwrap().recent;
    let read = async || recent.read(&[room]).await.remove(0);
    recent.keep(room, run.clone()).await;
    assert_eq!(read().await, Some(run.clone()));
    let key = format!("{{klatch:recent:{room}}}");
    let left = server.ask(&format!("TTL {key}"));
    assert!(left.contains(":60") || left.contains(":59"), "it goes by itself: {left}");
    // What another version has written, or nobody.
    let front = "0000000000000001000000000000000a0001";
    for other in ["{\\\"version\\\":2,\\\"entries\\\":[]}", "{"] {
        assert!(server.ask(&format!("SET {key} \"{front}{other}\"")).contains("OK"));
        assert_eq!(read().await, None);
    }
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(text.contains("klatch_redis_recent_unreadable_total 2"), "{text}");
    server.empty();
    assert_eq!(read().await, None);
    recent.keep(room, run.clone()).await;
    assert_eq!(read().await, Some(run.clone()));
    server.kill();
    assert_eq!(read().await, None);
    recent.keep(room, run.clone()).await;
    recent.forget(&[(room, run.head())]).await;
    server.restart();
    let again = async {
        while read().await.is_none() {
            recent.keep(room, run.clone()).await;
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("a run to be kept again", again).await;
    let text = TextEncoder::new().encode_to_string(&registry.gather()).unwrap();
    assert!(!text.contains("klatch_redis_failed_total{call=\"recent_read\"} 0"), "{text}");
}

#[tokio::test]
async fn it_starts_before_redis_does() {
    let mut server = Redis::start(Start::default());
    server.kill();
    let parts = connect(Options { connect_timeout: Duration::from_secs(1), ..server.options() }).await;
    assert!(parts.presence.renew(ONE).await.is_err());
    server.restart();
    assert!(!renewed(&*parts.presence, ONE).await);
}

#[tokio::test]
async fn tls_is_spoken_and_strangers_are_not_believed() {
    let server = Redis::start(Start { tls: true, password: Some("correct horse"), ..Start::default() });
    let presence = connect(server.tls_options()).await.presence;
    assert_eq!(presence.renew(ONE).await, Ok(false));
    let other = klatch_tests::services::certificates::Certificates::make();
    let tls = Some(redis::Tls { ca: Some(other.ca.into_bytes()) });
    let stranger = connect(Options { tls, ..server.tls_options() }).await.presence;
    assert!(stranger.renew(ONE).await.is_err(), "signed by an authority nobody trusts");
    let wrong = connect(Options { password: Some("battery".to_owned()), ..server.tls_options() }).await.presence;
    assert!(wrong.renew(ONE).await.is_err());
    let plain = connect(server.options()).await.presence;
    assert_eq!(plain.renew(TWO).await, Ok(false), "with the password, on the port without TLS");
}

#[tokio::test]
async fn a_cluster_is_reached_over_tls() {
    let server = Redis::start(Start { tls: true, cluster: true, ..Start::default() });
    let parts = connect(server.tls_options()).await;
    assert_eq!(parts.presence.renew(ONE).await, Ok(false));
}

#[tokio::test]
async fn prefixes_keep_two_klatches_apart() {
    let (one, other) = (connect(shared()).await, connect(shared()).await);
    renewed(&*one.presence, ONE).await;
    renewed(&*other.presence, TWO).await;
    came(&*one.presence, ONE, ADA).await;
    assert_eq!(of(&*other.presence, ADA).await, Ok(vec![]));
    let mut receiver = other.signals.subscribe(TWO).await;
    one.signals.publish(ONE, typing(1)).await;
    other.signals.publish(ONE, typing(2)).await;
    assert_eq!(within("a signal", receiver.receive()).await, Some(typing(2)));
}

#[tokio::test]
async fn options_that_cannot_be_meant_are_refused() {
    let wrong = Options { prefix: "a{b}".to_owned(), ..shared() };
    assert!(matches!(redis::connect(wrong, &Registry::new()).await, Err(redis::ConnectError::Options(_))));
    let registry = Registry::new();
    let _first = redis::connect(shared(), &registry).await.unwrap();
    assert!(matches!(redis::connect(shared(), &registry).await, Err(redis::ConnectError::Metrics(_))));
}

fn sends(user: UserId) -> Take {
    Take { limited: Limited::Sends(user), rate: Rate::new(50, Duration::from_secs(1), 500), units: 1 }
}

fn typing(which: u8) -> Vec<Signal> {
    let room = RoomId::from_bytes([which; 16]);
    vec![Signal::Room { room, user: ADA, kind: "typing".into(), payload: None }]
}
