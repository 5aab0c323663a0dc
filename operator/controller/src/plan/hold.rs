//! What is left as it is until the schema of a new version is there.

use klatch_desired::{Desired, Object};

use super::gate;
use crate::{live::Live, observe::World};

/// Of the container that brings our program into servers of other images.
const IMAGE: &str = "/spec/template/spec/initContainers/0/image";

/// Whether a server that serves is not touched yet. It starts by our own program, so a new version replaces its pod as well: after the
/// Job, which shows that the image can be had, and whose failure replaces nothing. One that does not serve has nothing to lose.
#[must_use]
pub fn is_held(object: &Object, live: &Live, desired: &Desired, world: &World) -> bool {
    let wanted = object.document.pointer(IMAGE).and_then(|image| image.as_str());
    object.kind() == "StatefulSet"
        && live.text(IMAGE) != wanted
        && gate::stateful_set_ready(live)
        && !gate::job(desired, world).is_some_and(gate::is_complete)
}
