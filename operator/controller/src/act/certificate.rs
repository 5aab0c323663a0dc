//! The certificate between gateways and api. When it ends stands in itself, so it is read; its key is carried on unread.

use std::collections::BTreeMap;

use k8s_openapi::{ByteString, api::core::v1::Secret};
use klatch_desired::{Content, SecretShape};
use klatch_domain::Timestamp;
use kube_client::{Api, Client};
use serde_json::{Value, json};

use super::patch_secret::patch_secret;
use crate::{
    failure::{Failure, Step as Doing},
    live::annotation,
    make::{self, AUTHORITIES, CERTIFICATE, KEY, parse},
    plan::{
        renewal::{Held, KNOWN_AFTER, KNOWN_FROM, Notes, RENEW_FROM, Step},
        rotation::ASKED,
        standing::Owner,
    },
};

/// Keys of the certificate that waits, and of its own key.
const NEXT_CERTIFICATE: &str = "next.crt";
/// See [`NEXT_CERTIFICATE`].
const NEXT_KEY: &str = "next.key";

/// A Secret with a certificate, as it was read. It has no `Debug`: its keys are in it.
pub struct SeenCertificate {
    found: Secret,
}

impl SeenCertificate {
    /// What decides what is to be done.
    #[must_use]
    pub fn held(&self) -> Held {
        let of = |key| Some(parse(&self.file(key)?.0)?.validity);
        Held {
            // Without anybody who is believed, none is.
            current: of(CERTIFICATE).filter(|_| !self.believed().is_empty()),
            next: of(NEXT_CERTIFICATE).filter(|_| self.file(NEXT_KEY).is_some()),
            notes: Notes::read(|name| annotation(&self.found.metadata, name)),
        }
    }

    fn file(&self, key: &str) -> Option<&ByteString> {
        self.found.data.as_ref()?.get(key)
    }

    /// Whom everybody believes. What cannot be read is left out: a reader would refuse all of it.
    fn believed(&self) -> Vec<(String, make::Parsed)> {
        let text = self.file(AUTHORITIES).map(|file| String::from_utf8_lossy(&file.0));
        text.map(|text| make::each(&text).collect()).unwrap_or_default()
    }

    /// Those that have signed the certificate in use. All, where none has: then it is somebody else's.
    fn of_current(&self) -> String {
        let (all, current) = (self.believed(), self.file(CERTIFICATE).and_then(|file| parse(&file.0)));
        let signed = |authority: &make::Parsed| current.as_ref().is_some_and(|one| one.issuer == authority.subject);
        let none = !all.iter().any(|(_, authority)| signed(authority));
        all.into_iter().filter(|(_, authority)| none || signed(authority)).map(|(text, _)| text).collect()
    }
}

/// Reads what is in the Secret.
///
/// # Errors
/// What the apiserver said.
pub async fn read_certificate(client: &Client, owner: &Owner, name: &str) -> Result<SeenCertificate, Failure> {
    let api: Api<Secret> = Api::namespaced(client.clone(), &owner.namespace);
    let found = api.get(name).await.map_err(Failure::api(Doing::Observe, || format!("read Secret {name}")))?;
    Ok(SeenCertificate { found })
}

/// Does a step, and notes the value that asked for it: all or nothing, and nothing when somebody else has written meanwhile.
///
/// # Errors
/// What the apiserver said, or that the system gives no random numbers.
pub async fn write_certificate(
    client: &Client,
    owner: &Owner,
    shape: &SecretShape,
    seen: &SeenCertificate,
    step: Step,
    asked: Option<&str>,
    now: Timestamp,
) -> Result<(), Failure> {
    let what = || format!("renew the certificate of Secret {}", shape.name);
    let data = data(shape, owner, seen, step).map_err(|error| Failure::passing(Doing::Apply, what(), error))?;
    let (uid, resource_version) = (&seen.found.metadata.uid, &seen.found.metadata.resource_version);
    let mut document = json!({"metadata": {"uid": uid, "resourceVersion": resource_version}, "data": data});
    document["metadata"]["annotations"] = notes(step, now);
    // What is used from now on, nobody has used before: it answers whoever has asked until now.
    if let (Some(asked), Step::Prepare | Step::Use) = (asked, step) {
        document["metadata"]["annotations"][ASKED] = json!(asked);
    }
    patch_secret(client, owner, &shape.name, &document, what).await
}

fn data(
    shape: &SecretShape,
    owner: &Owner,
    seen: &SeenCertificate,
    step: Step,
) -> Result<BTreeMap<&'static str, Value>, make::MakeError> {
    let text = |text: String| json!(ByteString(text.into_bytes()));
    Ok(match step {
        Step::Rest | Step::Note(_) | Step::Wait => BTreeMap::new(),
        Step::Prepare => {
            let made = make::internal(services(shape), &owner.namespace)?;
            let believed = seen.believed().into_iter().map(|(text, _)| text);
            let believed = std::iter::once(made.authority).chain(believed).collect();
            [(AUTHORITIES, text(believed)), (NEXT_CERTIFICATE, text(made.certificate)), (NEXT_KEY, text(made.key))]
                .into()
        }
        Step::Use => [
            (CERTIFICATE, json!(seen.file(NEXT_CERTIFICATE))),
            (KEY, json!(seen.file(NEXT_KEY))),
            (NEXT_CERTIFICATE, Value::Null),
            (NEXT_KEY, Value::Null),
        ]
        .into(),
        Step::Forget(_) => [(AUTHORITIES, text(seen.of_current()))].into(),
    })
}

fn services(shape: &SecretShape) -> &[String] {
    let services = shape.keys.values().find_map(|content| match content {
        Content::Certificate(services) => Some(services.as_slice()),
        Content::Password | Content::SigningKeys => None,
    });
    services.unwrap_or_default()
}

/// One note is there at a time: while a renewal is under way, when the next one begins is open.
fn notes(step: Step, now: Timestamp) -> Value {
    match step {
        Step::Rest => json!({}),
        Step::Note(from) | Step::Forget(from) => json!({RENEW_FROM: from, KNOWN_FROM: null}),
        Step::Wait | Step::Prepare | Step::Use => json!({RENEW_FROM: null, KNOWN_FROM: now.plus(KNOWN_AFTER)}),
    }
}

/// What is noted beside a certificate that was just made: everybody learns of it and its authority together.
pub(super) fn first_note(data: &BTreeMap<String, ByteString>, now: Timestamp) -> Option<(String, String)> {
    let made = parse(&data.get(CERTIFICATE)?.0)?;
    Some((RENEW_FROM.to_owned(), made.validity.renew_from(now).to_string()))
}

/// Believes those of an earlier certificate beside those of one that was just made: one of them may have signed what waits.
pub(super) fn believe_also(made: &mut BTreeMap<String, ByteString>, there: Option<&BTreeMap<String, ByteString>>) {
    let Some((made, there)) = made.get_mut(AUTHORITIES).zip(there.and_then(|there| there.get(AUTHORITIES))) else {
        return;
    };
    for (text, _) in make::each(&String::from_utf8_lossy(&there.0)) {
        made.0.extend(text.into_bytes());
    }
}

#[cfg(test)]
mod tests;
