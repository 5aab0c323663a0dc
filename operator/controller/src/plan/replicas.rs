//! Replicas of Deployments, written by a manager of their own.

use serde_json::Value;

use crate::live::Live;

/// The manager: a field that the main apply owned once and then left out would fall back to 1.
pub const MANAGER: &str = "klatch-operator-replicas";
/// Annotation beside the replicas: they were written once. Whoever scales takes the field from us, so the field cannot tell.
pub const SEEDED: &str = "klatch.dev/replicas-seeded";

/// A write of replicas.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Write {
    /// Which Deployment.
    pub deployment: String,
    /// Its identity.
    pub uid: String,
    /// How many.
    pub replicas: u32,
}

/// What to write, if anything: always what is wanted, or only the first time.
#[must_use]
pub fn write(replicas: u32, always: bool, live: &Live) -> Option<Write> {
    let is = live.number("/spec/replicas");
    let seeded = live.annotation(SEEDED).is_some();
    let needed = if always { is != Some(i64::from(replicas)) || !seeded } else { !seeded && !is_scaled(live) };
    needed.then(|| Write { deployment: live.name().to_owned(), uid: live.uid().to_owned(), replicas })
}

/// Whether somebody else has written the replicas, whatever became of our note.
fn is_scaled(live: &Live) -> bool {
    let managers = live.metadata.managed_fields.iter().flatten();
    let mut others = managers.filter(|entry| entry.manager.as_deref() != Some(MANAGER));
    others.any(|entry| {
        let fields = entry.fields_v1.as_ref().map(|fields| &fields.0);
        fields.and_then(|fields: &Value| fields.pointer("/f:spec/f:replicas")).is_some()
    })
}
