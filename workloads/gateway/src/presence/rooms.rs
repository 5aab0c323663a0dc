//! Keeps presence told of the large rooms that have members here, so that their events come to the gateways that need them.
//!
//! In this order, so that nothing falls between: presence knows of a user, then the directory is asked for their large rooms,
//! then presence knows of those, then `welcome` goes out and the client syncs. Members who were connected before their room
//! was known here (a room that has grown, a join, news that were lost) hear where its log ends after presence was told.
//!
//! A gateway that cannot do this, or has not done it yet, says so and gets the events of every large room, as all gateways
//! do from a lane. So every failure costs copies, never messages.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    time::Duration,
};

use klatch_bus::{Presence, PresenceUnknown};
use klatch_domain::{Appended, Audience, Kind, RoomId, UserId, limits::SMALL_ROOM_MEMBERS};
use parking_lot::Mutex;
use tokio::time::{Instant, timeout};

use super::held::{Found, HeldRooms};
use crate::{connection::Connection, core::Core, lookups::Ask, registry::User};

/// Rooms are kept from so many gateways on: among fewer, no room is on a quarter of them without being on all.
const KEEP_FROM: usize = <dyn Presence>::SINGLE_SHARE;
/// And no longer below so many: one gateway that is replaced changes nothing.
const STOP_BELOW: usize = KEEP_FROM - 1;
/// Rooms with more members than this are kept: they are known before they have become large.
const NEARLY_LARGE: usize = SMALL_ROOM_MEMBERS / 4 * 3;
/// Users of one question: their rooms are read from the directory's primary.
const USERS_AT_ONCE: usize = 256;
/// Rooms of one call of presence.
const ROOMS_AT_ONCE: usize = 1_024;
/// How long the directory may take to answer: connects wait for it.
const PATIENCE: Duration = Duration::from_secs(2);
/// Pairs of users and rooms that are held: some 40 bytes each. A gateway with more says that it may hold any room.
const MEMBERSHIPS: usize = 1_000_000;
/// Before a gateway that held too much tries again.
const AFTER_TOO_MANY: Duration = Duration::from_secs(600);
/// Each renewal tells presence again of one part in so many of the rooms: all within four minutes.
const ROOM_PARTS: usize = 64;
/// Each renewal asks again for the rooms of one part in so many of the users: all within seven minutes, about as often as
/// clients check for themselves.
const USER_PARTS: usize = 128;

#[derive(Default)]
pub(crate) struct RoomKeeper {
    held: Mutex<HeldRooms>,
    /// Rooms are kept, or are about to be.
    keeping: AtomicBool,
    /// Presence was told that these are all.
    declared: AtomicBool,
    /// Something could not be done or was missed: everything is done again with the next lease.
    unsure: AtomicBool,
    /// Users whose rooms are to be asked for again. Bounded by the gateway's users.
    ask_again: Mutex<Vec<UserId>>,
    /// Counts renewals.
    turn: AtomicUsize,
    too_many_until: Mutex<Option<Instant>>,
}

/// What could not be done.
#[derive(Debug, thiserror::Error)]
enum Trouble {
    #[error("the directory does not say which large rooms users are in: {0}")]
    Directory(String),
    #[error(transparent)]
    Presence(#[from] PresenceUnknown),
    #[error("more than {MEMBERSHIPS} memberships of large rooms")]
    TooMany,
}

impl RoomKeeper {
    fn keeps(&self) -> bool {
        self.keeping.load(Ordering::Acquire)
    }

    /// News may have been missed here.
    pub(crate) fn unsure(&self) {
        self.unsure.store(true, Ordering::Release);
    }

