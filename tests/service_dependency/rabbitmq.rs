use std::{fs, os::unix::fs::PermissionsExt};

use klatch_bus::rabbitmq::{self, BrokerAddress, Options, Topology};
use klatch_controller::broker::{BrokerLogin, HttpBroker, ensure};
use klatch_crd::read_manifest;
use klatch_desired::{BrokerPlan, Observed, desired};
use klatch_tests::services::process::{Process, free_port};
use prometheus::Registry;
use reqwest::{Client, Method};
use rustix::process::{Signal, kill_process, test_kill_process};
use serde_json::{Value, json};

use super::{
    place::{PASSWORD, Place, until},
    rights::rights,
};

struct Broker {
    place: Place,
    port: u16,
    management: u16,
    process: Process,
    environment: Vec<String>,
    _epmd: Process,
}

impl Broker {
    /// From the rendered files, on ports of this test.
    fn start() -> Self {
        let place = Place::new();
        let [port, management, distribution, epmd_port] = std::array::from_fn(|_| free_port());
        let conf = Place::rendered("rabbitmq", "rabbitmq.conf")
            .replace("listeners.tcp.default = 5672", &format!("listeners.tcp.1 = 127.0.0.1:{port}"))
            .replace(
                "management.tcp.port = 15672",
                &format!("management.tcp.ip = 127.0.0.1\nmanagement.tcp.port = {management}"),
            )
            .replace("= 25672", &format!("= {distribution}"))
            .replace("rabbit@trial-rabbitmq-0.trial-rabbitmq-nodes", "klatch@localhost")
            .replace("disk_free_limit.absolute = 500MB", "disk_free_limit.absolute = 50MB");
        assert!(!conf.contains("trial-rabbitmq-0"), "{conf}");
        place.write("rabbitmq.conf", &conf);
        let at = |name: &str| place.text(name);
        place.write(
            "settings.yaml",
            &format!(
                "data: {}\nconfigurationFile: {}\npasswordFile: {}\ncookieFile: {}\nrun: {}\n",
                at("volume/rabbitmq"),
                at("rabbitmq.conf"),
                at("admin"),
                at("cookie"),
                at("run")
            ),
        );
        let epmd = ["epmd", "-address", "127.0.0.1", "-port", &epmd_port.to_string()].map(str::to_owned);
        let epmd = Process::start(&epmd);
        let environment = vec![format!("ERL_EPMD_PORT={epmd_port}"), "ERL_EPMD_ADDRESS=127.0.0.1".to_owned()];
        let process = place.start(&["rabbitmq"], &environment);
        Self { place, port, management, process, environment, _epmd: epmd }
    }

    async fn answers(&self) -> bool {
        self.ask(Method::GET, "overview", Value::Null).await.is_some()
    }

    /// A call of the management API, as the administrator.
    async fn ask(&self, method: Method, path: &str, body: Value) -> Option<Value> {
        let url = format!("http://127.0.0.1:{}/api/{path}", self.management);
        let request = Client::new().request(method, url).basic_auth("klatch_admin", Some(PASSWORD)).json(&body);
        let answer = request.send().await.ok()?;
        assert!(answer.status().is_success() || answer.status() == 401, "{path}: {:?}", answer.text().await);
        Some(answer.json().await.unwrap_or_default())
    }

    async fn ready(&self) {
        let began = std::time::Instant::now();
        while !self.answers().await || std::net::TcpStream::connect(("127.0.0.1", self.port)).is_err() {
            assert!(began.elapsed() < super::place::PATIENCE, "RabbitMQ does not answer");
            tokio::time::sleep(std::time::Duration::from_millis(200)).await;
        }
    }

    /// Makes what a plan says, as the operator does; how many things it wrote.
    async fn make(&self, plan: &BrokerPlan) -> usize {
        let http = HttpBroker::new(Vec::new()).unwrap();
        let base = format!("http://127.0.0.1:{}", self.management);
        let login = BrokerLogin::new("klatch_admin".to_owned(), PASSWORD.to_owned());
        let passwords = plan.users.iter().map(|user| (user.name.clone(), PASSWORD.to_owned())).collect();
        let topology = klatch_desired::Topology { brokers: vec![plan.clone()] };
        let ensured = ensure(&http, &topology, &[base], &[login], &passwords).await.unwrap();
        assert_eq!(ensured.stuck, [""; 0]);
        ensured.written
    }

