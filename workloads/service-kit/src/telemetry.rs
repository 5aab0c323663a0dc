//! Logs: to standard error, readable on a terminal, one JSON object a line everywhere else. And the exporter of traces.

use std::io::{self, IsTerminal};

use tracing::{Subscriber, level_filters::LevelFilter};
use tracing_subscriber::{
    EnvFilter, Registry,
    fmt::{self, MakeWriter},
    layer::SubscriberExt,
    registry::LookupSpan,
};

use crate::trace;

/// How an event is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Format {
    /// [`Format::Readable`] when standard error is a terminal, else [`Format::Json`].
    #[default]
    Auto,
    /// One JSON object a line: `timestamp` (RFC 3339, UTC), `level`, `target`, `message`, the event's fields beside
    /// them, and the fields of the current span, such as its `trace_id`, under `span`.
    Json,
    /// For eyes.
    Readable,
}

/// What is logged, and how.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How an event is written.
    pub format: Format,
    /// What is logged, in the words of tracing-subscriber's `EnvFilter` (`info,klatch_gateway=debug`). Without it, or
    /// when it is blank: `info` and above.
    pub filter: Option<String>,
    /// Where traces go.
    pub trace: trace::Options,
}

/// The log cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TelemetryError {
    /// Nothing is logged by such a filter.
    #[error("{filter:?} is no log filter (try \"info\" or \"info,klatch_gateway=debug\"): {reason}")]
    Filter {
        /// As it was given.
        filter: String,
        /// Why not.
        reason: tracing_subscriber::filter::ParseError,
    },
    /// Another log was set up in this process before.
    #[error("the log is set up already")]
    AlreadySet(#[from] tracing::subscriber::SetGlobalDefaultError),
    /// Traces.
    #[error(transparent)]
    Trace(#[from] trace::TraceError),
}

/// Sets up the log of this process and the exporter of its traces, once. With an endpoint for traces it needs a tokio runtime.
///
/// # Errors
/// [`TelemetryError`].
pub fn init(options: &Options) -> Result<(), TelemetryError> {
    let mut filter = filter(options.filter.as_deref())?;
    if options.trace.endpoint.is_some()
        && let Ok(directive) = trace::directive().parse()
    {
        filter = filter.add_directive(directive);
    }
    let terminal = io::stderr().is_terminal();
    let json = match options.format {
        Format::Auto => !terminal,
        Format::Json => true,
        Format::Readable => false,
    };
    if json {
        set(json_lines(filter, io::stderr), &options.trace)
    } else {
        // https://no-color.org
        let colour = terminal && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty());
        set(readable_lines(filter, colour, io::stderr), &options.trace)
    }
}

fn set<S>(log: S, options: &trace::Options) -> Result<(), TelemetryError>
where
    S: Subscriber + for<'a> LookupSpan<'a> + Send + Sync + 'static,
{
    match trace::layer(options)? {
        Some(traces) => tracing::subscriber::set_global_default(log.with(traces))?,
        None => tracing::subscriber::set_global_default(log)?,
    }
    Ok(())
}

fn filter(given: Option<&str>) -> Result<EnvFilter, TelemetryError> {
    let given = given.unwrap_or_default().trim();
    EnvFilter::builder()
        .with_default_directive(LevelFilter::INFO.into())
        .parse(given)
        .map_err(|reason| TelemetryError::Filter { filter: given.to_owned(), reason })
}

fn json_lines<W>(filter: EnvFilter, writer: W) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    let lines = fmt::layer()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        // Reported by `eprintln!`, which panics when standard error is what cannot be written.
        .log_internal_errors(false)
        .with_writer(writer);
    Registry::default().with(filter).with(lines)
}

fn readable_lines<W>(
    filter: EnvFilter,
    colour: bool,
    writer: W,
) -> impl Subscriber + for<'a> LookupSpan<'a> + Send + Sync
where
    W: for<'a> MakeWriter<'a> + Send + Sync + 'static,
{
    Registry::default().with(filter).with(fmt::layer().log_internal_errors(false).with_ansi(colour).with_writer(writer))
}

#[cfg(test)]
mod tests {
    use std::{
        io::Write,
        sync::{Arc, Mutex},
    };

    use tracing::subscriber::with_default;

    use super::*;

    #[derive(Clone, Default)]
    struct Lines(Arc<Mutex<Vec<u8>>>);

    impl Write for Lines {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.lock().unwrap().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    impl Lines {
        fn text(&self) -> String {
            String::from_utf8(self.0.lock().unwrap().clone()).unwrap()
        }
    }

    #[test]
    fn an_event_is_one_line_of_json() {
        let lines = Lines::default();
        let writer = lines.clone();
        with_default(json_lines(filter(None).unwrap(), move || writer.clone()), || {
            let span = tracing::info_span!("send", trace_id = "4bf92f35");
            let _entered = span.enter();
            tracing::info!(target: "klatch_test", rooms = 3, "two\nlines");
        });
        let text = lines.text();
        assert_eq!(text.lines().count(), 1, "{text}");
        let line: serde_json::Value = serde_json::from_str(&text).unwrap();
        assert_eq!(line["level"], "INFO");
        assert_eq!(line["target"], "klatch_test");
        assert_eq!(line["message"], "two\nlines");
        assert_eq!(line["rooms"], 3);
        assert_eq!(line["span"]["trace_id"], "4bf92f35");
        let timestamp = line["timestamp"].as_str().unwrap();
        assert!(timestamp.ends_with('Z') && timestamp.as_bytes()[10] == b'T', "{timestamp}");
    }

    #[test]
    fn a_filter_decides_by_target_and_level() {
        let lines = Lines::default();
        let writer = lines.clone();
        let subscriber = readable_lines(filter(Some(" warn,loud=debug ")).unwrap(), false, move || writer.clone());
        with_default(subscriber, || {
            tracing::info!(target: "quiet", "unheard");
            tracing::debug!(target: "loud", "heard");
            tracing::warn!(target: "quiet", "warned");
        });
        let text = lines.text();
        assert!(text.contains("heard") && text.contains("warned") && !text.contains("unheard"), "{text}");
    }

    #[test]
    fn without_a_filter_info_and_above_is_logged() {
        for given in [None, Some(""), Some("  ")] {
            assert_eq!(filter(given).unwrap().max_level_hint(), Some(LevelFilter::INFO));
        }
    }

    #[test]
    fn a_filter_that_is_none_is_refused_by_name() {
        let refused = filter(Some("klatch=loud")).unwrap_err().to_string();
        assert!(refused.contains("klatch=loud"), "{refused}");
    }
}
