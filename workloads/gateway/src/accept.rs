//! The handshake (RFC 6455 section 4.2), and what follows it: a task of its own for the socket.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering},
};

use axum::{
    body::Body,
    extract::{Request, State},
    response::Response,
};
use bytes::Bytes;
use http::{HeaderMap, HeaderValue, StatusCode, header};
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper_util::{rt::TokioIo, server::conn::auto::upgrade};
use klatch_domain::Code;
use klatch_protocol::{SUBPROTOCOL, close, http::Problem};
use prometheus::IntGauge;
use tokio::{io::AsyncWriteExt, net::TcpStream};
use tokio_tungstenite::tungstenite::handshake::derive_accept_key;

use crate::{
    connection::{Connection, Task, close_frame},
    core::Core,
};

/// What a client that is turned away waits, seconds: long enough for a load balancer to look elsewhere.
const RETRY_AFTER_SECONDS: &str = "2";
/// The one version of the protocol (RFC 6455 section 4.1).
const VERSION: &str = "13";
/// Close code for "an unexpected condition" (RFC 6455 section 7.4.1).
const INTERNAL: u16 = 1011;

/// A place among the gateway's connections, given back when dropped.
pub(crate) struct Seat {
    seats: Arc<AtomicUsize>,
    gauge: IntGauge,
}

impl Seat {
    fn take(core: &Core) -> Option<Self> {
        let most = core.settings.max_connections;
        let taken =
            core.seats.fetch_update(Ordering::AcqRel, Ordering::Acquire, |taken| (taken < most).then_some(taken + 1));
        taken.ok()?;
        let gauge = core.instruments.metrics.connections.clone();
        gauge.inc();
        Some(Self { seats: Arc::clone(&core.seats), gauge })
    }
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.seats.fetch_sub(1, Ordering::AcqRel);
        self.gauge.dec();
    }
}

/// `GET /v1/connect`
pub(crate) async fn connect(State(core): State<Arc<Core>>, mut request: Request) -> Response {
    let key = match check_handshake(request.headers()) {
        Ok(key) => key,
        Err(detail) => {
            core.instruments.metrics.turned_away("no_handshake").inc();
            return upgrade_required(detail);
        }
    };
    let Some(on_upgrade) = request.extensions_mut().remove::<OnUpgrade>() else {
        core.instruments.metrics.turned_away("transport").inc();
        return upgrade_required("this transport cannot be upgraded");
    };
    if !core.takes_connections() {
        core.instruments.metrics.turned_away("not_ready").inc();
        return unavailable("this server takes no connections just now");
    }
    let Some(seat) = Seat::take(&core) else {
        core.instruments.metrics.turned_away("full").inc();
        return unavailable("this server has as many connections as it takes");
    };
    let spoken = offers(request.headers(), SUBPROTOCOL);
    tokio::spawn(go_on(core, on_upgrade, seat, spoken));
    switching_protocols(&key, spoken)
}

/// Answers the value of `Sec-WebSocket-Accept`.
fn check_handshake(headers: &HeaderMap) -> Result<String, &'static str> {
    if !has_token(headers, &header::CONNECTION, "upgrade") || !has_token(headers, &header::UPGRADE, "websocket") {
        return Err("this is a WebSocket endpoint: send Connection: Upgrade and Upgrade: websocket");
    }
    if headers.get(header::SEC_WEBSOCKET_VERSION).is_none_or(|version| version.as_bytes() != VERSION.as_bytes()) {
        return Err("this server speaks Sec-WebSocket-Version 13");
    }
    headers
        .get(header::SEC_WEBSOCKET_KEY)
        .map(|key| derive_accept_key(key.as_bytes()))
        .ok_or("Sec-WebSocket-Key is missing")
}

fn has_token(headers: &HeaderMap, name: &header::HeaderName, token: &str) -> bool {
    tokens(headers, name).any(|one| one.eq_ignore_ascii_case(token))
}

fn offers(headers: &HeaderMap, protocol: &str) -> bool {
    tokens(headers, &header::SEC_WEBSOCKET_PROTOCOL).any(|one| one == protocol)
}

fn tokens<'a>(headers: &'a HeaderMap, name: &header::HeaderName) -> impl Iterator<Item = &'a str> {
    let values = headers.get_all(name).into_iter();
    values.filter_map(|value| value.to_str().ok()).flat_map(|value| value.split(',')).map(str::trim)
}

