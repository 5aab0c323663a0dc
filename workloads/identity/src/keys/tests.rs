//! Keys over their lives.

use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::rotation::{PUBLISHED_AHEAD, SIGNS_FOR};

fn later(now: Timestamp, hours: u64) -> Timestamp {
    now.plus(Duration::from_secs(hours * 3600))
}

struct Folder(PathBuf);
impl Folder {
    fn new() -> Self {
        Self(std::env::temp_dir().join(format!("klatch-keys-{}", SessionId::now())))
    }
}
impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[test]
fn a_key_outlives_a_restart_and_is_its_owners_only() {
    let folder = Folder::new();
    let (user, session, now) = (UserId::now(), SessionId::now(), system_time());
    let token = Keys::open(&folder.0).unwrap().issue(user, session, now).unwrap();
    let files: Vec<_> = std::fs::read_dir(&folder.0).unwrap().map(|item| item.unwrap()).collect();
    assert_eq!(files.len(), 1);
    assert_eq!(files[0].metadata().unwrap().permissions().mode() & 0o777, 0o600);
    std::fs::write(folder.0.join(".unfinished-x"), "{").unwrap();
    let principal = Keys::open(&folder.0).unwrap().verify(&token, now).unwrap();
    assert_eq!((principal.user, principal.session), (user, session));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
}

#[test]
fn a_folder_of_somebody_else_is_read_and_never_written() {
    let folder = Folder::new();
    std::fs::create_dir(&folder.0).unwrap();
    assert!(Keys::open_existing(&folder.0).unwrap_err().to_string().contains("no key is in it"));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 0);
    let keeper = Keys::open(&folder.0).unwrap();
    let reader = Keys::open_existing(&folder.0).unwrap();
    let (user, session, now) = (UserId::now(), SessionId::now(), system_time());
    let token = reader.issue(user, session, now).unwrap();
    assert!(keeper.verify(&token, now).is_ok());
    keeper.rotate(now).unwrap();
    reader.reload().unwrap();
    assert_eq!(reader.jwks(), keeper.jwks());
}

#[test]
fn a_damaged_file_is_named_and_never_replaced() {
    let folder = Folder::new();
    drop(Keys::open(&folder.0).unwrap());
    let file = std::fs::read_dir(&folder.0).unwrap().next().unwrap().unwrap().path();
    std::fs::write(&file, "not a key").unwrap();
    let error = Keys::open(&folder.0).unwrap_err().to_string();
    assert!(error.contains(file.to_str().unwrap()), "{error}");
    assert_eq!(std::fs::read_to_string(&file).unwrap(), "not a key");
}

#[test]
fn rotation_keeps_old_tokens_good_and_forgets_old_keys_later() {
    let folder = Folder::new();
    let keys = Keys::open(&folder.0).unwrap();
    let other_process = Keys::open(&folder.0).unwrap();
    let (user, session, now) = (UserId::now(), SessionId::now(), system_time());
    let old = keys.issue(user, session, now).unwrap();
    keys.rotate(now).unwrap();
    let new = keys.issue(user, session, now).unwrap();
    assert!(keys.verify(&old, now).is_ok() && keys.verify(&new, now).is_ok());
    assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
    assert!(matches!(other_process.verify(&new, now), Err(TokenError::Invalid(_))));
    other_process.reload().unwrap();
    assert!(other_process.verify(&new, now).is_ok() && other_process.verify(&old, now).is_ok());

    // Long after: the first key verifies nothing, and the next rotation removes its file.
    let long = keys.issue_for(user, session, later(now, 3), Duration::from_secs(3600)).unwrap();
    assert!(matches!(keys.verify(&old, later(now, 3)), Err(TokenError::Invalid(_))));
    keys.rotate(later(now, 3)).unwrap();
    assert_eq!(keys.jwks()["keys"].as_array().unwrap().len(), 2);
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
    assert!(keys.verify(&long, later(now, 3)).is_ok());
}

#[test]
fn a_clock_set_back_does_not_revive_an_old_key() {
    let keys = Keys::ephemeral().unwrap();
    let kid = |now| keys.set().signing(now).kid.clone();
    let (early, now) = (Timestamp::from_millis(5), system_time());
    let first = kid(early);
    keys.rotate(early).unwrap();
    let second = kid(early);
    assert_ne!(second, first);
    assert_eq!(kid(later(now, 1)), second);
    keys.rotate(early).unwrap();
    assert!(kid(early) != second && kid(early) == kid(later(now, 1)));
}

#[test]
fn sealed_answers_outlive_a_rotation() {
    let keys = Keys::ephemeral().unwrap();
    let sealed = keys.seal("context", b"secret").unwrap();
    keys.rotate(system_time()).unwrap();
    assert_eq!(keys.open_sealed("context", &sealed).unwrap(), b"secret");
    assert!(keys.open_sealed("another", &sealed).is_err());
    assert!(Keys::ephemeral().unwrap().open_sealed("context", &sealed).is_err());
}

