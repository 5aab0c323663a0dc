//! How many connections a gateway holds, in its own words.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use async_trait::async_trait;

use super::GatewayPod;
use crate::bounded;

/// How long a gateway may take to answer: an autoscaler waits for all of them.
const TIMEOUT: Duration = Duration::from_secs(1);
/// Bytes of an answer that are read; a gateway's metrics are some 20 KB.
const MOST_BYTES: usize = 1024 * 1024;
/// The gateway's own gauge (`workloads/gateway/src/metrics.rs`).
const GAUGE: &str = "klatch_gateway_connections ";

/// Why there is no number.
#[derive(Debug, thiserror::Error)]
pub enum ScrapeError {
    /// It has no address yet.
    #[error("it has no address")]
    NoAddress,
    /// It does not answer, or not in time.
    #[error("it does not answer: {0}")]
    Silent(#[from] reqwest::Error),
    /// It says something else.
    #[error("its answer holds no number of connections")]
    NoNumber,
}

/// Asks gateways.
#[async_trait]
pub trait Scrape: Send + Sync + 'static {
    /// The connections of a gateway.
    ///
    /// # Errors
    /// [`ScrapeError`].
    async fn connections(&self, pod: &GatewayPod) -> Result<u64, ScrapeError>;
}

/// Where a pod is asked.
pub type Address = Arc<dyn Fn(&GatewayPod) -> Option<SocketAddr> + Send + Sync>;

/// Asks them over HTTP.
pub struct HttpScrape {
    client: reqwest::Client,
    address: Address,
}

impl HttpScrape {
    /// At the port of their pods that is called `admin`.
    ///
    /// # Errors
    /// When this system cannot speak HTTP.
    pub fn new() -> Result<Self, reqwest::Error> {
        Self::at(Arc::new(|pod| Some(SocketAddr::new(pod.ip?, pod.port?))))
    }

    /// Somewhere else.
    ///
    /// # Errors
    /// When this system cannot speak HTTP.
    pub fn at(address: Address) -> Result<Self, reqwest::Error> {
        let builder =
            reqwest::Client::builder().no_proxy().timeout(TIMEOUT).redirect(reqwest::redirect::Policy::none());
        // Pods are spoken to without TLS, and our image holds no authorities: looking for them would be an error.
        Ok(Self { client: builder.tls_certs_only([]).build()?, address })
    }
}

#[async_trait]
impl Scrape for HttpScrape {
    async fn connections(&self, pod: &GatewayPod) -> Result<u64, ScrapeError> {
        let address = (self.address)(pod).ok_or(ScrapeError::NoAddress)?;
        let mut answer = self.client.get(format!("http://{address}/metrics")).send().await?.error_for_status()?;
        let text = bounded::body(&mut answer, MOST_BYTES).await?.ok_or(ScrapeError::NoNumber)?;
        gauge(&String::from_utf8_lossy(&text)).ok_or(ScrapeError::NoNumber)
    }
}

fn gauge(text: &str) -> Option<u64> {
    text.lines().find_map(|line| line.strip_prefix(GAUGE))?.trim().parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_gauge_is_found_among_its_neighbours() {
        let text = "# HELP klatch_gateway_connections Sockets.\n# TYPE klatch_gateway_connections gauge\n\
                    klatch_gateway_connections 12\nklatch_gateway_connections_more 7\n";
        assert_eq!(gauge(text), Some(12));
        assert_eq!(gauge("klatch_gateway_connections -1\n"), None);
        assert_eq!(gauge(""), None);
    }
}
