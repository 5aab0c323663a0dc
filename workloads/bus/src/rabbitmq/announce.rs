//! Saying one thing to every subscriber, from a process that ends right after.

use std::sync::Arc;

use klatch_domain::{Event, Incarnation};
use tokio::time::timeout;

use super::{
    LinkError, OpenError, Options, authorities, events::RabbitmqEvents, link::Link, metrics::Metrics, names::Names,
};
use crate::{Events as _, Target};

/// Nobody may have heard it.
#[derive(Debug, thiserror::Error)]
pub enum AnnounceError {
    /// The options cannot be used.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The first broker, which what goes to everyone goes through, cannot be reached.
    #[error("RabbitMQ: {0}")]
    Link(#[from] LinkError),
    /// It took it, and did not say that it has it.
    #[error("RabbitMQ: no confirm within {0:?}")]
    Unconfirmed(std::time::Duration),
}

/// Publishes to every subscriber, waits until the broker has it, and takes leave, so that nobody takes the end of this process
/// for a death and asks everything again. A dropped call may have said it.
///
/// # Errors
/// [`AnnounceError`]: it may not have been heard.
pub async fn announce(options: Options, said: Vec<Event>) -> Result<(), AnnounceError> {
    let address = options.brokers.first().ok_or(OpenError::NoBroker)?;
    let authorities = authorities(&options).await?;
    let names = Names::new(&options.prefix);
    let metrics = Arc::new(Metrics::unregistered().map_err(OpenError::from)?);
    let name = format!("{} publishing", options.name);
    let link = Link::new(address, name, authorities, options.connect_timeout, Arc::clone(&metrics));
    let links = [Arc::new(link)];
    // Else an outlet would try again and again, and never say why.
    drop(links[0].channel().await?);
    let events = RabbitmqEvents::open(&options, &names, (&links, &[]), &metrics).await;
    let receipt = events.publisher(Incarnation::now()).publish(vec![(Target::Everyone, said)]).await;
    let confirmed = timeout(options.confirm_timeout, receipt).await;
    events.leave().await;
    confirmed.map_err(|_| AnnounceError::Unconfirmed(options.confirm_timeout))
}
