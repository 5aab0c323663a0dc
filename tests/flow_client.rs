//! The Rust client's shell against a server that does what a test says. What the core does with it is the simulation's to
//! prove; here it is sockets, files, tokens and certificates.

use std::{
    fs,
    io::Write,
    os::unix::fs::{MetadataExt, PermissionsExt},
    path::Path,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use klatch_client_sdk::{
    Client, ClientError, Credentials, Event, KeepSession, Options, Roots, Session, Status, core::Stop,
};
use klatch_domain::{Ordinal, Position, RoomId, Timestamp};
use klatch_protocol::{ClientFrame, Reconnect, Resumed, ServerFrame, StoredFrame};
use klatch_tests::{
    encrypted_front::AUTHORITY,
    person::PATIENCE,
    scripted_server::{Peer, ScriptedServer},
};
use parking_lot::Mutex;
use tokio::time::timeout;

async fn client_of(server: &ScriptedServer) -> Client {
    Client::sign_in(&server.url, "ada", "a password", "the test's").await.unwrap()
}

async fn until(what: &str, mut holds: impl FnMut() -> bool) {
    let wait = async {
        while !holds() {
            tokio::time::sleep(std::time::Duration::from_millis(2)).await;
        }
    };
    timeout(PATIENCE, wait).await.unwrap_or_else(|_| panic!("{what}"));
}

#[tokio::test]
async fn a_broken_connection_is_made_again_and_names_the_one_before() {
    let mut server = ScriptedServer::start().await;
    let client = client_of(&server).await;
    let (peer, hello) = server.greeted().await;
    assert_eq!((hello.token.as_str(), hello.resume), ("access 0", None));
    client.ready().await.unwrap();
    let before = peer.connection;
    // Without a word, and then nobody lets it in for a while.
    server.script.refuse_openings.store(3, Ordering::SeqCst);
    drop(peer);
    let (peer, hello) = server.greeted().await;
    assert_eq!(hello.resume.map(|resume| resume.connection), Some(before));
    assert_eq!(server.script.openings.load(Ordering::SeqCst), 5);
    client.ready().await.unwrap();
    drop(peer);
    client.close().await;
}

#[tokio::test]
async fn a_reconnect_hint_is_followed_without_being_closed() {
    let mut server = ScriptedServer::start().await;
    let client = client_of(&server).await;
    let (mut peer, _) = server.greeted().await;
    peer.send(&ServerFrame::Reconnect(Reconnect { after_ms: 20, reason: "drain".into() })).await;
    loop {
        if let Err(code) = peer.next().await {
            assert_eq!(code, Some(1000), "it says goodbye");
            break;
        }
    }
    let (_, hello) = server.greeted().await;
    assert_eq!(hello.resume.map(|resume| resume.connection), Some(peer.connection));
    client.close().await;
}

#[tokio::test]
async fn close_codes_say_whether_to_come_back() {
    for code in [4000, 4008, 4009, 4029, 4499, 1011] {
        let mut server = ScriptedServer::start().await;
        let client = client_of(&server).await;
        server.greeted().await.0.close(code).await;
        let (peer, hello) = server.greeted().await;
        assert_eq!(hello.token, "access 0", "{code}: the same token");
        // Nobody is there who could answer a goodbye, and be waited for.
        drop(peer);
        client.close().await;
    }
    for (code, stop) in [(4500, Stop::Closed(4500)), (4503, Stop::SignedOut), (4505, Stop::Closed(4505))] {
        let mut server = ScriptedServer::start().await;
        let client = client_of(&server).await;
        server.greeted().await.0.close(code).await;
        until("it stops", || client.status() == Status::Stopped(stop)).await;
        assert!(matches!(client.ready().await, Err(ClientError::Stopped(told)) if told == stop));
        assert!(!server.is_called());
        assert_eq!(server.script.openings.load(Ordering::SeqCst), 1);
    }
}

#[tokio::test]
async fn an_expired_token_is_traded_before_coming_back() {
    let mut server = ScriptedServer::start().await;
    let client = client_of(&server).await;
    server.greeted().await.0.close(4401).await;
    let (peer, hello) = server.greeted().await;
    assert_eq!(hello.token, "access 1");
    assert_eq!(server.script.trades.lock().len(), 1);
    drop(peer);
    client.close().await;
}

/// Keeps sessions in memory; fails so many times first.
fn keeping(failures: usize) -> (KeepSession, Arc<Mutex<Vec<Session>>>, Arc<AtomicUsize>) {
    let (kept, left) = (Arc::new(Mutex::new(Vec::new())), Arc::new(AtomicUsize::new(failures)));
    let (sessions, failing) = (Arc::clone(&kept), Arc::clone(&left));
    let keep: KeepSession = Arc::new(move |session: &Session| {
        if failing.fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1)).is_ok() {
            return Err(std::io::Error::other("the disk is full"));
        }
        sessions.lock().push(session.clone());
        Ok(())
    });
    (keep, kept, left)
}

