//! The table for people, the JSON for programs.

use std::{collections::BTreeMap, path::Path};

use anyhow::Context;
use serde::Serialize;
use serde_json::Value;

use super::{options::Options, reference::Reference, run::Scenario, scenario::Found, step::Step};

/// What a figure is told in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Base {
    /// Itself.
    Absolute,
    Writes,
    Echoes,
    Sync,
}

/// What a figure should be.
struct Budget {
    title: &'static str,
    base: Base,
    must: f64,
    stretch: f64,
    /// Less is better.
    ceiling: bool,
}

/// Of one process on the embedded twins, or of separate processes on PostgreSQL, RabbitMQ and Redis.
const fn budget(scenario: Scenario, apart: bool) -> Budget {
    let (title, base, must, stretch, ceiling) = match (scenario, apart) {
        (Scenario::Idle, _) => ("idle memory per connection", Base::Absolute, 3_000.0, 1_500.0, true),
        (Scenario::Connect, _) => ("connections made ready", Base::Absolute, 7_000.0, 11_000.0, false),
        (Scenario::Room, _) => ("deliveries in one room", Base::Writes, 20.0, 50.0, false),
        (Scenario::Signals, _) => ("1:1 signals", Base::Echoes, 0.7, 1.1, false),
        (Scenario::Stored, false) => ("1:1 stored messages", Base::Echoes, 0.3, 0.5, false),
        (Scenario::Stored, true) => ("1:1 stored messages", Base::Echoes, 0.17, 0.28, false),
        (Scenario::Ack, false) => ("ack p99", Base::Sync, 2.0, 1.3, true),
        (Scenario::Ack, true) => ("ack p99", Base::Sync, 3.0, 2.0, true),
    };
    Budget { title, base, must, stretch, ceiling }
}

impl Base {
    fn value(self, reference: &Reference) -> Option<f64> {
        match self {
            Self::Absolute => Some(1.0),
            Self::Writes => reference.writes_per_second,
            Self::Echoes => reference.echoes_per_second,
            Self::Sync => reference.sync.map(|sync| sync.p99_ms),
        }
    }

    const fn letter(self) -> &'static str {
        match self {
            Self::Absolute => "",
            Self::Writes => " W",
            Self::Echoes => " E",
            Self::Sync => " F",
        }
    }
}

impl Budget {
    fn verdict(&self, share: f64) -> &'static str {
        let reaches = |bound: f64| if self.ceiling { share <= bound } else { share >= bound };
        if reaches(self.stretch) {
            "stretch"
        } else if reaches(self.must) {
            "must"
        } else {
            "missed"
        }
    }
}

/// What one stored message may cost a part, in units of 1/E: of one bare echo. Parts of other names have no budget.
const PART_BUDGETS: &[(&str, f64, f64)] =
    &[("gateway", 1.4, 0.9), ("broker", 0.85, 0.35), ("writer", 0.6, 0.3), ("database", 1.3, 0.85)];

#[derive(Serialize)]
struct Figure {
    scenario: Scenario,
    title: &'static str,
    value: f64,
    unit: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    share: Option<f64>,
    share_of: &'static str,
    must: f64,
    stretch: f64,
    verdict: &'static str,
    generator_bound: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    server_cpu: Option<f64>,
    /// CPU of each part for one message, in units of 1/E.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    parts: BTreeMap<String, f64>,
    remark: String,
    detail: Value,
}

#[derive(Serialize)]
struct Report<'a> {
    version: &'static str,
    server_core: usize,
    generator_core: usize,
    reference: &'a Reference,
    figures: Vec<Figure>,
}

const fn unit(scenario: Scenario) -> &'static str {
    match scenario {
        Scenario::Idle => "bytes",
        Scenario::Ack => "ms",
        _ => "per second",
    }
}

fn figure(scenario: Scenario, found: Found, reference: &Reference, apart: bool) -> Figure {
    let budget = budget(scenario, apart);
    let share = budget.base.value(reference).map(|base| found.value / base);
    let in_echoes = |(name, seconds): (String, f64)| Some((name, seconds * reference.echoes_per_second?));
    Figure {
        scenario,
        title: budget.title,
        value: found.value,
        unit: unit(scenario),
        share,
        share_of: budget.base.letter().trim(),
        must: budget.must,
        stretch: budget.stretch,
        verdict: share.map_or("no reference", |share| budget.verdict(share)),
        generator_bound: found.generator_bound,
        server_cpu: found.server_cpu,
        parts: found.parts_cpu.into_iter().filter_map(in_echoes).collect(),
        remark: found.remark,
        detail: found.detail,
    }
}

/// Prints the table and writes the JSON file.
///
/// # Errors
/// When the file cannot be written.
pub(super) fn publish(options: &Options, reference: &Reference, found: Vec<(Scenario, Found)>) -> anyhow::Result<()> {
    let apart = !options.parts.is_empty();
    let figures: Vec<_> =
        found.into_iter().map(|(scenario, found)| figure(scenario, found, reference, apart)).collect();
    print(&table(reference, &figures))?;
    let report = Report {
        version: env!("CARGO_PKG_VERSION"),
        server_core: options.server_core,
        generator_core: options.generator_core,
        reference,
        figures,
    };
    options.json.as_deref().map_or(Ok(()), |path| write_json(path, &report))
}

fn print(text: &str) -> anyhow::Result<()> {
    use std::io::Write;
    std::io::stdout().lock().write_all(text.as_bytes()).context("cannot print the table")
}

fn write_json(path: &Path, report: &Report<'_>) -> anyhow::Result<()> {
    let mut text = serde_json::to_vec_pretty(report)?;
    text.push(b'\n');
    std::fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))
}

