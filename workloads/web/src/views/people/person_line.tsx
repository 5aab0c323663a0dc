import type { ReactNode } from 'react';
import type { Profile } from '../../core/interface';
import { Avatar, PresenceDot } from '../controls/avatar';
import '../members/members.css';

export function PersonLine({ user, children }: { user: Profile; children?: ReactNode }) {
  const name = user.displayName || user.username;
  return (
    <div className="person">
      <span className="avatar-stack"><Avatar id={user.id} name={name} /><PresenceDot user={user.id} /></span>
      <span className="person-words">
        <bdi className="person-name">{name}</bdi>
        <bdi className="person-more">@{user.username}{user.status?.text && ` · ${user.status.emoji} ${user.status.text}`}</bdi>
      </span>
      {children && <span className="person-actions">{children}</span>}
    </div>
  );
}