/// A session as it stood before a refresh whose answer never reached the disk.
async fn old_session(server: &ScriptedServer) -> Session {
    let client = client_of(server).await;
    let mut session = client.session().await.unwrap();
    client.close().await;
    session.access_expires_at = Timestamp::from_millis(0);
    session
}

#[tokio::test]
async fn a_session_that_cannot_be_kept_is_asked_for_again_with_the_same_key() {
    let mut server = ScriptedServer::start().await;
    let session = old_session(&server).await;
    let (keep, kept, left) = keeping(1);
    let refused = Client::with_session(session.clone(), Arc::clone(&keep)).await.err();
    assert!(matches!(refused, Some(ClientError::SessionNotKept(_))), "{refused:?}");
    assert_eq!((left.load(Ordering::SeqCst), kept.lock().len()), (0, 0));
    // The next life has the old session, as if the process had died between answer and file.
    while server.is_called() {}
    let client = Client::with_session(session.clone(), keep).await.unwrap();
    let trades = server.script.trades.lock().clone();
    assert_eq!((trades.len(), &trades[0]), (2, &trades[1]), "the same token under the same key");
    assert_eq!(trades[0].key, Some(session.refresh_key.to_string()));
    let now = client.session().await.unwrap();
    assert_eq!(kept.lock().as_slice(), std::slice::from_ref(&now));
    assert_ne!(now.refresh_key, session.refresh_key, "the next trade has a key of its own");
    let hello = server.peer().await.hello().await;
    assert_eq!(hello.token, now.access_token);
    client.close().await;
}

#[tokio::test]
async fn a_refresh_token_is_kept_before_it_is_used_and_used_once() {
    let mut server = ScriptedServer::start().await;
    let session = old_session(&server).await;
    while server.is_called() {}
    let (keep, kept, left) = keeping(0);
    let client = Client::with_session(session, keep).await.unwrap();
    for round in 1..4 {
        // Every second time the disk fails first.
        left.store(round % 2, Ordering::SeqCst);
        server.greeted().await.0.close(4401).await;
        until("traded and kept", || kept.lock().len() == round + 1).await;
    }
    let trades = server.script.trades.lock().clone();
    let mut distinct = trades.clone();
    distinct.dedup();
    let tokens: std::collections::HashSet<_> = distinct.iter().map(|trade| trade.refresh_token.clone()).collect();
    assert_eq!(tokens.len(), distinct.len(), "no token under two keys: {trades:?}");
    assert_eq!((distinct.len(), trades.len()), (4, 6));
    client.close().await;
}

fn names(folder: &Path) -> Vec<String> {
    let mut names: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap()).collect();
    names.sort_unstable();
    names
}

async fn with_state(server: &ScriptedServer, file: &Path) -> Result<Client, ClientError> {
    let credentials = Credentials::Password {
        username: "ada".into(),
        password: "a password".into(),
        device_name: "the test's".into(),
    };
    let options = Options { state_file: Some(file.to_owned()), ..Options::default() };
    Client::connect(&server.url, credentials, options).await
}

async fn sent(peer: &mut Peer) -> klatch_domain::MessageId {
    loop {
        if let ClientFrame::Send(send) = peer.next().await.expect("a send") {
            return send.message_id;
        }
    }
}

