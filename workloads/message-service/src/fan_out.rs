//! After the commit: events go to the gateways that hold members, outcomes to who waits for them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use klatch_bus::{Addressees, EventPublisher, GatewaysOf, Presence, Receipt, Target};
use klatch_domain::{
    Appended, Audience, Event, Generation, Incarnation, Kind, OutcomeEvent, Position, RoomId, Seq, UserId,
};
use klatch_service_kit::trace;
use tokio::{
    sync::{
        mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel},
        oneshot,
    },
    time::{Instant, timeout},
};

use crate::{
    context::Context,
    item::Origin,
    notes::Note,
    notify::{self, Ask},
};

/// Up to this many gateways, an event goes to each that needs it: a lane would save nothing and reach the others for
/// nothing.
const FEW_GATEWAYS: usize = 4;
/// How long the number of gateways is believed. A lane reaches every gateway whatever their number, so an old number costs
/// copies and loses nothing.
const LIVE_FOR: Duration = Duration::from_secs(1);
/// Bundles sent together: what a few rounds left while the last publish was under way.
const BUNDLES: usize = 64;

/// Behind every entry there may be.
const END: Position = Position { generation: Generation(u64::MAX), seq: Seq(u64::MAX) };

/// What one round has to say. Its size is bounded by the commands it settles, which are bounded where they are taken.
#[derive(Debug, Default)]
pub(crate) struct Bundle {
    /// Entries, in order of each room.
    pub(crate) appended: Vec<Arc<Appended>>,
    /// For every gateway, by the room's lane.
    pub(crate) lanes: Vec<(RoomId, Event)>,
    /// For every subscriber.
    pub(crate) everyone: Vec<Event>,
    pub(crate) outcomes: Vec<OutcomeEvent>,
    /// Whose commands are settled by this, and how many of each.
    pub(crate) settled: Vec<(Origin, usize)>,
}

impl Bundle {
    /// One more command of this origin is settled once this has gone out.
    pub(crate) fn settle(&mut self, origin: Origin) {
        match self.settled.last_mut() {
            Some((last, count)) if *last == origin => *count += 1,
            _ => self.settled.push((origin, 1)),
        }
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.appended.is_empty()
            && self.lanes.is_empty()
            && self.everyone.is_empty()
            && self.outcomes.is_empty()
            && self.settled.is_empty()
    }
}

/// A bundle of one life of a consumer.
pub(crate) struct Outgoing {
    pub(crate) life: u64,
    pub(crate) bundle: Bundle,
}

/// What bundles of some lives settle, once nothing can hide any more that they were sent.
struct Sent {
    receipt: Receipt,
    /// What notification-service is asked was handed over.
    notified: Option<oneshot::Receiver<()>>,
    settled: Vec<(u64, Vec<(Origin, usize)>)>,
}

/// Sends bundles in order of arrival until nobody can send one any more, and says what is settled by it.
pub(crate) async fn run(context: Arc<Context>, incoming: UnboundedReceiver<Outgoing>, notes: UnboundedSender<Note>) {
    // Both without a bound of their own: they carry what the queue's task has taken, which is bounded there.
    let (sent, receipts) = unbounded_channel();
    let (notify, asked) = unbounded_channel();
    let patience = Duration::from_millis(context.settings.park_ms);
    tokio::select! {
        () = send(Arc::clone(&context), incoming, sent, notify) => {}
        () = notify::run(context, asked) => {}
        () = settle(receipts, notes, patience) => {}
    }
}

/// Commands are settled when the bus can no longer lose their events unseen: only then may their deliveries be acknowledged.
/// The next bundles do not wait for it.
async fn settle(mut receipts: UnboundedReceiver<Sent>, notes: UnboundedSender<Note>, patience: Duration) {
    let mut given_up = None;
    while let Some(Sent { receipt, notified, settled }) = receipts.recv().await {
        if settled.iter().all(|(life, _)| given_up >= Some(*life)) {
            continue;
        }
        let told = async {
            receipt.await;
            match notified {
                Some(notified) => notified.await.is_ok(),
                None => true,
            }
        };
        let is_sure = timeout(patience, told).await.unwrap_or(false);
        for (life, settled) in settled {
            let note = if is_sure { Note::Settled { life, settled } } else { Note::Untold { life } };
            if !is_sure {
                given_up = given_up.max(Some(life));
            }
            // Nobody to hear it: the queue is closing, and what is not acknowledged comes again.
            let _ = notes.send(note);
        }
    }
}

