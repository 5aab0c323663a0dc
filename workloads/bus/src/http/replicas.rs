//! The replicas of api: in turn, those that failed last of all.

use std::{
    collections::HashMap,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use parking_lot::Mutex;
use reqwest::{Certificate, Client, Url, redirect};
use tokio::{net::lookup_host, time::Instant};

use super::{Options, OptionsError, options::Replicas as Named};

/// How long a replica that failed is asked only if nobody else is left.
const REST: Duration = Duration::from_secs(1);
/// How long the addresses of a name are believed.
const ADDRESSES_FOR: Duration = Duration::from_secs(5);
/// Idle connections kept to one replica.
const IDLE: usize = 8;

/// One replica. Each has connections of its own, so that trying another one is surely another one.
pub(super) struct Replica {
    pub(super) url: Url,
    pub(super) client: Client,
    failed_at: Mutex<Option<Instant>>,
}

pub(super) struct Replicas {
    options: Options,
    /// A name whose addresses are the replicas.
    name: Option<Url>,
    state: Mutex<State>,
    next: AtomicUsize,
    /// Held by who looks up the name.
    looking_up: tokio::sync::Mutex<()>,
}

#[derive(Default)]
struct State {
    replicas: Vec<Arc<Replica>>,
    /// Of a name, by address.
    by_address: HashMap<SocketAddr, Arc<Replica>>,
    looked_up: Option<Instant>,
}

impl Replica {
    fn new(options: &Options, url: &Url, address: Option<(&str, SocketAddr)>) -> Result<Arc<Self>, OptionsError> {
        let mut builder = Client::builder()
            .http1_only()
            .no_proxy()
            .redirect(redirect::Policy::none())
            .connect_timeout(options.connect_timeout)
            .timeout(options.timeout)
            .pool_max_idle_per_host(IDLE);
        if let Some(ca) = &options.ca {
            let authorities = Certificate::from_pem_bundle(ca)?;
            if authorities.is_empty() {
                return Err(OptionsError::NoAuthority);
            }
            builder = builder.tls_certs_only(authorities);
        }
        if let Some((host, address)) = address {
            builder = builder.resolve(host, address);
        }
        Ok(Arc::new(Self { url: url.clone(), client: builder.build()?, failed_at: Mutex::default() }))
    }

    pub(super) fn failed(&self) {
        *self.failed_at.lock() = Some(Instant::now());
    }

    fn rests(&self, now: Instant) -> bool {
        self.failed_at.lock().is_some_and(|failed_at| now < failed_at + REST)
    }
}

fn check(url: &Url) -> Result<(), OptionsError> {
    let fits = matches!(url.scheme(), "http" | "https") && url.host_str().is_some();
    if fits { Ok(()) } else { Err(OptionsError::Address(url.to_string())) }
}

impl Replicas {
    pub(super) fn new(options: Options) -> Result<Self, OptionsError> {
        let mut state = State::default();
        let mut name = None;
        match &options.replicas {
            Named::Addresses(urls) => {
                for url in urls {
                    check(url)?;
                    state.replicas.push(Replica::new(&options, url, None)?);
                }
                if urls.is_empty() {
                    return Err(OptionsError::NoReplica);
                }
            }
            Named::Name(url) => {
                check(url)?;
                // What is wrong with the options is said now, not with the first question.
                Replica::new(&options, url, None)?;
                name = Some(url.clone());
            }
        }
        Ok(Self {
            options,
            name,
            state: Mutex::new(state),
            next: AtomicUsize::new(0),
            looking_up: tokio::sync::Mutex::default(),
        })
    }

    /// The same ones, found where they are known to be, with other authorities believed.
    pub(super) fn believing(&self, ca: Vec<u8>) -> Result<Self, OptionsError> {
        let replicas = Self::new(Options { ca: Some(ca), ..self.options.clone() })?;
        let known: Vec<_> = self.state.lock().by_address.keys().copied().collect();
        if let Some(url) = self.name.as_ref().filter(|_| !known.is_empty()) {
            replicas.take(url, &known)?;
        }
        Ok(replicas)
    }

    /// The one whose turn it is, and another one if there is one. Those that failed just now come last.
    pub(super) async fn two(&self) -> Result<(Arc<Replica>, Option<Arc<Replica>>), String> {
        self.look_up().await?;
        let turn = self.next.fetch_add(1, Ordering::Relaxed);
        let now = Instant::now();
        let mut replicas = self.state.lock().replicas.clone();
        if replicas.is_empty() {
            return Err("there is no replica to ask".to_owned());
        }
        let count = replicas.len();
        replicas.rotate_left(turn % count);
        // Stable: whoever does not rest keeps their turn.
        replicas.sort_by_key(|replica| replica.rests(now));
        let mut replicas = replicas.into_iter();
        let first = replicas.next().ok_or("there is no replica to ask")?;
        Ok((first, replicas.next()))
    }

    /// Brings the addresses of a name up to date. One caller does it while the others use those known.
    async fn look_up(&self) -> Result<(), String> {
        let Some(url) = &self.name else { return Ok(()) };
        let known = !self.state.lock().replicas.is_empty();
        let _looking_up = match self.looking_up.try_lock() {
            Ok(looking_up) => looking_up,
            Err(_) if known => return Ok(()),
            Err(_) => self.looking_up.lock().await,
        };
        if self.state.lock().looked_up.is_some_and(|looked_up| looked_up.elapsed() < ADDRESSES_FOR) {
            return Ok(());
        }
        match self.addresses(url).await {
            Ok(addresses) => self.take(url, &addresses).map_err(|error| error.to_string()),
            // Those known may still be there.
            Err(error) if known => {
                tracing::warn!(%url, error, "cannot look up the replicas that answer queries");
                self.state.lock().looked_up = Some(Instant::now());
                Ok(())
            }
            Err(error) => Err(error),
        }
    }

    async fn addresses(&self, url: &Url) -> Result<Vec<SocketAddr>, String> {
        let host = url.host_str().unwrap_or_default().trim_matches(['[', ']']).to_owned();
        let port = url.port_or_known_default().unwrap_or(443);
        let found = tokio::time::timeout(self.options.connect_timeout, lookup_host((host.as_str(), port))).await;
        let found = found.map_err(|_| format!("looking up {host} took too long"))?;
        Ok(found.map_err(|error| format!("looking up {host}: {error}"))?.collect())
    }

    fn take(&self, url: &Url, addresses: &[SocketAddr]) -> Result<(), OptionsError> {
        let host = url.host_str().unwrap_or_default();
        let mut state = self.state.lock();
        let mut by_address = HashMap::with_capacity(addresses.len());
        for address in addresses {
            let replica = match state.by_address.get(address) {
                Some(known) => Arc::clone(known),
                None => Replica::new(&self.options, url, Some((host, *address)))?,
            };
            by_address.insert(*address, replica);
        }
        state.replicas = by_address.values().cloned().collect();
        state.by_address = by_address;
        state.looked_up = Some(Instant::now());
        Ok(())
    }
}
