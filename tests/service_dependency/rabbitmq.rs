use std::{fs, os::unix::fs::PermissionsExt};

use klatch_bus::rabbitmq::{self, BrokerAddress, Options, Topology};
use klatch_controller::broker::{BrokerLogin, HttpBroker, ensure};
use klatch_crd::read_manifest;
use klatch_desired::{BrokerPlan, Observed, desired};
use klatch_tests::{
    encrypted_front::{AUTHORITY, EncryptedFront},
    services::{
        installation::{Installation, as_postgres, give_to_postgres},
        process::{Process, free_port},
    },
};
use lapin::{ConnectionProperties, options::QueueDeclareOptions, types::FieldTable};
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
        // As a broker of somebody else may be told.
        let conf = format!("{conf}password_hashing_module = rabbit_password_hashing_sha512\n");
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
        let epmd = Process::start(&Installation::chosen().words(epmd.to_vec()));
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
        self.make_by(plan, &["klatch_admin"], PASSWORD).await.unwrap()
    }

    /// By the first of these administrators, with the password that all of them are to have.
    async fn make_by(&self, plan: &BrokerPlan, names: &[&str], password: &str) -> Result<usize, String> {
        let logins = names.iter().map(|name| BrokerLogin::new((*name).to_owned(), password.to_owned())).collect();
        self.make_at(format!("http://127.0.0.1:{}", self.management), plan, logins, password).await
    }

    /// By its address, or that of what stands before it.
    async fn make_at(
        &self,
        base: String,
        plan: &BrokerPlan,
        logins: Vec<BrokerLogin>,
        password: &str,
    ) -> Result<usize, String> {
        let http = HttpBroker::new(Vec::new()).unwrap();
        let passwords = plan.users.iter().map(|user| (user.name.clone(), password.to_owned())).collect();
        let topology = klatch_desired::Topology { brokers: vec![plan.clone()] };
        let ensured = ensure(&http, &topology, &[base], &[logins], &passwords).await;
        let ensured = ensured.map_err(|failure| failure.to_string())?;
        assert_eq!(ensured.stuck, [""; 0]);
        Ok(ensured.written)
    }

    /// Whether a command of whoever shows this cookie is taken.
    fn takes(&self, cookie: &str) -> bool {
        let home = self.place.at("run").join(cookie);
        fs::create_dir_all(&home).unwrap();
        fs::write(home.join(".erlang.cookie"), cookie).unwrap();
        for path in [&home, &home.join(".erlang.cookie")] {
            give_to_postgres(path);
        }
        fs::set_permissions(home.join(".erlang.cookie"), fs::Permissions::from_mode(0o400)).unwrap();
        let mut command: Vec<String> = as_postgres().iter().map(|&word| word.to_owned()).collect();
        command.push("env".to_owned());
        command.extend(self.environment.iter().cloned());
        command.extend([format!("HOME={}", home.display()), "RABBITMQ_NODENAME=klatch@localhost".to_owned()]);
        command.extend(["/usr/lib/rabbitmq/bin/rabbitmqctl", "eval", "true."].map(str::to_owned));
        let output = Installation::chosen().command(&command[0]).args(&command[1..]).current_dir("/").output().unwrap();
        output.status.success()
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
    let administrators: Vec<_> = plan.administrators.iter().map(|one| one.name.as_deref().unwrap()).collect();
    assert_eq!(administrators, ["klatch_admin", "klatch_admin_b"]);
    // A broker that has just begun knows the first alone, and nobody asks in vain because the second is in use.
    let only_second = broker.make_by(&plan, &administrators[1..], PASSWORD).await.unwrap_err();
    assert!(only_second.contains("klatch_admin_b is refused"), "{only_second}");
    let both = ["klatch_admin_b", "klatch_admin"];
    assert!(broker.make_by(&plan, &both, PASSWORD).await.unwrap() > plan.queues.len());
    assert_eq!(broker.make_by(&plan, &administrators[1..], PASSWORD).await, Ok(0), "all of it stands there");
    let first = plan.users.iter().find(|user| user.tags.is_empty()).unwrap();
    // Behind a certificate of one's own authority: whoever is told of it believes it, and nobody else.
    let front = EncryptedFront::before(&format!("http://127.0.0.1:{}", broker.management)).await;
    let login = BrokerLogin::new("klatch_admin".to_owned(), PASSWORD.to_owned());
    let authority = String::from_utf8(AUTHORITY.to_vec()).unwrap();
    let believing = vec![login.clone().believing(authority)];
    assert_eq!(broker.make_at(front.url.clone(), &plan, believing, PASSWORD).await, Ok(0));
    let refused = broker.make_at(front.url.clone(), &plan, vec![login], PASSWORD).await.unwrap_err();
    assert!(refused.contains("certificate"), "{refused}");
    for gone in ["exchanges/VHOST/events.lane.0", "queues/VHOST/notify", "permissions/VHOST/USER"] {
        let path = gone.replace("VHOST", &plan.vhost).replace("USER", &first.name);
        broker.ask(Method::DELETE, &path, Value::Null).await;
        assert_eq!(broker.make(&plan).await, 1, "{gone}");
    }
    let other = json!({"password": "another", "tags": ""});
    broker.ask(Method::PUT, &format!("users/{}", first.name), other).await;
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
    let workloads = || plan.users.iter().filter(|user| user.tags.is_empty());
    for user in workloads() {
        let checking = broker.options(&user.name, &plan.vhost, Topology::Check);
        rabbitmq::connect(checking, &Registry::new()).await.unwrap_or_else(|error| panic!("{}: {error}", user.name));
    }
    let addresses = workloads().map(|user| broker.address(&user.name, &plan.vhost)).collect::<Vec<_>>();
    rights(&addresses, |address| broker.by(address, Topology::Check)).await;

    kill_process(broker.process.pid(), Signal::TERM).unwrap();
    until("it has stopped", || test_kill_process(broker.process.pid()).is_err());
    broker.process = broker.place.start(&["rabbitmq"], &broker.environment);
    broker.ready().await;
    let again = broker.options(&first.name, &plan.vhost, Topology::Check);
    rabbitmq::connect(again, &Registry::new()).await.expect("what stood there stands there after a restart");
}