async fn send(
    context: Arc<Context>,
    mut incoming: UnboundedReceiver<Outgoing>,
    sent: UnboundedSender<Sent>,
    ask: UnboundedSender<Ask>,
) {
    let publishing = Arc::clone(&context);
    let mut fan_out = FanOut::new(context);
    let mut outgoing = Vec::with_capacity(BUNDLES);
    while incoming.recv_many(&mut outgoing, BUNDLES).await > 0 {
        let mut settled = Vec::with_capacity(outgoing.len());
        let mut events = Vec::new();
        let mut commands = Vec::new();
        let mut gone = Vec::new();
        let mut traced = Vec::new();
        let mut rest = Batches::default();
        for Outgoing { life, bundle } in outgoing.drain(..) {
            gone.extend(bundle.appended.iter().filter(|one| replaces(one)).map(|one| (one.room, one.entry.position)));
            commands.extend(bundle.appended.iter().filter_map(|appended| notify::command_for(appended)));
            traced.extend(bundle.appended.iter().filter_map(|one| trace::follow("fan_out", one.trace.as_deref())));
            events.extend(bundle.appended.into_iter().map(Directed::appended));
            for (room, event) in bundle.lanes {
                if matches!(event, Event::RoomDeleted { .. }) {
                    gone.push((room, END));
                }
                rest.put(Target::Lane(room), event);
            }
            for event in bundle.everyone {
                rest.put(Target::Everyone, event);
            }
            for outcome in bundle.outcomes {
                rest.put(Target::One(outcome.reply.incarnation), Event::Outcome(outcome));
            }
            if !bundle.settled.is_empty() {
                settled.push((life, bundle.settled));
            }
        }
        // First: whoever hears that a body is gone finds it nowhere. What waits for it waits for one answer of Redis at most.
        if !gone.is_empty() {
            publishing.bus.recent.forget(&gone).await;
        }
        // Both before anything is settled: a crash in between repeats both, and loses neither.
        let notified = notify::ask(&ask, commands);
        let receipt = fan_out.send(events, rest).await;
        drop(traced);
        if !settled.is_empty() && sent.send(Sent { receipt, notified, settled }).is_err() {
            return;
        }
    }
}

/// Whether an entry has replaced or emptied bodies before it.
fn replaces(appended: &Appended) -> bool {
    matches!(appended.entry.kind, Kind::Edit | Kind::Delete)
}

/// An event, and whose gateways it is for.
pub(crate) struct Directed {
    pub(crate) room: RoomId,
    pub(crate) audience: Audience,
    /// Somebody who is in the audience no more and has to be told so, or whose gateway may not know yet that they are.
    pub(crate) also: Option<UserId>,
    pub(crate) event: Event,
}

impl Directed {
    fn appended(appended: Arc<Appended>) -> Self {
        Self {
            room: appended.room,
            audience: appended.audience.clone(),
            also: appended.removed.or_else(|| joined_large(&appended)),
            event: Event::Appended(appended),
        }
    }
}

/// Events by target, each target once, in order of first use.
#[derive(Default)]
pub(crate) struct Batches {
    ones: HashMap<Incarnation, usize>,
    lanes: HashMap<RoomId, usize>,
    everyone: Option<usize>,
    batches: Vec<(Target, Vec<Event>)>,
}

impl Batches {
    fn put(&mut self, target: Target, event: Event) {
        let next = self.batches.len();
        let place = match &target {
            Target::One(incarnation) => *self.ones.entry(*incarnation).or_insert(next),
            Target::Lane(room) => *self.lanes.entry(*room).or_insert(next),
            Target::Everyone => *self.everyone.get_or_insert(next),
        };
        if place == next {
            self.batches.push((target, Vec::new()));
        }
        self.batches[place].1.push(event);
    }

