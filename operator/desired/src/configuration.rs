//! ConfigMaps: immutable, named by what is in them, so that a change of what a pod reads is a change of the pod.

use k8s_openapi::api::core::v1::ConfigMap;

use crate::{Context, Object, Role, Texts, object::metadata};

/// A file of who is who: services look up their own user, and images know none of ours.
const PASSWD: &str = "klatch:x:10001:10001:klatch:/tmp:/sbin/nologin\n";
const GROUP: &str = "klatch:x:10001:\n";

/// A ConfigMap of files, and its name.
pub(crate) fn files(context: &Context<'_>, role: Role, rest: &str, files: Texts) -> (String, Object) {
    let content: Vec<u8> =
        files.iter().flat_map(|(key, value)| [key.as_bytes(), &[0], value.as_bytes(), &[0]].concat()).collect();
    let name = context.names.hashed(rest, &content);
    let object = Object::new(&ConfigMap {
        metadata: metadata(context, name.clone(), context.names.role_labels(role)),
        data: Some(files),
        immutable: Some(true),
        ..ConfigMap::default()
    });
    (name, object)
}

/// The files beside a service's own.
pub(crate) fn user_files() -> Texts {
    crate::texts([("passwd", PASSWD), ("group", GROUP)])
}