fn table(reference: &Reference, figures: &[Figure]) -> String {
    let mut text = String::new();
    let bare = [
        reference.writes_per_second.map(|rate| format!("W  bare writes of 150 B to WebSockets  {rate:>10.0} /s\n")),
        reference.echoes_per_second.map(|rate| format!("E  bare 1:1 echo, one write a message  {rate:>10.0} /s\n")),
        reference.sync.map(|sync| {
            format!("F  append + fdatasync at 1,000/s: p99  {:>10.2} ms (p50 {:.2})\n", sync.p99_ms, sync.p50_ms)
        }),
    ];
    text.extend(bare.into_iter().flatten());
    if figures.is_empty() {
        return text;
    }
    text.push_str(&format!(
        "{:<28} {:>12} {:<10} {:>9} {:>9} {:>9}  {:<12} {:>7}  {}\n",
        "figure", "measured", "", "share", "must", "stretch", "verdict", "server", "how"
    ));
    for figure in figures {
        text.push_str(&row(figure));
        text.extend(figure.parts.iter().map(|(name, echoes)| part_row(name, *echoes)));
    }
    text
}

/// What a message of the figure above costs one part.
fn part_row(name: &str, echoes: f64) -> String {
    let budget = PART_BUDGETS.iter().find(|(part, ..)| *part == name).map(|(_, must, stretch)| Budget {
        title: "",
        base: Base::Echoes,
        must: *must,
        stretch: *stretch,
        ceiling: true,
    });
    let (must, stretch) = budget
        .as_ref()
        .map_or_else(Default::default, |budget| (format!("{} /E", budget.must), format!("{} /E", budget.stretch)));
    let verdict = budget.as_ref().map_or("", |budget| budget.verdict(echoes));
    let title = format!("  CPU of the {name}");
    format!("{title:<28} {:>12} {:<10} {echoes:>6.2} /E {must:>9} {stretch:>9}  {verdict}\n", "", "a message")
}

fn row(figure: &Figure) -> String {
    let of = |number: f64| match figure.share_of {
        "" => format!("{number:.0}"),
        letter => format!("{number} {letter}"),
    };
    let share = match (figure.share, figure.share_of) {
        (Some(share), letter) if !letter.is_empty() => format!("{share:.2} {letter}"),
        _ => String::new(),
    };
    let value = if figure.unit == "ms" { format!("{:.2}", figure.value) } else { format!("{:.0}", figure.value) };
    let server = figure.server_cpu.map_or_else(String::new, |cpu| format!("{:.0} %", cpu * 100.0));
    let bound = if figure.generator_bound { "generator-bound; " } else { "" };
    format!(
        "{:<28} {value:>12} {:<10} {share:>9} {:>9} {:>9}  {:<12} {server:>7}  {bound}{}\n",
        figure.title,
        figure.unit,
        of(figure.must),
        of(figure.stretch),
        figure.verdict,
        figure.remark
    )
}

/// Says on standard error how a step went.
pub(super) fn progress(step: &Step, passed: bool) {
    use std::io::Write;
    let server = step.server_cpu.map_or_else(String::new, |cpu| format!(", server {:.0} %", cpu * 100.0));
    // Progress nobody can read is no reason to stop.
    let _ = writeln!(
        std::io::stderr(),
        "  {:>9.0}/s {} p50 {:.1} p99 {:.1} max {:.1} ms, {} of {} arrived, {} refused, {} connections lost{server}, generator {:.0} % (late p99 {:.1} ms)",
        step.rate,
        if passed { "passes:" } else { "fails: " },
        step.latency.p50_ms,
        step.latency.p99_ms,
        step.latency.max_ms,
        step.arrived,
        step.expected,
        step.refused,
        step.connections_lost,
        step.generator_busy * 100.0,
        step.generator_late_p99_ms,
    );
}

/// Says on standard error what happens now.
pub(super) fn announce(what: &str) {
    use std::io::Write;
    let _ = writeln!(std::io::stderr(), "{what} ...");
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn verdicts_follow_the_budget() {
        let idle = budget(Scenario::Idle, false);
        assert_eq!([1_499.0, 3_000.0, 3_001.0].map(|bytes| idle.verdict(bytes)), ["stretch", "must", "missed"]);
        let signals = budget(Scenario::Signals, true);
        assert_eq!([1.2, 0.7, 0.69].map(|share| signals.verdict(share)), ["stretch", "must", "missed"]);
        assert_eq!(budget(Scenario::Ack, false).verdict(f64::INFINITY), "missed");
    }

    #[test]
    fn a_share_of_what_the_machine_can_do_is_told() {
        let reference = Reference { echoes_per_second: Some(50_000.0), ..Reference::default() };
        let found = Found {
            value: 20_000.0,
            generator_bound: true,
            server_cpu: Some(0.99),
            parts_cpu: [("broker".to_owned(), 0.000_01), ("cache".to_owned(), 0.000_1)].into(),
            remark: "closed loop 21000/s".to_owned(),
            detail: Value::Null,
        };
        let table = table(&reference, &[figure(Scenario::Stored, found, &reference, false)]);
        for part in ["20000 per second", "0.40 E", "0.3 E", "0.5 E", "must", "99 %", "generator-bound; closed loop"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        // 10 microseconds are half an echo of 20.
        for part in ["CPU of the broker", "0.50 /E   0.85 /E   0.35 /E  must", "CPU of the cache", "5.00 /E"] {
            assert!(table.contains(part), "{part} in {table}");
        }
        let unknown = Found {
            value: 1.0,
            generator_bound: false,
            server_cpu: None,
            parts_cpu: BTreeMap::new(),
            remark: String::new(),
            detail: Value::Null,
        };
        assert_eq!(figure(Scenario::Room, unknown, &Reference::default(), false).verdict, "no reference");
    }
}
