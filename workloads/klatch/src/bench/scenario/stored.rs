//! 1:1 messages, synced to disk before `stored`: the highest rate with ack p99 < 100 ms, and the most a closed loop gets.

use std::{rc::Rc, time::Duration};

use serde_json::json;

use super::{Found, Stage, of_search, pairs::Writing, sender::Sending};
use crate::bench::{
    generator::Generator,
    server::CpuMeter,
    step::{Step, Tally, highest},
};

/// Messages each pair has under way in the closed loop.
const WINDOW: usize = 8;
/// The first rate tried.
const FIRST_RATE: f64 = 1_000.0;
/// What is under way after a step has this long to settle.
const SETTLE: Duration = Duration::from_secs(20);

/// Searches, then closes the loop.
///
/// # Errors
/// What could not be measured.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let generator = Generator::new();
    let sending = Sending::new(&generator)?;
    let delivered = Tally::new(&generator)?;
    let mut writing = Writing::connect(stage, Rc::clone(&sending), Rc::clone(&delivered)).await?;
    let (best, steps) = highest(FIRST_RATE, false, async |rate| {
        if !writing.crowd.is_whole() {
            writing = Writing::connect(stage, Rc::clone(&sending), Rc::clone(&delivered)).await?;
        }
        open_loop(stage, &writing, rate, stage.options.step_seconds()).await
    })
    .await?;
    if !writing.crowd.is_whole() {
        writing = Writing::connect(stage, Rc::clone(&sending), Rc::clone(&delivered)).await?;
    }
    let (closed, busy) = closed_loop(stage, &writing).await;
    let delivery = delivered.latency();
    let refusal = sending.refusal.borrow().clone();
    let remark = format!(
        "closed loop {closed:.0}/s (generator {:.0} % busy), ack p99 {:.1} ms at the rate found{}",
        busy * 100.0,
        best.as_ref().map_or(0.0, |step| step.latency.p99_ms),
        refusal.as_ref().map_or_else(String::new, |refusal| format!("; refused: {refusal}")),
    );
    let detail = json!({
        "pairs": writing.senders.len(), "closed_loop_per_second": closed, "closed_loop_window": WINDOW,
        "closed_loop_generator_busy": busy, "closed_loop_delivery": delivery, "refusal": refusal,
    });
    of_search(best.as_ref(), &steps, remark, detail)
}

/// One rate, spread over the pairs in turn.
pub(super) async fn open_loop(stage: Stage<'_>, writing: &Writing, rate: f64, seconds: f64) -> anyhow::Result<Step> {
    let (generator, tally) = (&writing.sending.generator, &writing.sending.tally);
    let lost_before = generator.lost().0;
    tally.restart();
    writing.delivered.restart();
    let server = CpuMeter::start(stage.server);
    let driven = generator
        .open_loop(rate, seconds, |number, due| {
            let (peer, sender) = &writing.senders[number as usize % writing.senders.len()];
            sender.send(peer, due);
        })
        .await?;
    let server_cpu = server.share();
    let arrived = || tally.settled() >= driven.sent && writing.delivered.arrivals() >= driven.sent;
    let progress = || tally.settled() + writing.delivered.arrivals();
    generator.settle(SETTLE, || arrived() && writing.is_settled(), progress).await;
    let mut step = tally.step(rate, seconds, driven, 1, generator.lost().0 - lost_before);
    step.server_cpu = server_cpu;
    // The last ones settle after the step's time; what that costs belongs to them as well.
    let arrived = step.arrived.max(1) as f64;
    step.parts_cpu = server.parts().into_iter().map(|(name, seconds)| (name, seconds / arrived)).collect();
    Ok(step)
}

/// Messages stored a second, and how busy the generator was.
async fn closed_loop(stage: Stage<'_>, writing: &Writing) -> (f64, f64) {
    let (generator, tally) = (&writing.sending.generator, &writing.sending.tally);
    tally.restart();
    writing.delivered.restart();
    writing.sending.closed_loop.set(true);
    for (peer, sender) in &writing.senders {
        (0..WINDOW).for_each(|_| sender.send(peer, generator.now()));
    }
    let seconds = stage.options.step_seconds();
    let busy = generator.serve(Duration::from_secs_f64(seconds)).await;
    let rate = tally.arrivals() as f64 / seconds;
    writing.sending.closed_loop.set(false);
    generator.settle(SETTLE, || writing.is_settled(), || tally.settled()).await;
    (rate, busy)
}

/// One rate on new connections, and how many messages came to the other ends.
#[cfg(test)]
pub(crate) async fn one_step(stage: Stage<'_>, rate: f64, seconds: f64) -> anyhow::Result<(Step, u64)> {
    let generator = Generator::new();
    let delivered = Tally::new(&generator)?;
    let writing = Writing::connect(stage, Sending::new(&generator)?, Rc::clone(&delivered)).await?;
    let step = open_loop(stage, &writing, rate, seconds).await?;
    Ok((step, delivered.arrivals()))
}
