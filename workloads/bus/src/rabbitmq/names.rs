//! What is called how on the broker, in one place.

/// Names of a cluster's exchanges and queues, behind its prefix.
#[derive(Debug, Clone)]
pub struct Names {
    prefix: String,
}

impl Names {
    pub(super) fn new(prefix: &str) -> Self {
        Self { prefix: prefix.to_owned() }
    }

    fn name(&self, rest: &str) -> String {
        format!("{}{rest}", self.prefix)
    }

    /// The exchange of commands; the routing key is the ingest queue's number.
    #[must_use]
    pub fn ingest(&self) -> String {
        self.name("ingest")
    }

    /// An ingest queue.
    #[must_use]
    pub fn ingest_queue(&self, number: u16) -> String {
        self.name(&format!("ingest.{number}"))
    }

    /// The exchange of what was given up.
    #[must_use]
    pub fn dead_letters(&self) -> String {
        self.name("dead-letters")
    }

    /// Commands that were given up.
    #[must_use]
    pub fn dead_ingest(&self) -> String {
        self.name("dead-letters.ingest")
    }

    /// Notify commands that were given up.
    #[must_use]
    pub fn dead_notify(&self) -> String {
        self.name("dead-letters.notify")
    }

    /// The exchange of events to one process; the routing key is its incarnation.
    #[must_use]
    pub fn one(&self) -> String {
        self.name("events.one")
    }

    /// The exchange of events to every subscriber.
    #[must_use]
    pub fn everyone(&self) -> String {
        self.name("events.everyone")
    }

    /// The exchange of a lane.
    #[must_use]
    pub fn lane(&self, number: u16) -> String {
        self.name(&format!("events.lane.{number}"))
    }

    /// The queue of watermark moves.
    #[must_use]
    pub fn watermarks(&self) -> String {
        self.name("watermarks")
    }

    /// The queue of notify commands.
    #[must_use]
    pub fn notify(&self) -> String {
        self.name("notify")
    }
}
