//! What a measurement can be told.

use std::path::PathBuf;

/// How to measure. Without `--url` the bench makes a data folder, provisions it, and starts a server for each scenario.
#[derive(Debug, Clone, clap::Args)]
pub(crate) struct Options {
    /// Measure this running server (start it with --no-limits) instead of starting one
    #[arg(long, value_name = "http://HOST:PORT", requires = "accounts")]
    pub(super) url: Option<String>,
    /// File of 'bench provision' for the running server
    #[arg(long, value_name = "FILE", requires = "url")]
    pub(super) accounts: Option<PathBuf>,
    /// Process of the running server: its memory and CPU are read
    #[arg(long, requires = "url")]
    pub(super) pid: Option<u32>,
    /// A part of the running server and a process of it, its children included: its CPU per stored message is told apart.
    /// Again for another process or part: gateway, broker, writer, database, ...
    #[arg(long = "part", value_name = "NAME=PID", requires = "url", value_parser = parse_part)]
    pub(super) parts: Vec<(String, u32)>,
    /// Where the data folder is made, and the disk whose sync is measured; removed afterwards
    #[arg(long, value_name = "DIR", default_value = "/var/tmp")]
    pub(super) data: PathBuf,
    /// Keep the data folder and the server's log
    #[arg(long)]
    pub(super) keep: bool,
    /// Program to start as server; this one when left out
    #[arg(long, value_name = "PROGRAM")]
    pub(super) server: Option<PathBuf>,
    /// Connections of 'connect' and 'idle'
    #[arg(long, default_value_t = 15_000, value_parser = clap::value_parser!(u32).range(1_000..=60_000))]
    pub(super) connections: u32,
    /// Members of the room of 'room', all connected
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(20..=5_000))]
    pub(super) members: u32,
    /// Pairs of 'signals', 'stored' and 'ack'
    #[arg(long, default_value_t = 500, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    pub(super) pairs: u32,
    /// Messages per second of 'ack'
    #[arg(long, default_value_t = 1_000, value_parser = clap::value_parser!(u32).range(1..=1_000_000))]
    pub(super) rate: u32,
    /// Seconds of each step
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..=600))]
    pub(super) seconds: u32,
    /// Core of the server
    #[arg(long, default_value_t = 0)]
    pub(super) server_core: usize,
    /// Core of the generator
    #[arg(long, default_value_t = 1)]
    pub(super) generator_core: usize,
    /// Leave out what the machine itself can do: no ratios then
    #[arg(long)]
    pub(super) no_reference: bool,
    /// Write everything measured to this file, too
    #[arg(long, value_name = "FILE")]
    pub(super) json: Option<PathBuf>,
}

fn parse_part(text: &str) -> Result<(String, u32), String> {
    let (name, pid) = text.split_once('=').ok_or("a part is NAME=PID")?;
    let pid = pid.parse().map_err(|_| format!("{pid} is no process id"))?;
    Ok((name.to_owned(), pid))
}

impl Options {
    /// Seconds of each step.
    pub(super) fn step_seconds(&self) -> f64 {
        f64::from(self.seconds)
    }
}
