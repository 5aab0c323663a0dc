//! The wire contract holds to the letter: every shape has a golden file, and whatever is written can be read.
//!
//! `UPDATE=1` writes the golden files anew: then read the difference as a client's author would.

use std::{collections::BTreeSet, fs, path::PathBuf};

use klatch_domain::{Content, Kind};
use klatch_protocol::{ClientFrame, FrameError, Send, ServerFrame, encode_message, lines};
use klatch_tests::{
    arbitrary::{any_entry, any_object_text, client_frame, server_frame},
    frames, shapes,
};
use proptest::prelude::*;
use serde_json::{Map, Value};

fn folder(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("golden").join(name)
}

/// The golden text of a shape; with `UPDATE=1` it becomes `now`.
fn golden(kind: &str, name: &str, now: &str) -> String {
    let path = folder(kind).join(format!("{name}.json"));
    if std::env::var_os("UPDATE").is_some() {
        fs::write(&path, format!("{now}\n")).expect("a golden file is written");
    }
    let text = fs::read_to_string(&path).unwrap_or_else(|error| {
        panic!("{}: {error}; UPDATE=1 writes it", path.display());
    });
    text.trim_end_matches('\n').to_owned()
}

/// Golden files of a folder without `.json`.
fn golden_names(kind: &str) -> BTreeSet<String> {
    let entries = fs::read_dir(folder(kind)).expect("the golden folder");
    let files = entries.map(|entry| entry.expect("a file").file_name().into_string().expect("UTF-8"));
    files.map(|file| file.trim_end_matches(".json").to_owned()).collect()
}

/// The shape without its variant.
fn shape_of(name: &str) -> String {
    name.split('.').next().unwrap_or_default().to_owned()
}

fn as_set<'a>(names: impl IntoIterator<Item = &'a str>) -> BTreeSet<String> {
    names.into_iter().map(str::to_owned).collect()
}

#[test]
fn client_frames_are_as_agreed() {
    for (name, frame) in frames::client() {
        let text = golden("client", name, &frame.encode());
        assert_eq!(frame.encode(), text, "{name}: what is written has changed");
        assert_eq!(ClientFrame::decode(&text), Ok(frame), "{name}: what is read has changed");
    }
}

#[test]
fn server_frames_are_as_agreed() {
    for (name, frame) in frames::server() {
        let text = golden("server", name, &frame.encode());
        assert_eq!(frame.encode(), text, "{name}: what is written has changed");
        assert_eq!(ServerFrame::decode(&text), Ok(frame), "{name}: what is read has changed");
    }
}

#[test]
fn http_shapes_are_as_agreed() {
    for shape in shapes::http_shapes() {
        let text = golden("http", shape.name, &shape.text);
        assert_eq!(shape.text, text, "{}: what is written has changed", shape.name);
        let again = (shape.rewrite)(&text).unwrap_or_else(|error| panic!("{}: {error}", shape.name));
        assert_eq!(again, text, "{}: reading loses something", shape.name);
        let no_null = shape.name.starts_with("ChangeProfile") || !text.contains("null");
        assert!(no_null, "{}: absent fields are left out, never null", shape.name);
    }
}

#[test]
fn every_frame_has_a_golden_file_and_every_file_a_frame() {
    let client: BTreeSet<_> = golden_names("client").iter().map(|name| shape_of(name)).collect();
    assert_eq!(client, as_set(ClientFrame::NAMES.iter().copied()));
    let server: BTreeSet<_> = golden_names("server").iter().map(|name| shape_of(name)).collect();
    assert_eq!(server, as_set(ServerFrame::NAMES.iter().copied()));
    // A file nobody compares proves nothing.
    assert_eq!(golden_names("client"), as_set(frames::client().iter().map(|(name, _)| *name)));
    assert_eq!(golden_names("server"), as_set(frames::server().iter().map(|(name, _)| *name)));
    for (name, frame) in frames::client() {
        assert_eq!(shape_of(name), frame.name());
    }
    for (name, frame) in frames::server() {
        assert_eq!(shape_of(name), frame.name());
    }
}

