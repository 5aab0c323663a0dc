//! Rules of [`Presence`](klatch_bus::Presence).

use std::time::Duration;

use klatch_bus::{Addressees, GatewaysOf, Presence, PresenceStatus, UserPresence};
use klatch_domain::{Incarnation, Timestamp};

use super::{Subject, gateway, room, user};

const LEASE: Duration = Duration::from_secs(<dyn Presence>::LEASE_SECONDS);
/// Well below a lease, and well above what answering takes.
const A_MOMENT: Duration = Duration::from_secs(2);

fn at(second: i64) -> Timestamp {
    Timestamp::from_millis(second * 1_000)
}

fn online(which: u64) -> UserPresence {
    UserPresence { user: user(which), status: PresenceStatus::Online, last_active: None }
}

fn offline(which: u64, last_active: Option<Timestamp>) -> UserPresence {
    UserPresence { user: user(which), status: PresenceStatus::Offline, last_active }
}

async fn renew(presence: &dyn Presence, which: u64) -> bool {
    presence.renew(gateway(which)).await.expect("presence is known")
}

async fn set(presence: &dyn Presence, which: u64, users: &[(u64, bool)], second: i64) -> Vec<UserPresence> {
    let users: Vec<_> = users.iter().map(|(which, connected)| (user(*which), *connected)).collect();
    presence.set(gateway(which), &users, at(second)).await.expect("the gateway holds a lease")
}

async fn gateways_of(presence: &dyn Presence, users: &[u64]) -> (Vec<Incarnation>, usize) {
    let users: Vec<_> = users.iter().map(|which| user(*which)).collect();
    let GatewaysOf { mut gateways, live } = presence.gateways_of(&users).await.expect("presence is known");
    gateways.sort();
    (gateways, live)
}

async fn status(presence: &dyn Presence, which: u64) -> UserPresence {
    presence.statuses(&[user(which)]).await.expect("presence is known")[0]
}

/// Renewing in time goes on for ever.
pub async fn a_lease_is_held_until_it_runs_out(subject: Subject) {
    let presence = subject.bus.presence;
    assert!(!renew(&*presence, 1).await, "nothing was registered yet");
    set(&*presence, 1, &[(1, true)], 0).await;
    for _ in 0..3 {
        (subject.pass)(LEASE - A_MOMENT).await;
        assert!(renew(&*presence, 1).await);
    }
    assert_eq!(gateways_of(&*presence, &[1]).await, (vec![gateway(1)], 1));
}

/// And the gateway hears of it.
pub async fn a_lease_that_ran_out_takes_its_entries_along(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    set(&*presence, 1, &[(1, true)], 3).await;
    (subject.pass)(LEASE + A_MOMENT).await;
    assert_eq!(gateways_of(&*presence, &[1]).await, (vec![], 0));
    assert_eq!(status(&*presence, 1).await, offline(1, Some(at(3))));
    assert!(!renew(&*presence, 1).await);
    assert_eq!(gateways_of(&*presence, &[1]).await, (vec![], 1));
    assert_eq!(set(&*presence, 1, &[(1, true)], 4).await, [online(1)]);
}

/// A user on both stays online.
pub async fn one_lease_running_out_leaves_the_others(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    renew(&*presence, 2).await;
    set(&*presence, 1, &[(1, true), (2, true)], 0).await;
    set(&*presence, 2, &[(1, true)], 0).await;
    (subject.pass)(LEASE - A_MOMENT).await;
    assert!(renew(&*presence, 2).await);
    (subject.pass)(A_MOMENT * 2).await;
    assert_eq!(gateways_of(&*presence, &[1, 2]).await, (vec![gateway(2)], 1));
    assert_eq!(status(&*presence, 1).await, online(1));
    assert_eq!(status(&*presence, 2).await, offline(2, Some(at(0))));
    assert!(!renew(&*presence, 1).await);
}

/// At once; leaving twice does no harm.
pub async fn leaving_gives_up_every_entry(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    renew(&*presence, 2).await;
    set(&*presence, 1, &[(1, true), (2, true)], 0).await;
    set(&*presence, 2, &[(2, true)], 0).await;
    presence.leave(gateway(1)).await.expect("presence is known");
    presence.leave(gateway(1)).await.expect("presence is known");
    assert_eq!(gateways_of(&*presence, &[1, 2]).await, (vec![gateway(2)], 1));
    assert_eq!(status(&*presence, 1).await, offline(1, Some(at(0))));
    assert!(!renew(&*presence, 1).await);
}

/// Or entries would outlive their gateway.
pub async fn without_a_lease_nothing_is_set(subject: Subject) {
    let presence = subject.bus.presence;
    assert!(presence.set(gateway(1), &[(user(1), true)], at(0)).await.is_err());
    renew(&*presence, 1).await;
    assert_eq!(status(&*presence, 1).await, offline(1, None));
    (subject.pass)(LEASE + A_MOMENT).await;
    assert!(presence.set(gateway(1), &[(user(1), true)], at(0)).await.is_err());
    assert_eq!(gateways_of(&*presence, &[1]).await, (vec![], 0));
}

