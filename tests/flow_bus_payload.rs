//! What crosses a broker is readable by the version before and after: golden files, unknown parts, and every value there is.
//!
//! `UPDATE=1` writes the golden files anew: then read the difference as a neighbouring version would.

use std::{collections::BTreeSet, fs, path::PathBuf};

use klatch_bus::payload::{PayloadError, commands, events, events::StreamTarget, notifications, watermarks};
use klatch_domain::{Command, Event};
use klatch_tests::{
    arbitrary_bus,
    bus_payloads::{self, STREAM},
};
use proptest::{collection::vec, prelude::*};
use serde_json::{Value, json};

fn folder() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden/bus")
}

/// The golden text of a payload; with `UPDATE=1` it becomes `now`.
fn golden(name: &str, now: &[u8]) -> String {
    let path = folder().join(format!("{name}.json"));
    let now = std::str::from_utf8(now).expect("JSON is UTF-8");
    if std::env::var_os("UPDATE").is_some() {
        fs::create_dir_all(folder()).expect("the golden folder");
        fs::write(&path, format!("{now}\n")).expect("a golden file is written");
    }
    let text =
        fs::read_to_string(&path).unwrap_or_else(|error| panic!("{}: {error}; UPDATE=1 writes it", path.display()));
    let text = text.trim_end_matches('\n').to_owned();
    assert_eq!(now, text, "{name}: what is written has changed");
    text
}

fn read_command(text: &str) -> Vec<Command> {
    let batch = commands::decode(text.as_bytes()).expect("a batch");
    assert!(batch.unreadable.is_empty(), "{:?}", batch.unreadable);
    batch.commands
}

#[test]
fn payloads_are_as_agreed() {
    let mut files = BTreeSet::new();
    for (name, command) in bus_payloads::commands() {
        let text = golden(name, &commands::encode(std::slice::from_ref(&command)));
        assert_eq!(read_command(&text), [command], "{name}: what is read has changed");
        files.insert(name);
    }
    for (name, event) in bus_payloads::events() {
        let text = golden(name, &events::encode(&STREAM, 17, std::slice::from_ref(&event)));
        let expected = events::Message { stream: STREAM, number: 17, events: vec![event], skipped: 0, last: false };
        assert_eq!(events::decode(text.as_bytes()).expect("a message"), expected, "{name}");
        files.insert(name);
    }
    let text = golden("event.heartbeat", &events::encode(&STREAM, 17, &[]));
    let expected = events::Message { stream: STREAM, number: 17, events: vec![], skipped: 0, last: false };
    assert_eq!(events::decode(text.as_bytes()).expect("a heartbeat"), expected);
    files.insert("event.heartbeat");
    for (name, last) in [("event.life", false), ("event.life.last", true)] {
        let text = golden(name, &events::encode_life(STREAM.from, last));
        let read = events::decode(text.as_bytes()).expect("a heartbeat");
        assert_eq!((read.stream.publisher, read.stream.to, read.number), (events::LIFE, StreamTarget::Everyone, 0));
        assert_eq!((read.events.len(), read.last), (0, last));
        files.insert(name);
    }
    for (name, moved) in bus_payloads::watermarks() {
        let text = golden(name, &watermarks::encode(&[moved]));
        assert_eq!(watermarks::decode(text.as_bytes()).expect("moves"), [moved], "{name}");
        files.insert(name);
    }
    for (name, notify) in bus_payloads::notify() {
        let text = golden(name, &notifications::encode(std::slice::from_ref(&notify)));
        let expected = notifications::Batch { commands: vec![notify], skipped: 0 };
        assert_eq!(notifications::decode(text.as_bytes()).expect("a batch"), expected, "{name}");
        files.insert(name);
    }
    // A file nobody compares proves nothing.
    let there = fs::read_dir(folder()).expect("the golden folder");
    let there: BTreeSet<_> =
        there.map(|file| file.expect("a file").file_name().into_string().expect("UTF-8")).collect();
    assert_eq!(there, files.iter().map(|name| format!("{name}.json")).collect());
}

/// A newer version's fields, in every object whose fields are agreed.
fn with_unknown_fields(value: &mut Value) {
    const OPAQUE: [&str; 4] = ["content", "attachments", "action", "outcome"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(with_unknown_fields),
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                // An enum is an object of one field: another would be another variant.
                let is_enum = inner.as_object().is_some_and(|inner| inner.len() == 1);
                if !OPAQUE.contains(&name.as_str()) && !is_enum && name != "events" {
                    with_unknown_fields(inner);
                }
            }
            fields.insert("a_newer_field".to_owned(), json!({"deep": [1, null, {"er": "é"}]}));
        }
        _ => {}
    }
}

#[test]
fn unknown_fields_are_passed_over() {
    // Both written by the same hand, which writes bodies in its own way.
    let both = |bytes: &[u8]| {
        let mut value: Value = serde_json::from_slice(bytes).expect("JSON");
        let known = value.to_string();
        with_unknown_fields(&mut value);
        assert_ne!(value.to_string(), known);
        (known, value.to_string())
    };
    for (name, command) in bus_payloads::commands() {
        let (known, newer) = both(&commands::encode(&[command]));
        assert_eq!(read_command(&newer), read_command(&known), "{name}");
    }
    for (name, event) in bus_payloads::events() {
        let (known, newer) = both(&events::encode(&STREAM, 1, &[event]));
        let read = |text: &str| events::decode(text.as_bytes()).expect("a message");
        assert_eq!(read(&newer), read(&known), "{name}");
        assert_eq!(read(&newer).skipped, 0, "{name}");
    }
    for (name, moved) in bus_payloads::watermarks() {
        let read = watermarks::decode(both(&watermarks::encode(&[moved])).1.as_bytes());
        assert_eq!(read.expect("moves"), [moved], "{name}");
    }
    for (name, notify) in bus_payloads::notify() {
        let read = notifications::decode(both(&notifications::encode(std::slice::from_ref(&notify))).1.as_bytes());
        assert_eq!(read.expect("a batch").commands, [notify], "{name}");
    }
}

