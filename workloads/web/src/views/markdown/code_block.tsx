import { useState } from 'react';
import { Check, Copy } from 'lucide-react';
import { useWords } from '../../language/language';

/** How long the button says that it copied, ms. */
const COPIED_MS = 2_000;

export function CodeBlock({ language, text, reachable }: { language: string; text: string; reachable: boolean }) {
  const say = useWords();
  const [copied, setCopied] = useState(false);
  const copy = () =>
    void navigator.clipboard?.writeText(text).then(() => {
      setCopied(true);
      setTimeout(() => setCopied(false), COPIED_MS);
    });
  return (
    <figure className="code-block">
      <figcaption>
        <span>{language || say('code')}</span>
        <button type="button" onClick={copy} tabIndex={reachable ? 0 : -1}>
          {copied ? <Check size={14} aria-hidden /> : <Copy size={14} aria-hidden />}
          {say(copied ? 'copied' : 'copy')}
        </button>
      </figcaption>
      <pre dir="ltr"><code>{text}</code></pre>
    </figure>
  );
}
