//! A lease says who should write; only this says who does. A process that slept through the end of its lease wakes up in the
//! middle of a pass, and must not write another line.

use std::time::Duration;

use parking_lot::Mutex;
use tokio::time::Instant;

use super::{Call, Guard, Refused};

/// What must be left of the lease for a write to begin: longer than a write may take.
pub const MARGIN: Duration = Duration::from_secs(5);
/// What the lease itself is written to.
const LEASES: &str = "leases";

/// Lets writes through while the lease is ours for long enough.
#[derive(Debug, Default)]
pub struct Fence {
    until: Mutex<Option<Instant>>,
}

impl Fence {
    /// The lease is ours until then.
    pub fn hold(&self, until: Instant) {
        *self.until.lock() = Some(until);
    }

    /// It is not ours.
    pub fn release(&self) {
        *self.until.lock() = None;
    }

    /// Whether a write may begin.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.until.lock().is_some_and(|until| Instant::now() + MARGIN < until)
    }
}

impl Guard for Fence {
    fn before(&self, call: &Call) -> Result<(), Refused> {
        if !call.is_write() || call.kind == LEASES || self.is_open() {
            return Ok(());
        }
        Err(Refused(format!("{call}: the lease is not ours for another {} s", MARGIN.as_secs())))
    }
}

#[cfg(test)]
mod tests {
    use http::{Method, Uri};

    use super::*;

    fn call(method: &Method, path: &'static str) -> Call {
        Call::of(method, &Uri::from_static(path))
    }

    #[tokio::test(start_paused = true)]
    async fn writes_stop_before_the_lease_ends_and_reads_never_do() {
        let fence = Fence::default();
        let write = call(&Method::PATCH, "/api/v1/namespaces/talk/services/chat-api");
        assert!(fence.before(&write).is_err(), "nobody has the lease yet");
        fence.hold(Instant::now() + Duration::from_secs(15));
        assert!(fence.before(&write).is_ok());
        tokio::time::advance(Duration::from_secs(11)).await;
        assert!(fence.before(&write).is_err(), "4 s are left");
        assert!(fence.before(&call(&Method::GET, "/api/v1/namespaces/talk/services")).is_ok());
        let lease = call(&Method::PUT, "/apis/coordination.k8s.io/v1/namespaces/klatch/leases/klatch-operator");
        assert!(fence.before(&lease).is_ok(), "or nobody could ever take it");
        fence.hold(Instant::now() + Duration::from_secs(15));
        assert!(fence.before(&write).is_ok());
        fence.release();
        assert!(fence.before(&write).is_err());
    }
}
