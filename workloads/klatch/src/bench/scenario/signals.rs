//! 1:1 typing signals: the highest rate at which 999 of 1,000 arrive with p99 < 100 ms, and what a closed loop gets.

use std::{
    cell::{Cell, RefCell},
    rc::Rc,
    time::Duration,
};

use klatch_protocol::{ClientFrame, Ping};
use serde_json::json;

use super::{Found, Stage, of_search, pairs};
use crate::bench::{
    crowd::Crowd,
    frames::{self, Template},
    generator::Generator,
    peer::Peer,
    server::CpuMeter,
    step::{Step, Tally, highest},
    wire,
};

/// The first rate tried.
const FIRST_RATE: f64 = 5_000.0;
/// What is under way after a step has this long to arrive.
const SETTLE: Duration = Duration::from_secs(10);

struct Typing {
    crowd: Crowd,
    /// The typing end of each pair and its frame.
    from: Vec<(Rc<Peer>, Rc<RefCell<Template>>)>,
    generator: Rc<Generator>,
    tally: Rc<Tally>,
    closed_loop: Rc<Cell<bool>>,
}

/// Searches, then closes the loop with one signal under way in each pair.
///
/// # Errors
/// What could not be measured.
pub(crate) async fn measure(stage: Stage<'_>) -> anyhow::Result<Found> {
    let generator = Generator::new();
    let tally = Tally::new(&generator)?;
    let mut typing = Typing::connect(stage, &generator, &tally).await?;
    let (best, steps) = highest(FIRST_RATE, true, async |rate| {
        if !typing.crowd.is_whole() {
            typing = Typing::connect(stage, &generator, &tally).await?;
        }
        typing.open_loop(stage, rate).await
    })
    .await?;
    if !typing.crowd.is_whole() {
        typing = Typing::connect(stage, &generator, &tally).await?;
    }
    let (closed, busy) = typing.closed_loop(stage.options.step_seconds()).await;
    let remark = format!(
        "closed loop {closed:.0}/s (generator {:.0} % busy), p99 {:.1} ms at the rate found",
        busy * 100.0,
        best.as_ref().map_or(0.0, |step| step.latency.p99_ms)
    );
    let detail = json!({
        "pairs": typing.from.len(), "closed_loop_per_second": closed, "closed_loop_generator_busy": busy,
    });
    of_search(best.as_ref(), &steps, remark, detail)
}

impl Typing {
    async fn connect(stage: Stage<'_>, generator: &Rc<Generator>, tally: &Rc<Tally>) -> anyhow::Result<Self> {
        let mut typing = Self {
            crowd: Crowd::default(),
            from: Vec::new(),
            generator: Rc::clone(generator),
            tally: Rc::clone(tally),
            closed_loop: Rc::default(),
        };
        let watching = Rc::new(Cell::new(0));
        for pair in pairs::connect(stage).await? {
            let frame = Rc::new(RefCell::new(Template::typing(pair.room)?));
            let answered = Rc::clone(&watching);
            let from = typing.crowd.add(generator, pair.from, move |piece| count_pongs(piece, &answered));
            let receive = typing.receiver(&from, &frame, &watching);
            let to = typing.crowd.add(generator, pair.to, receive);
            for peer in [&from, &to] {
                peer.send(generator, &frames::watch(pair.room));
                peer.send(generator, &ping());
            }
            typing.from.push((from, frame));
        }
        // Frames are handled in order: a pong means that the room is watched.
        let all = 2 * typing.from.len() as u64;
        generator.settle(SETTLE, || watching.get() >= all, || watching.get()).await;
        anyhow::ensure!(watching.get() >= all, "only {} of {all} connections answered a ping", watching.get());
        Ok(typing)
    }

    /// The other end: counts what arrives and, in the closed loop, brings the next.
    fn receiver(
        &self,
        from: &Rc<Peer>,
        frame: &Rc<RefCell<Template>>,
        watching: &Rc<Cell<u64>>,
    ) -> impl FnMut(&[u8]) + 'static {
        let (generator, tally, closed) =
            (Rc::clone(&self.generator), Rc::clone(&self.tally), Rc::clone(&self.closed_loop));
        let (from, frame, watching) = (Rc::clone(from), Rc::clone(frame), Rc::clone(watching));
        move |piece| {
            count_pongs(piece, &watching);
            for due in frames::lines(piece).filter(|line| frames::is(line, "signal")).filter_map(frames::stamp_of) {
                tally.arrived(due, 1);
                if closed.get() {
                    from.send(&generator, frame.borrow_mut().fill(0, generator.now()));
                }
            }
        }
    }

    async fn open_loop(&self, stage: Stage<'_>, rate: f64) -> anyhow::Result<Step> {
        let lost_before = self.generator.lost().0;
        self.tally.restart();
        let server = CpuMeter::start(stage.server);
        let seconds = stage.options.step_seconds();
        let driven = self
            .generator
            .open_loop(rate, seconds, |number, due| {
                let (peer, frame) = &self.from[number as usize % self.from.len()];
                peer.send(&self.generator, frame.borrow_mut().fill(0, due));
            })
            .await?;
        let server_cpu = server.share();
        self.generator.settle(SETTLE, || self.tally.arrivals() >= driven.sent, || self.tally.arrivals()).await;
        let mut step = self.tally.step(rate, seconds, driven, 1, self.generator.lost().0 - lost_before);
        step.server_cpu = server_cpu;
        Ok(step)
    }

    /// Signals a second, and how busy the generator was.
    async fn closed_loop(&self, seconds: f64) -> (f64, f64) {
        self.tally.restart();
        self.closed_loop.set(true);
        for (peer, frame) in &self.from {
            peer.send(&self.generator, frame.borrow_mut().fill(0, self.generator.now()));
        }
        let busy = self.generator.serve(Duration::from_secs_f64(seconds)).await;
        self.closed_loop.set(false);
        (self.tally.arrivals() as f64 / seconds, busy)
    }
}

fn count_pongs(piece: &[u8], count: &Cell<u64>) {
    count.set(count.get() + frames::lines(piece).filter(|line| frames::is(line, "pong")).count() as u64);
}

fn ping() -> Vec<u8> {
    let mut frame = Vec::new();
    wire::push_masked(&mut frame, wire::TEXT, ClientFrame::Ping(Ping::default()).encode().as_bytes());
    frame
}

/// One rate on new connections.
#[cfg(test)]
pub(crate) async fn one_step(stage: Stage<'_>, rate: f64) -> anyhow::Result<Step> {
    let generator = Generator::new();
    let tally = Tally::new(&generator)?;
    Typing::connect(stage, &generator, &tally).await?.open_loop(stage, rate).await
}