/// What lies between is nobody's business.
pub async fn the_first_gateway_brings_a_user_online_and_the_last_takes_them_offline(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    renew(&*presence, 2).await;
    assert_eq!(set(&*presence, 1, &[(1, true), (2, true)], 1).await, [online(1), online(2)]);
    assert_eq!(set(&*presence, 2, &[(1, true)], 2).await, []);
    assert_eq!(set(&*presence, 1, &[(1, false), (2, false)], 3).await, [offline(2, Some(at(3)))]);
    assert_eq!(status(&*presence, 1).await, online(1));
    assert_eq!(set(&*presence, 2, &[(1, false)], 4).await, [offline(1, Some(at(4)))]);
    assert_eq!(gateways_of(&*presence, &[1, 2]).await, (vec![], 2));
}

/// A report may be repeated.
pub async fn setting_again_changes_nothing(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    assert_eq!(set(&*presence, 1, &[(1, false)], 1).await, []);
    assert_eq!(status(&*presence, 1).await, offline(1, None));
    set(&*presence, 1, &[(1, true)], 2).await;
    assert_eq!(set(&*presence, 1, &[(1, true)], 3).await, []);
    assert_eq!(gateways_of(&*presence, &[1]).await, (vec![gateway(1)], 1));
    assert_eq!(set(&*presence, 1, &[(1, false)], 4).await, [offline(1, Some(at(4)))]);
    assert_eq!(set(&*presence, 1, &[(1, false)], 5).await, []);
    assert_eq!(status(&*presence, 1).await, offline(1, Some(at(4))));
}

/// Coming and going in one call is no news.
pub async fn named_twice_the_last_word_counts(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    assert_eq!(set(&*presence, 1, &[(1, true), (2, true), (1, false)], 1).await, [online(2)]);
    assert_eq!(set(&*presence, 1, &[(2, false), (1, true), (2, true)], 2).await, [online(1)]);
    assert_eq!(status(&*presence, 1).await, online(1));
    assert_eq!(status(&*presence, 2).await, online(2));
}

/// However many of the users are there; unknown ones add none.
pub async fn gateways_are_answered_once_each(subject: Subject) {
    let presence = subject.bus.presence;
    for which in 1..=3 {
        renew(&*presence, which).await;
    }
    set(&*presence, 1, &[(1, true), (2, true), (3, true)], 0).await;
    set(&*presence, 2, &[(2, true), (3, true)], 0).await;
    assert_eq!(gateways_of(&*presence, &[2, 1, 3, 2, 404]).await, (vec![gateway(1), gateway(2)], 3));
    assert_eq!(gateways_of(&*presence, &[]).await, (vec![], 3));
}

/// As often as asked, known or not.
pub async fn statuses_are_answered_in_the_order_asked(subject: Subject) {
    let presence = subject.bus.presence;
    renew(&*presence, 1).await;
    set(&*presence, 1, &[(1, true), (2, true)], 1).await;
    set(&*presence, 1, &[(2, false)], 2).await;
    let asked = [user(404), user(2), user(1), user(2)];
    assert_eq!(
        presence.statuses(&asked).await.expect("presence is known"),
        [offline(404, None), offline(2, Some(at(2))), online(1), offline(2, Some(at(2)))]
    );
}

async fn hold(presence: &dyn Presence, which: u64, rooms: &[(u64, bool)]) {
    let rooms: Vec<_> = rooms.iter().map(|(which, holds)| (room(*which), *holds)).collect();
    presence.hold_rooms(gateway(which), &rooms).await.expect("the gateway holds a lease");
}

async fn keep(presence: &dyn Presence, which: u64, keeps: bool) {
    presence.keep_rooms(gateway(which), keeps).await.expect("the gateway holds a lease");
}

/// The numbers of the gateways that are answered for a room and a user.
async fn holders(presence: &dyn Presence, of: (u64, Option<u64>)) -> Vec<u64> {
    let users = of.1.map(user).into_iter().collect();
    let group = Addressees { users, room: Some(room(of.0)) };
    let answer = presence.gateways_of_each(&[group]).await.expect("presence is known").remove(0);
    let mut found: Vec<_> = answer.gateways.iter().map(|one| super::number(one.as_bytes())).collect();
    found.sort_unstable();
    found
}

/// Gateways `1..=count` that say which rooms they hold, none so far.
async fn keepers(presence: &dyn Presence, count: u64) {
    for which in 1..=count {
        renew(presence, which).await;
        keep(presence, which, true).await;
    }
}

/// And only they.
pub async fn who_holds_a_large_room_is_answered(subject: Subject) {
    let presence = subject.bus.presence;
    keepers(&*presence, 4).await;
    hold(&*presence, 1, &[(1, true), (2, true)]).await;
    hold(&*presence, 2, &[(2, true)]).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1]);
    assert_eq!(holders(&*presence, (2, None)).await, [1, 2]);
    hold(&*presence, 1, &[(2, false), (2, false)]).await;
    assert_eq!(holders(&*presence, (2, None)).await, [2]);
    // Repeating changes nothing, and the last word counts.
    hold(&*presence, 2, &[(2, true), (1, true), (1, false)]).await;
    assert_eq!((holders(&*presence, (1, None)).await, holders(&*presence, (2, None)).await), (vec![1], vec![2]));
}