#[tokio::test]
async fn what_was_said_before_the_end_is_sent_after_it_and_the_file_is_its_owner_s_alone() {
    let mut server = ScriptedServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    // A crash has left a file open to all.
    let mut left = fs::File::create(folder.path().join("state.json.new")).unwrap();
    left.write_all(b"{\"half").unwrap();
    left.set_permissions(fs::Permissions::from_mode(0o666)).unwrap();

    let room = RoomId::now();
    let client = with_state(&server, &file).await.unwrap();
    let (mut peer, _) = server.greeted().await;
    client.ready().await.unwrap();
    let said = client.say(room, "remember me").await.unwrap();
    let message_id = said.message_id();
    assert_eq!(sent(&mut peer).await, message_id);
    // It left, so it is on disk.
    let first = fs::metadata(&file).unwrap();
    assert_eq!(first.permissions().mode() & 0o777, 0o600);
    assert!(fs::read_to_string(&file).unwrap().contains(&message_id.to_string()));
    assert_eq!(names(folder.path()), ["state.json"], "nothing is left beside it");
    client.say(room, "and me").await.unwrap();
    sent(&mut peer).await;
    assert_ne!(fs::metadata(&file).unwrap().ino(), first.ino(), "replaced, never written over");
    // Cut off without a word: neither is answered. What a kill leaves is the file as it is now; the first client may still
    // write to its own.
    let left = folder.path().join("left.json");
    fs::copy(&file, &left).unwrap();
    drop((client, peer));

    let client = with_state(&server, &left).await.unwrap();
    let (mut peer, _) = server.greeted().await;
    assert_eq!(sent(&mut peer).await, message_id);
    let mut events = client.events();
    let stored =
        StoredFrame { message_id, room, position: Position::first(1), ordinal: Ordinal(1), at: Timestamp::default() };
    peer.send(&ServerFrame::Stored(stored)).await;
    let told = async {
        while let Some(event) = events.next().await {
            if format!("{event:?}").contains("Stored") {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("it is stored");
    client.close().await;
    assert!(!fs::read_to_string(&left).unwrap().contains(&message_id.to_string()));
}

#[tokio::test]
async fn a_state_file_that_cannot_be_read_or_written_is_said() {
    let mut server = ScriptedServer::start().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("state.json");
    fs::write(&file, "no snapshot").unwrap();
    assert!(matches!(with_state(&server, &file).await, Err(ClientError::State(_))));
    assert_eq!(fs::read_to_string(&file).unwrap(), "no snapshot", "it is left for its owner to look at");
    fs::remove_file(&file).unwrap();
    let client = with_state(&server, &file).await.unwrap();
    let _peer = server.greeted().await;
    client.ready().await.unwrap();
    let mut events = client.events();
    fs::remove_dir_all(folder.path()).unwrap();
    let _said = client.say(RoomId::now(), "hello").await.unwrap();
    let told = async {
        loop {
            if let Some(Event::NotSaved(_)) = events.next().await {
                return;
            }
        }
    };
    timeout(PATIENCE, told).await.expect("it is told");
    client.close().await;
}

#[tokio::test]
async fn a_silent_server_is_left_and_come_back_to() {
    let mut server = ScriptedServer::start().await;
    let client = client_of(&server).await;
    let mut silent = server.peer().await;
    silent.hello().await;
    // The shortest pace a client believes: two of them make two seconds.
    silent.welcome(1, Resumed::None).await;
    let (_peer, hello) = server.greeted().await;
    assert_eq!(hello.resume.map(|resume| resume.connection), Some(silent.connection));
    loop {
        if let Err(code) = silent.next().await {
            assert_eq!(code, Some(4009));
            break;
        }
    }
    client.close().await;
}

#[tokio::test]
async fn a_server_is_believed_by_the_authority_that_was_named_and_by_no_other() {
    let mut server = ScriptedServer::start_encrypted().await;
    let credentials = || Credentials::Password {
        username: "ada".into(),
        password: "a password".into(),
        device_name: "the test's".into(),
    };
    let refused = Client::connect(&server.url, credentials(), Options::default()).await.err();
    assert!(matches!(refused, Some(ClientError::Unreachable { .. })), "{refused:?}");

    let roots = Roots::from_pem(AUTHORITY).unwrap();
    let client = Client::connect(&server.url, credentials(), Options { roots, ..Options::default() }).await.unwrap();
    let _peer = server.greeted().await;
    client.ready().await.unwrap();
    client.close().await;
}
