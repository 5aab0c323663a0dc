//! One trace follows one message, from the client's frame to the receiving socket.

use std::fs;

use klatch_tests::{
    klatch_process::{Start, Up},
    person::Person,
    trace_collector::{Collector, SAMPLED, UNSAMPLED, named, say},
};

fn traced_up(collector: &Collector, ratio: f64) -> Up {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("settings.yaml");
    fs::write(&file, format!("trace: {{endpoint: {}, sampleRatio: {ratio}}}", collector.url)).unwrap();
    Start::default().with(&["-f", file.to_str().unwrap()]).ready()
}

// Two threads: the collector answers while a stop is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn one_message_is_one_trace_from_its_frame_to_the_receiving_socket() {
    let collector = Collector::start().await;
    // Nothing but what comes sampled.
    let mut up = traced_up(&collector, 0.0);
    let (ada, bob) = (Person::sign_up(&up.url, "ada").await, Person::sign_up(&up.url, "bob").await);
    let room = ada.direct(&bob).await;
    let (mut from, mut to) = (ada.connect().await, bob.connect().await);
    say(&mut from, room, "nobody looks", None).await;
    say(&mut from, room, "nobody looks either", Some(UNSAMPLED)).await;
    say(&mut from, room, "look", Some(SAMPLED)).await;
    to.hears(room, "look").await;

    let spans = collector.spans_of(&SAMPLED[3..35], 4).await;
    let (send, append) = (named(&spans, "send"), named(&spans, "append"));
    let (fan_out, deliver) = (named(&spans, "fan_out"), named(&spans, "deliver"));
    assert_eq!(send.parent, &SAMPLED[36..52], "below the client's own span");
    assert_eq!(append.parent, send.id);
    assert_eq!(fan_out.parent, append.id);
    assert_eq!(deliver.parent, append.id);
    assert!(send.begin <= append.begin && append.begin <= fan_out.begin && fan_out.begin <= deliver.begin, "{spans:?}");
    assert!(spans.iter().all(|span| span.begin <= span.end && span.service.contains("klatch")), "{spans:?}");
    // A stop sends what still waits: now all that was traced is there.
    up.stop();
    assert_eq!(collector.all().len(), 4, "{:?}", collector.all());
}

// Two threads: the collector answers while a stop is waited for.
#[tokio::test(flavor = "multi_thread")]
async fn without_a_parent_the_ratio_decides() {
    let collector = Collector::start().await;
    let mut up = traced_up(&collector, 1.0);
    let (ada, bob) = (Person::sign_up(&up.url, "ada").await, Person::sign_up(&up.url, "bob").await);
    let room = ada.direct(&bob).await;
    let (mut from, mut to) = (ada.connect().await, bob.connect().await);
    say(&mut from, room, "look", None).await;
    say(&mut from, room, "do not look", Some(UNSAMPLED)).await;
    to.hears(room, "do not look").await;
    up.stop();
    let spans = collector.all();
    let root = named(&spans, "send");
    assert_eq!(root.parent, "");
    assert!(spans.iter().all(|span| span.trace == root.trace), "{spans:?}");
    assert_eq!(named(&spans, "append").parent, root.id);
    assert!(spans.iter().any(|span| span.name == "deliver"));
}
