//! Presence: which users are connected to which gateway incarnations. An optimisation for fan-out, never the last filter.

use std::sync::Arc;

use async_trait::async_trait;
use klatch_domain::{Incarnation, RoomId, Timestamp, UserId};

use crate::PresenceStatus;

/// Presence cannot say: fan out by the lane.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("presence is unknown: {0}")]
pub struct PresenceUnknown(pub String);

/// How a user stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct UserPresence {
    /// Who.
    pub user: UserId,
    /// Online, away, offline.
    pub status: PresenceStatus,
    /// When last active, if known.
    pub last_active: Option<Timestamp>,
}

/// Where users are connected.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct GatewaysOf {
    /// Gateways holding a connection of any of the users asked for, each once.
    pub gateways: Vec<Incarnation>,
    /// How many gateways are alive.
    pub live: usize,
}

/// What gateways say of their load, all together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Load {
    /// Living gateways that have said something.
    pub gateways: u64,
    /// Connections they hold.
    pub connections: u64,
}

/// Whose gateways are asked for.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Addressees {
    /// Where these users are connected,
    pub users: Arc<[UserId]>,
    /// and where members of this large room may be.
    pub room: Option<RoomId>,
}

/// The presence registry. A gateway holds a lease of [`Presence::LEASE_SECONDS`]; a user's entry lives with the gateway's.
#[async_trait]
pub trait Presence: Send + Sync + 'static {
    /// Takes or renews the lease of a gateway. Entries of a gateway whose lease ran out are gone: answers false when they
    /// were, and the gateway registers its users again. The first lease answers false too: nothing is registered yet.
    ///
    /// # Errors
    /// [`PresenceUnknown`].
    async fn renew(&self, gateway: Incarnation) -> Result<bool, PresenceUnknown>;

    /// Gives up the lease and every entry of a gateway.
    ///
    /// # Errors
    /// [`PresenceUnknown`].
    async fn leave(&self, gateway: Incarnation) -> Result<(), PresenceUnknown>;

    /// These users now have their first connection on this gateway (true), or have lost their last (false). When it
    /// returns, later `gateways_of` calls see it. Answers those whose status changed for the world by this: first gateway
    /// gained, last gateway lost. `last_active` is left out of those who are online now.
    ///
    /// # Errors
    /// [`PresenceUnknown`], also when the gateway holds no lease: nothing was changed, `renew` first.
    async fn set(
        &self,
        gateway: Incarnation,
        users: &[(UserId, bool)],
        now: Timestamp,
    ) -> Result<Vec<UserPresence>, PresenceUnknown>;

    /// Where these users are connected.
    ///
    /// # Errors
    /// [`PresenceUnknown`].
    async fn gateways_of(&self, users: &[UserId]) -> Result<GatewaysOf, PresenceUnknown>;

    /// The gateways of each group, in the order asked: those of its users, and, where it names a room, every gateway that
    /// holds the room or does not say which rooms it holds (see [`Presence::keep_rooms`]). All gateways are answered for a
    /// room that nobody holds: it has become large a moment ago, or was forgotten. They may be where more than one of
    /// [`Presence::SINGLE_SHARE`] hold it, too. A twin over a network asks all at once.
    ///
    /// # Errors
    /// [`PresenceUnknown`].
    async fn gateways_of_each(&self, groups: &[Addressees]) -> Result<Vec<GatewaysOf>, PresenceUnknown>;

    /// This gateway now holds its first member of these large rooms (true), or has lost its last (false). When it returns,
    /// later `gateways_of_each` calls see it. Repeating changes nothing. Ends with the lease, as users' entries do.
    ///
    /// # Errors
    /// [`PresenceUnknown`], also when the gateway holds no lease: `renew` first. Some may have been changed.
    async fn hold_rooms(&self, gateway: Incarnation, rooms: &[(RoomId, bool)]) -> Result<(), PresenceUnknown>;

    /// From now on this gateway holds the rooms it has named and no others (true), or may hold any, as under every new
    /// lease (false).
    ///
    /// # Errors
    /// [`PresenceUnknown`], also when the gateway holds no lease: nothing was changed.
    async fn keep_rooms(&self, gateway: Incarnation, keeps: bool) -> Result<(), PresenceUnknown>;

    /// Says how many connections this gateway holds, and answers what all say. What was said ends with the lease, and may be as
    /// old as the last call of who said it.
    ///
    /// # Errors
    /// [`PresenceUnknown`], also when the gateway holds no lease.
    async fn share_load(&self, gateway: Incarnation, connections: u64) -> Result<Load, PresenceUnknown>;

    /// How these users stand, in the order asked.
    ///
    /// # Errors
    /// [`PresenceUnknown`].
    async fn statuses(&self, users: &[UserId]) -> Result<Vec<UserPresence>, PresenceUnknown>;
}

impl dyn Presence {
    /// Length of a gateway's lease, seconds: three missed renewals, one every third of it.
    pub const LEASE_SECONDS: u64 = 10;
    /// An event goes to single gateways up to one in so many of all; beyond it, one publish to a lane is cheaper than that
    /// many copies.
    pub const SINGLE_SHARE: usize = 4;
}
