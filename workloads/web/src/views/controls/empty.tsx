import type { ReactNode } from 'react';
import type { LucideIcon } from 'lucide-react';
import './empty.css';

/** Nothing is here: why, and what to do. `page`: it is all there is on the page. */
export function Empty({ icon: Icon, title, page = false, children, actions }: { icon: LucideIcon; title: string; page?: boolean; children?: ReactNode; actions?: ReactNode }) {
  const Heading = page ? 'h1' : 'h2';
  return (
    <div className="empty">
      <span className="empty-icon"><Icon size={28} strokeWidth={1.75} aria-hidden /></span>
      <Heading>{title}</Heading>
      {children && <p>{children}</p>}
      {actions && <div className="empty-actions">{actions}</div>}
    </div>
  );
}

export function Skeleton({ lines = 6, label }: { lines?: number; label: string }) {
  return (
    <div className="skeleton" role="status">
      <span className="unseen">{label}</span>
      {Array.from({ length: lines }, (_, index) => (
        <div key={index} className="skeleton-line" aria-hidden="true">
          <span className="skeleton-round" />
          <span className="skeleton-bars"><i /><i /></span>
        </div>
      ))}
    </div>
  );
}
