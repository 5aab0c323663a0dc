//! Bringing the platform up, from the servers to the fronts.

use std::{
    collections::BTreeMap,
    fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use klatch_settings::TraceSettings;

use super::{
    Link, Part, Platform, REPLICAS, SHARDS,
    front::Front,
    settings::{DATABASE, Plan},
    workload::Workload,
};
use crate::{
    balancer::{Server, free_address},
    klatch_process::binary,
    services::{
        certificates::{CertificateFiles, Certificates},
        postgres::Postgres,
        proxy::Proxy,
        rabbitmq::{self, Rabbitmq},
        redis::{self, Redis},
    },
};

/// What gateways show an api.
pub(super) const SERVICE_TOKEN: &str = "a-token-of-the-tests-long-enough-to-be-one";

/// A virtual host for the platform alone.
pub(super) const VHOST: &str = "klatch";
/// The broker's user on loopback, and its password.
const GUEST: &str = "guest";

impl Platform {
    /// Starts everything and waits until all of it is ready.
    pub async fn start() -> Self {
        Self::start_traced(TraceSettings::default()).await
    }

    /// The same, with traces of every workload.
    pub async fn start_traced(traces: TraceSettings) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let (shards, directory, broker, cache) = tokio::task::block_in_place(|| {
            let shards: Vec<_> = (0..SHARDS).map(|_| Postgres::start(&[])).collect();
            let broker = Rabbitmq::start(rabbitmq::Start::default());
            (shards, Postgres::start(&[]), broker, Redis::start(redis::Start::default()))
        });
        for server in shards.iter().chain([&directory]) {
            server.run_in("postgres", &format!("CREATE DATABASE {DATABASE}")).await;
        }
        let servers = addresses();
        let internal: Vec<SocketAddr> = (0..REPLICAS).map(|_| free_address()).collect();
        let stands_at = |part: Part| match part {
            Part::Shard(number) => shards[number].port,
            Part::Directory => directory.port,
            Part::Broker => broker.port(),
            Part::Cache => cache.port(),
            Part::Api(number) => internal[number].port(),
            part => panic!("nobody connects to {part}"),
        };
        // The same that the settings name.
        let _place = broker.place(VHOST);
        let mut links = BTreeMap::new();
        for link in all_links() {
            links.insert(link, Proxy::to(stands_at(link.1)));
        }
        let certificates = Certificates::make();
        let files = certificates.write(folder.path());
        let workloads = workloads(folder.path(), &links, &servers, &internal, files, traces);
        let mut platform = Self {
            workloads,
            fronts: Vec::new(),
            servers,
            links,
            shards,
            directory,
            broker,
            cache,
            internal,
            authority: certificates.ca,
            memory: Default::default(),
            _folder: folder,
        };
        platform.bring_up().await;
        platform
    }

    /// The first api makes what the others only look for.
    async fn bring_up(&mut self) {
        self.workload(Part::Api(0)).start();
        self.workloads[&Part::Api(0)].wait_ready().await;
        for (part, workload) in &mut self.workloads {
            if *part != Part::Api(0) {
                workload.start();
            }
        }
        for workload in self.workloads.values() {
            workload.wait_ready().await;
        }
        let apis: Vec<_> = self.apis().iter().map(|server| server.address).collect();
        for gateway in self.gateways() {
            self.fronts.push(Front::start(gateway.address, apis.clone()).await);
        }
    }
}

/// The binary of a part: with `KLATCH_PREVIOUS`, a klatch of another version, the second replica of each kind is of that version.
fn version_of(part: Part) -> PathBuf {
    match (std::env::var_os("KLATCH_PREVIOUS"), part) {
        (Some(previous), Part::Gateway(1) | Part::MessageService(1) | Part::Api(1)) => PathBuf::from(previous),
        _ => binary(),
    }
}

fn addresses() -> BTreeMap<Part, Server> {
    let kinds = [Part::Gateway, Part::Api, Part::MessageService];
    let replicas = kinds.into_iter().flat_map(|kind| (0..REPLICAS).map(kind));
    let parts = replicas.chain([Part::NotificationService]);
    parts.map(|part| (part, Server { address: free_address(), admin: free_address() })).collect()
}

/// Who connects to whom.
fn all_links() -> Vec<Link> {
    let mut links = Vec::new();
    let mut connects = |from: Part, databases: bool| {
        links.extend([(from, Part::Broker), (from, Part::Cache)]);
        if databases {
            links.push((from, Part::Directory));
            links.extend((0..SHARDS).map(|shard| (from, Part::Shard(shard))));
        } else {
            links.extend((0..REPLICAS).map(|api| (from, Part::Api(api))));
        }
    };
    for number in 0..REPLICAS {
        connects(Part::Gateway(number), false);
        connects(Part::MessageService(number), true);
        connects(Part::Api(number), true);
    }
    connects(Part::NotificationService, true);
    links
}

fn workloads(
    folder: &Path,
    links: &BTreeMap<Link, Proxy>,
    servers: &BTreeMap<Part, Server>,
    internal: &[SocketAddr],
    certificates: CertificateFiles,
    traces: TraceSettings,
) -> BTreeMap<Part, Workload> {
    let secret = |name: &str, text: &str| {
        let file = folder.join(name);
        fs::write(&file, text).expect("a secret");
        file
    };
    fs::create_dir(folder.join("keys")).expect("a folder for keys");
    let plan = Plan {
        folder,
        way: &|from, to| SocketAddr::from(([127, 0, 0, 1], links[&(from, to)].port())),
        broker_vhost: VHOST.to_owned(),
        broker_user: GUEST.to_owned(),
        broker_password: secret("broker-password", GUEST),
        service_token: secret("service-token", SERVICE_TOKEN),
        certificates,
        traces,
    };
    let workload = |part: &Part, server: &Server| {
        let (name, admin, klatch) = (part.to_string(), server.admin, version_of(*part));
        match *part {
            Part::Gateway(number) => {
                Workload::new(folder, &klatch, "gateway", &name, &plan.gateway(number, server.address, admin), admin)
            }
            Part::Api(number) => {
                let settings = plan.api(number, server.address, internal[number], admin);
                Workload::new(folder, &klatch, "api", &name, &settings, admin)
            }
            Part::MessageService(number) => {
                Workload::new(folder, &klatch, "message-service", &name, &plan.message_service(number, admin), admin)
            }
            _ => {
                Workload::new(folder, &klatch, "notification-service", &name, &plan.notification_service(admin), admin)
            }
        }
    };
    servers.iter().map(|(part, server)| (*part, workload(part, server))).collect()
}