/// Public types that the modules of `http` declare.
fn declared_http_types() -> BTreeSet<String> {
    let sources = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../workloads/protocol/src/http");
    let mut types = BTreeSet::new();
    for source in fs::read_dir(sources).expect("the sources of http") {
        let text = fs::read_to_string(source.expect("a source").path()).expect("UTF-8");
        for line in text.lines() {
            let Some(rest) = line.strip_prefix("pub struct ").or_else(|| line.strip_prefix("pub enum ")) else {
                continue;
            };
            types.insert(rest.chars().take_while(|character| character.is_alphanumeric()).collect());
        }
    }
    types
}

#[test]
fn every_http_shape_has_a_golden_file_and_every_file_a_shape() {
    let types = declared_http_types();
    assert!(types.len() > 40, "the search for types finds them: {types:?}");
    assert_eq!(golden_names("http").iter().map(|name| shape_of(name)).collect::<BTreeSet<_>>(), types);
    assert_eq!(golden_names("http"), as_set(shapes::http_shapes().iter().map(|shape| shape.name)));
}

/// A newer peer's fields, in every object whose fields the contract knows.
fn with_unknown_fields(value: &mut Value) {
    const OPAQUE: [&str; 3] = ["content", "payload", "attachments"];
    match value {
        Value::Array(items) => items.iter_mut().for_each(with_unknown_fields),
        Value::Object(fields) => {
            for (name, inner) in fields.iter_mut() {
                if !OPAQUE.contains(&name.as_str()) {
                    with_unknown_fields(inner);
                }
            }
            fields.insert("a_newer_field".to_owned(), serde_json::json!({"deep": [1, null, {"er": "é"}]}));
            fields.insert("~".to_owned(), Value::Null);
        }
        _ => {}
    }
}

#[test]
fn unknown_fields_are_tolerated_at_every_level() {
    for (name, frame) in frames::client() {
        let mut value: Value = serde_json::from_str(&frame.encode()).expect("JSON");
        with_unknown_fields(&mut value);
        assert_eq!(ClientFrame::decode(&value.to_string()).map(|read| read.name()), Ok(frame.name()), "{name}");
    }
    for (name, frame) in frames::server() {
        let mut value: Value = serde_json::from_str(&frame.encode()).expect("JSON");
        with_unknown_fields(&mut value);
        assert_eq!(ServerFrame::decode(&value.to_string()).map(|read| read.name()), Ok(frame.name()), "{name}");
    }
    for shape in shapes::http_shapes() {
        let mut value: Value = serde_json::from_str(&shape.text).expect("JSON");
        with_unknown_fields(&mut value);
        assert!((shape.rewrite)(&value.to_string()).is_ok(), "{}", shape.name);
    }
}

