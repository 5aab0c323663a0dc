use std::path::Path;

use super::*;

fn arguments(sample: &str, output: Output) -> Arguments {
    let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/chatcluster").join(sample);
    Arguments { file, namespace: "talk".to_owned(), output, diff: false }
}

fn plan(sample: &str) -> (klatch_crd::ChatCluster, klatch_desired::Desired) {
    let cluster = read_manifest(&read(&arguments(sample, Output::Table)).unwrap()).unwrap();
    let desired = desired(&cluster, &Observed::offline());
    (cluster, desired)
}

#[test]
fn ten_lines_are_told_in_phases() {
    let (cluster, desired) = plan("good/ten-lines.yaml");
    let shown = table::render(&cluster, &desired, Form::Text { colour: false });
    for wanted in [
        "chat: Klatch 0.1.0",
        "1. accounts, credentials, network policies",
        "chat-postgres-main-0 (1 x 10Gi), chat-postgres-main-1 (1 x 10Gi)",
        "then waits until the Job is complete",
        "vhost default.chat, 10 users",
        "chat-gateway (2)",
        "HighlyAvailable/SingleInstance: one copy on one volume: the directory, shards main-0 to main-1",
    ] {
        assert!(shown.contains(wanted), "{wanted:?} is not in\n{shown}");
    }
}

#[test]
fn every_object_is_a_document() {
    let (_, desired) = plan("good/full.yaml");
    let shown = objects::render(&desired).unwrap();
    let documents = serde_saphyr::from_multiple::<serde_json::Value>(&shown).unwrap();
    let kinds = documents.iter().filter(|document| document["kind"].is_string()).count();
    assert_eq!(kinds, desired.objects().count());
}

#[test]
fn what_an_apiserver_would_refuse_is_refused_with_its_sentences() {
    let refused = run(&arguments("bad/drain-period.yaml", Output::Table)).unwrap_err();
    let failure = refused.downcast_ref::<Failure>().unwrap();
    assert_eq!(failure.cause, crate::failure::Cause::Refused);
    assert!(failure.detail.contains("spec.gateway.drain.period: write a drain period"), "{}", failure.detail);
}
