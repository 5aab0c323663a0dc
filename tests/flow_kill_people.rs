//! kill -9 of the process under people of every sort: writers by both ways, clients that only follow, a guest who comes and goes,
//! a stranger. After each kill they all come to the same logs, and nobody has heard what was not for them.

use klatch_domain::{DEFAULT_SLOTS, SlotMap};
use klatch_tests::{balancer::free_address, cast::Cast, klatch_process::Start};

const KILLS: usize = 6;
/// Messages stored between two kills, at least.
const BETWEEN: u64 = 80;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn everybody_comes_to_the_same_logs_after_kill_9() {
    let address = free_address().to_string();
    let start = || Start::default().with(&["--no-limits"]).listen(&address);
    let mut process = start().ready();
    let map = SlotMap::even(DEFAULT_SLOTS, 2).unwrap();
    let mut cast = Cast::enter(vec![process.url.clone()], &map).await;
    for _ in 0..KILLS {
        cast.guest(true).await;
        cast.stored_more(BETWEEN).await;
        let shown_out = tokio::spawn(cast.guest(false));
        process.kill();
        process.start_again(&start());
        shown_out.await.unwrap();
        cast.converge().await;
    }
    let entries = cast.read_all_again().await;
    eprintln!(
        "{KILLS} kills, {} messages stored, {entries} entries, refused {:?}",
        cast.desk.stored(),
        cast.desk.refusals()
    );
}
