//! The messages of one room that are decided on together: its members are read once for all of them, a page at a time.

use std::{
    collections::{HashMap, HashSet},
    time::Duration,
};

use klatch_bus::NotifyCommand;
use klatch_domain::{Audience, Position, RoomId, Timestamp, UserId};
use klatch_store::{MemberToNotify, StoreError};
use tokio::{task::yield_now, time::sleep};
use tokio_util::sync::CancellationToken;

use crate::{
    context::Context,
    decide::{Decision, Recipient, decide},
    present,
    push::Notification,
};

/// Members read at a time: a room of any size takes some 100 KiB.
const PAGE: usize = 500;
/// Between two tries of a look-up: doubles from the first to the second.
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(10);

/// The service stops: what is not decided is another's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stopped;

/// A page of members.
struct Page {
    /// Above this one the next page begins; `None` behind the last.
    next: Option<UserId>,
    /// Those whom presence lets go, of a message to the whole room.
    online: HashSet<UserId>,
    /// The others, and what is known of them.
    members: Vec<MemberToNotify>,
    reads: HashMap<UserId, Position>,
    /// (sender, member) with a block between.
    blocks: HashSet<(UserId, UserId)>,
}

/// Decides for every member of the room, and hands over who is to be notified. A look-up that fails is repeated until the
/// messages are too late.
pub(crate) async fn decide_all(
    context: &Context,
    room: RoomId,
    mut messages: Vec<NotifyCommand>,
    stop: &CancellationToken,
) -> Result<(), Stopped> {
    let mut after = None;
    let mut pause = FIRST_PAUSE;
    loop {
        drop_late(context, &mut messages);
        if messages.is_empty() {
            return Ok(());
        }
        let page = match page(context, room, &messages, after).await {
            Ok(page) => page,
            Err(error) => {
                context.metrics.retries.inc();
                tracing::warn!(%room, %error, "cannot look up whom to notify; trying again");
                tokio::select! {
                    () = stop.cancelled() => return Err(Stopped),
                    () = sleep(pause) => {}
                }
                pause = (pause * 2).min(LONGEST_PAUSE);
                continue;
            }
        };
        let notifications = of_page(context, &messages, &page).await;
        if !notifications.is_empty() {
            context.metrics.pushed.inc_by(notifications.len() as u64);
            context.push.push(&notifications).await;
        }
        let Some(next) = page.next else { return Ok(()) };
        after = Some(next);
    }
}

fn drop_late(context: &Context, messages: &mut Vec<NotifyCommand>) {
    let now = context.now();
    let too_late = Duration::from_millis(context.settings.too_late_ms);
    let before = messages.len();
    messages.retain(|message| now < message.at.plus(too_late));
    context.metrics.decided(Decision::TooLate, (before - messages.len()) as u64);
}

async fn of_page(context: &Context, messages: &[NotifyCommand], page: &Page) -> Vec<Notification> {
    let now = context.now();
    let mut counts: HashMap<Decision, u64> = HashMap::new();
    let mut notifications = Vec::new();
    for message in messages {
        if message.audience == Audience::Room {
            let own = u64::from(page.online.contains(&message.sender.user));
            let early = if message.silent { Decision::Silent } else { Decision::Online };
            *counts.entry(Decision::Own).or_default() += own;
            *counts.entry(early).or_default() += page.online.len() as u64 - own;
        }
        // A page of decisions is work enough for one turn.
        yield_now().await;
        for member in page.members.iter().filter(|member| is_for(message, member.user)) {
            let decision = decide(message, &page.recipient(message, member), now);
            *counts.entry(decision).or_default() += 1;
            if decision.notifies() {
                notifications.push(notification(message, member.user, decision == Decision::Mention));
            }
        }
    }
    counts.into_iter().for_each(|(decision, count)| context.metrics.decided(decision, count));
    notifications
}

/// The log says for whom a message was; a member who came later is in the directory and not in that list.
fn is_for(message: &NotifyCommand, user: UserId) -> bool {
    match &message.audience {
        Audience::Members(members) => members.contains(&user),
        Audience::Room => true,
    }
}

fn notification(message: &NotifyCommand, user: UserId, mention: bool) -> Notification {
    let NotifyCommand { room, position, message_id, at, .. } = *message;
    Notification { user, room, position, message_id, mention, at }
}

impl Page {
    fn recipient(&self, message: &NotifyCommand, member: &MemberToNotify) -> Recipient {
        Recipient {
            user: member.user,
            notify: member.notify,
            disabled: member.disabled,
            blocked: self.blocks.contains(&(message.sender.user, member.user)),
            do_not_disturb_until: member.do_not_disturb_until,
            read: self.reads.get(&member.user).copied().unwrap_or_default(),
            status: None,
        }
    }
}

async fn page(
    context: &Context,
    room: RoomId,
    messages: &[NotifyCommand],
    after: Option<UserId>,
) -> Result<Page, StoreError> {
    let mut members = context.directory.members_to_notify(room, after, PAGE).await?;
    let last = members.last().map(|member| member.user);
    let next = last.filter(|_| members.len() == PAGE);
    let mut online = HashSet::new();
    if messages.iter().any(|message| message.audience == Audience::Room) {
        let users: Vec<UserId> = members.iter().map(|member| member.user).collect();
        online = present::online(context, &users).await;
    }
    members
        .retain(|member| !online.contains(&member.user) && messages.iter().any(|message| is_for(message, member.user)));
    let mut page = Page { next, online, members, reads: HashMap::new(), blocks: HashSet::new() };
    let Some(last) = last.filter(|_| !page.members.is_empty()) else { return Ok(page) };
    let users: Vec<UserId> = page.members.iter().map(|member| member.user).collect();
    page.reads = reads(context, room, after, last).await?;
    let senders: HashSet<UserId> = messages.iter().map(|message| message.sender.user).collect();
    for sender in senders {
        for (by, blocked) in context.directory.blocks_between(sender, &users).await? {
            page.blocks.insert((sender, if by == sender { blocked } else { by }));
        }
    }
    Ok(page)
}

/// How far the users above `after`, up to `last`, have read.
async fn reads(
    context: &Context,
    room: RoomId,
    mut after: Option<UserId>,
    last: UserId,
) -> Result<HashMap<UserId, Position>, StoreError> {
    let mut reads = HashMap::new();
    loop {
        let found = context.shards.of(room).watermarks(room, after, PAGE).await?;
        reads.extend(found.iter().map(|(user, watermark)| (*user, watermark.read)));
        match found.last() {
            Some((user, _)) if *user < last && found.len() == PAGE => after = Some(*user),
            _ => return Ok(reads),
        }
    }
}

/// Until when a message waits before it is decided on, so that who reads it at once is left alone.
pub(crate) fn wait_for(message: &NotifyCommand, now: Timestamp, delay_ms: u64) -> Duration {
    let delay = Duration::from_millis(delay_ms);
    let due = message.at.plus(delay).as_millis();
    // A clock that is off makes nobody wait longer than the delay.
    Duration::from_millis(u64::try_from(due.saturating_sub(now.as_millis())).unwrap_or(0)).min(delay)
}