    fn address(&self, user: &str, vhost: &str) -> String {
        format!("amqp://{user}:{PASSWORD}@127.0.0.1:{}/{vhost}", self.port)
    }

    fn options(&self, user: &str, vhost: &str, topology: Topology) -> Options {
        self.by(&self.address(user, vhost), topology)
    }

    fn by(&self, address: &str, topology: Topology) -> Options {
        let long = std::time::Duration::from_secs(60);
        Options {
            topology,
            ingest_queues: 1,
            lanes: 1,
            confirm_timeout: long,
            connect_timeout: long,
            ..Options::new("klatch tests", vec![BrokerAddress::parse(address).unwrap()])
        }
    }
}

fn plan() -> BrokerPlan {
    let sample = concat!(env!("CARGO_MANIFEST_DIR"), "/samples/chatcluster/good/mixed.yaml");
    let cluster = read_manifest(&fs::read_to_string(sample).unwrap()).unwrap();
    desired(&cluster, &Observed::offline()).topology.brokers.remove(0)
}

#[tokio::test(flavor = "multi_thread")]
async fn it_becomes_the_broker_and_holds_what_workloads_need() {
    let mut broker = Broker::start();
    broker.ready().await;
    let cookie = fs::metadata(broker.place.at("volume/rabbitmq/home/.erlang.cookie")).unwrap();
    assert_eq!(cookie.permissions().mode() & 0o777, 0o600);

    let plan = plan();
    assert!(broker.make(&plan).await > plan.queues.len());
    assert_eq!(broker.make(&plan).await, 0, "all of it stands there");
    for gone in ["exchanges/VHOST/events.lane.0", "queues/VHOST/notify", "permissions/VHOST/USER"] {
        let path = gone.replace("VHOST", &plan.vhost).replace("USER", &plan.users[0].name);
        broker.ask(Method::DELETE, &path, Value::Null).await;
        assert_eq!(broker.make(&plan).await, 1, "{gone}");
    }
    let other = json!({"password": "another", "tags": ""});
    broker.ask(Method::PUT, &format!("users/{}", plan.users[0].name), other).await;
    assert_eq!(broker.make(&plan).await, 1, "a password that was changed by hand");
    // The administrator declares the same as the bus does: a thing of another shape would be refused.
    let declaring = broker.options("klatch_admin", &plan.vhost, Topology::Declare);
    rabbitmq::connect(declaring, &Registry::new()).await.expect("the same things with the same arguments");
    let queues = broker.ask(Method::GET, &format!("queues/{}", plan.vhost), Value::Null).await.unwrap();
    assert_eq!(queues.as_array().unwrap().len(), plan.queues.len(), "the bus has made none that the plan lacks");
    // A default exchange and six of the standard's own are everywhere.
    let exchanges = broker.ask(Method::GET, &format!("exchanges/{}", plan.vhost), Value::Null).await.unwrap();
    let ours = exchanges.as_array().unwrap().iter().filter(|one| !one["name"].as_str().unwrap().starts_with("amq."));
    assert_eq!(ours.filter(|one| one["name"] != "").count(), plan.exchanges.len());

    // Each workload finds all of it by its own login, and may not change it.
    for user in &plan.users {
        let checking = broker.options(&user.name, &plan.vhost, Topology::Check);
        rabbitmq::connect(checking, &Registry::new()).await.unwrap_or_else(|error| panic!("{}: {error}", user.name));
    }
    let addresses = plan.users.iter().map(|user| broker.address(&user.name, &plan.vhost)).collect::<Vec<_>>();
    rights(&addresses, |address| broker.by(address, Topology::Check)).await;

    kill_process(broker.process.pid(), Signal::TERM).unwrap();
    until("it has stopped", || test_kill_process(broker.process.pid()).is_err());
    broker.process = broker.place.start(&["rabbitmq"], &broker.environment);
    broker.ready().await;
    let again = broker.options(&plan.users[0].name, &plan.vhost, Topology::Check);
    rabbitmq::connect(again, &Registry::new()).await.expect("what stood there stands there after a restart");
}
