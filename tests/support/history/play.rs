//! Playing a history.

use std::{
    collections::BTreeMap,
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use klatch_bus::{Bus, EventReceiver, Received};
use klatch_domain::{Command, ConnectionId, Event, Incarnation, MessageId, ReplyAddress, RoomId, Seq};
use klatch_message_service::MessageService;
use klatch_service_kit::Clock;
use klatch_settings::MessageServiceSettings;
use klatch_store::{Directory, Shards, shard::Range};
use tokio::time::timeout;

use super::History;
use crate::person::PATIENCE;

/// Commands of one publish: what a gateway gathers while one is under way.
const GATHERED: usize = 7;
/// Entries of one page.
const PAGE: usize = 200;

/// What a history is played through.
pub struct Parts {
    /// Carries commands and events.
    pub bus: Bus,
    /// Keep the logs.
    pub shards: Shards,
    /// Keeps the projections.
    pub directory: Arc<dyn Directory>,
}

/// Plays it and answers the logs of all its rooms: a line for each room, then a JSON line for each entry.
///
/// # Panics
/// When something does not come to an end.
pub async fn play(history: &History, parts: &Parts) -> String {
    let clock = Arc::new(AtomicU64::new(0));
    let incarnation = Incarnation::now();
    let hears = parts.bus.events.subscribe(incarnation, false).await;
    let service = start(parts, Arc::clone(&clock)).await;
    let mut player = Player { parts, incarnation, hears };
    for round in &history.rounds {
        clock.store(round.micros, Ordering::SeqCst);
        player.settle(std::slice::from_ref(&round.change)).await;
        player.nothing_is_owed().await;
        player.settle(&round.writes).await;
    }
    service.stop().await;
    let mut logs = String::new();
    for room in &history.rooms {
        player.write_log(*room, &mut logs).await;
    }
    logs
}

async fn start(parts: &Parts, clock: Arc<AtomicU64>) -> MessageService {
    MessageService::start(klatch_message_service::Parts {
        settings: MessageServiceSettings::default(),
        bus: parts.bus.clone(),
        shards: parts.shards.clone(),
        directory: Arc::clone(&parts.directory),
        registry: prometheus::Registry::new(),
        clock: Clock::from_fn(move || clock.load(Ordering::SeqCst)),
    })
    .await
    .expect("message-service")
}

struct Player<'a> {
    parts: &'a Parts,
    incarnation: Incarnation,
    hears: Box<dyn EventReceiver>,
}

impl Player<'_> {
    /// Publishes these in order and waits until each has an outcome.
    async fn settle(&mut self, commands: &[Command]) {
        let reply = ReplyAddress { incarnation: self.incarnation, connection: ConnectionId::now() };
        let commands: Vec<Command> =
            commands.iter().map(|command| Command { reply: Some(reply), ..command.clone() }).collect();
        // An id that comes twice has two outcomes.
        let mut awaited: BTreeMap<MessageId, usize> = BTreeMap::new();
        for command in &commands {
            *awaited.entry(command.message_id).or_default() += 1;
        }
        self.publish(&commands).await;
        let settled = async {
            while !awaited.is_empty() {
                match self.hears.receive().await.expect("the bus lives") {
                    Received::Events(events) => {
                        for event in events {
                            let Event::Outcome(outcome) = event else { continue };
                            if let Some(count) = awaited.get_mut(&outcome.message_id) {
                                *count -= 1;
                                if *count == 0 {
                                    awaited.remove(&outcome.message_id);
                                }
                            }
                        }
                    }
                    Received::Gap => panic!("outcomes were lost: nothing here is cut or full"),
                }
            }
        };
        timeout(PATIENCE, settled).await.unwrap_or_else(|_| panic!("no outcome for some of {commands:?}"));
    }

    async fn publish(&self, commands: &[Command]) {
        let queues = self.parts.bus.commands.queues();
        let map = self.parts.shards.map();
        for queue in 0..queues {
            let of_queue: Vec<Command> = commands
                .iter()
                .filter(|command| map.slot_of(command.room).ingest_queue(queues) == queue)
                .cloned()
                .collect();
            for batch in of_queue.chunks(GATHERED) {
                self.parts.bus.commands.publish(queue, batch.to_vec()).await.expect("a publish");
            }
        }
    }

    /// Waits until every shard has paid what its entries owe the directory and the inboxes.
    async fn nothing_is_owed(&self) {
        let paid = async {
            for shard in self.parts.shards.all() {
                while !shard.follow_ups(None, 1).await.expect("follow-ups").is_empty() {
                    tokio::time::sleep(std::time::Duration::from_millis(2)).await;
                }
            }
        };
        timeout(PATIENCE, paid).await.expect("what is owed is paid in time");
    }

    async fn write_log(&self, room: RoomId, out: &mut String) {
        out.push_str(&format!("{room}\n"));
        let mut after = Seq::ZERO;
        loop {
            let page =
                self.parts.shards.of(room).page(room, Range::After(after), PAGE, None, None).await.expect("a page");
            for entry in &page.entries {
                out.push_str(&serde_json::to_string(entry).expect("JSON"));
                out.push('\n');
                after = entry.position.seq;
            }
            if !page.more {
                return;
            }
        }
    }
}
