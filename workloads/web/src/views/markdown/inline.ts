import { hostBehind, safeAddress, trimAddress } from './links';
import type { Inline } from './tree';

type Mark = '**' | '*' | '_' | '~~';
interface Open {
  readonly mark: Mark;
  readonly children: Inline[];
}

const STYLES = { '**': 'strong', '*': 'emphasis', _: 'emphasis', '~~': 'strike' } as const;
const NAME = /[\p{L}\p{N}_](?:[\p{L}\p{N}._-]{0,62}[\p{L}\p{N}_])?/uy;
const ADDRESS = /(?:https?:\/\/|mailto:)[^\s<>]{1,2048}/iy;
const LABELLED = /\[([^\][\n]{1,500})\]\(([^\s()<>]{1,2048}(?:\([^\s()<>]{0,500}\)[^\s()<>]{0,500})?)\)/y;
const WORD = /[\p{L}\p{N}]/u;

/**
 * Reads one run of text. One pass: each mark is looked at once, and closes the nearest open one of its kind; marks that
 * never close are text again. So the cost is linear whatever is typed.
 */
export function parseInline(text: string): Inline[] {
  const reader = new Reader(text);
  return reader.read();
}

class Reader {
  private readonly root: Inline[] = [];
  private readonly open: Open[] = [];
  private plain = '';
  private at = 0;
  /** From here on there is no backtick left: saves the search, which would make many lone ones quadratic. */
  private noTickFrom = Infinity;

  constructor(private readonly text: string) {}

  read(): Inline[] {
    while (this.at < this.text.length) {
      if (!this.special()) this.plain += this.text[this.at++];
    }
    this.flush();
    while (this.open.length > 0) this.abandon();
    return this.root;
  }

  private special(): boolean {
    switch (this.text[this.at]) {
      case '\\':
        return this.escape();
      case '\n':
        this.push({ type: 'break' });
        this.at++;
        return true;
      case '`':
        return this.code();
      case '*':
        return this.mark(this.text[this.at + 1] === '*' ? '**' : '*');
      case '~':
        return this.text[this.at + 1] === '~' && this.mark('~~');
      case '_':
        return this.mark('_');
      case '[':
        return this.labelled();
      case '@':
        return this.mention();
      case 'h':
      case 'H':
      case 'm':
      case 'M':
        return this.address();
      default:
        return false;
    }
  }

  private escape(): boolean {
    const next = this.text[this.at + 1];
    if (!next || !/[\\`*_~[\]()@>#-]/.test(next)) return false;
    this.plain += next;
    this.at += 2;
    return true;
  }

  private code(): boolean {
    let ticks = 1;
    while (this.text[this.at + ticks] === '`') ticks++;
    const fence = '`'.repeat(ticks);
    const start = this.at + ticks;
    if (start >= this.noTickFrom) return this.skip(ticks);
    const end = this.text.indexOf(fence, start);
    if (end < 0) {
      if (ticks === 1) this.noTickFrom = start;
      return this.skip(ticks);
    }
    this.push({ type: 'code', text: this.text.slice(start, end) });
    this.at = end + ticks;
    return true;
  }

  private skip(length: number): boolean {
    this.plain += this.text.slice(this.at, this.at + length);
    this.at += length;
    return true;
  }

  private mark(mark: Mark): boolean {
    const before = this.text[this.at - 1] ?? ' ';
    const after = this.text[this.at + mark.length] ?? ' ';
    const inWord = mark === '_' && WORD.test(before) && WORD.test(after);
    const index = inWord || /\s/.test(before) ? -1 : this.lastOpen(mark);
    if (index >= 0 && !this.isEmpty(index)) {
      this.flush();
      while (this.open.length - 1 > index) this.abandon();
      const { children } = this.open.pop() as Open;
      this.at += mark.length;
      this.push({ type: STYLES[mark], children });
      return true;
    }
    if (inWord || /\s/.test(after) || (mark === '_' && WORD.test(before)) || this.lastOpen(mark) >= 0) return this.skip(mark.length);
    this.flush();
    this.open.push({ mark, children: [] });
    this.at += mark.length;
    return true;
  }

  /** At most four marks are open at a time, one of each kind. */
  private lastOpen(mark: Mark): number {
    return this.open.findLastIndex((open) => open.mark === mark);
  }

  private isEmpty(index: number): boolean {
    return index === this.open.length - 1 && this.open[index]?.children.length === 0 && this.plain === '';
  }

  private labelled(): boolean {
    LABELLED.lastIndex = this.at;
    const found = LABELLED.exec(this.text);
    const label = found?.[1] ?? '';
    const href = found && safeAddress(found[2] ?? '');
    if (!found || !href) return false;
    const host = hostBehind(label, href);
    this.push(host ? { type: 'link', href, text: label, host } : { type: 'link', href, text: label });
    this.at += found[0].length;
    return true;
  }

  private address(): boolean {
    if (WORD.test(this.text[this.at - 1] ?? ' ')) return false;
    ADDRESS.lastIndex = this.at;
    const found = ADDRESS.exec(this.text);
    if (!found) return false;
    const shown = trimAddress(found[0]);
    const href = safeAddress(shown);
    if (!href) return false;
    this.push({ type: 'link', href, text: /[\p{Cf}]/u.test(shown) ? href : shown });
    this.at += shown.length;
    return true;
  }

  private mention(): boolean {
    if (WORD.test(this.text[this.at - 1] ?? ' ')) return false;
    NAME.lastIndex = this.at + 1;
    const found = NAME.exec(this.text);
    if (!found) return false;
    this.push({ type: 'mention', name: found[0] });
    this.at += 1 + found[0].length;
    return true;
  }

  private push(node: Inline): void {
    this.flush();
    this.target().push(node);
  }

  private flush(): void {
    if (this.plain === '') return;
    this.target().push({ type: 'text', text: this.plain });
    this.plain = '';
  }

  private target(): Inline[] {
    return this.open[this.open.length - 1]?.children ?? this.root;
  }

  private abandon(): void {
    const { mark, children } = this.open.pop() as Open;
    this.target().push({ type: 'text', text: mark }, ...children);
  }
}
