//! The load balancers that people put in front: HAProxy and NGINX, run with the configurations that ship in
//! `docs/load-balancers/`. Only names, ports and paths are put in; what they say is what users get.

use std::{
    fs::{self, File},
    net::SocketAddr,
    os::unix::process::CommandExt,
    path::{Path, PathBuf},
    process::{Child, Command, Stdio},
    time::Duration,
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};
use tempfile::TempDir;

use crate::{person::PATIENCE, services::installation::Installation};

/// A gateway or an api.
#[derive(Debug, Clone, Copy)]
pub struct Server {
    /// Where it serves.
    pub address: SocketAddr,
    /// Where it says whether it is ready.
    pub admin: SocketAddr,
}

/// Which one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Product {
    /// HAProxy.
    Haproxy,
    /// NGINX.
    Nginx,
}

/// A running balancer, which ends with the test.
pub struct Balancer {
    product: Product,
    child: Child,
    folder: TempDir,
    /// `https://localhost:PORT`
    pub url: String,
}

impl Balancer {
    /// Starts one before these, and waits until it answers.
    ///
    /// # Panics
    /// When the product is not installed, or does not take its configuration.
    pub async fn start(product: Product, gateways: &[Server], apis: &[Server]) -> Self {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let address = free_address();
        let configuration = product.configuration(folder.path(), address, gateways, apis);
        let file = folder.path().join(product.file());
        fs::write(&file, configuration).expect("the configuration");
        let log = File::create(folder.path().join("log")).expect("a log");
        let mut command = product.command(folder.path(), &file);
        // A group of its own: whatever it starts goes with it.
        command.process_group(0).stdin(Stdio::null()).stdout(log.try_clone().expect("the log")).stderr(log);
        let child = command.spawn().unwrap_or_else(|error| panic!("{product:?} (apt-get install): {error}"));
        let mut balancer = Self { product, child, folder, url: format!("https://localhost:{}", address.port()) };
        balancer.wait_until_it_listens(address).await;
        balancer
    }

    async fn wait_until_it_listens(&mut self, address: SocketAddr) {
        let listens = async {
            while tokio::net::TcpStream::connect(address).await.is_err() {
                let ended = self.child.try_wait().expect("a status");
                assert!(ended.is_none(), "{:?} has ended: {}", self.product, self.log());
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, listens).await.expect("it listens in time");
    }

    /// Makes it read its configuration again, and waits until a new worker runs.
    pub async fn reload(&self) {
        let before = self.workers();
        let signal = match self.product {
            Product::Haproxy => Signal::USR2,
            Product::Nginx => Signal::HUP,
        };
        kill_process(Pid::from_child(&self.child), signal).expect("a signal");
        let reloaded = async {
            while self.workers().iter().all(|worker| before.contains(worker)) {
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
        };
        tokio::time::timeout(PATIENCE, reloaded).await.unwrap_or_else(|_| panic!("no reload: {}", self.log()));
    }

    /// Its children.
    fn workers(&self) -> Vec<u32> {
        let master = self.child.id();
        let children = fs::read_to_string(format!("/proc/{master}/task/{master}/children")).expect("its children");
        children.split_whitespace().map(|pid| pid.parse().expect("a number")).collect()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap_or_default()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        // It may have ended.
        let _ = kill_process_group(Pid::from_child(&self.child), Signal::KILL);
        let _ = self.child.wait();
        if std::thread::panicking() {
            eprintln!("the log of {:?}:\n{}", self.product, self.log());
        }
    }
}

impl Product {
    const fn file(self) -> &'static str {
        match self {
            Self::Haproxy => "haproxy.cfg",
            Self::Nginx => "nginx.conf",
        }
    }

    fn command(self, folder: &Path, file: &Path) -> Command {
        match self {
            Self::Haproxy => {
                let mut command = Installation::chosen().command("/usr/sbin/haproxy");
                command.args(["-W", "-db", "-f"]).arg(file);
                command
            }
            Self::Nginx => {
                let mut command = Installation::chosen().command("/usr/sbin/nginx");
                let pid = folder.join("pid");
                let directives = format!("daemon off; pid {}; error_log stderr notice;", pid.display());
                command.arg("-p").arg(folder).arg("-c").arg(file).args(["-g", &directives]);
                command
            }
        }
    }

    /// The configuration that ships, with this test's names in the places that are the user's to fill.
    fn configuration(self, folder: &Path, address: SocketAddr, gateways: &[Server], apis: &[Server]) -> String {
        let shipped = root().join("docs/load-balancers").join(self.file());
        let mut text = fs::read_to_string(&shipped).expect("the configuration that ships");
        let tls = root().join("tests/samples/tls");
        let (certificate, key) = (tls.join("server.pem"), tls.join("server.key.pem"));
        let mut places = vec![];
        for (servers, ports) in [(gateways, [8481, 8491]), (apis, [8482, 8492])] {
            for (number, port) in ports.into_iter().enumerate() {
                let Server { address, admin } = servers[number % servers.len()];
                match self {
                    Self::Haproxy => places.push((
                        format!("127.0.0.1:{port} check port {}", port + 1_000),
                        format!("{address} check port {}", admin.port()),
                    )),
                    Self::Nginx => places.push((format!("server 127.0.0.1:{port} "), format!("server {address} "))),
                }
            }
        }
        match self {
            Self::Haproxy => {
                let both = folder.join("both.pem");
                let pem = [fs::read(&certificate).expect("PEM"), fs::read(&key).expect("PEM")].concat();
                fs::write(&both, pem).expect("PEM");
                places.push(("bind :80\n".to_owned(), format!("bind {}\n", free_address())));
                places.push(("bind :443 ".to_owned(), format!("bind {address} ")));
                places.push(("/etc/haproxy/chat.example.org.pem".to_owned(), both.display().to_string()));
            }
            Self::Nginx => {
                places.push(("listen 80;".to_owned(), format!("listen {};", free_address())));
                places.push(("listen 443 ".to_owned(), format!("listen {address} ")));
                places.push(("server_name chat.example.org;".to_owned(), "server_name localhost;".to_owned()));
                places.push(("/etc/nginx/chat.example.org.crt".to_owned(), certificate.display().to_string()));
                places.push(("/etc/nginx/chat.example.org.key".to_owned(), key.display().to_string()));
                places.push(("/var/log/nginx/access.log".to_owned(), folder.join("access").display().to_string()));
                // Where Debian puts what does not fit into memory is the system's own.
                let paths: String = ["client_body", "proxy", "fastcgi", "uwsgi", "scgi"]
                    .map(|what| format!("    {what}_temp_path {}/{what};\n", folder.display()))
                    .concat();
                places.push(("http {\n".to_owned(), format!("http {{\n{paths}")));
            }
        }
        for (place, value) in places {
            assert!(text.contains(&place), "{} has no {place:?}", shipped.display());
            text = text.replace(&place, &value);
        }
        text
    }
}

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the workspace").to_owned()
}

/// An address on loopback that was free a moment ago.
#[must_use]
pub fn free_address() -> SocketAddr {
    SocketAddr::from(([127, 0, 0, 1], crate::services::process::free_port()))
}
