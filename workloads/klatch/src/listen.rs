//! Opening the listening sockets.

use std::{io, net::SocketAddr};

use tokio::net::{TcpListener, TcpSocket, lookup_host};

use crate::failure::Failure;

/// Connections the kernel holds until they are accepted: a thousand clients that come back at once wait there, not in their
/// backoff. (The kernel's own bound, net.core.somaxconn, is often 4096.)
const BACKLOG: u32 = 4_096;

/// Listens at HOST:PORT, the first address of the name that can be had.
///
/// # Errors
/// What stands in the way, and what to do.
pub(crate) async fn listen(address: &str, flag: &str) -> anyhow::Result<TcpListener> {
    let found = lookup_host(address).await.map_err(|error| {
        Failure::local(format!("{address} is no address to listen at ({error}); give {flag} HOST:PORT"))
    })?;
    let mut failed = io::Error::from(io::ErrorKind::AddrNotAvailable);
    for address in found {
        match open(address) {
            Ok(listener) => return Ok(listener),
            Err(error) => failed = error,
        }
    }
    Err(Failure::local(match failed.kind() {
        io::ErrorKind::AddrInUse => {
            format!("{address} is taken by another program; stop it, or give {flag} another port")
        }
        io::ErrorKind::PermissionDenied => {
            format!(
                "listening at {address} is not allowed; ports below 1024 need rights of their own: give {flag} another"
            )
        }
        _ => format!("cannot listen at {address}: {failed}"),
    })
    .into())
}

fn open(address: SocketAddr) -> io::Result<TcpListener> {
    let socket = if address.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() }?;
    // Connections of the process before linger for a minute and would keep the port (TIME-WAIT, RFC 9293 section 3.6.1).
    socket.set_reuseaddr(true)?;
    socket.bind(address)?;
    socket.listen(BACKLOG)
}
