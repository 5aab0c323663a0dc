//! What stands on the brokers. The operator makes it over the management API, looks at it again, and puts back what was changed
//! by hand; workloads declare nothing but the queues of their own connections.
//!
//! The same things, with the same arguments, are declared by `klatch-bus` when a development setting says so: a test holds the
//! two together.

use std::collections::BTreeMap;

use klatch_settings::port;
use serde::Serialize;
use serde_json::{Value, json};

use crate::{Context, Login, Role, name::login_key, secret, workload::external_broker_authority};

/// Messages an ingest queue holds, and their bytes.
const INGEST: (u32, u64) = (16_384, 256 * 1024 * 1024);
/// Messages of notify commands that wait, and their bytes.
const NOTIFY: (u32, u64) = (65_536, 128 * 1024 * 1024);
/// Messages of watermark moves that wait, and their bytes.
const WATERMARKS: (u32, u64) = (4_096, 16 * 1024 * 1024);
/// Deliveries of one message before the broker takes it for poison; high, as handovers count.
const DELIVERY_LIMIT: u32 = 100;

/// A key of a Secret.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct SecretKey {
    /// The Secret.
    pub secret: String,
    /// The key.
    pub key: String,
}

/// What a user may do, as expressions over names (<https://www.rabbitmq.com/docs/access-control>).
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Permissions {
    /// Declare and delete.
    pub configure: String,
    /// Publish, and lead from.
    pub write: String,
    /// Consume, and lead to.
    pub read: String,
}

/// Somebody who may do everything at a broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Administrator {
    /// Their name; none: it stands in the Secret's key `username`.
    pub name: Option<String>,
    /// Where their password stands.
    pub password: SecretKey,
    /// The authority that vouches for the broker, by https: PEM. None: those that the system believes.
    pub authority: Option<SecretKey>,
}

/// A user of the broker.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct User {
    /// Their name.
    pub name: String,
    /// Where their password stands.
    pub password: SecretKey,
    /// Tags, as the management API has them: `administrator`, or none.
    #[serde(skip_serializing_if = "str::is_empty")]
    pub tags: &'static str,
    /// What they may do in the virtual host.
    pub permissions: Permissions,
}

/// An exchange; all are durable.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Exchange {
    /// Its name.
    pub name: String,
    /// `direct` or `fanout`.
    #[serde(rename = "type")]
    pub kind: &'static str,
}

/// A queue; all are durable.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Queue {
    /// Its name.
    pub name: String,
    /// What it is declared with.
    pub arguments: BTreeMap<&'static str, Value>,
}

/// An exchange leads to a queue.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Binding {
    /// The exchange.
    pub exchange: String,
    /// The queue.
    pub queue: String,
    /// Messages with this key.
    pub key: String,
}

/// What stands on one broker, in the order to make it: dead letters first, as a message that dies before them waits for minutes.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct BrokerPlan {
    /// Its management API.
    pub management: String,
    /// Who makes all this: the first of them whom the broker lets in.
    pub administrators: Vec<Administrator>,
    /// The virtual host.
    pub vhost: String,
    /// Users of the virtual host.
    pub users: Vec<User>,
    /// Exchanges.
    pub exchanges: Vec<Exchange>,
    /// Queues.
    pub queues: Vec<Queue>,
    /// Bindings.
    pub bindings: Vec<Binding>,
}

/// What stands on all of them.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Topology {
    /// Queue i and lane i live on broker i mod n; what there is only one of, on the first.
    pub brokers: Vec<BrokerPlan>,
}

pub(crate) fn vhost(context: &Context<'_>) -> String {
    let said = context.spec().broker.external.as_ref().and_then(|external| external.vhost.clone());
    said.unwrap_or_else(|| context.names.vhost())
}

/// Users are the whole broker's, so their names hold the virtual host's.
pub(crate) fn user(context: &Context<'_>, role: Role, login: Login) -> String {
    format!("{}.{}", vhost(context), login_key(role, login))
}

pub(crate) fn topology(context: &Context<'_>) -> Topology {
    let broker = &context.spec().broker;
    let plan = |number: usize, count: usize, management: String, administrators: Vec<Administrator>| {
        let (exchanges, queues, bindings) = parts(context, number, count);
        BrokerPlan {
            management,
            vhost: vhost(context),
            users: administrators.iter().filter_map(user_of).chain(users(context)).collect(),
            administrators,
            exchanges,
            queues,
            bindings,
        }
    };
    let brokers = match &broker.external {
        None => {
            let management = format!("http://{}:{}", context.names.role(Role::Rabbitmq), port::RABBITMQ_MANAGEMENT);
            // A broker with nothing on its volume knows the first alone, whichever is in use.
            let login = context.observed.login;
            vec![plan(0, 1, management, [login, login.other()].map(|login| administrator(context, login)).into())]
        }
        Some(external) => {
            let of = |(number, one): (usize, &klatch_crd::BrokerAddress)| {
                let secret = one.management.secret_ref.name.clone();
                let password = SecretKey { secret, key: "password".to_owned() };
                let authority = external_broker_authority(context);
                let authority = authority.map(|secret| SecretKey { secret, key: "ca.crt".to_owned() });
                let administrator = Administrator { name: None, password, authority };
                plan(number, external.brokers.len(), one.management.url.clone(), vec![administrator])
            };
            external.brokers.iter().enumerate().map(of).collect()
        }
    };
    Topology { brokers }
}

