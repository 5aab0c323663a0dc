//! One trace follows one thing through every process that works on it: W3C Trace Context in, OTLP over gRPC out.
//!
//! Whether a thing is traced is decided once, where its trace begins; everyone after that reads the decision from the
//! `traceparent` it came with. What is not traced costs a look at one atomic flag, or at a string that is not there: no span,
//! no allocation.

use std::{
    fmt,
    path::PathBuf,
    sync::{
        OnceLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use opentelemetry::{
    Context,
    trace::{SpanContext, SpanId, TraceContextExt, TraceFlags, TraceId, TraceState, TracerProvider},
};
use opentelemetry_otlp::{
    SpanExporter, WithExportConfig, WithTonicConfig,
    tonic_types::transport::{Certificate, ClientTlsConfig},
};
use opentelemetry_sdk::{
    Resource,
    trace::{BatchConfigBuilder, BatchSpanProcessor, Sampler, SdkTracerProvider},
};
use tracing::{Span, Subscriber, level_filters::LevelFilter};
use tracing_opentelemetry::OpenTelemetrySpanExt;
use tracing_subscriber::{Layer, filter::Targets, registry::LookupSpan};

/// Marks the spans that are exported; logs have nothing to do with them.
const TARGET: &str = "klatch_trace";
/// Spans that wait to be exported; what comes on top is dropped, and the exporter logs how many. Some 1 KiB each.
const WAITING_SPANS: usize = 8_192;
/// Spans of one export.
const EXPORT_SPANS: usize = 512;
/// Longest time a span waits for others.
const EXPORT_EVERY: Duration = Duration::from_secs(1);
/// How long a collector may take to answer.
const EXPORT_TIMEOUT: Duration = Duration::from_secs(5);
/// Characters of a `traceparent` of version 00 (W3C Trace Context section 3.2.2).
const PARENT_BYTES: usize = 55;

static ON: AtomicBool = AtomicBool::new(false);
/// The share of traces begun here, as a threshold of 64 random bits.
static THRESHOLD: AtomicU64 = AtomicU64::new(0);
static PROVIDER: OnceLock<SdkTracerProvider> = OnceLock::new();

/// Where traces go, and which are made.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// A collector's gRPC endpoint; without it nothing is traced.
    pub endpoint: Option<String>,
    /// PEM file of the authorities an `https://` endpoint is believed by, beside the system's.
    pub ca_file: Option<PathBuf>,
    /// The share of traces begun here, 0 to 1.
    pub ratio: f64,
    /// What the collector knows this process as: `klatch-gateway`.
    pub service: &'static str,
}

/// Traces cannot be exported.
#[derive(Debug, thiserror::Error)]
pub enum TraceError {
    /// The file of authorities.
    #[error("cannot read {path}: {source}")]
    Authorities {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The endpoint is none.
    #[error("cannot export traces to {endpoint}: {source}")]
    Exporter {
        /// Where to.
        endpoint: String,
        /// Why.
        source: opentelemetry_otlp::ExporterBuildError,
    },
}

/// The layer that makes spans of this module into OpenTelemetry's; `None` without an endpoint. To be called once, in a tokio
/// runtime: the exporter lives on it. From then on [`begin`] and [`follow`] trace.
///
/// # Errors
/// [`TraceError`].
pub(crate) fn layer<S>(options: &Options) -> Result<Option<impl Layer<S> + Send + Sync + 'static>, TraceError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static,
{
    let Some(endpoint) = &options.endpoint else { return Ok(None) };
    let mut exporter = SpanExporter::builder().with_tonic().with_endpoint(endpoint).with_timeout(EXPORT_TIMEOUT);
    if endpoint.starts_with("https://") {
        let mut tls = ClientTlsConfig::new().with_native_roots();
        if let Some(path) = &options.ca_file {
            let pem = std::fs::read(path).map_err(|source| TraceError::Authorities { path: path.clone(), source })?;
            tls = tls.ca_certificate(Certificate::from_pem(pem));
        }
        exporter = exporter.with_tls_config(tls);
    }
    let exporter = exporter.build().map_err(|source| TraceError::Exporter { endpoint: endpoint.clone(), source })?;
    let batches = BatchConfigBuilder::default()
        .with_max_queue_size(WAITING_SPANS)
        .with_max_export_batch_size(EXPORT_SPANS)
        .with_scheduled_delay(EXPORT_EVERY)
        .build();
    let provider = SdkTracerProvider::builder()
        .with_span_processor(BatchSpanProcessor::builder(exporter).with_batch_config(batches).build())
        .with_resource(Resource::builder().with_service_name(options.service).build())
        // A span exists only once it was decided that it is traced: see `begin`.
        .with_sampler(Sampler::ParentBased(Box::new(Sampler::AlwaysOn)))
        .build();
    let tracer = provider.tracer("klatch");
    THRESHOLD.store(threshold(options.ratio), Ordering::Relaxed);
    if PROVIDER.set(provider).is_ok() {
        ON.store(true, Ordering::Relaxed);
    }
    let only_ours = Targets::new().with_target(TARGET, LevelFilter::INFO);
    Ok(Some(
        tracing_opentelemetry::layer()
            .with_tracer(tracer)
            .with_location(false)
            .with_threads(false)
            .with_filter(only_ours),
    ))
}

/// What a log's filter must let through for spans to exist.
pub(crate) fn directive() -> String {
    format!("{TARGET}=info")
}

fn threshold(ratio: f64) -> u64 {
    // Saturates: 1 is every one of them.
    (ratio.clamp(0.0, 1.0) * u64::MAX as f64) as u64
}

/// Exports what waits, and ends: takes at most some seconds. Blocks, so not on a thread that serves.
pub fn shut_down() {
    ON.store(false, Ordering::Relaxed);
    if let Some(provider) = PROVIDER.get()
        && let Err(error) = provider.shutdown_with_timeout(EXPORT_TIMEOUT)
    {
        tracing::warn!(%error, "the last traces were not exported");
    }
}

/// A span under way; it ends when this is dropped.
pub struct Traced {
    parent: Box<str>,
    // Ends with its last handle.
    _span: Span,
}

impl Traced {
    /// The `traceparent` that what follows from this goes on with.
    #[must_use]
    pub fn parent(&self) -> &str {
        &self.parent
    }
}

impl fmt::Debug for Traced {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_tuple("Traced").field(&self.parent).finish()
    }
}

/// A span where a trace may begin: below the caller's, when that one is traced; of a new trace, in the share that the settings
/// say, when there is none or it is no `traceparent`.
#[must_use]
pub fn begin(name: &'static str, parent: Option<&str>) -> Option<Traced> {
    if !ON.load(Ordering::Relaxed) {
        return None;
    }
    match parent.and_then(read) {
        Some(parent) => parent.is_sampled().then(|| open(name, Some(parent))).flatten(),
        None => (rand::random::<u64>() < THRESHOLD.load(Ordering::Relaxed)).then(|| open(name, None)).flatten(),
    }
}

/// A span below one elsewhere, when that one is traced.
#[must_use]
pub fn follow(name: &'static str, parent: Option<&str>) -> Option<Traced> {
    let parent = parent?;
    if !ON.load(Ordering::Relaxed) {
        return None;
    }
    read(parent).filter(SpanContext::is_sampled).and_then(|parent| open(name, Some(parent)))
}

fn open(name: &'static str, parent: Option<SpanContext>) -> Option<Traced> {
    let span = tracing::info_span!(target: TARGET, parent: None, "traced", otel.name = name);
    if let Some(parent) = parent {
        span.set_parent(Context::new().with_remote_span_context(parent)).ok()?;
    }
    let context = span.context();
    let opened = context.span().span_context().clone();
    let parent = opened.is_valid().then(|| write(&opened))?;
    Some(Traced { parent, _span: span })
}

/// Reads a `traceparent` (W3C Trace Context section 3.2.2). Of versions to come the parts of this one are read.
fn read(parent: &str) -> Option<SpanContext> {
    let bytes = parent.as_bytes();
    if bytes.len() < PARENT_BYTES || !parent.is_ascii() || bytes[2] != b'-' || bytes[35] != b'-' || bytes[52] != b'-' {
        return None;
    }
    let lower_hex = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte));
    let (version, trace, span, flags) = (&parent[..2], &parent[3..35], &parent[36..52], &parent[53..55]);
    let known = version != "ff" && if version == "00" { bytes.len() == PARENT_BYTES } else { true };
    if !known || ![version, trace, span, flags].into_iter().all(lower_hex) {
        return None;
    }
    let flags = TraceFlags::new(u8::from_str_radix(flags, 16).ok()?) & TraceFlags::SAMPLED;
    let (trace, span) = (TraceId::from_hex(trace).ok()?, SpanId::from_hex(span).ok()?);
    Some(SpanContext::new(trace, span, flags, true, TraceState::NONE)).filter(SpanContext::is_valid)
}

fn write(context: &SpanContext) -> Box<str> {
    format!("00-{}-{}-{:02x}", context.trace_id(), context.span_id(), context.trace_flags().to_u8()).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_parent_is_read_and_written() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        let context = read(good).unwrap();
        assert!(context.is_sampled() && context.is_remote());
        assert_eq!(&*write(&context), good);
        assert!(!read("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-00").unwrap().is_sampled());
        assert!(read("01-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-later").is_some());
        for bad in [
            "",
            "hello",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-é",
        ] {
            assert!(read(bad).is_none(), "{bad}");
        }
    }

    #[test]
    fn a_ratio_is_a_share_of_all_random_numbers() {
        assert_eq!((threshold(0.0), threshold(1.0), threshold(-3.0)), (0, u64::MAX, 0));
        assert_eq!(threshold(0.5).leading_zeros(), 0);
    }

    #[test]
    fn nothing_is_traced_before_an_exporter_is_there() {
        let sampled = Some("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
        assert!(begin("send", sampled).is_none() && follow("append", sampled).is_none());
    }
}
