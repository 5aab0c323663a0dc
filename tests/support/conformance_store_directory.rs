//! What every twin's [`Directory`] does with users, sessions, friendships, kept answers and the slot map. Rooms and members
//! stand in `conformance_store_projections`.

use std::sync::Arc;

use klatch_domain::{DisplayName, Email, SessionId, ShardId, SlotMap, Timestamp, UserId, Username};
use klatch_store::{
    Directory,
    directory::{
        Befriending, FriendChange, FriendStatus, Friendship, ProfileChange, Revoke, Session, SessionKind, User,
        UserError, UserStatus,
    },
};

use crate::conformance_store_log::user;

/// A test of each behaviour in `$open() -> (Arc<dyn Directory>, impl Drop)`.
#[macro_export]
macro_rules! directory_conforms {
    ($open:path) => {
        $crate::each_behaviour! { $open, conformance_store_directory,
            users_are_stored_whole, names_and_addresses_are_unique, at_once_only_one_gets_a_name, profiles_change,
            passwords_and_flags, users_are_searched_by_prefix, a_forgotten_user_keeps_only_the_id,
            sessions_are_stored_whole, sessions_have_pages, a_secret_is_rotated_once, sessions_end,
            asking_and_accepting, asking_at_once_makes_friends, friendships_end, blocks_end_friendships,
            friendships_have_pages, answers_are_kept_for_a_while, the_first_slot_map_stays
        }
    };
}

/// A moment.
#[must_use]
pub fn at(seconds: i64) -> Timestamp {
    Timestamp::from_millis(1_700_000_000_000 + 1000 * seconds)
}

/// A user with nothing but a name.
#[must_use]
pub fn person(name: &str, number: u8) -> User {
    User::new(user(number), Username::parse(name).expect("a username"), at(0))
}

fn shown(name: &str) -> Option<DisplayName> {
    Some(DisplayName::parse(name).unwrap())
}

fn email(address: &str) -> Option<Email> {
    Some(Email::parse(address).unwrap())
}

async fn create(directory: &Arc<dyn Directory>, user: &User) {
    directory.create_user(user, "hash").await.unwrap();
}

#[allow(missing_docs)] // the names say it
pub async fn users_are_stored_whole(directory: Arc<dyn Directory>) {
    let plain = person("ada", 1);
    let full = User {
        display_name: shown("Grace ☃"),
        email: email("Grace@Example.org"),
        avatar: Some("/a/1".to_owned()),
        status: Some(UserStatus { text: "away".to_owned(), emoji: "🏝".to_owned(), until: Some(at(9)) }),
        read_receipts: false,
        do_not_disturb_until: Some(at(5)),
        is_admin: true,
        disabled: true,
        ..person("grace", 2)
    };
    create(&directory, &plain).await;
    directory.create_user(&full, "$argon2id$x").await.unwrap();
    let mut users = directory.users(&[user(2), user(9), user(1)]).await.unwrap();
    users.sort_unstable_by_key(|user| user.id);
    assert_eq!(users, [plain.clone(), full.clone()]);
    assert_eq!(directory.credentials(&full.username).await.unwrap(), Some((full, "$argon2id$x".to_owned())));
    assert_eq!(directory.credentials(&Username::parse("nobody").unwrap()).await.unwrap(), None);
    assert_eq!(directory.users(&[]).await.unwrap(), []);
}

#[allow(missing_docs)]
pub async fn names_and_addresses_are_unique(directory: Arc<dyn Directory>) {
    create(&directory, &User { email: email("a@x"), ..person("ada", 1) }).await;
    let refused = directory.create_user(&person("ada", 2), "hash").await;
    assert_eq!(refused, Err(UserError::UsernameTaken));
    let refused = directory.create_user(&User { email: email("A@X"), ..person("bob", 2) }, "hash").await;
    assert_eq!(refused, Err(UserError::EmailTaken), "case does not make another address");
    assert_eq!(directory.users(&[user(2)]).await.unwrap(), []);
    create(&directory, &person("bob", 2)).await;
    create(&directory, &person("cyd", 3)).await;
}

