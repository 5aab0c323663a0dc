//! Whatever dies, freezes or is cut off: nothing acknowledged is lost, nothing is doubled, every log is gapless and the same for
//! all, and who is not in a room hears nothing of it.
//!
//! Episodes are drawn by a seed, which is printed: `KLATCH_FAULTS_SEED` replays them, `KLATCH_FAULTS_EPISODES` asks for more,
//! `KLATCH_FAULTS_ONLY` for those whose name holds a word. `KLATCH_PREVIOUS` names a klatch of another version, which the second replica
//! of each kind then is (`tests/versions`).

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a test fails by panicking")]
#![allow(unreachable_pub, reason = "what modules of one test binary share goes nowhere else")]

#[path = "service_faults/collide.rs"]
mod collide;
#[path = "service_faults/inflict.rs"]
mod inflict;
#[path = "service_faults/plan.rs"]
mod plan;
#[path = "service_faults/prefix.rs"]
mod prefix;
#[path = "service_faults/stage.rs"]
mod stage;

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use inflict::Account;
use klatch_tests::asked::{number, seed};
use plan::{Episode, Fault, Victim};
use rand::{SeedableRng, rngs::StdRng};
use stage::Stage;

/// Episodes of one run of `make test`.
const EPISODES: usize = 20;
/// What one may take: its fault (an outage 70 s, the longest), and each of the bounds of its way back.
const EPISODE_WITHIN: Duration = Duration::from_secs(600);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn whatever_dies_nothing_acknowledged_is_lost() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let seed = seed("KLATCH_FAULTS_SEED");
    let count = number("KLATCH_FAULTS_EPISODES").unwrap_or(EPISODES);
    eprintln!("KLATCH_FAULTS_SEED={seed} KLATCH_FAULTS_EPISODES={count}");
    let only = std::env::var("KLATCH_FAULTS_ONLY").unwrap_or_default();
    let episodes = plan::draw(&mut StdRng::seed_from_u64(seed), count, &only);
    let began = Instant::now();
    let mut stage = Stage::set().await;
    eprintln!("everything runs after {:.1?}", began.elapsed());
    let mut accounts = Tally::default();
    for (place, episode) in episodes.iter().enumerate() {
        eprintln!("{:>4} s  episode {}: {}", began.elapsed().as_secs(), place + 1, episode.fault);
        let account = tokio::time::timeout(EPISODE_WITHIN, inflict::play(&mut stage, *episode)).await;
        let account = account.unwrap_or_else(|_| panic!("{} did not end within {EPISODE_WITHIN:?}", episode.fault));
        eprintln!(
            "        {} stored meanwhile, converged after {:.1?}; {}",
            account.stored, account.converged, account.note
        );
        accounts.0.push(account);
    }
    let entries = stage.cast.read_all_again().await;
    stage.platform.check_memory();
    eprintln!(
        "{} episodes in {} s, {} messages acknowledged, {entries} entries, {} connections; refused for now: {:?}; most memory: {}",
        accounts.0.len(),
        began.elapsed().as_secs(),
        stage.cast.desk.stored(),
        stage.cast.desk.connections(),
        stage.cast.desk.refusals(),
        stage.platform.most_memory()
    );
}

/// Two at once would take each other's breath.
static ONE_AT_A_TIME: tokio::sync::Mutex<()> = tokio::sync::Mutex::const_new(());

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn behind_balancers_deaths_and_reloads_lose_nothing() {
    let _alone = ONE_AT_A_TIME.lock().await;
    let mut random = StdRng::seed_from_u64(number("KLATCH_FAULTS_SEED").unwrap_or_default());
    let (mut stage, balancers) = Stage::set_behind_balancers().await;
    for fault in [Fault::Kill(Victim::Gateway), Fault::Kill(Victim::Api), Fault::Freeze(Victim::Gateway)] {
        inflict::play(&mut stage, Episode::draw(&mut random, fault)).await;
        for balancer in &balancers {
            balancer.reload().await;
        }
    }
    stage.cast.read_all_again().await;
}

/// What was played, shown at the end by kind, also when that is a panic.
#[derive(Default)]
struct Tally(Vec<Account>);

impl Drop for Tally {
    fn drop(&mut self) {
        eprintln!("{}", summary(&self.0));
    }
}

/// Episodes by kind.
fn summary(accounts: &[Account]) -> String {
    let mut kinds: BTreeMap<String, Vec<&Account>> = BTreeMap::new();
    for account in accounts {
        kinds.entry(account.fault.to_string()).or_default().push(account);
    }
    let mut lines =
        vec!["| fault | episodes | stored meanwhile | longest way back |".to_owned(), "|---|---|---|---|".to_owned()];
    for (kind, accounts) in kinds {
        let stored: u64 = accounts.iter().map(|account| account.stored).sum();
        let longest = accounts.iter().map(|account| account.converged).max().unwrap_or_default();
        lines.push(format!("| {kind} | {} | {stored} | {:.1} s |", accounts.len(), longest.as_secs_f64()));
    }
    lines.join("\n")
}
