import { parseInline } from './inline';
import type { Block, Inline } from './tree';

/** Quotes in quotes, at most; deeper ones are text of the last. */
const QUOTE_DEPTH = 3;

const FENCE = /^\s{0,3}(```|~~~)\s*([\w+#.-]{0,30})\s*$/;
const QUOTE = /^\s{0,3}>\s?/;
const BULLET = /^\s{0,6}[-*•]\s+(?=\S)/;
const NUMBER = /^\s{0,6}(\d{1,9})[.)]\s+(?=\S)/;

/** Reads a message's text as the Markdown subset: paragraphs, quotes, lists, code. It never fails: the rest is text. */
export function parse(text: string): Block[] {
  return parseLines(text.replace(/\r\n?/g, '\n').split('\n'), QUOTE_DEPTH);
}

function parseLines(lines: readonly string[], depth: number): Block[] {
  const blocks: Block[] = [];
  let at = 0;
  while (at < lines.length) {
    const line = lines[at] ?? '';
    if (line.trim() === '') at++;
    else if (FENCE.test(line)) at = code(lines, at, blocks);
    else if (depth > 0 && QUOTE.test(line)) at = quote(lines, at, blocks, depth);
    else if (BULLET.test(line)) at = list(lines, at, blocks, BULLET, false);
    else if (NUMBER.test(line)) at = list(lines, at, blocks, NUMBER, true);
    else at = paragraph(lines, at, blocks, depth);
  }
  return blocks;
}

function code(lines: readonly string[], at: number, blocks: Block[]): number {
  const [, fence = '```', language = ''] = FENCE.exec(lines[at] ?? '') ?? [];
  const start = at + 1;
  let end = start;
  while (end < lines.length && (lines[end] ?? '').trim() !== fence) end++;
  blocks.push({ type: 'code', language, text: lines.slice(start, end).join('\n') });
  return end + 1;
}

function quote(lines: readonly string[], at: number, blocks: Block[], depth: number): number {
  const inner: string[] = [];
  while (at < lines.length && QUOTE.test(lines[at] ?? '')) inner.push((lines[at++] ?? '').replace(QUOTE, ''));
  blocks.push({ type: 'quote', children: parseLines(inner, depth - 1) });
  return at;
}

function list(lines: readonly string[], at: number, blocks: Block[], mark: RegExp, ordered: boolean): number {
  const start = ordered ? Number(NUMBER.exec(lines[at] ?? '')?.[1] ?? 1) : 1;
  const items: Inline[][] = [];
  while (at < lines.length && mark.test(lines[at] ?? '')) items.push(parseInline((lines[at++] ?? '').replace(mark, '')));
  blocks.push({ type: 'list', ordered, start, items });
  return at;
}

function paragraph(lines: readonly string[], at: number, blocks: Block[], depth: number): number {
  const start = at++;
  while (at < lines.length && !startsBlock(lines[at] ?? '', depth)) at++;
  blocks.push({ type: 'paragraph', children: parseInline(lines.slice(start, at).join('\n').trimEnd()) });
  return at;
}

function startsBlock(line: string, depth: number): boolean {
  return line.trim() === '' || FENCE.test(line) || (depth > 0 && QUOTE.test(line)) || BULLET.test(line) || NUMBER.test(line);
}

/** The text without its marks, for labels, quotes and the room list. */
export function plainText(text: string, characters = Infinity): string {
  const out = blocksText(parse(text.slice(0, characters * 4))).replace(/\s+/g, ' ').trim();
  return out.length > characters ? `${[...out.slice(0, characters)].join('').trimEnd()}…` : out;
}

function blocksText(blocks: readonly Block[]): string {
  return blocks
    .map((block) => {
      if (block.type === 'code') return block.text;
      if (block.type === 'quote') return blocksText(block.children);
      if (block.type === 'list') return block.items.map(inlineText).join(' ');
      return inlineText(block.children);
    })
    .join(' ');
}

function inlineText(nodes: readonly Inline[]): string {
  return nodes
    .map((node) => {
      if (node.type === 'break') return ' ';
      if (node.type === 'mention') return `@${node.name}`;
      return 'children' in node ? inlineText(node.children) : node.text;
    })
    .join('');
}

const EMOJI_ONLY = /^(?:(?:\p{RI}\p{RI}|\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F)(?:\p{EMod}|\u200D(?:\p{Emoji_Presentation}|\p{Extended_Pictographic}\uFE0F?))*\s*){1,6}$/u;

/** Up to six emoji and nothing else: shown large. */
export function isEmojiOnly(text: string): boolean {
  return text.length <= 64 && EMOJI_ONLY.test(text);
}