#[allow(missing_docs)]
pub async fn at_once_only_one_gets_a_name(directory: Arc<dyn Directory>) {
    let calls: Vec<_> = (1..=20)
        .map(|number| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move { directory.create_user(&person("ada", number), "hash").await })
        })
        .collect();
    let mut made = 0;
    for call in calls {
        match call.await.unwrap() {
            Ok(()) => made += 1,
            Err(error) => assert_eq!(error, UserError::UsernameTaken),
        }
    }
    assert_eq!(made, 1);
}

#[allow(missing_docs)]
pub async fn profiles_change(directory: Arc<dyn Directory>) {
    create(&directory, &User { email: email("a@x"), ..person("ada", 1) }).await;
    create(&directory, &User { email: email("b@x"), ..person("bob", 2) }).await;
    let nothing = ProfileChange::default();
    assert_eq!(directory.change_profile(user(9), &nothing).await, Ok(None));
    let bob = directory.change_profile(user(2), &nothing).await.unwrap().unwrap();
    assert_eq!(bob, User { email: email("b@x"), ..person("bob", 2) });
    let status = UserStatus { text: "busy".to_owned(), emoji: String::new(), until: None };
    let change = ProfileChange {
        display_name: shown("Bob"),
        email: Some(email("bob@x")),
        avatar: Some(Some("/b".to_owned())),
        status: Some(Some(status.clone())),
        read_receipts: Some(false),
        do_not_disturb_until: Some(Some(at(60))),
    };
    let wanted = User {
        display_name: shown("Bob"),
        email: email("bob@x"),
        avatar: Some("/b".to_owned()),
        status: Some(status),
        read_receipts: false,
        do_not_disturb_until: Some(at(60)),
        ..person("bob", 2)
    };
    assert_eq!(directory.change_profile(user(2), &change).await, Ok(Some(wanted.clone())));
    assert_eq!(directory.users(&[user(2)]).await.unwrap(), std::slice::from_ref(&wanted));
    let taken = ProfileChange { email: Some(email("a@X")), read_receipts: Some(true), ..nothing.clone() };
    assert_eq!(directory.change_profile(user(2), &taken).await, Err(UserError::EmailTaken));
    assert_eq!(directory.users(&[user(2)]).await.unwrap(), [wanted], "nothing of it was changed");
    let own = ProfileChange { email: Some(email("BOB@x")), ..nothing.clone() };
    assert_eq!(directory.change_profile(user(2), &own).await.unwrap().unwrap().email, email("BOB@x"));
    let removed = ProfileChange {
        email: Some(None),
        avatar: Some(None),
        status: Some(None),
        do_not_disturb_until: Some(None),
        ..nothing
    };
    let bob = directory.change_profile(user(2), &removed).await.unwrap().unwrap();
    assert_eq!((bob.email, bob.avatar, bob.status, bob.do_not_disturb_until), (None, None, None, None));
    create(&directory, &User { email: email("bob@x"), ..person("cyd", 3) }).await;
}

#[allow(missing_docs)]
pub async fn passwords_and_flags(directory: Arc<dyn Directory>) {
    let ada = person("ada", 1);
    create(&directory, &ada).await;
    assert!(directory.set_password(ada.id, "other").await.unwrap());
    assert!(directory.set_admin(ada.id, true).await.unwrap());
    assert!(directory.set_disabled(ada.id, true).await.unwrap());
    let (user_now, hash) = directory.credentials(&ada.username).await.unwrap().unwrap();
    assert_eq!((user_now.is_admin, user_now.disabled, hash.as_str()), (true, true, "other"));
    assert!(directory.set_disabled(ada.id, false).await.unwrap());
    assert!(!directory.credentials(&ada.username).await.unwrap().unwrap().0.disabled);
    assert!(!directory.set_password(user(9), "x").await.unwrap());
    assert!(!directory.set_admin(user(9), true).await.unwrap());
    assert!(!directory.set_disabled(user(9), true).await.unwrap());
}

