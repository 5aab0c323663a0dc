//! Where files stand in a pod, once: the operator mounts them there, and settings name them.

/// Folder of what a pod is told.
pub const FOLDER: &str = "/etc/klatch";
/// A workload's settings.
pub const SETTINGS: &str = "/etc/klatch/settings.yaml";
/// Folder of its secrets, one file each.
pub const SECRETS: &str = "/etc/klatch/secrets";
/// Folder of the keys that sign access tokens.
pub const KEYS: &str = "/etc/klatch/keys";
/// Folder of api's internal certificate and the authority it is believed by.
pub const INTERNAL_TLS: &str = "/etc/klatch/internal-tls";
/// Folder of the built web client in our image.
pub const WEB: &str = "/usr/share/klatch/web";
/// Our binary in our image.
pub const BINARY: &str = "/usr/bin/klatch";
/// Folder, shared by the containers of a pod, that our binary is copied to, so that it runs in any image.
pub const TOOLS: &str = "/klatch";
/// Our binary there.
pub const TOOL: &str = "/klatch/klatch";
/// A service's volume.
pub const DATA: &str = "/data";
/// What lives as long as a pod.
pub const RUN: &str = "/run/klatch";

/// The file of a secret of this name.
#[must_use]
pub fn secret(name: &str) -> String {
    format!("{SECRETS}/{name}")
}
