//! The wall clock, passed in so that tests can hold it still or set it back.

use std::{
    sync::Arc,
    time::{SystemTime, UNIX_EPOCH},
};

/// A source of the time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> u64 + Send + Sync>);

impl Clock {
    /// The machine's clock. A clock before 1970 reads as 1970.
    #[must_use]
    pub fn system() -> Self {
        Self(Arc::new(|| {
            let elapsed = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
            u64::try_from(elapsed.as_micros()).unwrap_or(u64::MAX)
        }))
    }

    /// A clock that reads what `micros` answers.
    #[must_use]
    pub fn from_fn(micros: impl Fn() -> u64 + Send + Sync + 'static) -> Self {
        Self(Arc::new(micros))
    }

    /// Microseconds since 1970.
    #[must_use]
    pub fn micros(&self) -> u64 {
        (self.0)()
    }

    /// Milliseconds since 1970.
    #[must_use]
    pub fn millis(&self) -> i64 {
        i64::try_from(self.micros() / 1_000).unwrap_or(i64::MAX)
    }
}
