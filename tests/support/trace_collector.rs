//! A collector of traces: takes spans by OTLP over gRPC, and remembers them.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic)] // what a test cannot go on without

use std::sync::Arc;

use hyper::{server::conn::http2, service::service_fn};
use hyper_util::rt::{TokioExecutor, TokioIo};
use klatch_domain::{MessageId, RoomId};
use opentelemetry_proto::tonic::collector::trace::v1::{
    ExportTraceServiceRequest, ExportTraceServiceResponse,
    trace_service_server::{TraceService, TraceServiceServer},
};
use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio_util::sync::{CancellationToken, DropGuard};
use tonic::{Request, Response, Status};
use tower::Service as _;

use crate::person::{PATIENCE, Socket};

/// A `traceparent` of a client that wants to be followed (<https://www.w3.org/TR/trace-context/#traceparent-header>).
pub const SAMPLED: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
/// One of a client that does not.
pub const UNSAMPLED: &str = "00-5bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00";

/// One span as it came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Span {
    /// The process's name.
    pub service: String,
    /// What was done.
    pub name: String,
    /// 32 hexadecimal digits.
    pub trace: String,
    /// 16 hexadecimal digits.
    pub id: String,
    /// The span it is below; empty at the root.
    pub parent: String,
    /// Nanoseconds since 1970.
    pub begin: u64,
    /// Nanoseconds since 1970.
    pub end: u64,
}

/// The one span of this name.
///
/// # Panics
/// When there is none, or there are more.
#[must_use]
pub fn named<'a>(spans: &'a [Span], name: &str) -> &'a Span {
    let found: Vec<_> = spans.iter().filter(|span| span.name == name).collect();
    assert_eq!(found.len(), 1, "one {name} in {spans:?}");
    found[0]
}

/// Says something, in a trace of the client's own or in none, and waits until it is stored.
///
/// # Panics
/// When it is not.
pub async fn say(socket: &mut Socket, room: RoomId, text: &str, traceparent: Option<&str>) {
    let message_id = MessageId::now();
    let mut frame = serde_json::json!({
        "type": "send", "message_id": message_id, "room": room, "kind": "text", "content": {"text": text},
    });
    if let Some(traceparent) = traceparent {
        frame["traceparent"] = traceparent.into();
    }
    socket.send_text(frame.to_string()).await;
    socket.stored(message_id).await;
}

#[derive(Default)]
struct Spans {
    spans: Mutex<Vec<Span>>,
    came: Notify,
}

/// Ends when it is dropped.
pub struct Collector {
    /// `http://127.0.0.1:PORT`
    pub url: String,
    spans: Arc<Spans>,
    _stop: DropGuard,
}

impl Collector {
    /// Listens at a free port.
    ///
    /// # Panics
    /// When it cannot.
    pub async fn start() -> Self {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (spans, stop) = (Arc::new(Spans::default()), CancellationToken::new());
        let service = TraceServiceServer::new(Service(Arc::clone(&spans)));
        let told = stop.clone();
        tokio::spawn(told.run_until_cancelled_owned(async move {
            // gRPC is HTTP/2 from the first byte.
            while let Ok((stream, _)) = listener.accept().await {
                let service = service.clone();
                let answer = service_fn(move |request| service.clone().call(request));
                tokio::spawn(http2::Builder::new(TokioExecutor::new()).serve_connection(TokioIo::new(stream), answer));
            }
        }));
        Self { url: format!("http://{address}"), spans, _stop: stop.drop_guard() }
    }

    /// Waits until enough spans of a trace have come, and answers them in order of their begin.
    ///
    /// # Panics
    /// When they do not come in time.
    pub async fn spans_of(&self, trace: &str, count: usize) -> Vec<Span> {
        let found = || {
            let mut of_trace: Vec<_> = self.all().into_iter().filter(|span| span.trace == trace).collect();
            of_trace.sort_by_key(|span| span.begin);
            of_trace
        };
        let come = async {
            loop {
                let came = self.spans.came.notified();
                let spans = found();
                if spans.len() >= count {
                    return spans;
                }
                came.await;
            }
        };
        tokio::time::timeout(PATIENCE, come).await.unwrap_or_else(|_| panic!("only these came: {:?}", self.all()))
    }

    /// Everything that has come.
    #[must_use]
    pub fn all(&self) -> Vec<Span> {
        self.spans.spans.lock().clone()
    }
}

struct Service(Arc<Spans>);

#[tonic::async_trait]
impl TraceService for Service {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        let hex = |bytes: &[u8]| bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>();
        let mut spans = self.0.spans.lock();
        for resource in request.into_inner().resource_spans {
            let attributes = resource.resource.unwrap_or_default().attributes;
            let name = attributes.into_iter().find(|attribute| attribute.key == "service.name");
            let service = format!("{:?}", name.and_then(|name| name.value).and_then(|value| value.value));
            for span in resource.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                spans.push(Span {
                    service: service.clone(),
                    name: span.name,
                    trace: hex(&span.trace_id),
                    id: hex(&span.span_id),
                    parent: hex(&span.parent_span_id),
                    begin: span.start_time_unix_nano,
                    end: span.end_time_unix_nano,
                });
            }
        }
        drop(spans);
        self.0.came.notify_waiters();
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}
