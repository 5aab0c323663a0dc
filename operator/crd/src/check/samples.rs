//! Every sample below `tests/samples/chatcluster`: the good ones are taken, each bad one gets its sentence.

use std::{
    fs,
    path::{Path, PathBuf},
};

use serde_json::Value;

use super::*;

fn samples(folder: &str) -> Vec<(PathBuf, String)> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../tests/samples/chatcluster").join(folder);
    let mut found: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    found.sort();
    found.into_iter().map(|path| (path.clone(), fs::read_to_string(path).unwrap())).collect()
}

fn read(text: &str) -> Value {
    serde_saphyr::from_str(text).unwrap()
}

#[test]
fn good_samples_are_taken() {
    let (found, checker) = (samples("good"), Checker::default());
    assert!(found.len() >= 5);
    for (path, text) in found {
        assert_eq!(checker.check_manifest(&read(&text)), [], "{}", path.display());
        let cluster = read_manifest(&text).unwrap();
        // What a cluster stores is what was meant, and is taken again.
        let stored = serde_json::to_value(&cluster).unwrap();
        assert_eq!(checker.check_change(&read(&text), &stored), [], "{}", path.display());
    }
}

#[test]
fn bad_samples_get_their_sentence() {
    let (found, checker) = (samples("bad"), Checker::default());
    assert!(found.len() >= 30);
    for (path, text) in found {
        let sentence = text.lines().next().unwrap().strip_prefix("# refused: ").expect("a sentence in the first line");
        let refusals = match text.split_once("\n---\n") {
            None => checker.check_manifest(&read(&text)),
            Some((old, new)) => {
                assert_eq!(checker.check_manifest(&read(old)), [], "{}: what stood there", path.display());
                checker.check_change(&read(old), &read(new))
            }
        };
        let said: Vec<_> = refusals.iter().map(ToString::to_string).collect();
        assert!(said.iter().any(|one| one.contains(sentence)), "{} wants {sentence:?}, gets {said:#?}", path.display());
        assert_eq!(said.len(), 1, "{}: one mistake, one sentence: {said:#?}", path.display());
    }
}