#[allow(missing_docs)]
pub async fn users_are_searched_by_prefix(directory: Arc<dyn Directory>) {
    let people = [
        ("ada", None),
        ("adam", None),
        ("bob", Some("ADALBERT")),
        ("cyd", Some("Ä%_x")),
        ("dan", Some("äpfel")),
        ("a_b", None),
        ("axb", Some("Ada")),
    ];
    for (index, (name, display)) in people.into_iter().enumerate() {
        let user = User { display_name: display.and_then(shown), ..person(name, index as u8 + 1) };
        create(&directory, &user).await;
    }
    let find = async |query: &str, after: Option<&str>, limit| {
        let after = after.map(|name| Username::parse(name).unwrap());
        let found = directory.search_users(query, after.as_ref(), limit).await.unwrap();
        found.iter().map(|user| user.username.as_str().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(find("ada", None, 10).await, ["ada", "adam", "axb", "bob"]);
    assert_eq!(find("AdA", None, 2).await, ["ada", "adam"]);
    assert_eq!(find("ada", Some("adam"), 10).await, ["axb", "bob"]);
    assert_eq!(find("ada", Some("bob"), 10).await, [] as [&str; 0]);
    assert_eq!(find("Ä", None, 10).await, ["cyd", "dan"], "case folded beyond ASCII");
    assert_eq!(find("ä%", None, 10).await, ["cyd"]);
    assert_eq!(find("%", None, 10).await, [] as [&str; 0], "nothing is a wildcard");
    assert_eq!(find("a_", None, 10).await, ["a_b"]);
    assert_eq!(find("' OR 1=1 --", None, 10).await, [] as [&str; 0]);
    assert_eq!(find("", None, 3).await, ["a_b", "ada", "adam"]);
    assert_eq!(find("\u{10FFFF}", None, 3).await, [] as [&str; 0]);
}

#[allow(missing_docs)]
pub async fn a_forgotten_user_keeps_only_the_id(directory: Arc<dyn Directory>) {
    let ada = User { display_name: shown("Ada"), email: email("a@x"), is_admin: true, ..person("ada", 1) };
    create(&directory, &ada).await;
    create(&directory, &person("bob", 2)).await;
    directory.befriend(ada.id, user(2), at(0), Befriending::default()).await.unwrap();
    directory.befriend(user(2), ada.id, at(0), Befriending::default()).await.unwrap();
    assert!(directory.delete_user(ada.id).await.unwrap());
    assert!(!directory.delete_user(ada.id).await.unwrap());
    assert!(!directory.delete_user(user(9)).await.unwrap());
    let left = directory.users(&[ada.id]).await.unwrap().remove(0);
    assert_eq!((left.display_name, left.email, left.is_admin, left.disabled), (None, None, false, true));
    assert_ne!(left.username, ada.username);
    assert_eq!(directory.credentials(&ada.username).await.unwrap(), None);
    assert_eq!(directory.credentials(&left.username).await.unwrap(), None);
    assert_eq!(directory.search_users("ada", None, 10).await.unwrap(), []);
    assert_eq!(directory.search_users(left.username.as_str(), None, 10).await.unwrap(), []);
    assert_eq!(directory.friendships(user(2), None, 10).await.unwrap(), []);
    assert!(!directory.set_disabled(ada.id, false).await.unwrap());
    assert!(!directory.set_password(ada.id, "x").await.unwrap());
    assert_eq!(directory.change_profile(ada.id, &ProfileChange::default()).await, Ok(None));
    // Name and address are free again.
    create(&directory, &User { email: email("a@x"), ..person("ada", 3) }).await;
}

/// A session of user `number`.
fn session(number: u8) -> Session {
    Session {
        id: SessionId::now(),
        user: user(number),
        kind: SessionKind::Device,
        name: "a phone".to_owned(),
        secret_hash: [1; 32],
        secret_number: 1,
        created_at: at(0),
        last_used_at: at(0),
        expires_at: Some(at(1000)),
        revoked_at: None,
    }
}

async fn sessions(directory: &Arc<dyn Directory>, number: u8, count: usize) -> Vec<Session> {
    let mut made = Vec::new();
    for _ in 0..count {
        let session = session(number);
        directory.create_session(&session).await.unwrap();
        made.push(session);
    }
    made
}

#[allow(missing_docs)]
pub async fn sessions_are_stored_whole(directory: Arc<dyn Directory>) {
    let device = session(1);
    let bot = Session { kind: SessionKind::BotToken, expires_at: None, revoked_at: Some(at(7)), ..session(1) };
    for session in [&device, &bot] {
        directory.create_session(session).await.unwrap();
        assert_eq!(directory.session(session.id).await.unwrap().as_ref(), Some(session));
    }
    assert_eq!(directory.session(SessionId::now()).await.unwrap(), None);
    directory.touch_session(device.id, at(30)).await.unwrap();
    directory.touch_session(device.id, at(20)).await.unwrap();
    directory.touch_session(SessionId::now(), at(20)).await.unwrap();
    assert_eq!(directory.session(device.id).await.unwrap().unwrap().last_used_at, at(30));
}

#[allow(missing_docs)]
pub async fn sessions_have_pages(directory: Arc<dyn Directory>) {
    let mut made = sessions(&directory, 1, 5).await;
    sessions(&directory, 2, 2).await;
    directory.revoke_sessions(user(1), Revoke::Only(&[made[2].id]), at(1)).await.unwrap();
    made.remove(2);
    made.reverse();
    assert_eq!(directory.sessions_of(user(1), None, 3).await.unwrap(), made[..3]);
    assert_eq!(directory.sessions_of(user(1), Some(made[2].id), 3).await.unwrap(), made[3..]);
    assert_eq!(directory.sessions_of(user(9), None, 3).await.unwrap(), []);
}

#[allow(missing_docs)]
pub async fn a_secret_is_rotated_once(directory: Arc<dyn Directory>) {
    let session = sessions(&directory, 1, 1).await.remove(0);
    let calls: Vec<_> = (0..10u8)
        .map(|hash| {
            let directory = Arc::clone(&directory);
            tokio::spawn(async move {
                let done = directory.rotate_secret(session.id, 1, [hash; 32], at(5), at(2000)).await.unwrap();
                done.then_some(hash)
            })
        })
        .collect();
    let mut winners = Vec::new();
    for call in calls {
        winners.extend(call.await.unwrap());
    }
    assert_eq!(winners.len(), 1);
    let now = directory.session(session.id).await.unwrap().unwrap();
    assert_eq!((now.secret_hash, now.secret_number), ([winners[0]; 32], 2));
    assert_eq!((now.last_used_at, now.expires_at), (at(5), Some(at(2000))));
    assert!(directory.rotate_secret(session.id, 2, [77; 32], at(6), at(2000)).await.unwrap());
    directory.revoke_sessions(user(1), Revoke::All, at(7)).await.unwrap();
    assert!(!directory.rotate_secret(session.id, 3, [78; 32], at(8), at(2000)).await.unwrap());
    assert!(!directory.rotate_secret(SessionId::now(), 1, [78; 32], at(8), at(2000)).await.unwrap());
}

#[allow(missing_docs)]
pub async fn sessions_end(directory: Arc<dyn Directory>) {
    let mine: Vec<_> = sessions(&directory, 1, 4).await.iter().map(|session| session.id).collect();
    let theirs = sessions(&directory, 2, 1).await[0].id;
    let end = async |which, seconds| {
        let mut ended = directory.revoke_sessions(user(1), which, at(seconds)).await.unwrap();
        ended.sort_unstable();
        ended
    };
    let some = [mine[0], theirs, mine[0]];
    assert_eq!(end(Revoke::Only(&some), 10).await, [mine[0]], "only one's own, only once");
    assert_eq!(end(Revoke::AllExcept(mine[1]), 20).await, [mine[2], mine[3]]);
    assert_eq!(end(Revoke::All, 30).await, [mine[1]]);
    assert_eq!(end(Revoke::All, 40).await, []);
    assert_eq!(directory.session(mine[0]).await.unwrap().unwrap().revoked_at, Some(at(10)));
    let since = async |seconds| {
        let mut ended: Vec<_> = directory.revoked_since(at(seconds)).await.unwrap();
        ended.sort_unstable();
        ended
    };
    let pair = |index: usize| (mine[index], user(1));
    assert_eq!(since(0).await, [pair(0), pair(1), pair(2), pair(3)]);
    assert_eq!(since(20).await, [pair(1), pair(2), pair(3)]);
    assert_eq!(since(31).await, []);
}

async fn befriend(directory: &Arc<dyn Directory>, one: u8, other: u8) -> FriendChange {
    directory.befriend(user(one), user(other), at(1), Befriending::default()).await.unwrap()
}

async fn status(directory: &Arc<dyn Directory>, one: u8, other: u8) -> Option<FriendStatus> {
    let all: Vec<Friendship> = directory.friendships(user(one), None, 100).await.unwrap();
    all.into_iter().find(|line| line.user == user(other)).map(|line| line.status)
}

#[allow(missing_docs)]
pub async fn asking_and_accepting(directory: Arc<dyn Directory>) {
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Changed(Some(FriendStatus::Requested)));
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Unchanged(Some(FriendStatus::Requested)));
    assert_eq!(status(&directory, 2, 1).await, Some(FriendStatus::Incoming));
    assert_eq!(befriend(&directory, 2, 1).await, FriendChange::Changed(Some(FriendStatus::Accepted)));
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Unchanged(Some(FriendStatus::Accepted)));
    assert_eq!(status(&directory, 1, 2).await, Some(FriendStatus::Accepted));
}

