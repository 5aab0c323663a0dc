'use strict';

/** What was measured: counts against a bound, times beside what they should be on a quiet machine. */
class Report {
  #rows = [];
  missed = [];

  /** Asserted. */
  count(what, value, most, unit = '') {
    const held = value <= most;
    this.#rows.push([what, show(value, unit), `<= ${show(most, unit)}`, held ? 'held' : 'MISSED']);
    if (!held) this.missed.push(`${what}: ${show(value, unit)} is more than ${show(most, unit)}`);
  }

  /** Printed, never asserted. `samples` in ms. */
  time(what, samples, budget) {
    if (samples.length === 0) return this.missed.push(`${what}: nothing was measured`);
    const sorted = [...samples].sort((one, other) => one - other);
    const at = (share) => sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
    const text = sorted.length === 1 ? show(sorted[0], 'ms') : `p50 ${show(at(0.5), 'ms')}, p95 ${show(at(0.95), 'ms')} of ${sorted.length}`;
    this.#rows.push([what, text, budget, 'time']);
  }

  /** Printed beside. */
  note(what, text, budget = '') {
    this.#rows.push([what, text, budget, 'note']);
  }

  print() {
    const widths = [0, 1, 2].map((column) => Math.max(...this.#rows.map((row) => row[column].length)));
    for (const row of this.#rows) console.log(row.map((cell, column) => cell.padEnd(widths[column] ?? 0)).join('  ').trimEnd());
    for (const one of this.missed) console.error(`missed: ${one}`);
  }
}

function show(value, unit) {
  const rounded = Number.isInteger(value) ? value : value.toFixed(1);
  return unit ? `${rounded} ${unit}` : String(rounded);
}

module.exports = { Report };
