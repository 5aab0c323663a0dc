//! How fast a shard takes rows, synced, and what one sync costs here without it:
//! `cargo run --profile up -p klatch-store --example append_rate [FOLDER]`, or the same on PostgreSQL, in two empty databases:
//! `... --example append_rate postgres HOST PORT USER DIRECTORY SHARD SLOTS`.
//!
//! Text entries of some 200 bytes over 10,000 rooms. A batch is one `append`; `callers` of them are on their way at once.

use std::{
    error::Error,
    fs::{self, File},
    io::Write as _,
    path::{Path, PathBuf},
    sync::Arc,
    time::{Duration, Instant},
};

use klatch_domain::{
    Content, Draft, Entry, Kind, MessageId, Ordinal, Position, RoomFacts, RoomId, RoomKind, Sender, SessionId, ShardId,
    Timestamp, UserId, Visibility,
};
use klatch_store::{
    Shard,
    postgres::{self, Endpoint, PoolSizes},
    shard::{Effect, Write},
    sqlite::{self, Options},
};

const ROOMS: usize = 10_000;
/// Entries that are there before anything is measured, for each room.
const BEFORE: usize = 20;
const MEASURED: Duration = Duration::from_secs(8);

/// The heads of a caller's own rooms.
struct Caller {
    rooms: Vec<(RoomId, u64)>,
    text: String,
    random: u64,
}

impl Caller {
    fn next(&mut self) -> Write {
        // Knuth's MMIX generator: the rooms are met in no order.
        self.random = self.random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        let index = (self.random >> 33) as usize % self.rooms.len();
        self.write(index)
    }

    fn write(&mut self, index: usize) -> Write {
        let (room, seq) = &mut self.rooms[index];
        *seq += 1;
        let user = UserId::from_bytes([(index % 251) as u8; 16]);
        let at = Timestamp::from_millis(1_700_000_000_000 + *seq as i64);
        let effect = if *seq == 1 {
            Effect::Create(Box::new(RoomFacts::new(RoomKind::Group, None, Visibility::Private, at)))
        } else {
            Effect::None
        };
        let draft = Draft::new(Kind::Text, Content::text(&self.text).unwrap_or_default());
        let sender = Sender { user, session: SessionId::from_bytes([3; 16]) };
        let entry = Entry::of(&draft, Position::first(*seq), Ordinal(*seq), MessageId::now(), sender, at);
        Write { room: *room, entry, effect }
    }
}

/// What was measured of some calls.
struct Measured {
    rows: usize,
    took: Duration,
    cpu: Duration,
    calls: Vec<Duration>,
}

impl Measured {
    fn print(mut self, what: &str) {
        self.calls.sort_unstable();
        let at = |share: f64| {
            let index = (self.calls.len() as f64 * share) as usize;
            self.calls.get(index.min(self.calls.len().saturating_sub(1))).copied().unwrap_or_default()
        };
        println!(
            "{what:32} {:8.0} rows/s  {:6.1} us CPU a row   p50 {:7.3} ms  p99 {:7.3} ms  max {:7.3} ms",
            self.rows as f64 / self.took.as_secs_f64(),
            self.cpu.as_secs_f64() * 1e6 / self.rows.max(1) as f64,
            at(0.5).as_secs_f64() * 1e3,
            at(0.99).as_secs_f64() * 1e3,
            at(1.0).as_secs_f64() * 1e3,
        );
    }
}

/// CPU of this process so far: fields 14 and 15 of /proc/self/stat, in ticks of 10 ms (proc_pid_stat(5)).
fn cpu() -> Duration {
    let stat = fs::read_to_string("/proc/self/stat").unwrap_or_default();
    let after_name = stat.rsplit(')').next().unwrap_or_default();
    let ticks =
        after_name.split_whitespace().skip(11).take(2).filter_map(|field| field.parse::<u64>().ok()).sum::<u64>();
    Duration::from_millis(ticks * 10)
}

/// `callers` callers, each with its rooms, one batch on its way each; with `pause`, a batch begins only every so often.
async fn measure(shard: &Arc<dyn Shard>, callers: &mut Vec<Caller>, batch: usize, pause: Duration) -> Measured {
    let (begin, cpu_before) = (Instant::now(), cpu());
    let running: Vec<_> = callers
        .drain(..)
        .map(|mut caller| {
            let shard = Arc::clone(shard);
            tokio::spawn(async move {
                let (mut calls, mut due) = (Vec::new(), Instant::now());
                while begin.elapsed() < MEASURED {
                    let rows = (0..batch).map(|_| caller.next()).collect();
                    let sent = if pause.is_zero() { Instant::now() } else { due };
                    shard.append(rows).await?;
                    calls.push(sent.elapsed());
                    due += pause;
                    tokio::time::sleep(due.saturating_duration_since(Instant::now())).await;
                }
                Ok::<_, klatch_store::shard::AppendError>((caller, calls))
            })
        })
        .collect();
    let mut calls = Vec::new();
    for caller in running {
        match caller.await {
            Ok(Ok((caller, more))) => {
                callers.push(caller);
                calls.extend(more);
            }
            failed => println!("a caller failed: {:?}", failed.map(|outcome| outcome.map(|_| ()))),
        }
    }
    Measured { rows: calls.len() * batch, took: begin.elapsed(), cpu: cpu() - cpu_before, calls }
}

