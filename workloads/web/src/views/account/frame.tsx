import type { ReactNode } from 'react';
import { useWords } from '../../language/language';
import { Mark } from './mark';
import './account.css';

export function AccountFrame({ title, children, foot }: { title: string; children: ReactNode; foot: ReactNode }) {
  const say = useWords();
  return (
    <main className="account">
      <div className="account-card">
        <div className="account-brand">
          <Mark />
          <span>Klatch</span>
        </div>
        <h1>{title}</h1>
        {children}
        <p className="account-foot">{foot}</p>
      </div>
      <p className="account-note">{say('account_note')}</p>
    </main>
  );
}