    /// What the other holds comes after what is here.
    fn append(&mut self, other: Self) {
        for (target, events) in other.batches {
            for event in events {
                self.put(target.clone(), event);
            }
        }
    }
}

/// Where a room's events go in one publish.
#[derive(Debug, Clone, PartialEq, Eq)]
enum Route {
    Lane,
    Ones(Vec<Incarnation>),
}

/// One publisher, and what it knows of the gateways.
pub(crate) struct FanOut {
    context: Arc<Context>,
    publisher: Box<dyn EventPublisher>,
    live: usize,
    live_until: Instant,
}

impl FanOut {
    pub(crate) fn new(context: Arc<Context>) -> Self {
        let publisher = context.bus.events.publisher(Incarnation::now());
        Self { context, publisher, live: 0, live_until: Instant::now() }
    }

    /// Sends the events to whoever holds their audience, then the rest: one publish.
    ///
    /// A room keeps its order towards one gateway although its route may change between two publishes: one publisher sends
    /// both, and in process both end in the gateway's one queue. (A broker's twin sends both on one channel to queues of
    /// one gateway; should they still cross, clients order by position.)
    pub(crate) async fn send(&mut self, events: Vec<Directed>, rest: Batches) -> Receipt {
        let mut batches = Batches::default();
        if !events.is_empty() {
            self.route(events, &mut batches).await;
        }
        batches.append(rest);
        if batches.batches.is_empty() {
            return Receipt::at_once();
        }
        self.publisher.publish(batches.batches).await
    }

    async fn route(&mut self, events: Vec<Directed>, batches: &mut Batches) {
        if self.live_gateways().await <= 1 {
            // All lanes end in the same place: one batch is enough.
            let lane = events[0].room;
            self.context.metrics.lanes.inc_by(events.len() as u64);
            for directed in events {
                batches.put(Target::Lane(lane), directed.event);
            }
            return;
        }
        let routes = self.routes(&events).await;
        for directed in events {
            match routes.get(&directed.room) {
                Some(Route::Ones(gateways)) => {
                    for gateway in gateways {
                        batches.put(Target::One(*gateway), directed.event.clone());
                    }
                }
                Some(Route::Lane) | None => {
                    self.context.metrics.lanes.inc();
                    batches.put(Target::Lane(directed.room), directed.event);
                }
            }
        }
    }

    /// One route a room, so that its order holds within the publish.
    async fn routes(&mut self, events: &[Directed]) -> HashMap<RoomId, Route> {
        let mut groups: HashMap<RoomId, Addressees> = HashMap::with_capacity(events.len());
        for Directed { room, audience, also, .. } in events {
            let one = addressees(*room, audience, *also);
            match groups.get_mut(room) {
                None => {
                    groups.insert(*room, one);
                }
                Some(group) => join(group, one),
            }
        }
        if self.live < <dyn Presence>::SINGLE_SHARE {
            // Among so few nobody keeps sets of large rooms.
            groups.retain(|_, group| group.room.is_none());
        }
        if groups.is_empty() {
            return HashMap::new();
        }
        let (rooms, groups): (Vec<_>, Vec<_>) = groups.into_iter().unzip();
        match self.context.bus.presence.gateways_of_each(&groups).await {
            Ok(answers) => {
                let routes = groups.iter().zip(answers).map(|(group, answer)| match group.room {
                    None => route_of(answer),
                    Some(_) => route_of_large(answer),
                });
                rooms.into_iter().zip(routes).collect()
            }
            // Without a route an event takes the lane.
            Err(error) => {
                tracing::debug!(%error, "events go by their lanes");
                self.context.metrics.presence_unknown.inc();
                HashMap::new()
            }
        }
    }

    async fn live_gateways(&mut self) -> usize {
        let now = Instant::now();
        if now >= self.live_until {
            // Unknown: more than one, so that presence is asked where it matters.
            self.live = self.context.bus.presence.gateways_of(&[]).await.map_or(usize::MAX, |answer| answer.live);
            self.live_until = now + LIVE_FOR;
        }
        self.live
    }
}

fn is_small_share(answer: &GatewaysOf) -> bool {
    answer.gateways.len() * <dyn Presence>::SINGLE_SHARE <= answer.live
}

