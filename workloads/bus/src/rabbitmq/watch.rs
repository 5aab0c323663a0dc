//! Looks every few seconds how much waits at the brokers. Anybody may ask for a queue that is there.

use std::{sync::Arc, time::Duration};

use lapin::{Channel, options::QueueDeclareOptions, types::FieldTable};
use tokio::time::{MissedTickBehavior, interval};
use tokio_util::sync::CancellationToken;

use super::{link::Link, metrics::Metrics, names::Names, options::Options};

/// As often as metrics are commonly asked for.
const EVERY: Duration = Duration::from_secs(10);

/// Sets the gauge of waiting messages until `stop`.
pub(super) async fn run(
    options: Options,
    names: Names,
    links: Vec<Arc<Link>>,
    metrics: Arc<Metrics>,
    stop: CancellationToken,
) {
    let mut queues = vec![(0, names.watermarks()), (0, names.notify())];
    queues.extend((0..options.ingest_queues).map(|number| (options.broker_of(number), names.ingest_queue(number))));
    for broker in 0..links.len() {
        queues.extend([(broker, names.dead_ingest()), (broker, names.dead_notify())]);
    }
    let mut channels: Vec<Option<Channel>> = vec![None; links.len()];
    let mut ticks = interval(EVERY);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        tokio::select! {
            () = stop.cancelled() => return,
            _ = ticks.tick() => {}
        }
        for (broker, link) in links.iter().enumerate() {
            let here = queues.iter().filter(|(lives_on, _)| *lives_on == broker);
            for (_, queue) in here {
                let (Some(channel), waiting) = look(link, channels[broker].take(), queue).await else { break };
                channels[broker] = Some(channel);
                let label = if links.len() > 1 { format!("{queue}@{broker}") } else { queue.clone() };
                metrics.waiting.with_label_values(&[&label]).set(waiting);
            }
        }
    }
}

/// The channel to look on next, and how much waits.
async fn look(link: &Link, held: Option<Channel>, queue: &str) -> (Option<Channel>, i64) {
    let channel = match held.filter(|held| held.status().connected()) {
        Some(channel) => channel,
        None => match link.channel().await {
            Ok(channel) => channel,
            Err(_) => return (None, 0),
        },
    };
    let asked = channel.queue_declare(queue.into(), QueueDeclareOptions::durable().passive(), FieldTable::default());
    match link.answer("look at a queue of", asked).await {
        Ok(queue) => (Some(channel), i64::from(queue.message_count())),
        Err(error) => {
            tracing::debug!(queue, %error, "how much waits is not known");
            (None, 0)
        }
    }
}
