//! The whole platform as people run it: gateways, writers, apis and the notifier as processes of their own, on a real
//! RabbitMQ, a real Redis and PostgreSQL servers, one for each shard and one for the directory. Every way from one part to
//! another leads over a proxy of the tests, so that it can be cut. All of it ends with the test, whatever becomes of that.

mod front;
mod part;
mod settings;
mod start;
mod workload;

use std::{collections::BTreeMap, net::SocketAddr, path::Path};

use parking_lot::Mutex;
use tempfile::TempDir;

pub use part::{Link, Part, REPLICAS, SHARDS};
pub use settings::SLOTS;

use crate::{
    balancer::Server,
    services::{postgres::Postgres, proxy::Proxy, rabbitmq::Rabbitmq, redis::Redis},
};
use front::Front;
use workload::Workload;

/// Memory that no part of ours may reach, bytes: some ten times what they need here, so that only what grows and grows does.
const MOST_OF_A_WORKLOAD: u64 = 400 * 1024 * 1024;
/// For the active writer: entries it has written.
const WRITTEN: &str = "klatch_writer_entries_total";

/// A running platform.
pub struct Platform {
    workloads: BTreeMap<Part, Workload>,
    servers: BTreeMap<Part, Server>,
    fronts: Vec<Front>,
    links: BTreeMap<Link, Proxy>,
    shards: Vec<Postgres>,
    directory: Postgres,
    broker: Rabbitmq,
    cache: Redis,
    internal: Vec<SocketAddr>,
    authority: String,
    /// The most memory each workload was seen with, bytes.
    memory: Mutex<BTreeMap<Part, u64>>,
    _folder: TempDir,
}

impl Platform {
    /// Where clients go, `http://HOST:PORT`: one address for each gateway, with the api behind each.
    #[must_use]
    pub fn fronts(&self) -> Vec<String> {
        self.fronts.iter().map(|front| front.url.clone()).collect()
    }

    /// Where these parts serve: for a load balancer.
    #[must_use]
    pub fn gateways(&self) -> Vec<Server> {
        (0..REPLICAS).map(|number| self.servers[&Part::Gateway(number)]).collect()
    }

    /// As [`Self::gateways`].
    #[must_use]
    pub fn apis(&self) -> Vec<Server> {
        (0..REPLICAS).map(|number| self.servers[&Part::Api(number)]).collect()
    }

    /// Where the apis answer gateways, by TLS.
    #[must_use]
    pub fn internal(&self) -> &[SocketAddr] {
        &self.internal
    }

    /// The authority that vouches for them, PEM.
    #[must_use]
    pub fn authority(&self) -> &str {
        &self.authority
    }

    /// The settings file of a workload.
    ///
    /// # Panics
    /// When the part is none of ours.
    #[must_use]
    pub fn settings(&self, part: Part) -> &Path {
        &self.workloads.get(&part).unwrap_or_else(|| panic!("{part} is no workload")).settings
    }