fn route_of(answer: GatewaysOf) -> Route {
    let few = answer.live <= FEW_GATEWAYS || is_small_share(&answer);
    if few { Route::Ones(answer.gateways) } else { Route::Lane }
}

/// Among a few gateways nobody keeps sets of large rooms: every one is answered, and a lane is one publish.
fn route_of_large(answer: GatewaysOf) -> Route {
    if is_small_share(&answer) { Route::Ones(answer.gateways) } else { Route::Lane }
}

fn addressees(room: RoomId, audience: &Audience, also: Option<UserId>) -> Addressees {
    match audience {
        Audience::Members(members) if also.is_none() => Addressees { users: Arc::clone(members), room: None },
        Audience::Members(members) => Addressees { users: members.iter().copied().chain(also).collect(), room: None },
        Audience::Room => Addressees { users: also.into_iter().collect(), room: Some(room) },
    }
}

fn join(group: &mut Addressees, other: Addressees) {
    if !other.users.is_empty() && !Arc::ptr_eq(&group.users, &other.users) {
        group.users = group.users.iter().chain(other.users.iter()).copied().collect();
    }
    group.room = group.room.or(other.room);
}

/// Who has joined a large room by this entry: their gateway may not be among those that hold it.
fn joined_large(appended: &Appended) -> Option<UserId> {
    appended.entry.joined().filter(|_| appended.audience == Audience::Room)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn gateways(held: u8, live: usize) -> GatewaysOf {
        GatewaysOf { gateways: (0..held).map(|byte| Incarnation::from_bytes([byte; 16])).collect(), live }
    }

    #[test]
    fn few_gateways_are_served_one_by_one_many_by_the_lane() {
        assert!(matches!(route_of(gateways(4, 4)), Route::Ones(ones) if ones.len() == 4));
        assert!(matches!(route_of(gateways(0, 100)), Route::Ones(ones) if ones.is_empty()));
        assert!(matches!(route_of(gateways(25, 100)), Route::Ones(_)));
        assert_eq!(route_of(gateways(26, 100)), Route::Lane);
        assert_eq!(route_of(gateways(2, 5)), Route::Lane);
    }

    #[test]
    fn large_rooms_go_to_single_gateways_up_to_a_quarter() {
        assert_eq!(route_of_large(gateways(2, 4)), Route::Lane);
        assert!(matches!(route_of_large(gateways(1, 4)), Route::Ones(ones) if ones.len() == 1));
        assert!(matches!(route_of_large(gateways(25, 100)), Route::Ones(_)));
        assert_eq!(route_of_large(gateways(26, 100)), Route::Lane);
    }

    #[test]
    fn a_room_that_becomes_large_within_a_batch_is_asked_for_both_ways() {
        let (room, ada, bob) = (RoomId::now(), UserId::from_bytes([1; 16]), UserId::from_bytes([2; 16]));
        let small = Audience::Members(Arc::from([ada]));
        let mut group = addressees(room, &small, None);
        // The same members are named once.
        join(&mut group, addressees(room, &small, None));
        assert_eq!(group, Addressees { users: Arc::from([ada]), room: None });
        join(&mut group, addressees(room, &Audience::Room, Some(bob)));
        assert_eq!(group, Addressees { users: Arc::from([ada, bob]), room: Some(room) });
    }

    #[test]
    fn a_target_has_one_batch_in_order_of_first_use() {
        let event = |byte| Event::RoomDeleted { room: RoomId::from_bytes([byte; 16]) };
        let (one, other) = (Incarnation::from_bytes([1; 16]), Incarnation::from_bytes([2; 16]));
        let mut batches = Batches::default();
        batches.put(Target::One(one), event(1));
        batches.put(Target::One(other), event(2));
        let mut rest = Batches::default();
        rest.put(Target::Everyone, event(3));
        rest.put(Target::One(one), event(4));
        batches.append(rest);
        assert_eq!(
            batches.batches,
            [
                (Target::One(one), vec![event(1), event(4)]),
                (Target::One(other), vec![event(2)]),
                (Target::Everyone, vec![event(3)]),
            ]
        );
    }
}
