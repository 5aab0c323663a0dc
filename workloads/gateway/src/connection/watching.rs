//! What one connection watches.

use klatch_domain::{RoomId, UserId};

/// Rooms that one connection may watch: what fits on the widest screen, several times.
pub(crate) const WATCHED_ROOMS: usize = 128;
/// Users whose presence one connection may watch: a long list of friends.
pub(crate) const WATCHED_USERS: usize = 1_024;

/// Nothing for most connections most of the time.
#[derive(Debug, Default)]
pub(crate) enum Watching {
    #[default]
    Nothing,
    Some(Box<Watched>),
    /// The connection has ended: nothing is added any more.
    Ended,
}

#[derive(Debug, Default)]
pub(crate) struct Watched {
    pub(crate) rooms: Vec<RoomId>,
    pub(crate) users: Vec<UserId>,
}

/// Why something is not watched.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum NotWatched {
    /// One connection may not watch more.
    TooMany,
    /// It has ended.
    Ended,
}

impl Watching {
    fn watched(&mut self) -> Result<&mut Watched, NotWatched> {
        if matches!(self, Self::Nothing) {
            *self = Self::Some(Box::default());
        }
        match self {
            Self::Some(watched) => Ok(watched),
            Self::Nothing | Self::Ended => Err(NotWatched::Ended),
        }
    }

    /// Answers whether it is new.
    pub(crate) fn add_room(&mut self, room: RoomId) -> Result<bool, NotWatched> {
        add(&mut self.watched()?.rooms, room, WATCHED_ROOMS)
    }

    /// Answers whether it is new.
    pub(crate) fn add_user(&mut self, user: UserId) -> Result<bool, NotWatched> {
        add(&mut self.watched()?.users, user, WATCHED_USERS)
    }

    pub(crate) fn remove_room(&mut self, room: RoomId) -> bool {
        self.change(|watched| remove(&mut watched.rooms, room))
    }

    pub(crate) fn remove_user(&mut self, user: UserId) -> bool {
        self.change(|watched| remove(&mut watched.users, user))
    }

    fn change(&mut self, change: impl FnOnce(&mut Watched) -> bool) -> bool {
        let Self::Some(watched) = self else { return false };
        let changed = change(watched);
        if watched.rooms.is_empty() && watched.users.is_empty() {
            *self = Self::Nothing;
        }
        changed
    }

    /// Everything it watched; from now on it watches nothing.
    pub(crate) fn end(&mut self) -> Watched {
        match std::mem::replace(self, Self::Ended) {
            Self::Some(watched) => *watched,
            Self::Nothing | Self::Ended => Watched::default(),
        }
    }
}

fn add<T: PartialEq>(list: &mut Vec<T>, item: T, most: usize) -> Result<bool, NotWatched> {
    if list.contains(&item) {
        return Ok(false);
    }
    if list.len() >= most {
        return Err(NotWatched::TooMany);
    }
    list.push(item);
    Ok(true)
}

fn remove<T: PartialEq>(list: &mut Vec<T>, item: T) -> bool {
    let place = list.iter().position(|known| *known == item);
    if let Some(place) = place {
        list.swap_remove(place);
    }
    place.is_some()
}
