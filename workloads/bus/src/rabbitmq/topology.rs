//! What stands on the brokers: declared by the operator (or here, for development), and checked before anything is done.

use std::sync::Arc;

use lapin::{
    Channel, ExchangeKind,
    options::{ExchangeDeclareOptions, QueueBindOptions, QueueDeclareOptions},
    types::{AMQPValue, FieldTable, LongString, ShortString},
};

use super::{
    link::{Link, LinkError},
    names::Names,
    options::Options,
};

/// The brokers do not hold what this process needs.
#[derive(Debug, thiserror::Error)]
pub enum TopologyError {
    /// Not declared. The operator declares it; a development setting lets a workload do so.
    #[error("missing on the broker: {}", names.join(", "))]
    Missing {
        /// Kind and name of each.
        names: Vec<String>,
    },
    /// It could not be declared or asked for: another shape stands there, or this user may not.
    #[error("declare or find {name}: {reason}")]
    Refused {
        /// Kind and name.
        name: String,
        /// The broker's words.
        reason: String,
    },
    /// The broker does not answer.
    #[error(transparent)]
    Link(#[from] LinkError),
}

/// One thing on a broker.
enum Part {
    Exchange { name: String, kind: ExchangeKind },
    Queue { name: String, arguments: FieldTable, binding: Option<(String, String)> },
}

fn long(text: &str) -> AMQPValue {
    AMQPValue::LongString(LongString::from(text))
}

/// AMQP knows no unsigned 64-bit integer.
fn bytes(bytes: u64) -> AMQPValue {
    AMQPValue::LongLongInt(i64::try_from(bytes).unwrap_or(i64::MAX))
}

fn count(count: u32) -> AMQPValue {
    AMQPValue::LongLongInt(i64::from(count))
}

fn table(arguments: impl IntoIterator<Item = (&'static str, AMQPValue)>) -> FieldTable {
    let mut table = FieldTable::default();
    for (name, value) in arguments {
        table.insert(ShortString::from(name), value);
    }
    table
}

/// A bounded quorum queue that refuses what does not fit and keeps what it gives up, at least once. (At-least-once dead
/// letters need reject-publish: <https://www.rabbitmq.com/docs/quorum-queues>.)
fn durable(options: &Options, names: &Names, most: (u32, u64), dead: &str, single: bool) -> FieldTable {
    let mut arguments = table([
        ("x-queue-type", long("quorum")),
        ("x-delivery-limit", count(options.delivery_limit)),
        ("x-max-length", count(most.0)),
        ("x-max-length-bytes", bytes(most.1)),
        ("x-overflow", long("reject-publish")),
        ("x-dead-letter-exchange", long(&names.dead_letters())),
        ("x-dead-letter-routing-key", long(dead)),
        ("x-dead-letter-strategy", long("at-least-once")),
    ]);
    if single {
        arguments.insert("x-single-active-consumer".into(), AMQPValue::Boolean(true));
    }
    arguments
}

/// How a subscriber's own queue is declared, by itself.
pub(super) fn subscriber_arguments(options: &Options) -> FieldTable {
    table([
        ("x-max-length", count(options.event_queue_messages)),
        ("x-max-length-bytes", bytes(options.event_queue_bytes)),
        ("x-overflow", long("drop-head")),
    ])
}

/// What lives on the broker of this number, in the order to declare it: dead letters first, or one that comes early would
/// wait for minutes.
fn parts(options: &Options, names: &Names, broker: usize) -> Vec<Part> {
    let exchange = |name: String, kind: ExchangeKind| Part::Exchange { name, kind };
    let dead = |name: String| Part::Queue {
        arguments: table([("x-queue-type", long("quorum"))]),
        binding: Some((names.dead_letters(), name.clone())),
        name,
    };
    let mut parts = vec![
        exchange(names.dead_letters(), ExchangeKind::Direct),
        dead(names.dead_ingest()),
        dead(names.dead_notify()),
        exchange(names.ingest(), ExchangeKind::Direct),
    ];
    let ingest = (options.ingest_messages, options.ingest_bytes);
    for number in (0..options.ingest_queues).filter(|number| options.broker_of(*number) == broker) {
        parts.push(Part::Queue {
            name: names.ingest_queue(number),
            arguments: durable(options, names, ingest, &names.dead_ingest(), true),
            binding: Some((names.ingest(), number.to_string())),
        });
    }
    let lanes = (0..options.lanes).filter(|number| options.broker_of(*number) == broker);
    parts.extend(lanes.map(|number| exchange(names.lane(number), ExchangeKind::Fanout)));
    if broker == 0 {
        parts.push(exchange(names.one(), ExchangeKind::Direct));
        parts.push(exchange(names.everyone(), ExchangeKind::Fanout));
        // The queue outlives its broker, so that consumers need nobody to declare it again; its messages do not.
        let arguments = table([
            ("x-max-length", count(options.watermark_messages)),
            ("x-max-length-bytes", bytes(options.watermark_bytes)),
            ("x-overflow", long("reject-publish")),
        ]);
        parts.push(Part::Queue { name: names.watermarks(), arguments, binding: None });
        let notify = (options.notify_messages, options.notify_bytes);
        let arguments = durable(options, names, notify, &names.dead_notify(), false);
        parts.push(Part::Queue { name: names.notify(), arguments, binding: None });
    }
    parts
}

impl Part {
    fn title(&self) -> String {
        match self {
            Self::Exchange { name, .. } => format!("exchange {name}"),
            Self::Queue { name, .. } => format!("queue {name}"),
        }
    }

    async fn declare(self, channel: &Channel) -> lapin::Result<()> {
        match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { durable: true, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
            }
            Self::Queue { name, arguments, binding } => {
                channel.queue_declare(name.as_str().into(), QueueDeclareOptions::durable(), arguments).await?;
                if let Some((exchange, key)) = binding {
                    let options = QueueBindOptions::default();
                    channel
                        .queue_bind(name.into(), exchange.into(), key.into(), options, FieldTable::default())
                        .await?;
                }
                Ok(())
            }
        }
    }

    async fn check(self, channel: &Channel) -> lapin::Result<()> {
        match self {
            Self::Exchange { name, kind } => {
                let options = ExchangeDeclareOptions { passive: true, ..ExchangeDeclareOptions::default() };
                channel.exchange_declare(name.into(), kind, options, FieldTable::default()).await
            }
            Self::Queue { name, .. } => {
                let options = QueueDeclareOptions::durable().passive();
                channel.queue_declare(name.into(), options, FieldTable::default()).await.map(drop)
            }
        }
    }
}

/// Declares everything that is not there. A thing of another shape under the same name is an error.
pub(super) async fn declare(options: &Options, names: &Names, links: &[Arc<Link>]) -> Result<(), TopologyError> {
    for (broker, link) in links.iter().enumerate() {
        let channel = link.channel().await?;
        for part in parts(options, names, broker) {
            let name = part.title();
            match link.answer("declare at", part.declare(&channel)).await {
                Ok(()) => {}
                Err(LinkError::Refused { reason, .. }) => return Err(TopologyError::Refused { name, reason }),
                Err(silent) => return Err(silent.into()),
            }
        }
    }
    Ok(())
}

/// Asks for everything and declares nothing; bindings cannot be asked for, a publish that none leads on shows them.
pub(super) async fn check(options: &Options, names: &Names, links: &[Arc<Link>]) -> Result<(), TopologyError> {
    let mut missing = Vec::new();
    for (broker, link) in links.iter().enumerate() {
        let mut channel = link.channel().await?;
        for part in parts(options, names, broker) {
            let name = part.title();
            match link.answer("check at", part.check(&channel)).await {
                Ok(()) => {}
                Err(LinkError::Refused { reason, .. }) if reason.contains("NOT_FOUND") => {
                    missing.push(name);
                    // The broker closes the channel on which it misses something.
                    channel = link.channel().await?;
                }
                Err(LinkError::Refused { reason, .. }) => return Err(TopologyError::Refused { name, reason }),
                Err(silent) => return Err(silent.into()),
            }
        }
    }
    if missing.is_empty() { Ok(()) } else { Err(TopologyError::Missing { names: missing }) }
}
