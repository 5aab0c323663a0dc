import type { ReactNode } from 'react';
import { ArrowLeft } from 'lucide-react';
import { useWords } from '../../language/language';
import { IconButton } from '../controls/button';
import { go, type Route } from '../route';
import './page.css';

/** A page in the place of a room: a title, a way back on a phone, a column to read. */
export function PageFrame({ title, back = { page: 'home' }, children }: { title: string; back?: Route; children: ReactNode }) {
  const say = useWords();
  return (
    <main className="main" data-region="main" aria-label={title}>
      <header className="room-header">
        <IconButton className="back" label={say('back')} icon={ArrowLeft} onClick={() => go(back)} />
        <div className="room-header-words"><h1>{title}</h1></div>
      </header>
      <div className="page"><div className="page-column">{children}</div></div>
    </main>
  );
}
