//! The machine: descriptors, processors, clock, port.

use std::{
    net::{TcpListener, ToSocketAddrs},
    time::{SystemTime, UNIX_EPOCH},
};

use klatch_settings::UpSettings;
use rustix::process::{Resource, getrlimit};

use super::finding::Finding;
use crate::{descriptors, up::lock::Holder};

/// 2026-01-01: this program did not exist before, so a clock that shows less is wrong.
const EARLIEST_SECONDS: u64 = 1_767_225_600;

pub(super) fn look(settings: &UpSettings, held: Holder) -> Vec<Finding> {
    vec![open_files(settings), processors(), clock(), port(&settings.listen, held)]
}

fn open_files(settings: &UpSettings) -> Finding {
    let limit = getrlimit(Resource::Nofile).maximum;
    match descriptors::shortage(limit, settings.gateway.max_connections) {
        None => Finding::ok("open_files", limit.map_or("no limit".to_owned(), |limit| format!("up to {limit}"))),
        Some(short) => {
            Finding::warn("open_files", short, "'klatch up' raises the soft limit itself, up to the hard one")
        }
    }
}

fn processors() -> Finding {
    match std::thread::available_parallelism() {
        Ok(count) => Finding::ok("processors", format!("{count} usable")),
        Err(error) => Finding::warn("processors", format!("unknown: {error}"), "one worker thread will be used"),
    }
}

fn clock() -> Finding {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs());
    if seconds < EARLIEST_SECONDS {
        return Finding::fail(
            "clock",
            "the clock shows a time before this program was written",
            "set the clock (timedatectl, ntpd): access tokens and the times of messages depend on it",
        );
    }
    let millis = i64::try_from(seconds.saturating_mul(1_000)).unwrap_or(i64::MAX);
    Finding::ok("clock", klatch_domain::Timestamp::from_millis(millis).to_string())
}

/// Tries whether the port can be had. Port 0 and a server that runs already have nothing to try.
fn port(listen: &str, held: Holder) -> Finding {
    if let Holder::Process(_) = held {
        return Finding::ok("port", format!("{listen}: not tried, as the data folder is in use"));
    }
    let addresses: Vec<_> = match listen.to_socket_addrs() {
        Ok(addresses) => addresses.collect(),
        Err(error) => {
            return Finding::fail("port", format!("{listen} is no address: {error}"), "give listen as HOST:PORT");
        }
    };
    match TcpListener::bind(addresses.as_slice()) {
        Ok(_) => Finding::ok("port", format!("{listen} is free")),
        Err(error) => Finding::fail(
            "port",
            format!("{listen} cannot be had: {error}"),
            "stop the program that has it ('ss -ltnp' shows it), or give 'klatch up' another --listen",
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::finding::State;

    #[test]
    fn a_taken_port_is_seen() {
        let taken = TcpListener::bind("127.0.0.1:0").unwrap();
        let listen = taken.local_addr().unwrap().to_string();
        assert_eq!(port(&listen, Holder::Nobody).state, State::Fail);
        assert_eq!(port(&listen, Holder::Process(None)).state, State::Ok);
        assert_eq!(port("nowhere", Holder::Nobody).state, State::Fail);
        assert_eq!(port("127.0.0.1:0", Holder::Nobody).state, State::Ok);
    }
}
