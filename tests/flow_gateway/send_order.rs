//! What a client sends to a room reaches the writer in its order, whatever fails on the way.

use klatch_domain::{Code, Command, MessageId, Outcome, Refusal};
use klatch_protocol::ServerFrame;
use klatch_tests::{
    gateway_client::Client,
    gateway_world::{Device, Room, Running, World, outcome},
};

struct Scene {
    world: World,
    gateway: Running,
    ada: Device,
    room: Room,
    client: Client,
}

impl Scene {
    async fn new() -> Self {
        let world = World::new().await;
        // Of the one that was refused and its successor, and none to spare.
        let gateway = world.gateway_with(|settings| settings.limits.in_flight = 3).await;
        let ada = Device::new();
        let client = Client::greet(&world, &gateway, ada).await;
        Self { world, gateway, ada, room: Room::small(&[ada]), client }
    }

    async fn send(&mut self, text: &str) -> MessageId {
        self.client.send(self.room.id, text).await
    }

    async fn again(&mut self, id: MessageId) {
        self.client.send_as(self.room.id, id, "again").await;
    }

    /// What the writer gets next: this, after that.
    async fn passes(&mut self, id: MessageId, after: Option<MessageId>) -> Command {
        let command = self.world.command().await;
        assert_eq!((command.message_id, command.after), (id, after));
        command
    }

    async fn refuse(&mut self, command: &Command) {
        let refusal = Refusal::retryable(Code::Busy, "later", 1);
        self.world.publish(vec![outcome(command, Outcome::Refused(refusal))]).await;
    }

    async fn store(&mut self, command: &Command) {
        let event = self.room.store(command);
        self.world.publish(vec![event, self.room.stored(command)]).await;
        match self.client.next().await {
            ServerFrame::Stored(stored) => assert_eq!(stored.message_id, command.message_id),
            other => panic!("expected stored: {other:?}"),
        }
    }

