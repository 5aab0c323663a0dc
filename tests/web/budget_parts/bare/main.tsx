import { useEffect, useLayoutEffect, useRef, useState } from 'react';
import { createRoot } from 'react-dom/client';
import { Virtualizer, type VirtualizerHandle } from 'virtua';

interface Row {
  readonly key: string;
  readonly text: string;
}

const words = 'Some words that wrap now and then, as people write them. ';
const rowsOf = (from: number, count: number): Row[] => Array.from({ length: count }, (_, place) => ({ key: `r${from + place}`, text: `line ${from + place}. ${words.repeat(Math.abs(from + place) % 5)}` }));

/** The list alone, with as many rows of the same text as the room has: what is left over is the client's own cost. */
function Bare() {
  const [rows, setRows] = useState(() => rowsOf(1, 100_000));
  const [shift, setShift] = useState(false);
  const list = useRef<VirtualizerHandle>(null);
  useEffect(() => {
    list.current?.scrollToIndex(99_999, { align: 'end' });
    Object.assign(globalThis, {
      bare: {
        append: () => {
          setShift(false);
          setRows((held) => [...held, ...rowsOf(held.length + 1, 1)]);
        },
        prepend: () => {
          setShift(true);
          setRows((held) => [...rowsOf(-held.length, 100), ...held]);
        },
      },
    });
  }, []);
  const count = rows.length;
  useLayoutEffect(() => {
    if (!shift) list.current?.scrollToIndex(count - 1, { align: 'end' });
  }, [count, shift]);
  return (
    <div id="bare" style={{ height: 640, overflowY: 'auto', overflowAnchor: 'none', font: '15px/1.47 sans-serif' }}>
      <Virtualizer ref={list} data={rows} shift={shift} bufferSize={400}>
        {(row) => <div key={row.key} data-row={row.key} style={{ padding: '6px 24px 6px 64px' }}>{row.text}</div>}
      </Virtualizer>
    </div>
  );
}

createRoot(document.getElementById('root') as HTMLElement).render(<Bare />);
