//! The listener: TLS by the newest certificate, and a connection that lasts only while what let it in holds.

use std::{convert::Infallible, sync::Arc, time::Duration};

use axum::{Router, body::Body};
use http::{Request, Response};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::{OwnedSemaphorePermit, Semaphore, watch::Receiver},
    time::timeout,
};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

use super::{answer::Peer, keep::Setup};

/// Connections at a time: apiservers hold a few each.
const MOST_CONNECTIONS: usize = 256;
/// How long a handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);
/// How long the head of a request may take, and a connection stay idle: longer than an apiserver keeps one (90 s).
const HEAD_TIMEOUT: Duration = Duration::from_secs(120);
/// Bytes of a request's head: a caller may be in many groups.
const HEAD_BYTES: usize = 64 * 1024;
/// Between two tries to accept when the machine has nothing to accept with.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// Serves until told to stop; requests under way are finished.
pub(super) async fn listen(
    listener: TcpListener,
    app: Router,
    setup: Receiver<Option<Arc<Setup>>>,
    stop: CancellationToken,
) {
    let (connections, seats) = (TaskTracker::new(), Arc::new(Semaphore::new(MOST_CONNECTIONS)));
    loop {
        let accepted = tokio::select! {
            () = stop.cancelled() => break,
            accepted = listener.accept() => accepted,
        };
        match accepted {
            Ok((stream, _)) => {
                // Beyond the bound nobody waits: the apiserver tries another replica.
                let Ok(seat) = Arc::clone(&seats).try_acquire_owned() else { continue };
                connections.spawn(connection(stream, seat, app.clone(), setup.clone(), stop.clone()));
            }
            Err(error) => {
                tracing::warn!(%error, "cannot accept a connection of the metrics API");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
    connections.close();
    connections.wait().await;
}

async fn connection(
    stream: TcpStream,
    _seat: OwnedSemaphorePermit,
    app: Router,
    mut setup: Receiver<Option<Arc<Setup>>>,
    stop: CancellationToken,
) {
    let Some(now) = setup.borrow_and_update().clone() else { return };
    let stream = match timeout(HANDSHAKE_TIMEOUT, now.acceptor.accept(stream)).await {
        Ok(Ok(stream)) => stream,
        Ok(Err(error)) => return tracing::debug!(%error, "a handshake with the metrics API failed"),
        Err(_) => return,
    };
    let certificate = stream.get_ref().1.peer_certificates().and_then(<[_]>::first);
    let named = certificate.is_some_and(|certificate| now.trust.names_one_of(certificate));
    let peer = Peer { trust: Arc::clone(&now.trust), named };
    let service = service_fn(move |request| answer(app.clone(), peer.clone(), request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let mut connection = std::pin::pin!(builder.serve_connection(TokioIo::new(stream), service));
    let is_over = async {
        tokio::select! {
            // What let it in holds no longer.
            _ = setup.changed() => {}
            () = stop.cancelled() => {}
        }
    };
    let ended = tokio::select! {
        ended = connection.as_mut() => ended,
        () = is_over => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = ended {
        tracing::debug!(%error, "a connection of the metrics API ended");
    }
}

async fn answer(app: Router, peer: Peer, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(peer);
    app.oneshot(request.map(Body::new)).await
}
