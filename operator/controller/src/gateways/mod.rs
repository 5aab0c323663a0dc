//! The chat servers that run, and how many connections they hold: what autoscalers, the status and the order of deletion go by.

mod aim;
mod census;
mod pod;
mod pods;
mod scrape;

use std::{collections::HashMap, sync::Arc, time::Duration};

use futures_util::{StreamExt, stream};
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::time::Instant;

pub use aim::{Aim, is_news};
pub use census::census;
pub use pod::{DELETION_COST, GatewayPod};
pub use pods::Pods;
pub use scrape::{Address, HttpScrape, Scrape, ScrapeError};

/// How long a number counts: several who ask at once cost one question.
const FRESH_FOR: Duration = Duration::from_secs(10);
/// Gateways asked at a time: a thousand that are gone cost eight seconds.
const AT_ONCE: usize = 128;

/// The gateways.
pub struct Gateways {
    /// Which there are.
    pub pods: Pods,
    scrape: Arc<dyn Scrape>,
    heard: Mutex<HashMap<String, Heard>>,
}

#[derive(Debug, Clone, Copy)]
struct Heard {
    connections: u64,
    said: Timestamp,
    until: Instant,
}

/// What a gateway said.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Measured {
    /// Which.
    pub pod: GatewayPod,
    /// Its connections.
    pub connections: u64,
    /// When it said so.
    pub at: Timestamp,
}

impl Gateways {
    /// Those, asked so.
    #[must_use]
    pub fn new(pods: Pods, scrape: Arc<dyn Scrape>) -> Self {
        Self { pods, scrape, heard: Mutex::default() }
    }

    /// Asks those that run, or remembers what they said a moment ago. Who does not answer is left out.
    pub async fn measure(&self, pods: Vec<GatewayPod>) -> Vec<Measured> {
        let now = Instant::now();
        self.heard.lock().retain(|_, heard| heard.until > now);
        let mut asked = Vec::new();
        for pod in pods.into_iter().filter(|pod| pod.running) {
            asked.push(self.ask(pod));
        }
        let answers: Vec<_> = stream::iter(asked).buffer_unordered(AT_ONCE).collect().await;
        answers.into_iter().flatten().collect()
    }

    async fn ask(&self, pod: GatewayPod) -> Option<Measured> {
        let remembered = self.heard.lock().get(&pod.uid).copied();
        if let Some(heard) = remembered {
            return Some(Measured { pod, connections: heard.connections, at: heard.said });
        }
        match self.scrape.connections(&pod).await {
            Ok(connections) => {
                let said = Timestamp::now();
                let heard = Heard { connections, said, until: Instant::now() + FRESH_FOR };
                self.heard.lock().insert(pod.uid.clone(), heard);
                Some(Measured { pod, connections, at: said })
            }
            Err(error) => {
                tracing::debug!(pod = pod.name, namespace = pod.key.namespace, %error, "a gateway is left out");
                None
            }
        }
    }
}