/// It has become large a moment ago, or was forgotten.
pub async fn a_room_nobody_holds_is_everyones(subject: Subject) {
    let presence = subject.bus.presence;
    keepers(&*presence, 3).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1, 2, 3]);
    hold(&*presence, 2, &[(1, true)]).await;
    assert_eq!(holders(&*presence, (1, None)).await, [2]);
    hold(&*presence, 2, &[(1, false)]).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1, 2, 3]);
}

/// Every lease begins so, and a gateway may come back to it.
pub async fn a_gateway_that_does_not_keep_its_rooms_is_answered_for_any(subject: Subject) {
    let presence = subject.bus.presence;
    keepers(&*presence, 4).await;
    renew(&*presence, 5).await;
    hold(&*presence, 1, &[(1, true)]).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1, 5]);
    keep(&*presence, 5, true).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1]);
    keep(&*presence, 3, false).await;
    assert_eq!(holders(&*presence, (1, None)).await, [1, 3]);
    assert!(renew(&*presence, 3).await, "renewing changes nothing of it");
    assert_eq!(holders(&*presence, (1, None)).await, [1, 3]);
}

/// What was said under it, too: the gateway may hold any room again.
pub async fn a_lease_that_ran_out_takes_its_rooms_along(subject: Subject) {
    let presence = subject.bus.presence;
    keepers(&*presence, 2).await;
    hold(&*presence, 1, &[(1, true)]).await;
    hold(&*presence, 2, &[(1, true)]).await;
    (subject.pass)(LEASE - A_MOMENT).await;
    renew(&*presence, 2).await;
    (subject.pass)(A_MOMENT * 2).await;
    assert_eq!(holders(&*presence, (1, None)).await, [2]);
    assert!(!renew(&*presence, 1).await);
    assert_eq!(holders(&*presence, (1, None)).await, [1, 2], "it has not said which rooms it holds");
    keep(&*presence, 1, true).await;
    assert_eq!(holders(&*presence, (1, None)).await, [2]);
    presence.leave(gateway(2)).await.expect("presence is known");
    assert_eq!(holders(&*presence, (1, None)).await, [1], "nobody holds it now");
}

/// Or rooms would outlive their gateway.
pub async fn without_a_lease_no_room_is_held(subject: Subject) {
    let presence = subject.bus.presence;
    assert!(presence.hold_rooms(gateway(1), &[(room(1), true)]).await.is_err());
    assert!(presence.keep_rooms(gateway(1), true).await.is_err());
    keepers(&*presence, 1).await;
    (subject.pass)(LEASE + A_MOMENT).await;
    assert!(presence.hold_rooms(gateway(1), &[(room(1), true)]).await.is_err());
    assert!(presence.keep_rooms(gateway(1), true).await.is_err());
    renew(&*presence, 2).await;
    assert_eq!(holders(&*presence, (1, None)).await, [2]);
}

/// Each gateway once.
pub async fn rooms_and_users_are_asked_for_together(subject: Subject) {
    let presence = subject.bus.presence;
    keepers(&*presence, 4).await;
    hold(&*presence, 1, &[(1, true), (2, true)]).await;
    hold(&*presence, 2, &[(1, true)]).await;
    set(&*presence, 2, &[(7, true)], 1).await;
    set(&*presence, 3, &[(7, true)], 1).await;
    assert_eq!(holders(&*presence, (1, Some(7))).await, [1, 2, 3]);
    assert_eq!(holders(&*presence, (2, Some(404))).await, [1]);
    let groups = [
        Addressees { users: [user(7)].into(), room: None },
        Addressees { users: [].into(), room: Some(room(2)) },
        Addressees::default(),
    ];
    let answers = presence.gateways_of_each(&groups).await.expect("presence is known");
    assert_eq!(
        answers.iter().map(|answer| (answer.gateways.len(), answer.live)).collect::<Vec<_>>(),
        [(2, 4), (1, 4), (0, 4)]
    );
}

/// What a gateway says of its load counts while its lease holds.
pub async fn gateways_hear_of_each_others_load(subject: Subject) {
    let presence = subject.bus.presence;
    assert!(presence.share_load(gateway(1), 7).await.is_err(), "it holds no lease");
    renew(&*presence, 1).await;
    renew(&*presence, 2).await;
    let share = async |which, connections| {
        let load = presence.share_load(gateway(which), connections).await.expect("the gateway holds a lease");
        (load.gateways, load.connections)
    };
    assert_eq!(share(1, 100).await, (1, 100), "who has said nothing does not count");
    assert_eq!(share(2, 20).await, (2, 120));
    assert_eq!(share(1, 90).await, (2, 110), "the last word counts");
    presence.leave(gateway(2)).await.expect("presence is known");
    assert_eq!(share(1, 90).await, (1, 90));
    renew(&*presence, 2).await;
    assert_eq!(share(1, 90).await, (1, 90), "a new lease has said nothing yet");
}