#[allow(missing_docs)]
pub async fn asking_at_once_makes_friends(directory: Arc<dyn Directory>) {
    for number in 2..12 {
        let (one, other) = (Arc::clone(&directory), Arc::clone(&directory));
        let one = tokio::spawn(async move { befriend(&one, 1, number).await });
        let other = tokio::spawn(async move { befriend(&other, number, 1).await });
        let outcomes = [one.await.unwrap(), other.await.unwrap()];
        assert!(outcomes.contains(&FriendChange::Changed(Some(FriendStatus::Requested))), "{outcomes:?}");
        assert!(outcomes.contains(&FriendChange::Changed(Some(FriendStatus::Accepted))), "{outcomes:?}");
        assert_eq!(status(&directory, 1, number).await, Some(FriendStatus::Accepted));
        assert_eq!(status(&directory, number, 1).await, Some(FriendStatus::Accepted));
    }
}

#[allow(missing_docs)]
pub async fn friendships_end(directory: Arc<dyn Directory>) {
    let unfriend = async |one, other| directory.unfriend(user(one), user(other), &[]).await.unwrap();
    assert_eq!(unfriend(1, 2).await, FriendChange::Unchanged(None));
    befriend(&directory, 1, 2).await;
    assert_eq!(unfriend(2, 1).await, FriendChange::Changed(None), "a request is refused");
    assert_eq!((status(&directory, 1, 2).await, status(&directory, 2, 1).await), (None, None));
    befriend(&directory, 1, 2).await;
    befriend(&directory, 2, 1).await;
    assert_eq!(unfriend(1, 2).await, FriendChange::Changed(None));
    assert_eq!((status(&directory, 1, 2).await, status(&directory, 2, 1).await), (None, None));
}

