//! Which gateways hold members of large rooms, through what Redis may do.

use super::*;

#[tokio::test]
async fn rooms_of_an_emptied_registry_are_everyones_until_they_are_named_again() {
    let server = Redis::start(Start::default());
    let ahead = Ahead::default();
    let options = ahead.in_options(Options { doubt: LEASE, ..server.options() });
    let (here, there) = (connect(options.clone()).await.presence, connect(options).await.presence);
    let room = RoomId::now();
    let of = async || holders(&*there, room).await;
    renewed(&*here, ONE).await;
    renewed(&*there, TWO).await;
    ahead.pass(LEASE / 2);
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    ahead.pass(LEASE / 2);
    here.hold_rooms(ONE, &[(room, true)]).await.unwrap();
    assert_eq!(of().await, Ok(vec![ONE, TWO]), "the other one has not said what it holds");
    there.keep_rooms(TWO, true).await.unwrap();
    assert_eq!(of().await, Ok(vec![ONE]));

    server.empty();
    assert!(of().await.is_err(), "nobody knows anything: lanes");
    assert!(here.hold_rooms(ONE, &[(room, true)]).await.is_err());
    assert!(there.keep_rooms(TWO, true).await.is_err());
    assert!(!renewed(&*here, ONE).await && !renewed(&*there, TWO).await);
    there.keep_rooms(TWO, true).await.unwrap();
    assert!(of().await.is_err(), "a registry that has just begun");
    ahead.pass(LEASE / 2);
    assert!(renewed(&*here, ONE).await && renewed(&*there, TWO).await);
    ahead.pass(LEASE / 2);
    assert_eq!(of().await, Ok(vec![ONE, TWO]), "nobody has named it");
    here.hold_rooms(ONE, &[(room, true)]).await.unwrap();
    assert_eq!(of().await, Ok(vec![ONE]));
}

async fn holders(presence: &dyn Presence, room: RoomId) -> Result<Vec<Incarnation>, PresenceUnknown> {
    let group = Addressees { room: Some(room), ..Addressees::default() };
    presence.gateways_of_each(&[group]).await.map(|mut answers| answers.remove(0).gateways)
}

#[tokio::test]
async fn a_gateway_notices_that_rooms_it_has_named_were_lost() {
    let server = Redis::start(Start::default());
    let presence = connect(server.options()).await.presence;
    renewed(&*presence, ONE).await;
    let rooms: Vec<_> = (0..600).map(|_| (RoomId::now(), true)).collect();
    presence.hold_rooms(ONE, &rooms).await.unwrap();
    presence.hold_rooms(ONE, &rooms).await.unwrap();
    presence.hold_rooms(ONE, &[(rooms[0].0, false), (RoomId::now(), false)]).await.unwrap();
    assert!(renewed(&*presence, ONE).await, "as it left it");
    // A replica has taken over that did not get the last writes.
    let lost = "for _, key in ipairs(redis.call('KEYS', '*rooms:*')) do redis.call('SPOP', key) end";
    let answer = server.ask(&format!("EVAL \"{lost}\" 0"));
    assert!(!answer.contains("ERR"), "{answer}");
    assert!(!renewed(&*presence, ONE).await);
}

#[tokio::test]
async fn rooms_of_a_lapsed_gateway_are_cleared_away_and_count_for_nothing_before() {
    let server = Redis::start(Start::default());
    let ahead = Ahead::default();
    let presence = connect(ahead.in_options(server.options())).await.presence;
    renewed(&*presence, ONE).await;
    renewed(&*presence, TWO).await;
    let rooms: Vec<_> = (0..600).map(|_| (RoomId::now(), true)).collect();
    presence.hold_rooms(ONE, &rooms).await.unwrap();
    presence.keep_rooms(ONE, true).await.unwrap();
    ahead.pass(LEASE * 2);
    renewed(&*presence, TWO).await;
    presence.hold_rooms(TWO, &rooms[..1]).await.unwrap();
    presence.keep_rooms(TWO, true).await.unwrap();
    assert_eq!(holders(&*presence, rooms[0].0).await, Ok(vec![TWO]));
    let keys = |pattern: &str| server.ask(&format!("EVAL \"return #redis.call('KEYS','{pattern}')\" 0"));
    for _ in 0..20 {
        renewed(&*presence, TWO).await;
    }
    assert!(keys("*}rooms:*").contains(":1") && keys("*}room:*").contains(":1"), "what lives stays");
    let lapsed = server.ask("LLEN {klatch:leases}lapsed");
    assert!(lapsed.contains(":0"), "{lapsed}");
    // What nobody clears away goes by itself.
    let timed = "local n = 0 for _, key in ipairs(redis.call('KEYS', '*}room*')) do if redis.call('TTL', key) < 0 then n = \
                 n + 1 end end return n";
    assert!(server.ask(&format!("EVAL \"{timed}\" 0")).contains(":0"));
}

#[tokio::test]
async fn a_paused_redis_refuses_rooms_and_takes_them_afterwards() {
    let server = Redis::start(Start::default());
    let hurried = Options { response_timeout: Duration::from_millis(50), ..server.options() };
    let presence = connect(hurried).await.presence;
    renewed(&*presence, ONE).await;
    let room = RoomId::now();
    server.pause(500);
    assert!(presence.hold_rooms(ONE, &[(room, true)]).await.is_err());
    // Whether that was done is not known: the next renewal does not call it lost, and it is said again.
    renewed(&*presence, ONE).await;
    let held = async {
        while presence.hold_rooms(ONE, &[(room, true)]).await.is_err() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    within("the room to be taken", held).await;
    assert!(renewed(&*presence, ONE).await);
    assert_eq!(holders(&*presence, room).await, Ok(vec![ONE]));
}
