//! kill -9 of the process at random moments while 20 clients write: nothing acknowledged is lost, nothing is doubled.

use std::time::Duration;

use klatch_domain::RoomId;
use klatch_tests::{
    asked,
    klatch_process::Start,
    person::Person,
    writers::{Desk, Order, Way, Writer, oracle::Oracle},
};
use rand::{RngExt, SeedableRng, rngs::StdRng};

const WRITERS: usize = 20;
const KILLS: usize = 50;
/// Unsettled sends of one writer in each of two rooms: enough that every kill hits some on every step of the way.
const IN_FLIGHT: usize = 4;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn nothing_stored_is_lost_or_doubled_by_kill_9() {
    let seed = asked::seed("KLATCH_KILL_SEED");
    eprintln!("KLATCH_KILL_SEED={seed}");
    let mut random = StdRng::seed_from_u64(seed);
    let start = Start::default().with(&["--no-limits"]);
    let mut process = Start::default().with(&["--no-limits"]).ready();

    let mut people = Vec::new();
    for number in 0..WRITERS {
        people.push(Person::sign_up(&process.url, &format!("writer{number}")).await);
    }
    let others: Vec<&Person> = people[1..].iter().collect();
    let group = people[0].group("kill", &others).await;
    let desk = Desk::new(vec![process.url.clone()], Duration::ZERO);
    let mut writers = Vec::new();
    for pair in people.chunks(2) {
        let rooms = vec![group, pair[0].direct(&pair[1]).await];
        for person in pair {
            writers.push(Writer::start(
                person.clone(),
                rooms.clone(),
                Way::WebSocket { in_flight: IN_FLIGHT },
                0,
                &desk,
            ));
        }
    }

    for kill in 0..KILLS {
        // A kill counts when something was stored since the last one; how much is drawn.
        let until = desk.stored() + random.random_range(1..120);
        while desk.stored() < until {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        process.kill();
        process.start_again(&start);
        desk.move_to(vec![process.url.clone()]);
        assert!(writers.iter().all(|writer| !writer.is_finished()), "a writer ended early, at kill {kill}");
    }
    desk.tell(Order::End);
    for writer in &mut writers {
        writer.ended().await;
    }
    verify(&writers, group, &process.url).await;
    eprintln!("{KILLS} kills, {} messages stored", desk.stored());
}

async fn verify(writers: &[Writer], group: RoomId, url: &str) {
    let mut oracle = Oracle::default();
    let mut people: Vec<_> = writers.iter().map(|writer| writer.person.at(url)).collect();
    oracle.read(group, &mut people).await;
    for pair in writers.chunks(2) {
        let mut pair_of_people = [pair[0].person.at(url), pair[1].person.at(url)];
        oracle.read(pair[0].rooms[1], &mut pair_of_people).await;
    }
    for writer in writers {
        oracle.compare(writer);
    }
    oracle.nothing_alien();
}
