/** The mark: a cup that is a speech bubble. */
export function Mark({ size = 40 }: { size?: number }) {
  return (
    <svg width={size} height={size} viewBox="0 0 512 512" aria-hidden="true" className="mark">
      <rect className="mark-ground" width="512" height="512" rx="116" />
      <path className="mark-cup" fillRule="evenodd" d="M142 134h188a34 34 0 0 1 34 34v10h14a62 62 0 0 1 0 124h-14a54 54 0 0 1-54 54H226l-66 52a12 12 0 0 1-19-9v-46a54 54 0 0 1-33-50V168a34 34 0 0 1 34-34Zm222 84v44h14a22 22 0 0 0 0-44Z" />
      <g className="mark-ground"><circle cx="172" cy="246" r="19" /><circle cx="236" cy="246" r="19" /><circle cx="300" cy="246" r="19" /></g>
    </svg>
  );
}
