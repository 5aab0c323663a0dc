/** Times as people of a language write them. Formatters are dear to make: one set a language. */
export interface Dates {
  readonly time: (at: number) => string;
  readonly day: (at: number, now: number) => string;
  readonly full: (at: number) => string;
  /** For a room's line: the time today, the weekday this week, else the date. */
  readonly short: (at: number, now: number) => string;
  /** "5 minutes ago", in the largest unit that fits. */
  readonly ago: (at: number, now: number) => string;
  readonly list: (items: readonly string[]) => string;
}

const DAY_MS = 86_400_000;

export function dayStart(at: number): number {
  const day = new Date(at);
  return new Date(day.getFullYear(), day.getMonth(), day.getDate()).getTime();
}

/** Whole days from `at` to `now` by the calendar, whatever the clocks did in between. */
function daysBetween(at: number, now: number): number {
  return Math.round((dayStart(now) - dayStart(at)) / DAY_MS);
}

export function datesOf(language: string): Dates {
  const format = (options: Intl.DateTimeFormatOptions) => new Intl.DateTimeFormat(language, options);
  const time = format({ hour: 'numeric', minute: '2-digit' });
  const weekday = format({ weekday: 'short' });
  const long = format({ weekday: 'long', day: 'numeric', month: 'long' });
  const longYear = format({ day: 'numeric', month: 'long', year: 'numeric' });
  const date = format({ day: 'numeric', month: 'short' });
  const dateYear = format({ day: 'numeric', month: 'numeric', year: '2-digit' });
  const full = format({ dateStyle: 'full', timeStyle: 'short' });
  const relative = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
  const list = new Intl.ListFormat(language, { type: 'conjunction' });
  const sameYear = (at: number, now: number) => new Date(at).getFullYear() === new Date(now).getFullYear();
  const capital = (text: string) => text.charAt(0).toLocaleUpperCase(language) + text.slice(1);
  return {
    time: (at) => time.format(at),
    full: (at) => full.format(at),
    day: (at, now) => {
      const days = daysBetween(at, now);
      if (days === 0 || days === 1) return capital(relative.format(-days, 'day'));
      return (sameYear(at, now) ? long : longYear).format(at);
    },
    short: (at, now) => {
      const days = daysBetween(at, now);
      if (days <= 0) return time.format(at);
      if (days < 7) return weekday.format(at);
      return (sameYear(at, now) ? date : dateYear).format(at);
    },
    ago: (at, now) => {
      const seconds = Math.max(0, Math.round((now - at) / 1000));
      if (seconds < 60) return relative.format(0, 'second');
      if (seconds < 3600) return relative.format(-Math.floor(seconds / 60), 'minute');
      if (seconds < 86_400) return relative.format(-Math.floor(seconds / 3600), 'hour');
      return relative.format(-Math.floor(seconds / 86_400), 'day');
    },
    list: (items) => list.format(items),
  };
}
