//! Doing what an episode says, and seeing meanwhile that what must go on goes on.

use std::time::{Duration, Instant};

use klatch_domain::RoomId;
use klatch_tests::{
    platform::Part,
    writers::{Acknowledged, latency::latencies},
};

use super::{
    plan::{Episode, Fault},
    stage::Stage,
};

/// Messages that are stored before a fault: all is well then.
const BEFORE: u64 = 60;
/// Refusals that show a full queue.
const REFUSED: u64 = 5;
/// Gateways tell of a full queue within this.
const FULL_WITHIN: Duration = Duration::from_secs(60);
/// The pieces of an outage in each of which the other shard's rooms must be written.
const PIECE: Duration = Duration::from_secs(10);
/// What an outage is compared with: as many acknowledgements as it takes for a 99th percentile that is not three messages.
const NORMAL: Duration = Duration::from_secs(30);
const LOOK: Duration = Duration::from_millis(50);

/// What an episode came to.
#[derive(Debug, Clone)]
pub struct Account {
    pub fault: Fault,
    /// Messages stored while it lasted.
    pub stored: u64,
    /// From its end until everybody had everything.
    pub converged: Duration,
    /// More to tell.
    pub note: String,
}

/// Plays one episode to its good end.
pub async fn play(stage: &mut Stage, episode: Episode) -> Account {
    stage.cast.guest(true).await;
    stage.cast.stored_more(BEFORE).await;
    let before = stage.cast.desk.stored();
    let shown_out = tokio::spawn(stage.cast.guest(false));
    let note = inflict(stage, &episode).await;
    let stored = stage.cast.desk.stored() - before;
    let healed = Instant::now();
    stage.all_well();
    shown_out.await.expect("the guest leaves");
    stage.cast.converge().await;
    let converged = healed.elapsed();
    stage.platform.check_memory();
    Account { fault: episode.fault, stored, converged, note }
}

async fn inflict(stage: &mut Stage, episode: &Episode) -> String {
    let active = stage.platform.active_writer().await;
    match episode.fault {
        Fault::Kill(victim) => {
            let part = episode.part(victim, active);
            stage.platform.kill(part);
            tokio::time::sleep(episode.lasts).await;
            stage.platform.start_again(part);
            format!("{part} away for {:?}", episode.lasts)
        }
        Fault::Freeze(victim) => {
            let part = episode.part(victim, active);
            stage.platform.freeze(part);
            tokio::time::sleep(episode.lasts).await;
            stage.platform.thaw(part);
            format!("{part} for {:?}", episode.lasts)
        }
        Fault::Sever(from, to) => {
            let links = episode.links(from, to, active);
            links.iter().for_each(|link| stage.platform.sever(*link));
            tokio::time::sleep(episode.lasts).await;
            links.iter().for_each(|link| stage.platform.heal(*link));
            format!("{} for {:?}", links[0].0, episode.lasts)
        }
        Fault::Silence(from, to) => {
            let links = episode.links(from, to, active);
            links.iter().for_each(|link| stage.platform.silence(*link));
            tokio::time::sleep(episode.lasts).await;
            links.iter().for_each(|link| stage.platform.heal(*link));
            format!("{} for {:?}", links[0].0, episode.lasts)
        }
        Fault::EmptyCache => {
            stage.platform.empty_cache();
            stage.cast.stored_more(BEFORE).await;
            String::new()
        }
        Fault::FullQueue => full_queue(stage).await,
        Fault::Outage => outage(stage, episode).await,
    }
}

async fn full_queue(stage: &mut Stage) -> String {
    let refusals = |stage: &Stage| stage.cast.desk.refusals().get("busy").copied().unwrap_or_default();
    let before = refusals(stage);
    let writers = [Part::MessageService(0), Part::MessageService(1)];
    writers.iter().for_each(|part| stage.platform.freeze(*part));
    let full = async {
        while refusals(stage) < before + REFUSED {
            stage.all_well();
            tokio::time::sleep(LOOK).await;
        }
    };
    let was_full = tokio::time::timeout(FULL_WITHIN, full).await.is_ok();
    writers.iter().for_each(|part| stage.platform.thaw(*part));
    assert!(was_full, "no queue was ever full: {:?}", stage.cast.desk.refusals());
    format!("{} refused", refusals(stage) - before)
}

/// The rooms of one shard are written as ever while the other one is down.
async fn outage(stage: &mut Stage, episode: &Episode) -> String {
    let other = stage.cast.groups[(episode.shard + 1) % stage.cast.groups.len()].clone();
    let _ = stage.cast.take_acknowledged();
    tokio::time::sleep(NORMAL).await;
    let normal = of_rooms(&stage.cast.take_acknowledged(), &other);
    let refused = stage.cast.desk.refusals().get("busy").copied().unwrap_or_default();
    let part = Part::Shard(episode.shard);
    stage.platform.kill(part);
    let (began, mut all, mut counts) = (Instant::now(), Vec::new(), Vec::new());
    while began.elapsed() < episode.lasts {
        tokio::time::sleep(PIECE).await;
        stage.all_well();
        let mut piece = of_rooms(&stage.cast.take_acknowledged(), &other);
        counts.push(piece.len());
        all.append(&mut piece);
    }
    stage.platform.start_again(part);
    assert!(counts.iter().all(|count| *count > 0), "{part} was down, and the other's rooms got acks: {counts:?}");
    let refused = stage.cast.desk.refusals().get("busy").copied().unwrap_or_default() - refused;
    format!(
        "acks of the other shard's rooms in each {} s: {counts:?}; before, in {} s: {}; meanwhile: {}; {refused} answers busy",
        PIECE.as_secs(),
        NORMAL.as_secs(),
        latencies(normal),
        latencies(all)
    )
}

fn of_rooms(acknowledged: &[Acknowledged], rooms: &[RoomId]) -> Vec<Duration> {
    acknowledged.iter().filter(|one| rooms.contains(&one.room)).map(|one| one.after).collect()
}
