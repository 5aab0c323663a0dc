import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { hostBehind, safeAddress } from '../../src/views/markdown/links';
import { isEmojiOnly, parse, plainText } from '../../src/views/markdown/parse';
import type { Block, Inline } from '../../src/views/markdown/tree';

const inline = (text: string): readonly Inline[] => {
  const [block] = parse(text);
  return block?.type === 'paragraph' ? block.children : [];
};

function links(blocks: readonly Block[]): string[] {
  const from = (nodes: readonly Inline[]): string[] => nodes.flatMap((node) => (node.type === 'link' ? [node.href] : 'children' in node ? from(node.children) : []));
  return blocks.flatMap((block) => (block.type === 'quote' ? links(block.children) : block.type === 'list' ? block.items.flatMap(from) : block.type === 'paragraph' ? from(block.children) : []));
}

describe('the subset', () => {
  it('reads marks, also in each other', () => {
    expect(inline('a **b _c_** d')).toEqual([
      { type: 'text', text: 'a ' },
      { type: 'strong', children: [{ type: 'text', text: 'b ' }, { type: 'emphasis', children: [{ type: 'text', text: 'c' }] }] },
      { type: 'text', text: ' d' },
    ]);
    expect(inline('~~gone~~')).toEqual([{ type: 'strike', children: [{ type: 'text', text: 'gone' }] }]);
  });

  it('leaves marks that do not close, stand in words or alone as text', () => {
    for (const text of ['2 * 3 * 4', '**open', 'snake_case_name', '****', '_ a _', 'a ~~ b']) expect(plainText(text)).toBe(text);
  });

  it('reads code: nothing in it means anything', () => {
    expect(inline('`**a** @b`')).toEqual([{ type: 'code', text: '**a** @b' }]);
    expect(inline('``a ` b``')).toEqual([{ type: 'code', text: 'a ` b' }]);
    expect(parse('```rust\nlet a = "**";\n```\nafter')).toEqual([
      { type: 'code', language: 'rust', text: 'let a = "**";' },
      { type: 'paragraph', children: [{ type: 'text', text: 'after' }] },
    ]);
  });

  it('ends an open code block with the text', () => {
    expect(parse('```\n<script>')).toEqual([{ type: 'code', language: '', text: '<script>' }]);
  });

  it('reads quotes and lists, and bounds their depth', () => {
    expect(parse('3. a\n4. b')[0]).toMatchObject({ type: 'list', ordered: true, start: 3 });
    expect(parse('- a\n- b')[0]).toMatchObject({ type: 'list', ordered: false });
    let depth = 0;
    for (let block: Block | undefined = parse('>'.repeat(5000) + ' deep')[0]; block?.type === 'quote'; block = block.children[0]) depth++;
    expect(depth).toBe(3);
  });

  it('knows mentions, but not those in words or addresses', () => {
    expect(inline('@ada.b, hi')[0]).toEqual({ type: 'mention', name: 'ada.b' });
    expect(inline('me@ada.org')).toEqual([{ type: 'text', text: 'me@ada.org' }]);
  });

  it('ends an address before the sentence does', () => {
    expect(links(parse('See https://a.example/x_(y). Or (https://b.example).'))).toEqual(['https://a.example/x_(y)', 'https://b.example/']);
  });

  it('shows large what is only emoji', () => {
    expect(isEmojiOnly('🎉🎉')).toBe(true);
    expect(isEmojiOnly('👩‍💻 ❤️')).toBe(true);
    for (const text of ['1', '#', 'ok 👍', '🎉'.repeat(7)]) expect(isEmojiOnly(text)).toBe(false);
  });
});

describe('hostile text', () => {
  it('has no node that could be HTML', () => {
    for (const text of ['<script>alert(1)</script>', '<img src=x onerror=alert(1)>', '<svg><script>1</script></svg>', '<b>x</b>']) {
      expect(inline(text)).toEqual([{ type: 'text', text }]);
    }
  });

  it('makes links of safe schemes only', () => {
    for (const href of ['javascript:alert(1)', 'JaVaScRiPt:alert(1)', 'java\tscript:alert(1)', 'data:text/html,x', 'vbscript:x', 'file:///etc/passwd', 'blob:https://x/y', '//evil.example', 'https://user:secret@evil.example', ' javascript:alert(1)']) {
      expect(safeAddress(href)).toBeUndefined();
      for (const link of links(parse(`[press](${href})`))) expect(link).toBe('https://x/y');
    }
    expect(links(parse('[mail](mailto:a@b.example)'))).toEqual(['mailto:a@b.example']);
  });

  it('tells the host when the words claim another', () => {
    expect(hostBehind('https://bank.example', 'https://evil.example/')).toBe('evil.example');
    expect(hostBehind('www.bank.example/login', 'https://evil.example/')).toBe('evil.example');
    expect(hostBehind('bank.example', 'https://www.bank.example/')).toBeUndefined();
    expect(hostBehind('press here', 'https://any.example/')).toBeUndefined();
  });

  it('shows an address with direction marks in its encoded form', () => {
    const [link] = inline('https://a.example/\u202Egnp.exe');
    expect(link).toMatchObject({ type: 'link', text: 'https://a.example/%E2%80%AEgnp.exe' });
  });

  it('keeps a word of 10,000 characters and an override as they are', () => {
    const word = 'x'.repeat(10_000);
    expect(inline(word)).toEqual([{ type: 'text', text: word }]);
    expect(inline('a\u202Eb')).toEqual([{ type: 'text', text: 'a\u202Eb' }]);
  });

  it('reads any text, keeps every letter, and stays as small as the text', () => {
    // A link's address is not among its letters: none is glued to one here. Nor is the name of a code block's language.
    const languages = (blocks: readonly Block[]): string => blocks.map((block) => (block.type === 'code' ? block.language : block.type === 'quote' ? languages(block.children) : '')).join('');
    const size = (nodes: readonly Inline[]): number => nodes.reduce((sum, node) => sum + 1 + ('children' in node ? size(node.children) : 0), 0);
    fc.assert(
      fc.property(fc.array(fc.constantFrom('**', '*', '_', '~~', '`', '``', '[', '](', ')', '@', 'a', ' ', '\n', '>', '- ', '1. ', '\\', 'https://x.y ', '<b>', '```'), { maxLength: 200 }), (parts) => {
        const text = parts.join('');
        const letters = (plainText(text) + languages(parse(text))).match(/a/g)?.length ?? 0;
        expect(letters).toBe((text.match(/a/g) ?? []).length);
        for (const block of parse(text)) if (block.type === 'paragraph') expect(size(block.children)).toBeLessThanOrEqual(text.length * 2 + 1);
      }),
      { numRuns: 500 },
    );
  });

  it('asks each character a bounded number of times', () => {
    // Quadratic reading of these would take minutes: the test would not end.
    for (const piece of ['**a ', '*a', '_a ', '`', '`a``', '[a](', '[', '@', '~~a ', '> ', 'https://', '\\']) parse(piece.repeat(Math.ceil(60_000 / piece.length)));
  });
});