#[test]
fn an_unknown_event_is_skipped_and_counted_and_the_rest_is_read() {
    let (_, known) = bus_payloads::events().remove(8);
    let mut value: Value =
        serde_json::from_slice(&events::encode(&STREAM, 3, &[known.clone(), known.clone()])).expect("JSON");
    value["events"].as_array_mut().expect("events").insert(1, json!({"poll_closed": {"room": 1}}));
    let read = events::decode(value.to_string().as_bytes()).expect("a message");
    assert_eq!(
        read,
        events::Message { stream: STREAM, number: 3, events: vec![known.clone(), known], skipped: 1, last: false }
    );
}

#[test]
fn an_unknown_command_is_handed_out_with_who_waits_for_it() {
    let all: Vec<Command> = bus_payloads::commands().into_iter().map(|(_, command)| command).collect();
    let mut value: Value = serde_json::from_slice(&commands::encode(&all)).expect("JSON");
    value["commands"][1]["action"] = json!({"transcribe": {"seq": 4}});
    let read = commands::decode(value.to_string().as_bytes()).expect("a batch");
    assert_eq!(read.commands.len(), all.len() - 1);
    let [unreadable] = &read.unreadable[..] else { panic!("{:?}", read.unreadable) };
    assert_eq!(
        (unreadable.room, unreadable.message_id, unreadable.reply),
        (Some(all[1].room), Some(all[1].message_id), all[1].reply)
    );
    // What is kept of it is as it came.
    let kept: Value = serde_json::from_slice(&commands::encode_unreadable(&read.unreadable)).expect("JSON");
    assert_eq!(kept["commands"], json!([value["commands"][1]]));
}

#[test]
fn what_a_newer_version_would_not_have_misread_is_refused_by_its_number() {
    let newer = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("JSON").replacen("\"v\":1", "\"v\":2", 1);
    let refused = |error: PayloadError| matches!(error, PayloadError::Version { version: 2, .. });
    assert!(commands::decode(newer(&commands::encode(&[])).as_bytes()).is_err_and(refused));
    assert!(commands::decode(br#"{"v":2,"batches":[]}"#).is_err_and(refused));
    assert!(events::decode(newer(&events::encode(&STREAM, 1, &[])).as_bytes()).is_err_and(refused));
    assert!(watermarks::decode(newer(&watermarks::encode(&[])).as_bytes()).is_err_and(refused));
    assert!(notifications::decode(newer(&notifications::encode(&[])).as_bytes()).is_err_and(refused));
    assert!(matches!(commands::decode(b""), Err(PayloadError::Shape { .. })));
    assert!(matches!(events::decode(br#"{"v":1}"#), Err(PayloadError::Shape { .. })));
}

fn cases(many: u32) -> ProptestConfig {
    ProptestConfig { cases: many, failure_persistence: None, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases(128))]

    #[test]
    fn commands_are_read_as_they_were_written(all in vec(arbitrary_bus::command(), 0..6)) {
        let read = commands::decode(&commands::encode(&all)).expect("a batch");
        prop_assert_eq!(read.commands, all);
        prop_assert!(read.unreadable.is_empty());
    }

    #[test]
    fn events_are_read_as_they_were_written(all in vec(arbitrary_bus::event(), 0..6), number: u64) {
        let read = events::decode(&events::encode(&STREAM, number, &all)).expect("a message");
        prop_assert_eq!(read, events::Message { stream: STREAM, number, events: all, skipped: 0, last: false });
    }

    #[test]
    fn watermarks_are_read_as_they_were_written(all in vec(arbitrary_bus::watermark(), 0..6)) {
        prop_assert_eq!(watermarks::decode(&watermarks::encode(&all)).expect("moves"), all);
    }

    #[test]
    fn notify_commands_are_read_as_they_were_written(all in vec(arbitrary_bus::notify(), 0..6)) {
        let read = notifications::decode(&notifications::encode(&all)).expect("a batch");
        prop_assert_eq!(read, notifications::Batch { commands: all, skipped: 0 });
    }
}

/// What both codecs cost, to be looked at: `cargo test -p klatch-tests --test flow what_the_codecs_cost -- --ignored --nocapture`.
#[test]
#[ignore = "a measurement; optimise the build for a figure that means something"]
fn what_the_codecs_cost() {
    const BATCH: usize = 16;
    const ROUNDS: u32 = 20_000;
    let command = bus_payloads::commands().remove(0).1;
    let event = bus_payloads::events().remove(1).1;
    let (batch, news): (Vec<Command>, Vec<Event>) = (vec![command; BATCH], vec![event; BATCH]);
    let (written, told) = (commands::encode(&batch), events::encode(&STREAM, 1, &news));
    let time = |what: &str, bytes: usize, work: &dyn Fn()| {
        let started = std::time::Instant::now();
        for _ in 0..ROUNDS {
            work();
        }
        let each = started.elapsed() / (ROUNDS * BATCH as u32);
        println!("{what}: {each:?} each, {} bytes each", bytes / BATCH);
    };
    time("write a command", written.len(), &|| drop(std::hint::black_box(commands::encode(&batch))));
    time("read a command", written.len(), &|| drop(std::hint::black_box(commands::decode(&written))));
    time("write an event", told.len(), &|| drop(std::hint::black_box(events::encode(&STREAM, 1, &news))));
    time("read an event", told.len(), &|| drop(std::hint::black_box(events::decode(&told))));
}
