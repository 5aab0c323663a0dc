//! One batch to one shard: written whole, or planned again until what stops it is known.

use std::{collections::BTreeMap, time::Duration};

use klatch_domain::RoomId;
use klatch_store::{Shard, StoreError, shard::AppendError};

use crate::{
    context::Context,
    item::Item,
    look_up,
    plan::{self, Decision, Looked, Plan},
    round::{Halt, Space},
};

/// Plans of one batch before it parks. Each takes at least one reason away; only two writers at odds need more.
const PLANS: usize = 8;
/// Tries of a single command that the database refuses as a fault of the program, before it is given up.
const ALONE_TRIES: usize = 3;
/// Between two of them.
const ALONE_PAUSE: Duration = Duration::from_millis(100);

/// Why a batch was not written.
#[derive(Debug)]
pub(crate) enum Failure {
    /// Some command's data is refused: split, find it.
    Data(String),
    /// None of it can be written just now.
    Halt(Halt),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Halt(Halt::Unavailable(error.to_string()))
    }
}

/// Plans the commands and writes what was planned. On failure the facts of every room concerned are forgotten.
pub(crate) async fn write(
    context: &Context,
    shard: &dyn Shard,
    space: &mut Space,
    items: &[Item],
) -> Result<(Plan, Looked), Failure> {
    let mut looked = Looked::default();
    let mut faults = 0;
    for _ in 0..PLANS {
        look_up::gather(context, shard, space, items, &mut looked).await?;
        let now = tokio::time::Instant::now();
        let asks = items.iter().map(|item| item.ask(now));
        let mut plan = plan::plan(asks, &mut space.heads, &mut looked, &space.settlements, context.now());
        let writes = std::mem::take(&mut plan.writes);
        if writes.is_empty() {
            return Ok((plan, looked));
        }
        let timer = context.metrics.commit_seconds.start_timer();
        let written = shard.append(writes).await;
        timer.observe_duration();
        let Err(error) = written else { return Ok((plan, looked)) };

        forget(space, items, &plan);
        looked.rows.clear();
        context.metrics.replans.with_label_values(&[reason(&error)]).inc();
        tracing::debug!(shard = shard.id().0, %error, "a batch was not written");
        match error {
            AppendError::Duplicate(ids) => find(shard, &mut looked, &ids).await?,
            AppendError::StaleHead(rooms) => rooms.into_iter().for_each(|room| space.heads.forget(room)),
            AppendError::Fenced => return Err(Failure::Halt(moved(context).await)),
            AppendError::Data(reason) => return Err(Failure::Data(reason)),
            AppendError::Store(error @ StoreError::Internal { .. }) => {
                faults += 1;
                if items.len() > 1 || faults >= ALONE_TRIES {
                    return Err(Failure::Data(error.to_string()));
                }
                tokio::time::sleep(ALONE_PAUSE).await;
            }
            AppendError::Store(error) => return Err(error.into()),
        }
    }
    Err(Failure::Halt(Halt::Unavailable("somebody else keeps writing these rooms".to_owned())))
}

/// The rows of ids that are stored already.
async fn find(
    shard: &dyn Shard,
    looked: &mut Looked,
    ids: &[(RoomId, klatch_domain::MessageId)],
) -> Result<(), Failure> {
    let mut found = shard.known(ids).await?;
    for key in ids {
        match found.remove(key) {
            Some(known) => {
                looked.known.insert(*key, Some(known));
            }
            None if matches!(looked.known.get(key), Some(Some(_))) => {}
            None => return Err(Failure::Data("an id is stored and cannot be found".to_owned())),
        }
    }
    Ok(())
}

/// The plan's view of its rooms did not come true.
fn forget(space: &mut Space, items: &[Item], plan: &Plan) {
    for appended in &plan.appended {
        space.heads.forget(appended.room);
    }
    for (item, decision) in items.iter().zip(&plan.decisions) {
        if matches!(decision, Decision::Block(_)) {
            space.heads.forget(item.room());
        }
    }
}

/// The shard has lost a slot: to whom, the directory knows. Until it does, the commands park.
async fn moved(context: &Context) -> Halt {
    match context.owners.refresh(&*context.directory).await {
        Ok(true) => Halt::Moved,
        Ok(false) => Halt::Unavailable("the slot has no new owner yet".to_owned()),
        Err(error) => Halt::Unavailable(error.to_string()),
    }
}

fn reason(error: &AppendError) -> &'static str {
    match error {
        AppendError::Duplicate(_) => "duplicate",
        AppendError::StaleHead(_) => "stale_head",
        AppendError::Fenced => "fenced",
        AppendError::Data(_) => "data",
        AppendError::Store(StoreError::Unavailable { .. }) => "unavailable",
        AppendError::Store(StoreError::Unknown { .. }) => "unknown",
        AppendError::Store(StoreError::Unusable { .. }) => "unusable",
        AppendError::Store(StoreError::Internal { .. }) => "internal",
    }
}

/// Parts of a batch whose data was refused, in an order that keeps every room's: by slot first, then by halves.
pub(crate) fn split(mut items: Vec<Item>, context: &Context) -> Vec<Vec<Item>> {
    let shards = context.owners.current();
    let mut slots: BTreeMap<u16, Vec<Item>> = BTreeMap::new();
    let first = items.first().map(|item| shards.map().slot_of(item.room()));
    if items.iter().any(|item| Some(shards.map().slot_of(item.room())) != first) {
        for item in items {
            slots.entry(shards.map().slot_of(item.room()).0).or_default().push(item);
        }
        return slots.into_values().collect();
    }
    let second = items.split_off(items.len() / 2);
    vec![items, second]
}