    /// What they want to be shown.
    #[must_use]
    pub fn service_token(&self) -> &'static str {
        start::SERVICE_TOKEN
    }

    /// The server of a shard, for a look past its users. Its database is called `klatch`.
    #[must_use]
    pub fn shard(&self, number: usize) -> &Postgres {
        &self.shards[number]
    }

    /// How somebody beside the workloads speaks to the broker.
    #[must_use]
    pub fn broker_options(&self) -> klatch_bus::rabbitmq::Options {
        klatch_bus::rabbitmq::Options {
            topology: klatch_bus::rabbitmq::Topology::Check,
            ingest_queues: settings::INGEST_QUEUES,
            ..self.broker.place(start::VHOST).options()
        }
    }

    /// kill -9. Start it again with [`Self::start_again`].
    pub fn kill(&mut self, part: Part) {
        // It waits until the port is closed, and those who write must not wait with it.
        tokio::task::block_in_place(|| match part {
            Part::Shard(number) => self.shards[number].kill(),
            Part::Directory => self.directory.kill(),
            Part::Broker => self.broker.kill(),
            Part::Cache => self.cache.kill(),
            part => self.workload(part).kill(),
        });
    }

    /// Starts what was killed. A service answers when this returns; a workload is left to come up by itself.
    pub fn start_again(&mut self, part: Part) {
        match part {
            Part::Shard(number) => tokio::task::block_in_place(|| self.shards[number].restart()),
            Part::Directory => tokio::task::block_in_place(|| self.directory.restart()),
            Part::Broker => tokio::task::block_in_place(|| self.broker.restart()),
            Part::Cache => tokio::task::block_in_place(|| self.cache.restart()),
            part => self.workload(part).start(),
        }
    }

    /// SIGSTOP.
    pub fn freeze(&mut self, part: Part) {
        match part {
            Part::Shard(number) => self.shards[number].freeze(),
            Part::Directory => self.directory.freeze(),
            Part::Broker => self.broker.freeze(),
            Part::Cache => self.cache.freeze(),
            part => self.workload(part).freeze(),
        }
    }

    /// SIGCONT.
    pub fn thaw(&mut self, part: Part) {
        match part {
            Part::Shard(number) => self.shards[number].thaw(),
            Part::Directory => self.directory.thaw(),
            Part::Broker => self.broker.thaw(),
            Part::Cache => self.cache.thaw(),
            part => self.workload(part).thaw(),
        }
    }

    fn workload(&mut self, part: Part) -> &mut Workload {
        self.workloads.get_mut(&part).unwrap_or_else(|| panic!("{part} is no workload"))
    }

    /// Resets the connections of a link, and refuses new ones.
    pub fn sever(&self, link: Link) {
        self.link(link).cut();
    }

    /// Lets nothing through any more, without a word.
    pub fn silence(&self, link: Link) {
        self.link(link).freeze();
    }

    /// The link works again.
    pub fn heal(&self, link: Link) {
        self.link(link).heal();
    }

    fn link(&self, link: Link) -> &Proxy {
        self.links.get(&link).unwrap_or_else(|| panic!("{} does not connect to {}", link.0, link.1))
    }

    /// FLUSHALL.
    pub fn empty_cache(&self) {
        self.cache.empty();
    }

    /// The number of the replica of message-service that writes, or writes most.
    pub async fn active_writer(&self) -> usize {
        let before = self.entries_written().await;
        tokio::time::sleep(std::time::Duration::from_millis(500)).await;
        let after = self.entries_written().await;
        let wrote = |number: usize| after[number] - before[number];
        (0..REPLICAS).max_by(|one, other| wrote(*one).total_cmp(&wrote(*other))).unwrap_or_default()
    }

    /// Entries that each replica of message-service has written since it started; 0 of one that does not answer.
    pub async fn entries_written(&self) -> Vec<f64> {
        let mut written = Vec::new();
        for number in 0..REPLICAS {
            let workload = &self.workloads[&Part::MessageService(number)];
            written.push(workload.metric(WRITTEN).await.unwrap_or_default());
        }
        written
    }

    /// No workload has ended but those that were killed.
    ///
    /// # Panics
    /// With its log, when one has.
    pub fn all_well(&self) {
        for workload in self.workloads.values() {
            assert!(!workload.has_ended_by_itself(), "{} has ended:\n{}", workload.name, workload.log());
        }
    }

    /// The memory of every workload is below a bound.
    ///
    /// # Panics
    /// When it is not.
    pub fn check_memory(&self) {
        let mut most = self.memory.lock();
        for (part, workload) in &self.workloads {
            let bytes = workload.resident_bytes();
            assert!(bytes < MOST_OF_A_WORKLOAD, "{part} holds {bytes} bytes");
            let seen = most.entry(*part).or_default();
            *seen = bytes.max(*seen);
        }
    }

    /// The most each workload was seen with, in words.
    #[must_use]
    pub fn most_memory(&self) -> String {
        let most = self.memory.lock();
        let words: Vec<_> = most.iter().map(|(part, bytes)| format!("{part} {} MiB", bytes >> 20)).collect();
        words.join(", ")
    }

    /// The ends of all logs.
    #[must_use]
    pub fn logs(&self) -> String {
        self.workloads.values().map(|workload| format!("-- {}\n{}\n", workload.name, workload.log())).collect()
    }
}

impl Drop for Platform {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
    }
}