/// Appends as many bytes as a commit of one row writes, and syncs.
fn bare(folder: &Path, pause: Duration) -> std::io::Result<Measured> {
    const COMMIT_BYTES: usize = 3 * (24 + 4096);
    let mut file = File::create(folder.join("bare"))?;
    let (begin, cpu_before) = (Instant::now(), cpu());
    let (mut calls, mut due) = (Vec::new(), Instant::now());
    while begin.elapsed() < MEASURED {
        let sent = if pause.is_zero() { Instant::now() } else { due };
        file.write_all(&[7; COMMIT_BYTES])?;
        file.sync_data()?;
        calls.push(sent.elapsed());
        due += pause;
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
    }
    Ok(Measured { rows: calls.len(), took: begin.elapsed(), cpu: cpu() - cpu_before, calls })
}

fn callers(count: usize) -> Vec<Caller> {
    let text = "x".repeat(190);
    (0..count)
        .map(|number| Caller {
            rooms: (0..ROOMS / count).map(|_| (RoomId::now(), 0)).collect(),
            text: text.clone(),
            random: number as u64,
        })
        .collect()
}

async fn fill(shard: &Arc<dyn Shard>, callers: &mut [Caller]) -> Result<(), Box<dyn Error>> {
    for caller in callers {
        let rooms = caller.rooms.len();
        for round in 0..BEFORE {
            let _ = round;
            let rows: Vec<_> = (0..rooms).map(|index| caller.write(index)).collect();
            for batch in rows.chunks(2000) {
                shard.append(batch.to_vec()).await?;
            }
        }
    }
    Ok(())
}

/// Rows of one caller in batches of several sizes, then of many at once.
async fn measure_all(shard: &Arc<dyn Shard>, pace: Duration) -> Result<(), Box<dyn Error>> {
    let mut one = callers(1);
    fill(shard, &mut one).await?;
    measure(shard, &mut one, 1, pace).await.print("1 row, at most 1,000 a second");
    for batch in [1, 20, 100, 500] {
        let measured = measure(shard, &mut one, batch, Duration::ZERO).await;
        measured.print(&format!("batches of {batch}"));
    }
    let mut many = callers(200);
    fill(shard, &mut many).await?;
    measure(shard, &mut many, 1, Duration::ZERO).await.print("200 callers, batches of 1");
    measure(shard, &mut many, 20, Duration::ZERO).await.print("200 callers, batches of 20");
    Ok(())
}

/// The CPU of the server is not in what is printed: look at it beside.
async fn on_postgres(arguments: &[String], pace: Duration) -> Result<(), Box<dyn Error>> {
    let [host, port, user, directory, shard, slots] = arguments else {
        return Err("postgres HOST PORT USER DIRECTORY SHARD SLOTS".into());
    };
    let endpoint = |database: &String| Ok::<_, Box<dyn Error>>(Endpoint::new(host, port.parse()?, database, user));
    let options = postgres::Options {
        directory: endpoint(directory)?,
        replicas: Vec::new(),
        shards: vec![(ShardId(0), endpoint(shard)?)],
        pools: PoolSizes::default(),
    };
    let begin = Instant::now();
    postgres::migrate(&options, slots.parse()?).await?;
    println!("{slots} slots, migrated in {:.1} s", begin.elapsed().as_secs_f64());
    let stores = postgres::open(options).await?;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    let outcome = measure_all(&shard, pace).await;
    stores.close().await;
    outcome
}

#[tokio::main(flavor = "multi_thread", worker_threads = 1)]
async fn main() -> Result<(), Box<dyn Error>> {
    let pace = Duration::from_millis(1);
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if let [twin, rest @ ..] = arguments.as_slice()
        && twin == "postgres"
    {
        return on_postgres(rest, pace).await;
    }
    let folder = arguments.first().map_or_else(std::env::temp_dir, PathBuf::from);
    let folder = folder.join(format!("append-rate-{}", std::process::id()));
    let stores = sqlite::open(&folder, Options { slots: 4, shards: 1, readers: 2 })?;
    let shard = Arc::clone(stores.shards.of(RoomId::now()));
    bare(&folder, Duration::ZERO)?.print("bare append + fdatasync");
    bare(&folder, pace)?.print("  at most 1,000 a second");
    measure_all(&shard, pace).await?;
    stores.close().await;
    for file in fs::read_dir(&folder)?.flatten() {
        println!("{:40} {:10} bytes", file.file_name().to_string_lossy(), file.metadata()?.len());
    }
    fs::remove_dir_all(&folder)?;
    Ok(())
}
