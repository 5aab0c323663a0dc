//! Time from a message to its `stored` at a steady rate the server is far from filling.

use std::rc::Rc;

use serde_json::json;

use super::{Found, Stage, pairs::Writing, sender::Sending, stored::open_loop};
use crate::bench::{generator::Generator, step::Tally};

/// A tail of one in a hundred needs its thousands.
const SECONDS: f64 = 10.0;
/// Before the clock starts: rooms are in the writer's memory then.
const WARM_UP_SECONDS: f64 = 2.0;

/// `--rate` messages a second over all pairs.
///
/// # Errors
/// What could not be measured.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let generator = Generator::new();
    let delivered = Tally::new(&generator)?;
    let writing = Writing::connect(stage, Sending::new(&generator)?, Rc::clone(&delivered)).await?;
    let rate = f64::from(stage.options.rate);
    open_loop(stage, &writing, rate, WARM_UP_SECONDS).await?;
    let step = open_loop(stage, &writing, rate, SECONDS.max(stage.options.step_seconds())).await?;
    let delivery = delivered.latency();
    let complete = step.refused == 0 && step.arrived == step.expected;
    Ok(Found {
        // What never came has no latency: it counts as the worst.
        value: if complete { step.latency.p99_ms } else { f64::INFINITY },
        generator_bound: step.is_generator_bound(),
        server_cpu: step.server_cpu,
        parts_cpu: step.parts_cpu.clone(),
        remark: format!(
            "p50 {:.2} ms, max {:.1} ms; delivery p99 {:.2} ms; {} of {} stored",
            step.latency.p50_ms, step.latency.max_ms, delivery.p99_ms, step.arrived, step.expected
        ),
        detail: json!({"step": step, "delivery": delivery}),
    })
}
