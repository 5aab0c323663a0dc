//! Every path feeds a room a gapless prefix: after a send that failed, nothing later of that connection passes in that room
//! until the failed one has come again. Without that rule what comes again comes behind what was sent after it.

use klatch_domain::{Content, Kind, MessageId, RoomId};
use klatch_protocol::{ClientFrame, Send, ServerFrame};
use klatch_tests::{
    person::{Person, Socket, text_of},
    platform::{Part, Platform},
};

/// What became of a send.
#[derive(Debug, PartialEq, Eq)]
enum Became {
    Stored,
    RefusedForNow,
}

async fn send(socket: &mut Socket, room: RoomId, id: MessageId, text: &str) -> Became {
    let send = Send::new(id, room, Kind::Text, Content::text(text).expect("content"));
    socket.send(&ClientFrame::Send(send)).await;
    socket
        .until(|frame| match frame {
            ServerFrame::Stored(stored) if stored.message_id == id => Some(Became::Stored),
            ServerFrame::Refused(refused) if refused.message_id == id => {
                assert!(refused.retryable, "{refused:?}");
                Some(Became::RefusedForNow)
            }
            _ => None,
        })
        .await
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_the_broker_did_not_take_is_not_overtaken_by_what_was_sent_after_it() {
    let _alone = super::ONE_AT_A_TIME.lock().await;
    let platform = Platform::start().await;
    let front = &platform.fronts()[0];
    let ada = Person::sign_up(front, "ada").await;
    let ben = Person::sign_up(front, "ben").await;
    let (room, other) = (ada.group("harbour", &[&ben]).await, ada.group("elsewhere", &[&ben]).await);
    let mut socket = ada.connect().await;
    socket.say_stored(room, "0").await;
    let link = (Part::Gateway(0), Part::Broker);
    platform.sever(link);
    let (first, second) = (MessageId::now(), MessageId::now());
    assert_eq!(send(&mut socket, room, first, "1").await, Became::RefusedForNow);
    platform.heal(link);
    // Once the gateway has its broker again, the rule is all that holds the second one back.
    let probe = MessageId::now();
    while send(&mut socket, other, probe, "is it there?").await != Became::Stored {}
    assert_eq!(send(&mut socket, room, second, "2").await, Became::RefusedForNow, "the second one has overtaken");
    while send(&mut socket, room, first, "1").await != Became::Stored {}
    while send(&mut socket, room, second, "2").await != Became::Stored {}
    let texts: Vec<_> = ada
        .history(room)
        .await
        .iter()
        .filter(|entry| entry["kind"] == "text")
        .map(|entry| text_of(&entry["content"].to_string()))
        .collect();
    assert_eq!(texts, ["0", "1", "2"]);
}