#[allow(missing_docs)]
pub async fn blocks_end_friendships(directory: Arc<dyn Directory>) {
    let block = async |one, other, on| directory.set_block(user(one), user(other), on, at(2), &[]).await.unwrap();
    let blocked = Some(FriendStatus::Blocked);
    befriend(&directory, 1, 2).await;
    befriend(&directory, 2, 1).await;
    assert_eq!(block(1, 2, true).await, FriendChange::Changed(blocked));
    assert_eq!(block(1, 2, true).await, FriendChange::Unchanged(blocked));
    assert_eq!((status(&directory, 1, 2).await, status(&directory, 2, 1).await), (blocked, None));
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Blocked);
    assert_eq!(befriend(&directory, 2, 1).await, FriendChange::Blocked);
    let unfriended = directory.unfriend(user(2), user(1), &[]).await.unwrap();
    assert_eq!(unfriended, FriendChange::Unchanged(None), "that one is blocked does not show");
    assert_eq!(block(2, 1, true).await, FriendChange::Changed(blocked), "in both directions");
    let both = directory.blocks_between(user(1), &[user(3), user(2)]).await.unwrap();
    assert_eq!(both.len(), 2);
    assert!(both.contains(&(user(1), user(2))) && both.contains(&(user(2), user(1))));
    assert_eq!(block(1, 2, false).await, FriendChange::Changed(None));
    assert_eq!(block(1, 2, false).await, FriendChange::Unchanged(None));
    assert_eq!(directory.blocks_between(user(1), &[user(2)]).await.unwrap(), [(user(2), user(1))]);
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Blocked);
    assert_eq!(block(2, 1, false).await, FriendChange::Changed(None));
    assert_eq!(befriend(&directory, 1, 2).await, FriendChange::Changed(Some(FriendStatus::Requested)));
}