    async fn hears_refused(&mut self, id: MessageId) {
        match self.client.next().await {
            ServerFrame::Refused(refused) => {
                assert_eq!((refused.message_id, refused.code, refused.retryable), (id, Code::Busy, true));
                assert!(refused.retry_after_ms.is_some());
            }
            other => panic!("expected refused: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_comes_again_does_not_come_behind_what_was_sent_after_it() {
    let mut scene = Scene::new().await;
    let (one, two) = (scene.send("1").await, scene.send("2").await);
    let first = scene.passes(one, None).await;
    let second = scene.passes(two, Some(one)).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    scene.again(one).await;
    let first = scene.passes(one, None).await;
    // The second's outcome is open. What is sent now would overtake it.
    let three = scene.send("3").await;
    scene.hears_refused(three).await;
    scene.refuse(&second).await;
    scene.hears_refused(two).await;
    scene.again(two).await;
    scene.again(three).await;
    let second = scene.passes(two, Some(one)).await;
    let third = scene.passes(three, Some(two)).await;
    for command in [&first, &second, &third] {
        scene.store(command).await;
    }
    // Each counted once among what is in flight.
    let mut last = None;
    for _ in 0..3 {
        let id = scene.send("more").await;
        scene.passes(id, last).await;
        last = Some(id);
    }
}

#[tokio::test]
async fn what_was_sent_behind_a_failed_one_may_come_again_before_its_outcome() {
    let mut scene = Scene::new().await;
    let (one, two, three) = (scene.send("1").await, scene.send("2").await, scene.send("3").await);
    let first = scene.passes(one, None).await;
    let second = scene.passes(two, Some(one)).await;
    scene.passes(three, Some(two)).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    for id in [one, two, three] {
        scene.again(id).await;
    }
    let first = scene.passes(one, None).await;
    let second_again = scene.passes(two, Some(one)).await;
    scene.passes(three, Some(two)).await;
    // The refusal of its first try: it is to come again, and the third behind it.
    scene.refuse(&second).await;
    scene.hears_refused(two).await;
    scene.again(three).await;
    scene.hears_refused(three).await;
    scene.again(two).await;
    scene.again(three).await;
    scene.passes(two, Some(one)).await;
    let third = scene.passes(three, Some(two)).await;
    for command in [&first, &second_again, &third] {
        scene.store(command).await;
    }
}

#[tokio::test]
async fn what_was_sent_behind_a_failed_one_and_is_stored_after_all_holds_nothing() {
    let mut scene = Scene::new().await;
    let (one, two) = (scene.send("1").await, scene.send("2").await);
    let first = scene.passes(one, None).await;
    let second = scene.passes(two, Some(one)).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    let event = scene.room.store(&first);
    scene.world.publish(vec![scene.room.stored(&first), event]).await;
    assert!(matches!(scene.client.next().await, ServerFrame::Stored(stored) if stored.message_id == one));
    assert_eq!(scene.client.text().await, "1");
    scene.store(&second).await;
    let three = scene.send("3").await;
    scene.passes(three, None).await;
}

#[tokio::test]
async fn what_was_turned_away_meanwhile_comes_in_its_order() {
    let mut scene = Scene::new().await;
    let one = scene.send("1").await;
    let first = scene.passes(one, None).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    let (two, three) = (scene.send("2").await, scene.send("3").await);
    scene.hears_refused(two).await;
    scene.hears_refused(three).await;
    scene.again(one).await;
    let first = scene.passes(one, None).await;
    scene.store(&first).await;
    // Who has heard only of the first refusal might say this now.
    let four = scene.send("4").await;
    scene.hears_refused(four).await;
    scene.again(three).await;
    scene.hears_refused(three).await;
    for (id, after) in [(two, None), (three, Some(two)), (four, Some(three))] {
        scene.again(id).await;
        scene.passes(id, after).await;
    }
}

#[tokio::test]
async fn a_refused_send_that_is_seen_in_the_log_holds_nothing() {
    let mut scene = Scene::new().await;
    // By the same session, or sent again by another device, or over HTTP.
    for from in [scene.ada, scene.ada.other()] {
        let one = scene.send("1").await;
        let first = scene.passes(one, None).await;
        scene.refuse(&first).await;
        scene.hears_refused(one).await;
        let two = scene.send("2").await;
        scene.hears_refused(two).await;
        // Somebody else's message of the same id is none of this.
        let theirs = scene.room.say_as(Device::new(), one, "not mine");
        scene.world.publish(vec![theirs]).await;
        assert_eq!(scene.client.text().await, "not mine");
        scene.again(two).await;
        scene.hears_refused(two).await;
        let event = scene.room.say_as(from, one, "1");
        scene.world.publish(vec![event]).await;
        assert_eq!(scene.client.text().await, "1");
        scene.again(two).await;
        let second = scene.passes(two, None).await;
        // A resend of the first was on its way.
        scene.again(one).await;
        let repeat = scene.passes(one, None).await;
        scene.world.publish(vec![scene.room.stored(&repeat)]).await;
        assert!(matches!(scene.client.next().await, ServerFrame::Stored(stored) if stored.message_id == one));
        scene.store(&second).await;
    }
}

#[tokio::test]
async fn a_refusal_of_an_earlier_try_of_what_is_stored_is_not_said() {
    let mut scene = Scene::new().await;
    let one = scene.send("1").await;
    let first = scene.passes(one, None).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    scene.again(one).await;
    let again = scene.passes(one, None).await;
    scene.store(&again).await;
    scene.refuse(&first).await;
    // An event behind it, to be sure that it was taken.
    let marker = scene.room.say(Device::new(), "marker");
    scene.world.publish(vec![marker]).await;
    assert_eq!(scene.client.text().await, "marker");
    let two = scene.send("2").await;
    scene.passes(two, None).await;
    scene.client.is_quiet().await;
    assert_eq!(scene.gateway.metric("klatch_gateway_connections"), 1.0);
}

#[tokio::test]
async fn what_comes_again_and_is_refused_for_good_by_the_gateway_holds_nothing() {
    let mut scene = Scene::new().await;
    let one = scene.send("1").await;
    let first = scene.passes(one, None).await;
    scene.refuse(&first).await;
    scene.hears_refused(one).await;
    scene.client.send_as(scene.room.id, one, "").await;
    match scene.client.next().await {
        ServerFrame::Refused(refused) => {
            assert_eq!((refused.message_id, refused.code, refused.retryable), (one, Code::ContentInvalid, false));
        }
        other => panic!("expected refused: {other:?}"),
    }
    let two = scene.send("2").await;
    scene.passes(two, None).await;
}