#[test]
fn the_key_set_is_public_halves_only() {
    let keys = Keys::ephemeral().unwrap();
    let key = &keys.jwks()["keys"][0];
    assert_eq!((key["kty"].as_str(), key["crv"].as_str()), (Some("OKP"), Some("Ed25519")));
    assert!(key["x"].as_str().is_some_and(|x| x.len() == 43) && key.get("d").is_none());
    assert!(!format!("{keys:?}").contains("pkcs8"));
}

/// The names in the key set, in its order.
fn published(keys: &Keys) -> Vec<String> {
    let set = keys.jwks();
    set["keys"].as_array().unwrap().iter().map(|key| key["kid"].as_str().unwrap().to_owned()).collect()
}

fn signed_by(keys: &Keys, now: Timestamp) -> String {
    token::key_id(&keys.issue(UserId::now(), SessionId::now(), now).unwrap()).unwrap()
}

#[test]
fn a_due_key_is_published_before_it_signs_and_the_old_one_outlives_its_tokens() {
    let folder = Folder::new();
    let start = Timestamp::from_millis(1_800_000_000_000);
    let keys = Keys::open_at(&folder.0, start).unwrap();
    let first = signed_by(&keys, start);
    assert!(!keys.rotate_when_due(start).unwrap());
    let due = start.plus(SIGNS_FOR - PUBLISHED_AHEAD);
    assert!(keys.rotate_when_due(due).unwrap());
    assert!(!keys.rotate_when_due(due).unwrap(), "once");
    // Published, and not used yet, by this process or one that starts now.
    let second = published(&keys)[1].clone();
    let other = Keys::open_at(&folder.0, due).unwrap();
    let before = start.plus(SIGNS_FOR - Duration::from_millis(1));
    for keys in [&keys, &other] {
        assert_eq!(published(keys), [first.clone(), second.clone()]);
        assert_eq!(signed_by(keys, before), first);
        assert_eq!(signed_by(keys, start.plus(SIGNS_FOR)), second);
    }
    // The last token of the first key is good to its end.
    let last = keys.issue_for(UserId::now(), SessionId::now(), before, LONGEST_TOKEN).unwrap();
    let end = before.plus(LONGEST_TOKEN - Duration::from_secs(2));
    keys.rotate_when_due(end).unwrap();
    assert!(keys.verify(&last, end).is_ok());
    assert_eq!(published(&keys).len(), 2);
    // Then the key goes, from memory and from disk.
    assert!(!keys.rotate_when_due(start.plus(SIGNS_FOR + KEPT_AFTER_ROTATION)).unwrap());
    assert_eq!(published(&keys), std::slice::from_ref(&second));
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 1);
    assert_eq!(published(&Keys::open_at(&folder.0, start).unwrap()), [second]);
}

#[test]
fn a_rotation_at_once_drops_the_key_that_waits() {
    let folder = Folder::new();
    let start = Timestamp::from_millis(1_800_000_000_000);
    let keys = Keys::open_at(&folder.0, start).unwrap();
    let due = start.plus(SIGNS_FOR - PUBLISHED_AHEAD);
    keys.rotate_when_due(due).unwrap();
    let [first, waiting] = [published(&keys)[0].clone(), published(&keys)[1].clone()];
    let old = keys.issue(UserId::now(), SessionId::now(), due).unwrap();
    keys.rotate(due).unwrap();
    let now = signed_by(&keys, due);
    assert!(now != first && now != waiting);
    assert_eq!(published(&keys), [first, now.clone()]);
    assert!(keys.verify(&old, due).is_ok());
    assert_eq!(signed_by(&keys, start.plus(SIGNS_FOR)), now, "nothing waits any more");
    assert_eq!(std::fs::read_dir(&folder.0).unwrap().count(), 2);
}

#[test]
fn replaced_keys_verify_nothing() {
    let folder = Folder::new();
    let start = Timestamp::from_millis(1_800_000_000_000);
    let keys = Keys::open_at(&folder.0, start).unwrap();
    let old = keys.issue(UserId::now(), SessionId::now(), start).unwrap();
    keys.replace(start).unwrap();
    assert!(matches!(keys.verify(&old, start), Err(TokenError::Invalid(_))));
    let new = keys.issue(UserId::now(), SessionId::now(), start).unwrap();
    assert!(keys.verify(&new, start).is_ok());
    assert_eq!((published(&keys).len(), std::fs::read_dir(&folder.0).unwrap().count()), (1, 1));
    assert!(Keys::open_at(&folder.0, start).unwrap().verify(&new, start).is_ok());
}
