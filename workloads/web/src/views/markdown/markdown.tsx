import { memo, useMemo, type ReactNode } from 'react';
import { isEmojiOnly, parse } from './parse';
import type { Block, Inline } from './tree';
import { CodeBlock } from './code_block';
import './markdown.css';

export interface MentionLook {
  /** The name to show for a user name that the message really mentions; undefined: plain text. */
  readonly name: string;
  readonly me: boolean;
}
export type FindMention = (username: string) => MentionLook | undefined;

interface Props {
  readonly text: string;
  readonly mention: FindMention;
  /** Links take part in the tab order only in the message that has the focus. */
  readonly reachable: boolean;
}

/** A message's text as React elements: text stays text, so nothing in it can run. */
export const Markdown = memo(function Markdown({ text, mention, reachable }: Props) {
  const blocks = useMemo(() => parse(text), [text]);
  const big = useMemo(() => isEmojiOnly(text.trim()), [text]);
  return (
    <div className={big ? 'markdown markdown-emoji' : 'markdown'} dir="auto">
      {blocks.map((block, index) => renderBlock(block, index, { mention, reachable }))}
    </div>
  );
});

interface Context {
  readonly mention: FindMention;
  readonly reachable: boolean;
}

function renderBlock(block: Block, key: number, context: Context): ReactNode {
  switch (block.type) {
    case 'paragraph':
      return <p key={key} dir="auto">{renderAll(block.children, context)}</p>;
    case 'code':
      return <CodeBlock key={key} language={block.language} text={block.text} reachable={context.reachable} />;
    case 'quote':
      return <blockquote key={key}>{block.children.map((child, index) => renderBlock(child, index, context))}</blockquote>;
    case 'list': {
      const items = block.items.map((item, index) => <li key={index} dir="auto">{renderAll(item, context)}</li>);
      return block.ordered ? <ol key={key} start={block.start}>{items}</ol> : <ul key={key}>{items}</ul>;
    }
  }
}

function renderAll(nodes: readonly Inline[], context: Context): ReactNode[] {
  return nodes.map((node, index) => renderInline(node, index, context));
}

function renderInline(node: Inline, key: number, context: Context): ReactNode {
  switch (node.type) {
    case 'text':
      return node.text;
    case 'break':
      return <br key={key} />;
    case 'code':
      return <code key={key}>{node.text}</code>;
    case 'strong':
      return <strong key={key}>{renderAll(node.children, context)}</strong>;
    case 'emphasis':
      return <em key={key}>{renderAll(node.children, context)}</em>;
    case 'strike':
      return <s key={key}>{renderAll(node.children, context)}</s>;
    case 'link':
      return (
        <a key={key} href={node.href} title={node.href} target="_blank" rel="noopener noreferrer nofollow" tabIndex={context.reachable ? 0 : -1}>
          <bdi>{node.text}</bdi>
          {node.host && <span className="markdown-host"> ({node.host})</span>}
        </a>
      );
    case 'mention': {
      const look = context.mention(node.name);
      if (!look) return `@${node.name}`;
      return <span key={key} className={look.me ? 'mention mention-me' : 'mention'}>@<bdi>{look.name}</bdi></span>;
    }
  }
}
