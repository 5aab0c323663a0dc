//! Open files: each connection is one, so the limit is the number of people who can be connected.

use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

/// Descriptors the process needs beside connections: databases with their logs, listeners, the runtime.
const OWN_DESCRIPTORS: u64 = 256;

/// Raises the soft limit to the hard one and answers what holds then; `None` is no limit.
pub(crate) fn raise() -> Option<u64> {
    let limit = getrlimit(Resource::Nofile);
    if limit.current == limit.maximum {
        return limit.current;
    }
    let raised = Rlimit { current: limit.maximum, maximum: limit.maximum };
    match setrlimit(Resource::Nofile, raised) {
        Ok(()) => limit.maximum,
        Err(_) => limit.current,
    }
}

/// What to tell the owner when fewer than `connections` fit; `None` when they fit.
pub(crate) fn shortage(limit: Option<u64>, connections: usize) -> Option<String> {
    let limit = limit?;
    let wanted = u64::try_from(connections).unwrap_or(u64::MAX).saturating_add(OWN_DESCRIPTORS);
    (limit < wanted).then(|| {
        format!(
            "the open-file limit is {limit}: about {} connections fit, of {connections} that the settings allow; raise the \
             hard limit ('ulimit -Hn', LimitNOFILE= in systemd) to {wanted}",
            limit.saturating_sub(OWN_DESCRIPTORS)
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_low_limit_is_said() {
        assert_eq!(shortage(None, 40_000), None);
        assert_eq!(shortage(Some(1_048_576), 40_000), None);
        assert!(shortage(Some(1_024), 40_000).unwrap().contains("about 768 connections fit"));
    }
}
