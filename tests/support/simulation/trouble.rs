//! What goes wrong, and how it ends.

use klatch_client_sdk::core::Input;
use klatch_domain::{Content, Draft, Kind, Role, RoomId, Sender};
use klatch_protocol::{Reconnect, ServerFrame, close};
use rand::RngExt;

use super::http::is_room;
use super::ids;
use super::plan::QUIET_MS;
use super::world::{Delivery, Event, World};

/// A gateway notices a client that vanished within two heartbeats, milliseconds.
const NOTICE_MS: u64 = 60_000;
/// A clock is off by up to a day, milliseconds.
const JUMP_MS: i64 = 24 * 3_600_000;
/// Questions a client asks to load a whole log.
const DEEPENINGS: u32 = 400;

impl World {
    /// The rooms there are from the start, and who is in them.
    pub(super) fn make_rooms(&mut self) {
        for user in 0..self.plan.users {
            self.model.log(ids::inbox(user)).members.insert(ids::user(user));
        }
        for number in 0..self.plan.rooms {
            let room = ids::room(number);
            self.model.log(room);
            for user in 0..self.plan.users {
                if self.random.random_bool(0.8) {
                    self.put_member(user, room, self.plan.provisioned);
                }
            }
        }
    }

    pub(super) fn plan_troubles(&mut self) {
        let plan = self.plan.clone();
        let sometime = |world: &mut Self| world.random.random_range(0..plan.chaos_ms);
        if plan.disconnect_ms > 0 {
            for who in 0..self.people.len() {
                let wait = self.random.random_range(0..=2 * plan.disconnect_ms);
                self.after(wait, Event::Sever { who, again: true });
            }
        }
        for _ in 0..plan.restarts {
            let (wait, gateway) = (sometime(self), self.random.random_range(0..plan.gateways));
            let drain = self.random.random_bool(0.5);
            self.after(wait, Event::Restart { gateway, drain });
        }
        for _ in 0..plan.crashes {
            let (wait, who) = (sometime(self), self.random.random_range(0..self.people.len()));
            let at_output = self.random.random_bool(0.7).then(|| self.random.random_range(0..4));
            self.after(wait, Event::Crash { who, at_output });
        }
        for _ in 0..plan.jumps {
            let (wait, who) = (sometime(self), self.random.random_range(0..self.people.len()));
            let by = self.random.random_range(-JUMP_MS..=JUMP_MS);
            self.after(wait, Event::Jump { who, by });
        }
        for _ in 0..plan.churn {
            let wait = sometime(self);
            self.after(wait, Event::Churn);
        }
        for _ in 0..plan.restores {
            let wait = sometime(self);
            self.after(wait, Event::Restore);
        }
    }

    pub(super) fn begin(&mut self, who: usize) -> Result<(), String> {
        self.tell(who, Input::Start)
    }

