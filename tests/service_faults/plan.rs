//! Which faults there are, and which a seed draws.

use std::{fmt, time::Duration};

use klatch_tests::platform::{Link, Part, REPLICAS, SHARDS};
use rand::{RngExt, rngs::StdRng, seq::SliceRandom};

/// How long a frozen part stands still.
const FREEZE_SECONDS: std::ops::RangeInclusive<u64> = 5..=20;
/// How long a network stays cut.
const CUT_SECONDS: std::ops::RangeInclusive<u64> = 4..=12;
/// How long a killed part stays away.
const AWAY_MS: std::ops::RangeInclusive<u64> = 200..=3_000;
/// How long a shard is down while the other one goes on.
const OUTAGE: Duration = Duration::from_secs(60);

/// Which part a fault strikes: of replicas, the one that has this role at that moment.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Victim {
    Gateway,
    ActiveWriter,
    StandbyWriter,
    Api,
    NotificationService,
    Shard,
    Directory,
    Broker,
    Cache,
}

/// What happens.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Fault {
    /// kill -9, and a new start after a while.
    Kill(Victim),
    /// SIGSTOP, and SIGCONT after a while.
    Freeze(Victim),
    /// Connections are reset, and no new one is made, for a while.
    Sever(Victim, Victim),
    /// Nothing goes through any more, without a word, for a while.
    Silence(Victim, Victim),
    /// FLUSHALL.
    EmptyCache,
    /// Both writers stand still until the broker refuses commands.
    FullQueue,
    /// A shard is away for a minute; the rooms of the other one go on.
    Outage,
}

/// One fault, fixed but for what only the moment tells.
#[derive(Debug, Clone, Copy)]
pub struct Episode {
    pub fault: Fault,
    /// Of replicas that are alike, which.
    pub replica: usize,
    pub shard: usize,
    pub lasts: Duration,
}

impl fmt::Display for Fault {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kill(victim) => write!(formatter, "kill -9 {victim}"),
            Self::Freeze(victim) => write!(formatter, "freeze {victim}"),
            Self::Sever(from, to) => write!(formatter, "sever {from} from {to}"),
            Self::Silence(from, to) => write!(formatter, "silence {from} to {to}"),
            Self::EmptyCache => formatter.write_str("FLUSHALL"),
            Self::FullQueue => formatter.write_str("full ingest queues"),
            Self::Outage => formatter.write_str("a shard down for a minute"),
        }
    }
}

impl fmt::Display for Victim {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(match self {
            Self::Gateway => "a gateway",
            Self::ActiveWriter => "the active writer",
            Self::StandbyWriter => "the standby writer",
            Self::Api => "an api",
            Self::NotificationService => "notification-service",
            Self::Shard => "a shard",
            Self::Directory => "the directory",
            Self::Broker => "the broker",
            Self::Cache => "Redis",
        })
    }
}

/// Every fault once.
fn all() -> Vec<Fault> {
    use Victim::{ActiveWriter, Api, Broker, Cache, Directory, Gateway, NotificationService, Shard, StandbyWriter};
    let victims = [Gateway, ActiveWriter, StandbyWriter, Api, NotificationService, Shard, Directory, Broker, Cache];
    let links = [
        (Gateway, Broker),
        (Gateway, Cache),
        (Gateway, Api),
        (ActiveWriter, Broker),
        (ActiveWriter, Shard),
        (ActiveWriter, Directory),
        (ActiveWriter, Cache),
        (Api, Broker),
        (Api, Shard),
        (Api, Directory),
        (NotificationService, Broker),
    ];
    let mut faults = vec![Fault::EmptyCache, Fault::FullQueue];
    for victim in victims {
        faults.extend([Fault::Kill(victim), Fault::Freeze(victim)]);
    }
    for (from, to) in links {
        faults.extend([Fault::Sever(from, to), Fault::Silence(from, to)]);
    }
    faults
}

/// Draws episodes of faults whose name holds the word: no fault again before all others had their turn. The outage, which takes
/// a minute, is among them once; alone when the word asks for nothing else.
pub fn draw(random: &mut StdRng, count: usize, only: &str) -> Vec<Episode> {
    let fits = |fault: &Fault| fault.to_string().contains(only);
    let mut deck: Vec<Fault> = all().into_iter().filter(fits).collect();
    let mut faults: Vec<Fault> = Some(Fault::Outage).into_iter().filter(fits).collect();
    assert!(deck.len() + faults.len() > 0, "no fault is called {only:?}");
    if deck.is_empty() {
        deck.clone_from(&faults);
    }
    while faults.len() < count {
        deck.shuffle(random);
        faults.extend(&deck);
    }
    faults.truncate(count);
    faults.shuffle(random);
    faults.into_iter().map(|fault| Episode::draw(random, fault)).collect()
}

impl Episode {
    pub fn draw(random: &mut StdRng, fault: Fault) -> Self {
        let lasts = match fault {
            Fault::Kill(_) => Duration::from_millis(random.random_range(AWAY_MS)),
            Fault::Freeze(_) => Duration::from_secs(random.random_range(FREEZE_SECONDS)),
            Fault::Sever(..) | Fault::Silence(..) => Duration::from_secs(random.random_range(CUT_SECONDS)),
            Fault::Outage => OUTAGE,
            Fault::EmptyCache | Fault::FullQueue => Duration::ZERO,
        };
        Self { fault, replica: random.random_range(0..REPLICAS), shard: random.random_range(0..SHARDS), lasts }
    }

    /// The part that a victim's role means now.
    pub fn part(&self, victim: Victim, active_writer: usize) -> Part {
        match victim {
            Victim::Gateway => Part::Gateway(self.replica),
            Victim::ActiveWriter => Part::MessageService(active_writer),
            Victim::StandbyWriter => Part::MessageService((active_writer + 1) % REPLICAS),
            Victim::Api => Part::Api(self.replica),
            Victim::NotificationService => Part::NotificationService,
            Victim::Shard => Part::Shard(self.shard),
            Victim::Directory => Part::Directory,
            Victim::Broker => Part::Broker,
            Victim::Cache => Part::Cache,
        }
    }

    /// The ways between two victims: to all replicas of an api, as a gateway would ask the next one.
    pub fn links(&self, from: Victim, to: Victim, active_writer: usize) -> Vec<Link> {
        let from = self.part(from, active_writer);
        match to {
            Victim::Api => (0..REPLICAS).map(|api| (from, Part::Api(api))).collect(),
            to => vec![(from, self.part(to, active_writer))],
        }
    }
}
