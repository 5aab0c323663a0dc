//! The one way to the apiserver. Whatever reads or writes goes through the guards, so that none of it can forget them.

mod call;
mod fence;
mod guard;

use std::{sync::Arc, time::Duration};

pub use call::Call;
pub use fence::{Fence, MARGIN};
pub use guard::{Guard, GuardLayer, Refused, after, before};
use kube_client::{Client, Config, Error, client::ClientBuilder};

/// How long a connection may take to be made: one that takes longer is to a host that is gone.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// How long an answer, once begun, may be silent. Longer than watches are, which the server ends after 290 s (kube-runtime's `watcher`): a
/// host that is gone in the middle of one holds nobody for longer.
const READ_TIMEOUT: Duration = Duration::from_secs(300);

/// A client of this cluster, whose calls all pass these guards.
///
/// # Errors
/// A configuration that cannot be used.
pub fn connect(mut config: Config, guards: Vec<Arc<dyn Guard>>) -> Result<Client, Error> {
    config.connect_timeout = Some(CONNECT_TIMEOUT);
    config.read_timeout = Some(READ_TIMEOUT);
    let builder: ClientBuilder<_> = ClientBuilder::try_from(config)?;
    Ok(builder.with_layer(&GuardLayer::new(guards)).build())
}
