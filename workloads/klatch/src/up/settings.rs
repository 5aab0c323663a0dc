//! Settings of `klatch up`: the file, then the flags, then what both must keep to.

use std::path::Path;

use anyhow::Context;
use klatch_domain::DEFAULT_SLOTS;
use klatch_settings::{UpSettings, read_file};

use crate::failure::Failure;

/// Longest drain that fits into the 5 s a stop may take, with a second for the rest, milliseconds.
const LONGEST_DRAIN_MS: u64 = 4_000;

/// The settings of this file, or the defaults, checked.
///
/// # Errors
/// Which file, which line, which field.
pub(crate) fn read(file: Option<&Path>) -> anyhow::Result<UpSettings> {
    let settings = match file {
        Some(file) => read_file::<UpSettings>(file)?,
        None => UpSettings::default(),
    };
    check(&settings).with_context(|| {
        file.map_or_else(String::new, |file| format!("the settings file {} is wrong", file.display()))
    })?;
    Ok(settings)
}

/// Refuses what no workload could keep to.
pub(super) fn check(settings: &UpSettings) -> anyhow::Result<()> {
    let wrong = |detail: String| Err(Failure::local(detail).into());
    for (name, address) in [("listen", Some(&settings.listen)), ("adminListen", settings.admin_listen.as_ref())] {
        if let Some(address) = address
            && !has_port(address)
        {
            return wrong(format!("{name} is HOST:PORT, and {address:?} is not"));
        }
    }
    if settings.gateway.drain_ms > LONGEST_DRAIN_MS {
        return wrong(format!("gateway.drainMs is at most {LONGEST_DRAIN_MS}, as a stop takes at most 5 s"));
    }
    // Left out it follows the store.
    if ![settings.store.slots, DEFAULT_SLOTS].contains(&settings.gateway.slots) {
        return wrong("gateway.slots is the number of store.slots; leave it out".to_owned());
    }
    klatch_settings::check::trace(&settings.trace)?;
    klatch_settings::check::notification_service(&settings.notification_service)?;
    let at_least_one = [
        ("store.slots", usize::from(settings.store.slots)),
        ("store.shards", usize::from(settings.store.shards)),
        ("store.readers", settings.store.readers),
        ("bus.ingestQueues", usize::from(settings.bus.ingest_queues)),
        ("gateway.maxConnections", settings.gateway.max_connections),
        ("gateway.outputBytes", settings.gateway.output_bytes),
        ("messageService.batchCommands", settings.message_service.batch_commands),
        ("messageService.heads", settings.message_service.heads),
    ];
    match at_least_one.iter().find(|(_, value)| *value == 0) {
        Some((name, _)) => wrong(format!("{name} is at least 1")),
        None => Ok(()),
    }
}

fn has_port(address: &str) -> bool {
    address.rsplit_once(':').is_some_and(|(host, port)| !host.is_empty() && port.parse::<u16>().is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_documented_settings_are_the_defaults() {
        let file = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.yaml");
        assert_eq!(read(Some(&file)).unwrap(), UpSettings::default());
    }

    #[test]
    fn wrong_settings_are_named() {
        let folder = tempfile::tempdir().unwrap();
        let refused = |text: &str| {
            let file = folder.path().join("settings.yaml");
            std::fs::write(&file, text).unwrap();
            format!("{:#}", read(Some(&file)).unwrap_err())
        };
        assert!(refused("listne: 127.0.0.1:1").contains("listne"));
        assert!(refused("gateway: {drainMs: 4001}").contains("gateway.drainMs"));
        assert!(refused("listen: localhost").contains("listen is HOST:PORT"));
        assert!(refused("store: {shards: 0}").contains("store.shards"));
        assert!(refused("trace: {sampleRatio: 7}").contains("trace.sampleRatio"));
        assert!(refused("notificationService: {delayMs: 60000}").contains("notificationService.delayMs"));
        assert!(refused("gateway: {slots: 8}").contains("store.slots"));
        assert!(refused("listen: [").contains("settings.yaml"));
    }
}