#[allow(missing_docs)]
pub async fn friendships_have_pages(directory: Arc<dyn Directory>) {
    for number in [5, 2, 4, 3] {
        befriend(&directory, 1, number).await;
    }
    befriend(&directory, 4, 1).await;
    let page = async |after: Option<u8>, limit| {
        let lines = directory.friendships(user(1), after.map(user), limit).await.unwrap();
        lines.iter().map(|line| (line.user.as_bytes()[0], line.status)).collect::<Vec<_>>()
    };
    use FriendStatus::{Accepted, Requested};
    assert_eq!(page(None, 2).await, [(2, Requested), (3, Requested)]);
    assert_eq!(page(Some(3), 5).await, [(4, Accepted), (5, Requested)]);
    assert_eq!(page(Some(5), 5).await, []);
    let since = directory.friendships(user(1), None, 1).await.unwrap()[0].since;
    assert_eq!(since, at(1));
}

#[allow(missing_docs)]
pub async fn answers_are_kept_for_a_while(directory: Arc<dyn Directory>) {
    let keep = async |key: &str, answer: &[u8], now: i64| {
        directory.keep_reply(key, answer, at(now), at(now - 60)).await.unwrap()
    };
    assert_eq!(directory.reply("a", at(0)).await.unwrap(), None);
    assert_eq!(keep("a", b"first", 100).await, b"first");
    assert_eq!(keep("a", b"second", 130).await, b"first");
    assert_eq!(keep("b", b"", 130).await, b"");
    assert_eq!(directory.reply("a", at(99)).await.unwrap(), Some(b"first".to_vec()));
    assert_eq!(directory.reply("a", at(101)).await.unwrap(), None);
    assert_eq!(keep("a", b"third", 170).await, b"third");
    assert_eq!(directory.reply("b", at(0)).await.unwrap(), Some(b"".to_vec()));
    keep("c", b"", 500).await;
    assert_eq!(directory.reply("b", at(0)).await.unwrap(), None, "old ones are dropped on the way");
}

#[allow(missing_docs)]
pub async fn the_first_slot_map_stays(directory: Arc<dyn Directory>) {
    let map = SlotMap::from_owners(7, vec![ShardId(1), ShardId(0), ShardId(1)]).unwrap();
    let now = directory.init_slot_map(&map).await.unwrap();
    assert_eq!(directory.slot_map().await.unwrap(), Some(now.clone()));
    let other = SlotMap::even(9, 9).unwrap();
    assert_eq!(directory.init_slot_map(&other).await.unwrap(), now);
    let nobody: UserId = user(0);
    assert_eq!(directory.sessions_of(nobody, None, 1).await.unwrap(), []);
}
