export interface Selection {
  readonly text: string;
  readonly start: number;
  readonly end: number;
}

/** Puts a mark around the selection, or takes it away when it is there already. */
export function wrap({ text, start, end }: Selection, mark: string): Selection {
  const size = mark.length;
  const inside = text.slice(start, end);
  if (text.slice(start - size, start) === mark && text.slice(end, end + size) === mark) {
    return { text: text.slice(0, start - size) + inside + text.slice(end + size), start: start - size, end: end - size };
  }
  return { text: text.slice(0, start) + mark + inside + mark + text.slice(end), start: start + size, end: end + size };
}

/** Puts a prefix before each line of the selection. */
export function prefix({ text, start, end }: Selection, mark: string): Selection {
  const lineStart = text.lastIndexOf('\n', start - 1) + 1;
  const lines = text.slice(lineStart, end).split('\n').map((line) => mark + line).join('\n');
  return { text: text.slice(0, lineStart) + lines + text.slice(end), start: start + mark.length, end: lineStart + lines.length };
}

export function insert({ text, start, end }: Selection, piece: string): Selection {
  const at = start + piece.length;
  return { text: text.slice(0, start) + piece + text.slice(end), start: at, end: at };
}