/// Of our own brokers.
fn administrator(context: &Context<'_>, login: Login) -> Administrator {
    let first = klatch_settings::RabbitmqDependency::default().administrator;
    let name = match login {
        Login::A => first,
        Login::B => format!("{first}_{}", login.letter()),
    };
    let password = SecretKey { secret: secret::rabbitmq(context), key: secret::admin(login) };
    Administrator { name: Some(name), password, authority: None }
}

/// An administrator of ours as the user that they are.
fn user_of(administrator: &Administrator) -> Option<User> {
    let [configure, write, read] = [".*", ".*", ".*"].map(str::to_owned);
    Some(User {
        name: administrator.name.clone()?,
        password: administrator.password.clone(),
        tags: "administrator",
        permissions: Permissions { configure, write, read },
    })
}

fn users(context: &Context<'_>) -> Vec<User> {
    let of = |role: Role, login: Login| User {
        name: user(context, role, login),
        password: SecretKey { secret: secret::broker_logins(context), key: login_key(role, login) },
        tags: "",
        permissions: permissions(role),
    };
    Role::WORKLOADS.into_iter().flat_map(|role| Login::BOTH.map(|login| of(role, login))).collect()
}

/// Subscribers of events declare queues that the broker names, and only those. Publishing to a queue by its name goes through
/// the default exchange.
fn permissions(role: Role) -> Permissions {
    let own = r"^amq\.gen-.*$";
    let of = |configure: &str, write: &str, read: &str| Permissions {
        configure: configure.to_owned(),
        write: write.to_owned(),
        read: read.to_owned(),
    };
    match role {
        Role::Gateway | Role::Api => of(
            own,
            r"^(amq\.gen-.*|amq\.default|ingest|events\..*|watermarks|notify)$",
            r"^(amq\.gen-.*|ingest|events\..*|watermarks|notify)$",
        ),
        Role::MessageService => of(
            "^$",
            r"^(amq\.default|ingest|events\..*|dead-letters|notify|watermarks)$",
            r"^(ingest\..*|watermarks|notify|dead-letters.*)$",
        ),
        Role::NotificationService => {
            of("^$", r"^(amq\.default|events\..*|dead-letters)$", r"^(notify|ingest\..*|watermarks)$")
        }
        _ => of("^$", "^$", "^$"),
    }
}

fn arguments<const N: usize>(pairs: [(&'static str, Value); N]) -> BTreeMap<&'static str, Value> {
    pairs.into_iter().collect()
}

/// A bounded quorum queue that refuses what does not fit and keeps what it gives up, at least once. (At-least-once dead
/// letters need reject-publish: <https://www.rabbitmq.com/docs/quorum-queues>.)
fn durable(most: (u32, u64), dead: &str) -> BTreeMap<&'static str, Value> {
    arguments([
        ("x-queue-type", json!("quorum")),
        ("x-delivery-limit", json!(DELIVERY_LIMIT)),
        ("x-max-length", json!(most.0)),
        ("x-max-length-bytes", json!(most.1)),
        ("x-overflow", json!("reject-publish")),
        ("x-dead-letter-exchange", json!("dead-letters")),
        ("x-dead-letter-routing-key", json!(dead)),
        ("x-dead-letter-strategy", json!("at-least-once")),
    ])
}

fn parts(context: &Context<'_>, number: usize, count: usize) -> (Vec<Exchange>, Vec<Queue>, Vec<Binding>) {
    let said = &context.spec().broker.topology;
    let here = |index: &u16| usize::from(*index) % count == number;
    let exchange = |name: &str, kind| Exchange { name: name.to_owned(), kind };
    let binding = |exchange: &str, queue: &str, key: String| Binding {
        exchange: exchange.to_owned(),
        queue: queue.to_owned(),
        key,
    };
    let mut exchanges = vec![exchange("dead-letters", "direct"), exchange("ingest", "direct")];
    let (mut queues, mut bindings) = (Vec::new(), Vec::new());
    for dead in ["dead-letters.ingest", "dead-letters.notify"] {
        queues.push(Queue { name: dead.to_owned(), arguments: arguments([("x-queue-type", json!("quorum"))]) });
        bindings.push(binding("dead-letters", dead, dead.to_owned()));
    }
    for index in (0..said.ingest_queues).filter(here) {
        let name = format!("ingest.{index}");
        let mut arguments = durable(INGEST, "dead-letters.ingest");
        arguments.insert("x-single-active-consumer", json!(true));
        bindings.push(binding("ingest", &name, index.to_string()));
        queues.push(Queue { name, arguments });
    }
    exchanges.extend((0..said.lanes).filter(here).map(|index| exchange(&format!("events.lane.{index}"), "fanout")));
    if number == 0 {
        exchanges.extend([exchange("events.one", "direct"), exchange("events.everyone", "fanout")]);
        // The queue outlives its broker, so that consumers need nobody to declare it again; its messages do not.
        let bounded = arguments([
            ("x-max-length", json!(WATERMARKS.0)),
            ("x-max-length-bytes", json!(WATERMARKS.1)),
            ("x-overflow", json!("reject-publish")),
        ]);
        queues.push(Queue { name: "watermarks".to_owned(), arguments: bounded });
        queues.push(Queue { name: "notify".to_owned(), arguments: durable(NOTIFY, "dead-letters.notify") });
    }
    (exchanges, queues, bindings)
}
