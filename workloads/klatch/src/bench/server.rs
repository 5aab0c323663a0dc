//! The server that is measured: one we started, or one that runs already.

use std::{
    collections::BTreeMap,
    io::{BufRead, BufReader},
    net::{SocketAddr, ToSocketAddrs},
    path::Path,
    process::{Child, Command, Stdio},
    sync::{
        Arc,
        atomic::{AtomicU32, Ordering},
    },
    time::{Duration, Instant},
};

use anyhow::{Context, bail};
use rustix::process::{Pid, Signal, kill_process};

use super::machine;

/// How long a stop may take: `up` drains at most 5 s.
const STOP: Duration = Duration::from_secs(15);

/// Process id of the server that was started, 0 for none: whoever interrupts the bench ends it, too.
pub(super) type Running = Arc<AtomicU32>;

/// A server under measurement. One that we started stops with this value.
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pid: Option<u32>,
    /// Processes of its parts.
    parts: Vec<(String, u32)>,
    child: Option<(Child, Running)>,
}

impl Server {
    /// One that runs already; without `pid` nothing can be said of its memory, and without that and `parts` of its CPU.
    ///
    /// # Errors
    /// When the address is none.
    pub(super) fn running(url: &str, pid: Option<u32>, parts: &[(String, u32)]) -> anyhow::Result<Self> {
        Ok(Self { address: address_of(url)?, pid, parts: parts.to_vec(), child: None })
    }

    /// Starts `klatch up --no-limits` on a data folder, on the core this thread is pinned to, and waits until it serves.
    ///
    /// # Errors
    /// When it does not come up; its log goes to `log`.
    pub(super) fn start(binary: &Path, data: &Path, log: &Path, running: &Running) -> anyhow::Result<Self> {
        let log_file = std::fs::File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut child = Command::new(binary)
            .args(["up", "--no-limits", "--listen", "127.0.0.1:0", "--data"])
            .arg(data)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(log_file)
            .spawn()
            .with_context(|| format!("cannot start {}", binary.display()))?;
        running.store(child.id(), Ordering::Release);
        let Some(output) = child.stdout.take() else { bail!("the server has no standard output") };
        let mut server = Self {
            address: SocketAddr::from(([127, 0, 0, 1], 0)),
            pid: Some(child.id()),
            parts: Vec::new(),
            child: Some((child, Arc::clone(running))),
        };
        let mut line = String::new();
        let mut output = BufReader::new(output);
        while output.read_line(&mut line)? > 0 {
            if let Some(url) = line.trim().strip_prefix("ready ") {
                server.address = address_of(url)?;
                // Whatever else it says must find a reader, or it blocks.
                std::thread::spawn(move || std::io::copy(&mut output, &mut std::io::sink()));
                return Ok(server);
            }
            line.clear();
        }
        bail!("the server ended before it was ready; see {}", log.display())
    }

    /// Resident memory, bytes.
    ///
    /// # Errors
    /// When its process is not known or has gone.
    pub(super) fn resident_bytes(&self) -> anyhow::Result<u64> {
        let pid = self.pid.context("the server's memory can only be read with --pid")?;
        machine::resident_bytes(pid)
    }

    /// CPU time so far, of all parts if they are known, else of its process if that is.
    fn cpu_time(&self) -> Option<Duration> {
        match self.parts.as_slice() {
            [] => self.pid.map(machine::cpu_time),
            parts => Some(parts.iter().map(|(_, pid)| machine::family_cpu_time(*pid)).sum()),
        }
    }

    /// CPU time so far of each part, by name.
    fn parts_cpu_time(&self) -> BTreeMap<String, Duration> {
        let mut times = BTreeMap::new();
        for (name, pid) in &self.parts {
            *times.entry(name.clone()).or_default() += machine::family_cpu_time(*pid);
        }
        times
    }

    fn stop(&mut self) {
        if let Some((mut child, running)) = self.child.take() {
            end(&mut child);
            running.store(0, Ordering::Release);
        }
    }
}

fn end(child: &mut Child) {
    terminate(child.id());
    let since = Instant::now();
    while since.elapsed() < STOP {
        if !matches!(child.try_wait(), Ok(None)) {
            return;
        }
        std::thread::sleep(Duration::from_millis(20));
    }
    // It may have ended meanwhile.
    let _ = child.kill();
    let _ = child.wait();
}

/// Asks a process to stop. One that has gone needs no asking.
pub(super) fn terminate(process: u32) {
    if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
        let _ = kill_process(pid, Signal::TERM);
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.stop();
    }
}

/// CPU of the server over a span of time.
pub(super) struct CpuMeter<'a> {
    server: &'a Server,
    since: Instant,
    before: Option<Duration>,
    parts_before: BTreeMap<String, Duration>,
}

impl<'a> CpuMeter<'a> {
    /// From now on.
    pub(super) fn start(server: &'a Server) -> Self {
        let (before, parts_before) = (server.cpu_time(), server.parts_cpu_time());
        Self { server, since: Instant::now(), before, parts_before }
    }

    /// Share of one core since the start.
    pub(super) fn share(&self) -> Option<f64> {
        let used = self.server.cpu_time()?.checked_sub(self.before?)?;
        Some(used.as_secs_f64() / self.since.elapsed().as_secs_f64().max(1e-9))
    }

    /// Seconds of CPU that each part has used since the start. A part whose processes have changed meanwhile is left out.
    pub(super) fn parts(&self) -> BTreeMap<String, f64> {
        let used = |(name, now): (String, Duration)| {
            let used = now.checked_sub(*self.parts_before.get(&name)?)?;
            Some((name, used.as_secs_f64()))
        };
        self.server.parts_cpu_time().into_iter().filter_map(used).collect()
    }
}

fn address_of(url: &str) -> anyhow::Result<SocketAddr> {
    let rest = url.strip_prefix("http://").context("a server for measuring is http://HOST:PORT")?;
    let host = rest.trim_end_matches('/');
    host.to_socket_addrs()
        .with_context(|| format!("{host} is no HOST:PORT"))?
        .next()
        .with_context(|| format!("{host} has no address"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_read_from_urls() {
        assert_eq!(address_of("http://127.0.0.1:8480/").unwrap().port(), 8480);
        assert!(address_of("https://127.0.0.1:8480").is_err() && address_of("http://nowhere").is_err());
    }
}
