//! `watch` and `unwatch`: rooms in view, users whose presence matters.

use std::sync::Arc;

use klatch_domain::{Code, RoomId, UserId};
use klatch_protocol::{ErrorFrame, ServerFrame, Watch};

use super::{Client, watermark::refused};
use crate::{
    connection::{Connection, NotWatched, WATCHED_ROOMS, WATCHED_USERS},
    core::Core,
    presence,
    rooms::{CannotAsk, Waiting},
};

impl Client {
    pub(super) fn on_watch(&mut self, watch: Watch) {
        let Watch { rooms, presence } = watch;
        if rooms.len() > WATCHED_ROOMS {
            return self.error(Code::ValidationFailed, too_many_rooms(), None);
        }
        for room in rooms {
            self.watch_room(room);
        }
        if !presence.is_empty() {
            self.watch_presence(presence);
        }
    }

    fn watch_room(&mut self, room: RoomId) {
        let Some(identity) = self.identity() else { return };
        match self.core.rooms.watch(room, identity.user.id, &self.connection) {
            Some(Ok(()) | Err(NotWatched::Ended)) => return,
            Some(Err(NotWatched::TooMany)) => {
                return self.error(Code::ValidationFailed, too_many_rooms(), Some(room.to_string()));
            }
            None => {}
        }
        if !self.connection.begin_asking() {
            return self.too_many_questions(room);
        }
        if let Err(CannotAsk) = self.core.rooms.ask(room, Waiting::Watch(Arc::clone(&self.connection))) {
            self.connection.end_asking();
            self.too_many_questions(room);
        }
    }

    fn watch_presence(&mut self, mut users: Vec<UserId>) {
        users.sort_unstable();
        users.dedup();
        if users.len() > WATCHED_USERS {
            let detail = format!("a connection watches at most {WATCHED_USERS} users");
            return self.error(Code::ValidationFailed, detail, None);
        }
        if let Err(CannotAsk) = presence::ask(&self.core, &self.connection, users) {
            self.too_many_questions("presence");
        }
    }

    pub(super) fn on_unwatch(&self, watch: Watch) {
        for room in watch.rooms {
            self.core.rooms.unwatch(room, &self.connection);
        }
        for user in watch.presence {
            let _was_watched = self.core.presence.unwatch(user, &self.connection);
        }
    }
}

fn too_many_rooms() -> String {
    format!("a connection watches at most {WATCHED_ROOMS} rooms")
}

/// The answer a `watch` waited for has come.
pub(crate) fn decide(core: &Core, room: RoomId, connection: &Arc<Connection>, member: Option<bool>) {
    connection.end_asking();
    if member != Some(true) {
        return connection.push_frame(&refused(room, member));
    }
    if core.rooms.watch_decided(room, connection) == Err(NotWatched::TooMany) {
        connection.push_frame(&ServerFrame::Error(ErrorFrame {
            code: Code::ValidationFailed,
            detail: too_many_rooms().into(),
            reference: Some(room.to_string()),
        }));
    }
}
