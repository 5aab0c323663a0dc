//! Fetches what a round's plan will ask for: one read a kind and round, and none for a plain message in a known room.

use std::collections::HashSet;

use klatch_domain::{Action, MessageId, RoomId, RoomKind, Seq, UserId};
use klatch_store::{Shard, StoreError};

use crate::{
    context::Context,
    item::Item,
    plan::{Looked, Row, starts_a_thread},
    round::Space,
};

/// Reads what is missing of heads and look-ups for these commands.
///
/// # Errors
/// [`StoreError`] of the shard, or of the directory for rooms to be made.
pub(crate) async fn gather(
    context: &Context,
    shard: &dyn Shard,
    space: &mut Space,
    items: &[Item],
    looked: &mut Looked,
) -> Result<(), StoreError> {
    load_heads(shard, space, items).await?;
    load_known(shard, space, items, looked).await?;
    load_rows(shard, space, items, looked).await?;
    load_blocks(context, space, items, looked).await
}

async fn load_heads(shard: &dyn Shard, space: &mut Space, items: &[Item]) -> Result<(), StoreError> {
    let missing: HashSet<RoomId> = items.iter().map(Item::room).filter(|room| !space.heads.contains(*room)).collect();
    if !missing.is_empty() {
        let missing: Vec<_> = missing.into_iter().collect();
        space.heads.keep(shard.rooms(&missing).await?);
    }
    Ok(())
}

/// Ids that decide before the facts do: whatever changes members or rooms may have done so already and would look refused
/// or unchanged now; and ids that others wait for.
async fn load_known(shard: &dyn Shard, space: &Space, items: &[Item], looked: &mut Looked) -> Result<(), StoreError> {
    let mut wanted: Vec<(RoomId, MessageId)> = Vec::new();
    let mut befores: Vec<(RoomId, MessageId)> = Vec::new();
    for item in items {
        let command = item.command();
        let plain = matches!(command.action, Action::Append(_) | Action::Notice { .. } | Action::SetBlock { .. });
        if item.met_before || !plain {
            wanted.push(item.key());
        }
        if let Some(before) = command.after
            && space.settlements.of(command.room, before).is_none()
        {
            befores.push((command.room, before));
        }
    }
    if !befores.is_empty() {
        let here: HashSet<_> = items.iter().map(Item::key).collect();
        wanted.extend(befores.into_iter().filter(|key| !here.contains(key)));
    }
    wanted.retain(|key| space.heads.contains(key.0) && !matches!(looked.known.get(key), Some(Some(_))));
    if wanted.is_empty() {
        return Ok(());
    }
    let mut found = shard.known(&wanted).await?;
    for key in wanted {
        let known = found.remove(&key);
        // Asked twice in one list, it is found once.
        looked.known.entry(key).and_modify(|held| *held = held.take().or(known.clone())).or_insert(known);
    }
    Ok(())
}

/// Rows that commands change, and whether threads may start where commands say.
async fn load_rows(
    shard: &dyn Shard,
    space: &mut Space,
    items: &[Item],
    looked: &mut Looked,
) -> Result<(), StoreError> {
    for item in items {
        let command = item.command();
        let Some(facts) = space.heads.peek(command.room) else { continue };
        let (head, kind) = (facts.head, facts.kind);
        let (target, thread) = match &command.action {
            Action::Append(draft) => (draft.target, draft.thread),
            Action::CreateRoom(_) if kind != RoomKind::Direct => (Some(Seq(1)), None),
            _ => continue,
        };
        if let Some(seq) = target.filter(|seq| *seq <= head)
            && !looked.rows.contains_key(&(command.room, seq))
        {
            let row = shard.entry(command.room, seq).await?.as_ref().map(Row::from);
            looked.rows.insert((command.room, seq), row);
        }
        if let Some(seq) = thread.filter(|seq| *seq <= head) {
            load_thread(shard, space, (command.room, seq), looked).await?;
        }
    }
    Ok(())
}

/// A row's kind and thread never change, so an answer holds for good.
async fn load_thread(
    shard: &dyn Shard,
    space: &mut Space,
    place: (RoomId, Seq),
    looked: &mut Looked,
) -> Result<(), StoreError> {
    if looked.threads.contains_key(&place) {
        return Ok(());
    }
    let starts = match space.thread_starts.get(&place) {
        Some(starts) => *starts,
        None => {
            let starts = shard.entry(place.0, place.1).await?.is_some_and(|entry| starts_a_thread(&entry));
            space.thread_starts.put(place, starts);
            starts
        }
    };
    looked.threads.insert(place, starts);
    Ok(())
}

/// Blocks between the two of direct rooms to be made. Rooms that are there hold their blocks themselves.
async fn load_blocks(context: &Context, space: &Space, items: &[Item], looked: &mut Looked) -> Result<(), StoreError> {
    for item in items {
        let command = item.command();
        let Action::CreateRoom(new) = &command.action else { continue };
        if new.kind != RoomKind::Direct
            || space.heads.contains(command.room)
            || looked.blocks.contains_key(&command.room)
        {
            continue;
        }
        // A direct room has one other; whatever else stands here the plan refuses.
        let others: Vec<UserId> = new.others.iter().take(2).copied().collect();
        let blocks = context.directory.blocks_between(command.sender.user, &others).await?;
        looked.blocks.insert(command.room, !blocks.is_empty());
    }
    Ok(())
}