    fn take_asked_again(&self) -> Vec<UserId> {
        let mut users = std::mem::take(&mut *self.ask_again.lock());
        users.sort_unstable();
        users.dedup();
        users
    }
}

fn is_here(core: &Core, user: UserId) -> bool {
    core.registry.user(user).is_some_and(|user| user.is_connected())
}

/// An entry is on its way to members here: it may say who is in a large room.
pub(crate) fn see(core: &Core, appended: &Appended) {
    let keeper = &core.registrar.rooms;
    if !keeper.keeps() {
        return;
    }
    let Appended { room, entry, audience, removed, .. } = appended;
    match audience {
        Audience::Members(members) if members.len() > NEARLY_LARGE => {
            let joined = entry.kind == Kind::MemberJoined;
            if joined || !keeper.held.lock().is_held(*room) {
                let here = members.iter().copied().filter(|user| is_here(core, *user)).collect();
                join(core, *room, here);
            }
        }
        Audience::Members(owners) => {
            let inbox = owners.first().is_some_and(|owner| RoomId::inbox_of(*owner) == *room);
            if inbox && matches!(entry.kind, Kind::MemberJoined | Kind::MemberLeft) {
                // The room's own entry may have gone past this gateway.
                keeper.ask_again.lock().extend(owners.iter().copied());
                core.registrar.wake.notify_one();
            }
        }
        Audience::Room => {
            if let Some(user) = entry.joined() {
                join(core, *room, Some(user).filter(|user| is_here(core, *user)).into_iter().collect());
            }
        }
    }
    if let Some(removed) = removed {
        keeper.held.lock().part(*room, *removed, core.instruments.timer.millis());
    }
}

/// Entries of a large room go to these connections.
pub(crate) fn see_delivery(core: &Core, room: RoomId, connections: &[Arc<Connection>]) {
    let keeper = &core.registrar.rooms;
    if connections.is_empty() || !keeper.keeps() || keeper.held.lock().is_held(room) {
        return;
    }
    join(core, room, connections.iter().filter_map(|one| Some(one.identity()?.user.id)).collect());
}

fn join(core: &Core, room: RoomId, users: Vec<UserId>) {
    let mut held = core.registrar.rooms.held.lock();
    for user in &users {
        held.join(room, *user, Found::Connected);
    }
    if held.has_untold() {
        core.registrar.wake.notify_one();
    }
}

/// The room is gone for good.
pub(crate) fn see_deleted(core: &Core, room: RoomId) {
    if core.registrar.rooms.keeps() {
        core.registrar.rooms.held.lock().drop_room(room, core.instruments.timer.millis());
    }
}

/// Users have come, of whom presence knows, or are gone. Also does what events have asked for meanwhile.
pub(super) async fn take(core: &Core, users: &[Arc<User>]) {
    let keeper = &core.registrar.rooms;
    if !keeper.keeps() {
        return;
    }
    let (here, gone): (Vec<_>, Vec<_>) = users.iter().partition(|user| user.is_connected());
    let now = core.instruments.timer.millis();
    gone.iter().for_each(|user| keeper.held.lock().forget(user.id, now));
    // Everything is learned with the next lease, and until then the events of all rooms come.
    if keeper.unsure.load(Ordering::Acquire) && !keeper.declared.load(Ordering::Acquire) {
        return;
    }
    let mut here: Vec<_> = here.into_iter().map(|user| user.id).collect();
    here.sort_unstable();
    here.dedup();
    let again = keeper.take_asked_again();
    let done = async {
        learn(core, &here, Found::Arriving).await?;
        learn(core, &again, Found::Connected).await?;
        tell(core).await
    };
    if let Err(trouble) = done.await {
        give_way(core, &trouble).await;
    }
}

/// Asks which large rooms these users are in.
async fn learn(core: &Core, users: &[UserId], found: Found) -> Result<(), Trouble> {
    let keeper = &core.registrar.rooms;
    for users in users.chunks(USERS_AT_ONCE) {
        let asked = timeout(PATIENCE, core.queries.rooms_above(users, NEARLY_LARGE as u64)).await;
        let mut pairs = match asked {
            Ok(Ok(pairs)) => pairs,
            Ok(Err(error)) => return Err(Trouble::Directory(error.to_string())),
            Err(_) => return Err(Trouble::Directory("no answer in time".to_owned())),
        };
        pairs.sort_unstable();
        let now = core.instruments.timer.millis();
        let mut held = keeper.held.lock();
        for user in users {
            let from = pairs.partition_point(|(one, _)| one < user);
            let rooms = pairs[from..].iter().take_while(|(one, _)| one == user).map(|(_, room)| *room).collect();
            if is_here(core, *user) {
                held.learn(*user, rooms, found, now);
            }
        }
        if held.memberships() > MEMBERSHIPS {
            return Err(Trouble::TooMany);
        }
    }
    // Who has gone since is forgotten by the call that follows their going; one that came before this is made up for here.
    let now = core.instruments.timer.millis();
    users.iter().filter(|user| !is_here(core, **user)).for_each(|user| keeper.held.lock().forget(*user, now));
    Ok(())
}

/// Tells presence of rooms that are held now, then their members of what may have gone past them.
async fn tell(core: &Core) -> Result<(), Trouble> {
    let keeper = &core.registrar.rooms;
    let _calling = core.registrar.calling.lock().await;
    let untold = keeper.held.lock().take_untold();
    for rooms in untold.chunks(ROOMS_AT_ONCE) {
        if let Err(error) = say(core, rooms, true).await {
            keeper.held.lock().not_told(&untold);
            return Err(error.into());
        }
        let missed = keeper.held.lock().told(rooms);
        catch_up(core, missed);
    }
    show(core);
    Ok(())
}

async fn say(core: &Core, rooms: &[RoomId], holds: bool) -> Result<(), PresenceUnknown> {
    let rooms: Vec<_> = rooms.iter().map(|room| (*room, holds)).collect();
    super::registrar::within(core.bus.presence.hold_rooms(core.incarnation, &rooms)).await
}

fn catch_up(core: &Core, rooms: Vec<RoomId>) {
    let count = rooms.len() as u64;
    if count > 0 && core.asks.try_send(Ask::Heads { rooms }).is_err() {
        core.instruments.metrics.dropped("positions").inc_by(count);
    }
}

fn show(core: &Core) {
    let keeper = &core.registrar.rooms;
    core.instruments.metrics.rooms_held.set(keeper.held.lock().len() as i64);
    core.instruments.metrics.rooms_kept.set(i64::from(keeper.declared.load(Ordering::Acquire)));
}

/// From here on this gateway may hold any room, until everything was done again.
async fn give_way(core: &Core, trouble: &Trouble) {
    let keeper = &core.registrar.rooms;
    core.instruments.metrics.rooms_failed.inc();
    keeper.unsure();
    if matches!(trouble, Trouble::TooMany) {
        *keeper.too_many_until.lock() = Some(Instant::now() + AFTER_TOO_MANY);
    }
    tracing::warn!(%trouble, "events of all large rooms come here until the next lease");
    let _calling = core.registrar.calling.lock().await;
    if keeper.declared.swap(false, Ordering::AcqRel)
        && let Err(error) = undeclare(core).await
    {
        tracing::warn!(%error, "and presence cannot be told; what is missed meanwhile is asked for");
    }
    show(core);
}

async fn undeclare(core: &Core) -> Result<(), PresenceUnknown> {
    super::registrar::within(core.bus.presence.keep_rooms(core.incarnation, false)).await
}

/// The lease was renewed: it had been held all the time, or not. So many gateways live; while the registry is new that is not
/// known, and what was begun goes on.
pub(super) async fn renewed(core: &Core, lease_held: bool, live: Option<usize>) {
    let keeper = &core.registrar.rooms;
    if !lease_held {
        keeper.declared.store(false, Ordering::Release);
        keeper.held.lock().untell_all();
        keeper.unsure();
    }
    let enough = if keeper.keeps() { STOP_BELOW } else { KEEP_FROM };
    let wanted = live.map_or(keeper.keeps(), |live| live >= enough);
    let too_many = keeper.too_many_until.lock().is_some_and(|until| Instant::now() < until);
    let done = match (keeper.keeps(), wanted && !too_many) {
        (false, false) => return,
        (true, false) => stop(core).await,
        (keeps, true) => {
            keeper.keeping.store(true, Ordering::Release);
            let unsure = keeper.unsure.swap(false, Ordering::AcqRel);
            if unsure || !keeps || !keeper.declared.load(Ordering::Acquire) {
                begin(core).await
            } else {
                go_on(core).await
            }
        }
    };
    if let Err(trouble) = done {
        give_way(core, &trouble).await;
    }
}

/// Learns everything, then says so. Those who were here before it hear where their rooms end.
async fn begin(core: &Core) -> Result<(), Trouble> {
    let keeper = &core.registrar.rooms;
    {
        let _calling = core.registrar.calling.lock().await;
        // A piece of the registry may be gone while the lease, and what was said under it, still stand.
        keeper.declared.store(false, Ordering::Release);
        undeclare(core).await?;
    }
    let users: Vec<_> = core.registry.users().iter().filter(|user| user.is_connected()).map(|user| user.id).collect();
    learn(core, &users, Found::Connected).await?;
    tell(core).await?;
    let _calling = core.registrar.calling.lock().await;
    // Whoever failed meanwhile has said so before they waited for this turn.
    if !keeper.unsure.load(Ordering::Acquire) {
        super::registrar::within(core.bus.presence.keep_rooms(core.incarnation, true)).await?;
        keeper.declared.store(true, Ordering::Release);
    }
    show(core);
    Ok(())
}

/// Gives up what is held no more, and looks again at a part of everything.
async fn go_on(core: &Core) -> Result<(), Trouble> {
    let keeper = &core.registrar.rooms;
    let turn = keeper.turn.fetch_add(1, Ordering::Relaxed);
    let in_part = |user: &Arc<User>| usize::from(user.id.as_bytes()[15]) % USER_PARTS == turn % USER_PARTS;
    let users: Vec<_> =
        core.registry.users().iter().filter(|user| in_part(user) && user.is_connected()).map(|user| user.id).collect();
    learn(core, &users, Found::Connected).await?;
    tell(core).await?;
    let _calling = core.registrar.calling.lock().await;
    let over = keeper.held.lock().take_over(core.instruments.timer.millis());
    for (place, rooms) in over.chunks(ROOMS_AT_ONCE).enumerate() {
        if let Err(error) = say(core, rooms, false).await {
            keeper.held.lock().kept(&over[place * ROOMS_AT_ONCE..]);
            return Err(error.into());
        }
        keeper.held.lock().gave_up(rooms);
    }
    let told = keeper.held.lock().part_of_told(turn, ROOM_PARTS);
    for rooms in told.chunks(ROOMS_AT_ONCE) {
        say(core, rooms, true).await?;
    }
    show(core);
    Ok(())
}

/// There are too few gateways for it, or too many rooms.
async fn stop(core: &Core) -> Result<(), Trouble> {
    let keeper = &core.registrar.rooms;
    keeper.keeping.store(false, Ordering::Release);
    keeper.ask_again.lock().clear();
    let _calling = core.registrar.calling.lock().await;
    keeper.declared.store(false, Ordering::Release);
    let told = keeper.held.lock().clear();
    undeclare(core).await?;
    for rooms in told.chunks(ROOMS_AT_ONCE) {
        say(core, rooms, false).await?;
    }
    show(core);
    Ok(())
}
