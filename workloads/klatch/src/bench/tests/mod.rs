//! The generator against a toy server whose faults are known.

mod toy;

use std::{rc::Rc, time::Duration};

use clap::Parser;
use klatch_domain::{RoomId, UserId};

use self::toy::{Faults, Toy};
use super::{
    accounts::{Account, Accounts, Group},
    generator::Generator,
    options::Options,
    peer::Peer,
    scenario::{self, Stage},
    server::Server,
    step::Step,
};

#[derive(Parser)]
struct CommandLine {
    #[command(flatten)]
    options: Options,
}

fn options(arguments: &[&str]) -> Options {
    CommandLine::try_parse_from(["bench"].iter().chain(arguments)).unwrap().options
}

/// 30 users in pairs, and one room of them all.
fn accounts() -> Accounts {
    let users: Vec<_> = (0..30)
        .map(|index| Account { id: UserId::now(), username: format!("u{index}"), token: index.to_string() })
        .collect();
    let pair = |index: usize| Group {
        room: RoomId::direct_of(users[index].id, users[index + 1].id),
        users: vec![index, index + 1],
    };
    let direct_rooms = (0..30).step_by(2).map(pair).collect();
    Accounts { direct_rooms, groups: vec![Group { room: RoomId::now(), users: (0..30).collect() }], users }
}

/// Runs on a thread as the bench does.
fn with_toy<T>(faults: Faults, arguments: &[&str], test: impl AsyncFnOnce(Stage<'_>) -> T) -> T {
    let accounts = accounts();
    let toy = Toy::start(&accounts, faults);
    let server = Server::running(&format!("http://{}", toy.address()), Some(std::process::id()), &[]).unwrap();
    let options = options(arguments);
    let stage = Stage { server: &server, accounts: &accounts, options: &options };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, test(stage))
}

/// 100 messages over 15 pairs.
fn stored_step(faults: Faults) -> (Step, u64) {
    with_toy(faults, &["--pairs", "15"], async |stage| scenario::stored::one_step(stage, 400.0, 0.25).await.unwrap())
}

#[test]
fn every_message_is_counted_once_at_both_ends() {
    let (step, delivered) = stored_step(Faults::default());
    assert_eq!((step.sent, step.expected, step.arrived, step.refused, delivered), (100, 100, 100, 0, 100));
    assert_eq!((step.latency.count, step.connections_lost), (100, 0));
}

/// A server that sleeps is charged for every message that became due meanwhile, not only for the one it slept on.
#[test]
fn a_stall_counts_for_everything_that_was_due_in_it() {
    let (step, _) = stored_step(Faults { stall: Some(Duration::from_millis(200)), ..Faults::default() });
    // 80 of the 100 messages were due within the stall: half of all waited for 70 ms of it or more.
    assert_eq!(step.arrived, 100);
    assert!(step.latency.max_ms >= 190.0 && step.latency.p50_ms >= 70.0, "{step:?}");
    assert!(!step.passes(false));
}

#[test]
fn a_refusal_is_no_stored_message() {
    let (step, delivered) = stored_step(Faults { refuse_every: Some(10), ..Faults::default() });
    assert_eq!((step.arrived, step.refused, delivered), (90, 10, 90));
    assert!(!step.passes(false));
}

#[test]
fn a_connection_closed_on_the_way_is_seen() {
    let (step, _) = stored_step(Faults { close_after: Some(40), ..Faults::default() });
    assert!(step.connections_lost > 0 && step.arrived < 100 && !step.passes(false), "{step:?}");
}

#[test]
fn lost_signals_are_missed() {
    let step = |faults| {
        with_toy(faults, &["--pairs", "15", "--seconds", "1"], async |stage| {
            scenario::signals::one_step(stage, 400.0).await.unwrap()
        })
    };
    let whole = step(Faults::default());
    assert_eq!((whole.sent, whole.arrived), (400, 400));
    let lossy = step(Faults { drop_every: Some(10), ..Faults::default() });
    assert_eq!((lossy.sent, lossy.arrived, lossy.passes(true)), (400, 360, false));
}

/// Blocks of many frames and frames of one message count alike.
#[test]
fn every_delivery_in_a_room_is_counted() {
    for together in [1, 7] {
        let faults = Faults { together, ..Faults::default() };
        let step =
            with_toy(faults, &["--seconds", "1"], async |stage| scenario::room::one_step(stage, 70.0).await.unwrap());
        assert_eq!((step.sent, step.expected, step.arrived, step.refused), (70, 70 * 20, 70 * 20, 0));
    }
}

#[test]
fn what_the_server_says_instead_of_welcome_is_told() {
    with_toy(Faults::default(), &[], async |stage| {
        let error = Peer::connect(stage.server.address, "nobody").await.err().unwrap();
        assert!(format!("{error:#}").contains("closed with 4401"), "{error:#}");
    });
}

#[test]
fn a_quiet_wait_ends() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let generator: Rc<Generator> = Generator::new();
        generator.settle(Duration::from_millis(5), || false, || 0).await;
        generator.settle(Duration::from_secs(3_600), || true, || 0).await;
    });
}

#[test]
fn the_command_line_says_what_goes_together() {
    assert!(CommandLine::try_parse_from(["bench", "--url", "http://x"]).is_err(), "no accounts");
    assert!(CommandLine::try_parse_from(["bench", "--pid", "1"]).is_err(), "no url");
    assert_eq!(options(&["--url", "http://x", "--accounts", "a", "--pid", "7"]).pid, Some(7));
}
