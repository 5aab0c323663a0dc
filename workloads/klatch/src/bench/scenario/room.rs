//! One room of 1,000, all connected: the highest number of deliveries a second with p99 < 100 ms.

use std::{rc::Rc, time::Duration};

use anyhow::{Context, ensure};
use klatch_domain::MessageId;
use serde_json::json;

use super::{
    Found, Stage, of_search,
    pairs::add_sender,
    sender::{Sender, Sending},
};
use crate::bench::{
    accounts::Group,
    crowd::{self, Crowd},
    frames::{self, Template},
    generator::Generator,
    peer::Peer,
    server::CpuMeter,
    step::{Step, Tally, highest},
    wire,
};

/// Members who write; what they receive is not counted.
const SENDERS: usize = 10;
/// The first rate tried, messages a second.
const FIRST_RATE: f64 = 1_000.0;
/// What is under way after a step has this long to arrive.
const SETTLE: Duration = Duration::from_secs(20);

struct Room {
    crowd: Crowd,
    senders: Vec<(Rc<Peer>, Rc<Sender>)>,
    receivers: u64,
    sending: Rc<Sending>,
    delivered: Rc<Tally>,
}

/// Searches.
///
/// # Errors
/// What could not be measured.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let generator = Generator::new();
    let (sending, delivered) = (Sending::new(&generator)?, Tally::new(&generator)?);
    let group = stage.accounts.groups.first().context("the accounts have no group")?;
    ensure!(group.users.len() > 2 * SENDERS, "'room' needs a group of more than {} members", 2 * SENDERS);
    let mut room = Room::connect(stage, group, Rc::clone(&sending), Rc::clone(&delivered)).await?;
    let (best, steps) = highest(FIRST_RATE, false, async |rate| {
        if !room.crowd.is_whole() {
            room = Room::connect(stage, group, Rc::clone(&sending), Rc::clone(&delivered)).await?;
        }
        room.open_loop(stage, rate).await
    })
    .await?;
    let refusal = sending.refusal.borrow().clone();
    let remark = format!(
        "{:.0} messages/s to {} members, delivery p99 {:.1} ms{}",
        best.as_ref().map_or(0.0, |step| step.rate),
        room.receivers,
        best.as_ref().map_or(0.0, |step| step.latency.p99_ms),
        refusal.as_ref().map_or_else(String::new, |refusal| format!("; refused: {refusal}")),
    );
    let detail = json!({
        "members": group.users.len(), "senders": SENDERS, "receivers": room.receivers, "refusal": refusal,
        "last_close_code": generator.lost().1,
    });
    of_search(best.as_ref(), &steps, remark, detail)
}

impl Room {
    async fn connect(
        stage: Stage<'_>,
        group: &Group,
        sending: Rc<Sending>,
        delivered: Rc<Tally>,
    ) -> anyhow::Result<Self> {
        let mut room =
            Self { crowd: Crowd::default(), senders: Vec::with_capacity(SENDERS), receivers: 0, sending, delivered };
        let first_id = MessageId::now();
        let connections = crowd::connect(stage.server.address, stage.accounts, &group.users).await?;
        for (index, connection) in connections.into_iter().enumerate() {
            if index < SENDERS {
                let sender = Sender::new(&room.sending, Template::text(group.room, first_id)?);
                let peer = add_sender(&mut room.crowd, &room.sending, connection, &sender);
                room.senders.push((peer, sender));
            } else {
                room.add_receiver(connection);
            }
        }
        Ok(room)
    }

    fn add_receiver(&mut self, connection: (Rc<Peer>, wire::Incoming)) {
        let delivered = Rc::clone(&self.delivered);
        // Whole pieces, not lines: at millions a second the generator has no time to look at each. All of a piece count with
        // the latency of its oldest, so the figure errs to the worse. These members get nothing but messages.
        self.crowd.add(&self.sending.generator, connection, move |piece| {
            if let Some(due) = frames::stamp_of(piece) {
                delivered.arrived(due, wire::count_lines(piece));
            }
        });
        self.receivers += 1;
    }

    async fn open_loop(&self, stage: Stage<'_>, rate: f64) -> anyhow::Result<Step> {
        let generator = &self.sending.generator;
        let lost_before = generator.lost().0;
        self.sending.tally.restart();
        self.delivered.restart();
        let server = CpuMeter::start(stage.server);
        let seconds = stage.options.step_seconds();
        let driven = generator
            .open_loop(rate, seconds, |number, due| {
                let (peer, sender) = &self.senders[number as usize % self.senders.len()];
                sender.send(peer, due);
            })
            .await?;
        let server_cpu = server.share();
        let expected = driven.sent * self.receivers;
        let settled = || self.senders.iter().all(|(_, sender)| sender.is_settled());
        generator
            .settle(SETTLE, || self.delivered.arrivals() >= expected && settled(), || self.delivered.arrivals())
            .await;
        let mut step = self.delivered.step(rate, seconds, driven, self.receivers, generator.lost().0 - lost_before);
        step.refused = self.sending.tally.settled() - self.sending.tally.arrivals();
        step.server_cpu = server_cpu;
        Ok(step)
    }
}

/// One rate on new connections.
#[cfg(test)]
pub(crate) async fn one_step(stage: Stage<'_>, rate: f64) -> anyhow::Result<Step> {
    let generator = Generator::new();
    let group = stage.accounts.groups.first().context("the accounts have no group")?;
    let room = Room::connect(stage, group, Sending::new(&generator)?, Tally::new(&generator)?).await?;
    room.open_loop(stage, rate).await
}
