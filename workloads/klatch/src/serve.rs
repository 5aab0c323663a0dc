//! The listener: accepts, and gives every connection a task that speaks HTTP/1.1 until it is upgraded or done.

use std::{
    convert::Infallible,
    io,
    net::SocketAddr,
    sync::Arc,
    time::{Duration, Instant},
};

use axum::{
    Router,
    body::Body,
    extract::ConnectInfo,
    http::{Request, Response, StatusCode, header},
};
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use rustix::io::Errno;
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
    sync::watch,
    time::timeout,
};
use tokio_rustls::{TlsAcceptor, rustls::ServerConfig};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use tower::ServiceExt;

/// How long a connection may take to send the head of a request, and stay idle between two: bounds what a client that says
/// nothing costs.
const HEAD_TIMEOUT: Duration = Duration::from_secs(30);
/// How long one request may take with its body: 256 KiB pass in that time at 5 KiB/s.
const REQUEST_TIMEOUT: Duration = Duration::from_secs(60);
/// Bytes of a request's head that are read before it is refused: cookies and a token fit many times.
const HEAD_BYTES: usize = 64 * 1024;
/// A shortage is over when it has not shown for this long: connections that come and go at the limit are one shortage.
const CALM: Duration = Duration::from_secs(10);
/// Between two tries to accept when the machine has no descriptor or memory to spare.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

/// How long a TLS handshake may take.
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// What a listener encrypts with: each connection goes by what it is when it comes.
pub(crate) type Tls = watch::Receiver<Arc<ServerConfig>>;

/// Serves until `stop` is cancelled; then takes no new connections, lets requests under way finish, and returns when they
/// have. Upgraded connections belong to who upgraded them. With `tls` it speaks nothing else.
pub(crate) async fn serve(listener: TcpListener, tls: Option<Tls>, app: Router, stop: CancellationToken) {
    let connections = TaskTracker::new();
    let mut accepting = Accepting { listener, starved: None };
    loop {
        let (stream, peer) = tokio::select! {
            biased;
            () = stop.cancelled() => break,
            accepted = accepting.next() => accepted,
        };
        match &tls {
            None => connections.spawn(connection(stream, peer, app.clone(), stop.clone())),
            Some(tls) => {
                let tls = TlsAcceptor::from(Arc::clone(&tls.borrow()));
                connections.spawn(encrypted(tls, stream, peer, app.clone(), stop.clone()))
            }
        };
    }
    drop(accepting);
    connections.close();
    connections.wait().await;
}

struct Accepting {
    listener: TcpListener,
    /// When it last had nothing to accept a connection with.
    starved: Option<Instant>,
}

impl Accepting {
    /// The next connection, however long the machine has nothing to accept it with. Cancel safe.
    async fn next(&mut self) -> (TcpStream, SocketAddr) {
        loop {
            match self.listener.accept().await {
                Ok((stream, peer)) => {
                    if self.starved.is_some_and(|last| last.elapsed() > CALM) {
                        self.starved = None;
                        tracing::info!("connections are accepted again");
                    }
                    // Frames are small and each is wanted at once.
                    if let Err(error) = stream.set_nodelay(true) {
                        tracing::debug!(%error, "cannot set TCP_NODELAY");
                    }
                    return (stream, peer);
                }
                Err(error) if is_of_the_peer(&error) => {}
                Err(error) => {
                    // Said once for each shortage: a line for each try would fill the disk too.
                    if self.starved.replace(Instant::now()).is_none() {
                        tracing::error!(%error, "cannot accept connections; trying again until it works");
                    }
                    tokio::time::sleep(ACCEPT_PAUSE).await;
                }
            }
        }
    }
}

/// Errors that concern the connection that went away, not the listener (accept(2), "Error handling").
fn is_of_the_peer(error: &io::Error) -> bool {
    let code = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        code,
        Some(
            Errno::CONNABORTED
                | Errno::CONNRESET
                | Errno::INTR
                | Errno::PERM
                | Errno::NETDOWN
                | Errno::PROTO
                | Errno::NOPROTOOPT
                | Errno::HOSTDOWN
                | Errno::NONET
                | Errno::HOSTUNREACH
                | Errno::OPNOTSUPP
                | Errno::NETUNREACH
        )
    )
}

async fn encrypted(tls: TlsAcceptor, stream: TcpStream, peer: SocketAddr, app: Router, stop: CancellationToken) {
    match timeout(HANDSHAKE_TIMEOUT, tls.accept(stream)).await {
        Ok(Ok(stream)) => connection(stream, peer, app, stop).await,
        Ok(Err(error)) => tracing::debug!(%peer, %error, "a TLS handshake failed"),
        Err(_) => tracing::debug!(%peer, "a TLS handshake took too long"),
    }
}

async fn connection<S>(stream: S, peer: SocketAddr, app: Router, stop: CancellationToken)
where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |request| answer(app.clone(), peer, request));
    let mut builder = http1::Builder::new();
    builder.timer(TokioTimer::new()).header_read_timeout(HEAD_TIMEOUT).max_buf_size(HEAD_BYTES);
    let connection = builder.serve_connection(TokioIo::new(stream), service).with_upgrades();
    let mut connection = std::pin::pin!(connection);
    let served = tokio::select! {
        served = connection.as_mut() => served,
        () = stop.cancelled() => {
            connection.as_mut().graceful_shutdown();
            connection.await
        }
    };
    if let Err(error) = served {
        tracing::debug!(%peer, %error, "an HTTP connection ended");
    }
}

async fn answer(app: Router, peer: SocketAddr, mut request: Request<Incoming>) -> Result<Response<Body>, Infallible> {
    request.extensions_mut().insert(ConnectInfo(peer));
    let answered = timeout(REQUEST_TIMEOUT, app.oneshot(request.map(Body::new))).await;
    answered.map(|answered| answered.map(unsniffed)).unwrap_or_else(|_| Ok(unsniffed(too_slow())))
}

/// Whoever it was that answered, no browser guesses a media type (Fetch standard, "nosniff").
fn unsniffed(mut response: Response<Body>) -> Response<Body> {
    response.headers_mut().insert(header::X_CONTENT_TYPE_OPTIONS, header::HeaderValue::from_static("nosniff"));
    response
}

fn too_slow() -> Response<Body> {
    let mut response = Response::new(Body::from("the request took too long\n"));
    *response.status_mut() = StatusCode::REQUEST_TIMEOUT;
    response.headers_mut().insert(header::CONNECTION, header::HeaderValue::from_static("close"));
    response
}