#[test]
fn an_unknown_frame_is_told_from_a_wrong_one() {
    assert_eq!(ClientFrame::decode(r#"{"type":"shout"}"#), Err(FrameError::Unknown("shout".to_owned())));
    assert_eq!(ServerFrame::decode(r#"{"type":"hello"}"#), Err(FrameError::Unknown("hello".to_owned())));
    let long = format!(r#"{{"type":"{}"}}"#, "ü".repeat(1_000));
    assert_eq!(ClientFrame::decode(&long), Err(FrameError::Unknown("ü".repeat(64))));
    let twice = r#"{"type":"ping","type":"ping"}"#;
    for line in ["", "{}", "[]", "null", "7", r#""ping""#, r#"["ping"]"#, r#"{"type":7}"#, r#"{"type":"ping""#, twice] {
        assert_eq!(ClientFrame::decode(line), Err(FrameError::NotAFrame), "{line}");
    }
    assert!(ClientFrame::decode(" {\"ref\":\"1\" , \"type\":\"p\\u0069ng\"} ").is_ok(), "spaces, order, escapes");
}

fn fields_of(line: &str) -> Map<String, Value> {
    serde_json::from_str(line).expect("a frame is an object")
}

/// `read` must refuse the frame as invalid, and keep its message id when that can be read.
fn assert_invalid<F>(fields: &Map<String, Value>, what: &str, read: impl Fn(&str) -> Result<F, FrameError>) {
    let line = Value::Object(fields.clone()).to_string();
    match read(&line) {
        Err(FrameError::Invalid { frame, message_id, .. }) => {
            assert_eq!(Some(frame), fields.get("type").and_then(Value::as_str), "{line}");
            let id = fields.get("message_id").and_then(Value::as_str).map(str::to_owned);
            assert_eq!(message_id.map(|id| id.to_string()), id, "{line}");
        }
        Err(other) => panic!("{what}: {other} for {line}"),
        Ok(_) => panic!("{what} was read: {line}"),
    }
}

fn assert_shape_matters<F>(line: &str, least: bool, read: impl Fn(&str) -> Result<F, FrameError>) {
    let fields = fields_of(line);
    for name in fields.keys().filter(|name| *name != "type") {
        let mut wrong = fields.clone();
        wrong.insert(name.clone(), serde_json::json!([true]));
        assert_invalid(&wrong, &format!("{name} of the wrong shape"), &read);
        if least {
            let mut missing = fields.clone();
            missing.remove(name);
            assert_invalid(&missing, &format!("a frame without {name}"), &read);
        }
    }
}

#[test]
fn wrong_and_missing_fields_are_refused() {
    let has_least = |name: &str, all: &[&str]| all.contains(&format!("{name}.least").as_str());
    let names: Vec<_> = frames::client().iter().map(|(name, _)| *name).collect();
    for (name, frame) in frames::client() {
        let least = name.ends_with(".least") || name == "refresh";
        assert!(least || has_least(&shape_of(name), &names));
        assert_shape_matters(&frame.encode(), least, ClientFrame::decode);
    }
    let names: Vec<_> = frames::server().iter().map(|(name, _)| *name).collect();
    for (name, frame) in frames::server() {
        let least = name.ends_with(".least") || !has_least(&shape_of(name), &names) && !name.starts_with("presence");
        assert_shape_matters(&frame.encode(), least, ServerFrame::decode);
    }
}

#[test]
fn content_over_several_lines_becomes_one() {
    let room = frames::room(1);
    let content = Content::parse("{\n  \"text\":\r\n\t\"a\\nb\"\n}").expect("content");
    assert_eq!(content.as_str(), "{   \"text\":  \t\"a\\nb\" }");
    let frame = ClientFrame::Send(Send::new(frames::message(1), room, Kind::Text, content));
    let line = frame.encode();
    assert!(!line.contains(['\n', '\r']));
    assert_eq!(ClientFrame::decode(&line), Ok(frame));
    let bare = "{\"text\":\"a\nb\"}";
    assert!(Content::parse(bare).is_err(), "a bare line break inside a string is no JSON");
}

#[test]
fn a_message_is_read_line_by_line() {
    let message = "{\"type\":\"ping\"}\r\n\n{\"type\":\"ping\",\"ref\":\"2\"}\n";
    assert_eq!(lines(message).map(|line| ClientFrame::decode(line).is_ok()).collect::<Vec<_>>(), [true, true]);
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn client_frames_read_as_they_were_written(frame in client_frame()) {
        let line = frame.encode();
        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(ClientFrame::decode(&line), Ok(frame));
    }

    #[test]
    fn server_frames_read_as_they_were_written(frame in server_frame()) {
        let line = frame.encode();
        prop_assert!(!line.contains(['\n', '\r']));
        prop_assert_eq!(ServerFrame::decode(&line), Ok(frame));
    }

    #[test]
    fn a_borrowed_entry_is_written_as_an_owned_one(entry in any_entry()) {
        let mut line = Vec::new();
        encode_message(frames::room(1), &entry, klatch_domain::Seq(3), &mut line);
        let frame = klatch_protocol::MessageFrame { room: frames::room(1), entry, members_version: klatch_domain::Seq(3) };
        prop_assert_eq!(String::from_utf8(line).expect("UTF-8"), ServerFrame::Message(frame).encode());
    }

    #[test]
    fn a_newer_field_changes_nothing(frame in server_frame(), name in "[a-z]{1,8}") {
        let line = frame.encode();
        let newer = format!("{},\"newer_{name}\":[{{}},null]}}", &line[..line.len() - 1]);
        prop_assert_eq!(ServerFrame::decode(&newer), Ok(frame));
    }

    #[test]
    fn content_stays_the_same_json(text in any_object_text()) {
        let content = Content::parse(&text).expect("an object of bounded depth");
        prop_assert!(!content.as_str().contains(['\n', '\r']));
        let kept: Value = serde_json::from_str(content.as_str()).expect("JSON");
        prop_assert_eq!(kept, serde_json::from_str::<Value>(&text).expect("JSON"));
    }
}