    /// The network breaks: the client hears of it, or does not; the gateway notices later.
    pub(super) fn sever(&mut self, who: usize, again: bool) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        if again {
            let wait = self.random.random_range(0..=2 * self.plan.disconnect_ms);
            self.after(wait, Event::Sever { who, again });
        }
        let silent = self.random.random_bool(0.2);
        let notice = self.random.random_range(0..=NOTICE_MS);
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        let Some(connection) = person.socket else { return Ok(()) };
        if let Some(there) = self.connections.get_mut(connection) {
            there.severed = true;
        }
        if silent {
            self.after(notice, Event::Noticed { connection });
            return Ok(());
        }
        person.socket = None;
        person.socket_is_open = false;
        self.after(notice, Event::Noticed { connection });
        self.tell(who, Input::Disconnected { code: None, retry_after_ms: None })
    }

    pub(super) fn restart(&mut self, gateway: usize, drain: bool) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        if !drain {
            return self.go_away(gateway);
        }
        for connection in self.connections_of(gateway) {
            let after_ms = self.random.random_range(0..=5_000);
            let frame = ServerFrame::Reconnect(Reconnect { after_ms, reason: "drain".into() });
            self.send_down(connection, Delivery::Frame(Box::new(frame)));
        }
        let wait = self.random.random_range(0..=6_000);
        self.after(wait, Event::GoAway { gateway });
        Ok(())
    }

    pub(super) fn go_away(&mut self, gateway: usize) -> Result<(), String> {
        let down = self.random.random_range(0..=10_000);
        for connection in self.connections_of(gateway) {
            let code = self.random.random_bool(0.5).then_some(close::GOING_AWAY);
            self.close_with(connection, code);
        }
        if let Some(gateway) = self.gateways.get_mut(gateway) {
            gateway.down_until = self.now + down;
        }
        Ok(())
    }

    fn connections_of(&self, gateway: usize) -> Vec<usize> {
        let there = self.connections.iter().enumerate();
        there.filter(|(_, there)| there.gateway == gateway && there.live).map(|(at, _)| at).collect()
    }

    pub(super) fn crash(&mut self, who: usize, at_output: Option<usize>) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        match at_output {
            Some(at_output) => {
                self.crash_at = Some((who, at_output));
                Ok(())
            }
            None => self.kill(who),
        }
    }

    /// The process is gone, in the middle of what it did; it is started again after a while.
    pub(super) fn kill(&mut self, who: usize) -> Result<(), String> {
        self.note(|_| format!("{who} is killed"));
        let notice = self.random.random_range(0..=NOTICE_MS);
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        if let Some(connection) = person.socket {
            if let Some(there) = self.connections.get_mut(connection) {
                there.severed = true;
            }
            self.after(notice, Event::Noticed { connection });
        }
        let Some(person) = self.people.get_mut(who) else { return Ok(()) };
        person.crash();
        person.begin(&mut self.random);
        let wait = self.random.random_range(0..=10_000);
        self.after(wait, Event::Begin { who });
        Ok(())
    }

    /// A clock is set; whoever keeps time by it looks at it again.
    pub(super) fn jump(&mut self, who: usize, by: i64) -> Result<(), String> {
        let Some(person) = self.people.get_mut(who).filter(|_| !self.quiet) else { return Ok(()) };
        person.clock = person.clock.saturating_add(by).max(0);
        person.timer += 1;
        self.set_timer(who);
        self.tell(who, Input::Tick)
    }

    pub(super) fn churn(&mut self) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        let room = ids::room(self.random.random_range(0..self.plan.rooms));
        let user = self.random.random_range(0..self.plan.users);
        if self.model.log(room).members.contains(&ids::user(user)) {
            self.remove_member(user, room);
        } else {
            self.put_member(user, room, false);
        }
        Ok(())
    }

    fn put_member(&mut self, user: u64, room: RoomId, provisioned: bool) {
        self.model.log(room).members.insert(ids::user(user));
        let content = serde_json::json!({"user": ids::user(user), "role": Role::Member});
        self.write(room, Kind::MemberJoined, &content, user);
        if !provisioned {
            self.send_notice(user, room, true);
        }
    }

    fn remove_member(&mut self, user: u64, room: RoomId) {
        self.model.log(room).members.remove(&ids::user(user));
        self.unsteady.insert(room);
        let content = serde_json::json!({"user": ids::user(user)});
        self.write(room, Kind::MemberLeft, &content, user);
        self.send_notice(user, room, false);
    }

    /// News for an inbox come later than the change itself, but in its order.
    fn send_notice(&mut self, user: u64, room: RoomId, joined: bool) {
        let wait = if self.now == 0 { 0 } else { self.random.random_range(0..=2_000) };
        let at = self.now + wait;
        let Some(last) = usize::try_from(user).ok().and_then(|user| self.notice_at.get_mut(user)) else { return };
        *last = at.max(*last);
        let at = *last;
        self.at(at, Event::Notice { user, room, joined });
    }

    pub(super) fn notice(&mut self, user: u64, room: RoomId, joined: bool) -> Result<(), String> {
        let kind = if joined { Kind::MemberJoined } else { Kind::MemberLeft };
        self.write(ids::inbox(user), kind, &serde_json::json!({"room": room}), user);
        Ok(())
    }

    /// The service writes an entry of its own.
    fn write(&mut self, room: RoomId, kind: Kind, content: &serde_json::Value, user: u64) {
        let message_id = self.new_message_id();
        let content = Content::parse(&content.to_string()).unwrap_or_default();
        let sender = Sender { user: ids::user(user), session: ids::session(u64::MAX) };
        let at = self.service_time();
        let entry = self.model.log(room).write(sender, message_id, Draft::new(kind, content), at);
        self.fan_out(room, &entry, None);
    }

    /// A log comes back from a backup that lacks its last entries.
    pub(super) fn restore(&mut self) -> Result<(), String> {
        if self.quiet {
            return Ok(());
        }
        let rooms: Vec<RoomId> = self.model.logs.keys().copied().filter(|room| is_room(*room)).collect();
        let Some(room) = rooms.get(self.random.random_range(0..rooms.len().max(1))).copied() else { return Ok(()) };
        let most = self.random.random_range(0..=5);
        let lost = self.model.log(room).restore(most);
        self.unsteady.insert(room);
        self.note(|_| format!("{room:?} is restored without {lost:?}"));
        for person in &mut self.people {
            for message_id in &lost {
                person.lost(*message_id);
            }
        }
        let live: Vec<usize> =
            self.connections.iter().enumerate().filter(|(_, there)| there.live).map(|(at, _)| at).collect();
        for connection in live {
            if self.random.random_bool(0.7) {
                let wait = self.random.random_range(0..=2_000);
                self.after(wait, Event::Reset { connection, room });
            }
        }
        Ok(())
    }

    /// Nothing goes wrong any more.
    pub(super) fn be_quiet(&mut self) -> Result<(), String> {
        self.quiet = true;
        self.crash_at = None;
        self.note(|_| "quiet".to_owned());
        for gateway in &mut self.gateways {
            gateway.down_until = 0;
        }
        for who in 0..self.people.len() {
            if self.plan.foreground {
                self.tell(who, Input::Foreground)?;
            }
            self.after(QUIET_MS * 2 / 3, Event::Deepen { who, left: DEEPENINGS });
        }
        Ok(())
    }

    /// Loads what lies before what is held, page by page, in every room.
    pub(super) fn deepen(&mut self, who: usize, left: u32) -> Result<(), String> {
        let Some(core) = self.people.get(who).and_then(|person| person.core.as_ref()) else { return Ok(()) };
        let held = core.rooms().filter_map(|room| Some((room, core.timeline(room)?)));
        let full = self.people.get(who).map_or(0, |person| person.settings.rows_per_room);
        let shallow = held.filter(|(_, timeline)| timeline.floor().0 > 0 && timeline.rows().len() < full);
        let shallow: Vec<RoomId> = shallow.map(|(room, _)| room).collect();
        if shallow.is_empty() || left == 0 {
            return Ok(());
        }
        for room in shallow {
            self.tell(who, Input::Older { room, limit: self.plan.page })?;
        }
        self.after(700, Event::Deepen { who, left: left - 1 });
        Ok(())
    }
}
