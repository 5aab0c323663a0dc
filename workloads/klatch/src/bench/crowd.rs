//! Many connections at once.

use std::{net::SocketAddr, rc::Rc};

use futures_util::{StreamExt, TryStreamExt, stream};
use tokio::task::JoinHandle;

use super::{accounts::Accounts, generator::Generator, peer::Peer, wire::Incoming};

/// Connections under way at a time: enough to keep the server's core busy, less than its backlog.
const CONNECTING: usize = 128;

/// Connects these users, in this order.
///
/// # Errors
/// The first that failed.
pub(super) async fn connect(
    address: SocketAddr,
    accounts: &Accounts,
    users: &[usize],
) -> anyhow::Result<Vec<(Rc<Peer>, Incoming)>> {
    let connecting = users.iter().enumerate().map(async |(place, index)| {
        let connected = Peer::connect(address, &accounts.users[*index].token).await?;
        anyhow::Ok((place, connected))
    });
    // Whoever is ready first makes room for the next: in order, one slow connection would hold up 127.
    let mut connected: Vec<_> = stream::iter(connecting).buffer_unordered(CONNECTING).try_collect().await?;
    connected.sort_unstable_by_key(|(place, _)| *place);
    Ok(connected.into_iter().map(|(_, connection)| connection).collect())
}

/// Connections that are read until this value goes.
#[derive(Default)]
pub(super) struct Crowd {
    peers: Vec<Rc<Peer>>,
    readers: Vec<JoinHandle<()>>,
}

impl Crowd {
    /// Reads this connection from now on; `lines` gets whole lines.
    pub(super) fn add(
        &mut self,
        generator: &Rc<Generator>,
        (peer, incoming): (Rc<Peer>, Incoming),
        lines: impl FnMut(&[u8]) + 'static,
    ) -> Rc<Peer> {
        self.readers.push(Rc::clone(&peer).listen(Rc::clone(generator), incoming, lines));
        self.peers.push(Rc::clone(&peer));
        peer
    }

    /// All are still connected.
    pub(super) fn is_whole(&self) -> bool {
        !self.peers.is_empty() && !self.peers.iter().any(|peer| peer.has_ended())
    }
}

impl Drop for Crowd {
    fn drop(&mut self) {
        self.readers.iter().for_each(JoinHandle::abort);
    }
}
