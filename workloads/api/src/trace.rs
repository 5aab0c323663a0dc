//! The trace id of a call.

use std::sync::Arc;

use http::HeaderMap;

/// The answer's header with the trace id.
pub(crate) const TRACE_ID: &str = "trace-id";
const TRACEPARENT: &str = "traceparent";

/// Names one call in logs, problems and the commands it causes.
#[derive(Debug, Clone)]
pub(crate) struct Trace {
    /// 32 hexadecimal digits.
    pub(crate) id: Arc<str>,
    /// The caller's whole `traceparent`, when it had one.
    parent: Option<Arc<str>>,
}

impl Trace {
    /// The caller's, when it sent a W3C `traceparent` that is one; a new one else.
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        let given = headers.get(TRACEPARENT).and_then(|value| value.to_str().ok());
        match given.and_then(|parent| Some((trace_id(parent)?, parent))) {
            Some((id, parent)) => Self { id: Arc::from(id), parent: Some(Arc::from(parent)) },
            None => Self { id: Arc::from(format!("{:032x}", rand::random::<u128>().max(1))), parent: None },
        }
    }

    /// The same call, as part of the caller's own trace.
    pub(crate) fn with_parent(self, parent: &str) -> Self {
        Self { parent: Some(Arc::from(parent)), ..self }
    }

    /// What a command carries along.
    pub(crate) fn carried(&self) -> Box<str> {
        Box::from(&**self.parent.as_ref().unwrap_or(&self.id))
    }
}

/// The trace id within a `traceparent` (W3C Trace Context section 3.2.2), unless it is malformed or all zeros.
pub(crate) fn trace_id(parent: &str) -> Option<&str> {
    let lower_hex = |part: &str, digits: usize| {
        part.len() == digits && part.bytes().all(|byte| byte.is_ascii_digit() || (b'a'..=b'f').contains(&byte))
    };
    let mut parts = parent.split('-');
    let (version, id, span, flags) = (parts.next()?, parts.next()?, parts.next()?, parts.next()?);
    let shaped = lower_hex(version, 2) && lower_hex(id, 32) && lower_hex(span, 16) && lower_hex(flags, 2);
    let known = version != "ff" && (version != "00" || parts.next().is_none());
    (shaped && known && id.bytes().any(|byte| byte != b'0')).then_some(id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_real_traceparent_is_taken() {
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert_eq!(trace_id(good), Some("4bf92f3577b34da6a3ce929d0e0e4736"));
        for bad in [
            "",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-x",
            "00-4bf92f3577b34da6a3ce929d0e0e4736",
        ] {
            assert_eq!(trace_id(bad), None, "{bad}");
        }
        let mut headers = HeaderMap::new();
        let made = Trace::of(&headers);
        assert_eq!((made.id.len(), &*made.carried()), (32, &*made.id));
        headers.insert(TRACEPARENT, good.parse().unwrap());
        assert_eq!(&*Trace::of(&headers).carried(), good);
    }
}
