//! Entries whose time has passed lose their content.

use std::{sync::Arc, time::Duration};

use klatch_store::Shard;
use tokio::task::JoinSet;
use tokio_util::sync::CancellationToken;

use crate::context::Context;

/// How often the shards are swept: clients hide an expired entry by themselves, so this is how long its bytes stay.
const EVERY: Duration = Duration::from_secs(30);
/// Entries emptied in one transaction: below a batch of messages, which wait for it.
const BATCH: usize = 256;
/// Batches of one sweep and shard; the rest waits for the next.
const BATCHES: usize = 64;

/// Sweeps all shards until the service stops, each on its own: a dead one holds up no other.
pub(crate) async fn run(context: Arc<Context>, stop: CancellationToken) {
    let mut sweeps = JoinSet::new();
    for shard in context.owners.current().all() {
        sweeps.spawn(sweep_shard(Arc::clone(&context), Arc::clone(shard), stop.clone()));
    }
    while let Some(ended) = sweeps.join_next().await {
        // One that was brought down takes the others along: they start again together.
        if let Err(error) = ended
            && let Ok(panic) = error.try_into_panic()
        {
            std::panic::resume_unwind(panic);
        }
    }
}

async fn sweep_shard(context: Arc<Context>, shard: Arc<dyn Shard>, stop: CancellationToken) {
    while stop.run_until_cancelled(tokio::time::sleep(EVERY)).await.is_some() {
        if let Err(error) = sweep(&context, &*shard).await {
            tracing::warn!(shard = shard.id().0, %error, "expired entries keep their content for now");
        }
    }
}

async fn sweep(context: &Context, shard: &dyn Shard) -> Result<(), klatch_store::StoreError> {
    for _ in 0..BATCHES {
        let emptied = shard.expire(context.now(), BATCH).await?;
        context.metrics.expired.inc_by(emptied as u64);
        if emptied < BATCH {
            break;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicU64, Ordering};

    use klatch_domain::{
        Command, Content, Draft, Kind, MessageId, NewRoom, RoomId, RoomKind, RoomName, Sender, Seq, SessionId,
        Timestamp, UserId, Visibility,
    };

    use super::*;
    use crate::{
        after::Settlements,
        heads::Heads,
        plan::{Ask, Looked, plan},
    };

    /// A minute after 2027 began: reads hide nothing of what expires then by themselves.
    const NOW: i64 = 1_800_000_000_000;

    fn texts(count: usize, lives_ms: i64, heads: &mut Heads, room: RoomId) -> Vec<klatch_store::shard::Write> {
        let sender = Sender { user: UserId::from_bytes([1; 16]), session: SessionId::from_bytes([2; 16]) };
        let command = |action| Command {
            room,
            message_id: MessageId::now(),
            sender,
            action,
            reply: None,
            after: None,
            accepted_micros: 0,
            trace: None,
        };
        let mut commands = Vec::new();
        if !heads.contains(room) {
            let name = Some(RoomName::parse("harbour").unwrap());
            let new = NewRoom { kind: RoomKind::Group, name, visibility: Visibility::Private, others: Vec::new() };
            commands.push(command(klatch_domain::Action::CreateRoom(new)));
        }
        for number in 0..count {
            let mut draft = Draft::new(Kind::Text, Content::text(&number.to_string()).unwrap());
            draft.expires_at = Some(Timestamp::from_millis(NOW + lives_ms));
            commands.push(command(klatch_domain::Action::Append(draft)));
        }
        let asks = commands.iter().map(|command| Ask { command, met_before: false, waited_out: false });
        plan(asks, heads, &mut Looked::default(), &Settlements::new(), Timestamp::from_millis(NOW)).writes
    }

    async fn emptied(shard: &dyn Shard, room: RoomId, entries: u64) -> usize {
        let mut emptied = 0;
        for seq in 1..=entries {
            emptied += usize::from(shard.entry(room, Seq(seq)).await.unwrap().unwrap().deleted);
        }
        emptied
    }

    #[tokio::test]
    async fn a_sweep_empties_all_whose_time_has_passed_and_nothing_before() {
        let folder = tempfile::tempdir().unwrap();
        let options = klatch_store::sqlite::Options { slots: 1, shards: 1, readers: 1 };
        let stores = klatch_store::sqlite::open(folder.path(), options).unwrap();
        let millis = Arc::new(AtomicU64::new(NOW as u64));
        let now = Arc::clone(&millis);
        let clock = klatch_service_kit::Clock::from_fn(move || now.load(Ordering::SeqCst) * 1_000);
        let context = Context::of_stores(&stores, clock);
        let room = RoomId::now();
        let shard = Arc::clone(stores.shards.of(room));
        let mut heads = Heads::new(10);
        // More than one batch, and some that live longer.
        let short = BATCH + 10;
        shard.append(texts(short, 1_000, &mut heads, room)).await.unwrap();
        shard.append(texts(3, 1_000_000, &mut heads, room)).await.unwrap();
        let all = (short + 4) as u64;
        sweep(&context, &*shard).await.unwrap();
        assert_eq!(emptied(&*shard, room, all).await, 0);
        millis.fetch_add(1_000, Ordering::SeqCst);
        sweep(&context, &*shard).await.unwrap();
        assert_eq!(emptied(&*shard, room, all).await, short);
        assert_eq!(context.metrics.expired.get(), short as u64);
    }
}