fn switching_protocols(key: &str, spoken: bool) -> Response {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("upgrade"));
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    if let Ok(key) = HeaderValue::from_str(key) {
        headers.insert(header::SEC_WEBSOCKET_ACCEPT, key);
    }
    if spoken {
        headers.insert(header::SEC_WEBSOCKET_PROTOCOL, HeaderValue::from_static(SUBPROTOCOL));
    }
    response
}

fn upgrade_required(detail: &str) -> Response {
    let mut response = problem(StatusCode::UPGRADE_REQUIRED, Code::ValidationFailed, "No WebSocket handshake", detail);
    let headers = response.headers_mut();
    headers.insert(header::UPGRADE, HeaderValue::from_static("websocket"));
    headers.insert(header::SEC_WEBSOCKET_VERSION, HeaderValue::from_static(VERSION));
    response
}

/// The path takes `GET` alone; the router adds `Allow`.
pub(crate) async fn method_not_allowed() -> Response {
    let detail = "this path does not take this method; Allow names those it takes";
    problem(StatusCode::METHOD_NOT_ALLOWED, Code::MethodNotAllowed, "Method not allowed", detail)
}

fn unavailable(detail: &str) -> Response {
    let mut response = problem(StatusCode::SERVICE_UNAVAILABLE, Code::Busy, "Busy", detail);
    response.headers_mut().insert(header::RETRY_AFTER, HeaderValue::from_static(RETRY_AFTER_SECONDS));
    response
}

fn problem(status: StatusCode, code: Code, title: &str, detail: &str) -> Response {
    let trace_id = uuid::Uuid::new_v4().simple().to_string();
    tracing::debug!(trace = trace_id, status = status.as_u16(), detail, "a connection was turned away");
    let problem = Problem {
        code,
        title: title.to_owned(),
        status: status.as_u16(),
        detail: detail.to_owned(),
        trace_id,
        fields: Vec::new(),
    };
    let mut response = Response::new(Body::from(serde_json::to_vec(&problem).unwrap_or_default()));
    *response.status_mut() = status;
    let media_type = HeaderValue::from_static("application/problem+json");
    response.headers_mut().insert(header::CONTENT_TYPE, media_type);
    response
}

/// Waits for the upgrade; the socket then goes to a new task, so that everything hyper held for it is freed.
async fn go_on(core: Arc<Core>, on_upgrade: OnUpgrade, seat: Seat, spoken: bool) {
    let upgraded = match on_upgrade.await {
        Ok(upgraded) => upgraded,
        Err(error) => {
            tracing::debug!(%error, "a connection was gone before it was upgraded");
            return;
        }
    };
    match into_socket(upgraded) {
        Ok((socket, early)) => start(&core, socket, early, seat, spoken),
        Err(upgraded) => {
            tracing::error!("a connection came over a transport that is no plain TCP socket; it is closed");
            core.instruments.metrics.turned_away("transport").inc();
            let mut upgraded = TokioIo::new(upgraded);
            // It is refused either way; the frame is a courtesy.
            let _ = upgraded.write_all(&close_frame(INTERNAL, "only plain TCP is served here")).await;
            let _ = upgraded.shutdown().await;
        }
    }
}

/// The socket below what hyper hands over, and what it had read of it already. `axum::serve` wraps it once more than hyper's
/// own server does.
fn into_socket(upgraded: Upgraded) -> Result<(TcpStream, Bytes), Upgraded> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => Ok((parts.io.into_inner(), parts.read_buf)),
        Err(upgraded) => {
            upgrade::downcast::<TokioIo<TcpStream>>(upgraded).map(|parts| (parts.io.into_inner(), parts.read_buf))
        }
    }
}

fn start(core: &Arc<Core>, socket: TcpStream, early: Bytes, seat: Seat, spoken: bool) {
    if let Err(error) = socket.set_nodelay(true) {
        tracing::debug!(%error, "cannot set TCP_NODELAY");
    }
    let timeout_ms = core.settings.hello_timeout_ms;
    let connection =
        core.registry.seat(|id, place| Connection::new(id, place, socket, timeout_ms, Arc::clone(&core.instruments)));
    if !spoken {
        connection.close(close::UNSUPPORTED_VERSION, "this server speaks klatch.v1+json");
    }
    tokio::spawn(Task::new(Arc::clone(core), connection, early, seat));
}