/// A broker that runs changes over to another cookie, and nobody who is connected notices.
#[tokio::test(flavor = "multi_thread")]
async fn a_new_cookie_is_taken_without_a_restart_and_the_old_one_ends() {
    let broker = Broker::start();
    broker.ready().await;
    broker.make(&plan()).await;
    let address = broker.address("klatch_admin", &plan().vhost);
    let held = lapin::Connection::connect(&address, ConnectionProperties::default()).await.unwrap();
    let channel = held.create_channel().await.unwrap();
    for cookie in ["second0123456789", "third0123456789"] {
        let old = fs::read_to_string(broker.place.at("cookie")).unwrap();
        assert!(broker.takes(&old), "the old one still opens");
        broker.place.write("cookie", cookie);
        until("the new one opens", || broker.takes(cookie));
        assert!(!broker.takes(&old), "the old one opens no more");
        let home = broker.place.at("volume/rabbitmq/home/.erlang.cookie");
        until("it is written down", || fs::read_to_string(&home).unwrap() == cookie);
        assert_eq!(fs::metadata(&home).unwrap().permissions().mode() & 0o777, 0o600);
    }
    // The connection from before it all is still one.
    let passive = QueueDeclareOptions { passive: true, ..QueueDeclareOptions::durable() };
    channel.queue_declare("notify".into(), passive, FieldTable::default()).await.unwrap();
    // One that was told and did not say so: it is met by the new one.
    let home = "volume/rabbitmq/home/.erlang.cookie";
    broker.place.write(home, "forgotten0123456789");
    let home = broker.place.at(home);
    fs::set_permissions(&home, fs::Permissions::from_mode(0o600)).unwrap();
    until("it is written down again", || fs::read_to_string(&home).unwrap() == "third0123456789");
}
