//! Who sits before a device that shows a message is left alone. Presence knows, without a database: so it is asked first, once
//! for all messages of a round that name whom they are for. Most messages end here.

use std::collections::{HashMap, HashSet};

use klatch_bus::{NotifyCommand, PresenceStatus};
use klatch_domain::{Audience, UserId};
use tokio::task::yield_now;

use crate::{
    context::Context,
    decide::{Decision, decide_early},
};

/// Users asked for in one call: one pipelined read of some 100 KiB.
const USERS_A_CALL: usize = 1_000;
/// After this many messages others who share the thread have their turn: some hundred microseconds.
const MESSAGES_A_TURN: usize = 32;

/// Takes everyone out of the messages' audiences on whom presence decides, and messages that are for nobody else then.
/// Messages to a whole room stay as they are.
pub(crate) async fn leave_alone(context: &Context, messages: &mut Vec<NotifyCommand>) {
    let named = messages.iter().filter_map(|message| match &message.audience {
        Audience::Members(members) => Some(members),
        Audience::Room => None,
    });
    let users: HashSet<UserId> = named.flat_map(|members| members.iter().copied()).collect();
    let online = online(context, &users.into_iter().collect::<Vec<_>>()).await;
    let mut counts: HashMap<Decision, u64> = HashMap::new();
    let mut left = Vec::new();
    for (number, mut message) in std::mem::take(messages).into_iter().enumerate() {
        if number % MESSAGES_A_TURN == MESSAGES_A_TURN - 1 {
            yield_now().await;
        }
        if leave_out(&mut message, &online, &mut counts) {
            left.push(message);
        }
    }
    *messages = left;
    counts.into_iter().for_each(|(decision, count)| context.metrics.decided(decision, count));
}

/// Answers whether the message is for anybody else.
fn leave_out(message: &mut NotifyCommand, online: &HashSet<UserId>, counts: &mut HashMap<Decision, u64>) -> bool {
    let Audience::Members(members) = &message.audience else { return true };
    let mut left = Vec::new();
    for user in members.iter() {
        match decide_early(message, *user, online.contains(user)) {
            Some(decision) => *counts.entry(decision).or_default() += 1,
            None => left.push(*user),
        }
    }
    let any = !left.is_empty();
    message.audience = Audience::Members(left.into());
    any
}

/// Those of these users who are online. When nobody can say, nobody is: unknown is no reason to be quiet.
pub(crate) async fn online(context: &Context, users: &[UserId]) -> HashSet<UserId> {
    let mut online = HashSet::new();
    for some in users.chunks(USERS_A_CALL) {
        let Ok(statuses) = context.presence.statuses(some).await else { continue };
        online.extend(statuses.iter().filter(|found| found.status == PresenceStatus::Online).map(|found| found.user));
    }
    online
}
