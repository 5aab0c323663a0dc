use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;

use super::*;

fn shape() -> SecretShape {
    let keys = [(CERTIFICATE.to_owned(), Content::Certificate(vec!["chat-api-internal".to_owned()]))].into();
    SecretShape { name: "chat-internal-tls".to_owned(), keys, retained: false, logins: false }
}

fn owner() -> Owner {
    Owner { name: "chat".to_owned(), namespace: "talk".to_owned(), uid: "1".to_owned() }
}

/// The Secret after a step, merged as an apiserver does.
fn after(seen: &SeenCertificate, step: Step) -> SeenCertificate {
    let mut found = seen.found.clone();
    let merged = found.data.as_mut().unwrap();
    for (key, value) in data(&shape(), &owner(), seen, step).unwrap() {
        match serde_json::from_value::<Option<ByteString>>(value).unwrap() {
            Some(value) => merged.insert(key.to_owned(), value),
            None => merged.remove(key),
        };
    }
    SeenCertificate { found }
}

fn made() -> SeenCertificate {
    let data = Some(make::contents(&shape(), "talk").unwrap());
    SeenCertificate { found: Secret { metadata: ObjectMeta::default(), data, ..Secret::default() } }
}

/// Numbers of the authorities that have signed this file, in the order in which they are believed.
fn signed_by(seen: &SeenCertificate, file: &str) -> Vec<usize> {
    let issuer = parse(&seen.file(file).unwrap().0).unwrap().issuer;
    let believed = seen.believed().into_iter().enumerate();
    believed.filter(|(_, (_, authority))| authority.subject == issuer).map(|(number, _)| number).collect()
}

fn keys(seen: &SeenCertificate) -> Vec<&str> {
    seen.found.data.as_ref().unwrap().keys().map(String::as_str).collect()
}

#[test]
fn in_each_step_whoever_signed_what_is_used_is_believed() {
    let first = made();
    assert_eq!(keys(&first), [AUTHORITIES, CERTIFICATE, KEY]);
    let waits = after(&first, Step::Prepare);
    assert_eq!(keys(&waits), [AUTHORITIES, NEXT_CERTIFICATE, NEXT_KEY, CERTIFICATE, KEY]);
    assert_eq!((signed_by(&waits, CERTIFICATE), signed_by(&waits, NEXT_CERTIFICATE)), (vec![1], vec![0]));
    assert_eq!(waits.file(KEY), first.file(KEY), "it is not used yet");
    let used = after(&waits, Step::Use);
    assert_eq!(keys(&used), keys(&first));
    assert_eq!((used.file(CERTIFICATE), used.file(KEY)), (waits.file(NEXT_CERTIFICATE), waits.file(NEXT_KEY)));
    assert_eq!((used.believed().len(), signed_by(&used, CERTIFICATE)), (2, vec![0]));
    let forgotten = after(&used, Step::Forget(Timestamp::from_millis(0)));
    assert_eq!((forgotten.believed().len(), signed_by(&forgotten, CERTIFICATE)), (1, vec![0]));
    assert!(forgotten.held().current.is_some() && forgotten.held().next.is_none());
}

#[test]
fn the_authority_in_use_is_never_forgotten() {
    let mut waits = after(&made(), Step::Prepare);
    // Somebody has taken out what waited.
    waits.found.data.as_mut().unwrap().remove(NEXT_CERTIFICATE);
    assert_eq!(waits.held().next, None);
    let forgotten = after(&waits, Step::Forget(Timestamp::from_millis(0)));
    assert_eq!((forgotten.believed().len(), signed_by(&forgotten, CERTIFICATE)), (1, vec![0]));
    // Whoever has signed it is not there.
    let mut strange = made();
    let other = made();
    strange.found.data.as_mut().unwrap().insert(CERTIFICATE.to_owned(), other.file(CERTIFICATE).unwrap().clone());
    assert_eq!(strange.of_current(), strange.believed().remove(0).0);
}

#[test]
fn what_is_no_certificate_is_told_as_none_and_believed_by_nobody() {
    let data = [AUTHORITIES, CERTIFICATE, KEY].map(|key| (key.to_owned(), ByteString(b"nonsense".to_vec())));
    let strange = SeenCertificate { found: Secret { data: Some(data.into()), ..Secret::default() } };
    assert_eq!(strange.held(), Held::default());
    let waits = after(&strange, Step::Prepare);
    assert_eq!((waits.believed().len(), signed_by(&waits, NEXT_CERTIFICATE)), (1, vec![0]));
    assert_eq!(SeenCertificate { found: Secret::default() }.held(), Held::default());
    let mut unbelieved = made().found;
    unbelieved.data.as_mut().unwrap().insert(AUTHORITIES.to_owned(), ByteString(b"nonsense".to_vec()));
    assert_eq!(SeenCertificate { found: unbelieved }.held().current, None);
}

#[test]
fn a_certificate_that_was_just_made_is_not_looked_at_for_long() {
    let (first, now) = (made(), make::now());
    let (name, from) = first_note(first.found.data.as_ref().unwrap(), now).unwrap();
    let notes = Notes::read(|one| (one == name).then_some(from.as_str()));
    assert!(!notes.is_due(false, now) && !notes.is_due(false, now.plus(KNOWN_AFTER)));
    assert_eq!(first_note(&BTreeMap::new(), now), None);
}
