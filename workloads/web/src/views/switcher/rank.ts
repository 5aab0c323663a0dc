/** How well a room's title answers a query; undefined: not at all. Lower is better. */
export function rank(title: string, query: string): number | undefined {
  const name = title.toLowerCase();
  const wanted = query.trim().toLowerCase();
  if (wanted === '') return 0;
  if (name.startsWith(wanted)) return 0;
  if (name.split(/[\s\-_/]+/).some((word) => word.startsWith(wanted))) return 1;
  if (name.includes(wanted)) return 2;
  return inOrder(name, wanted) ? 3 : undefined;
}

/** All letters of the query, in order, with others between. */
function inOrder(name: string, wanted: string): boolean {
  let at = -1;
  for (const letter of wanted) {
    at = name.indexOf(letter, at + 1);
    if (at < 0) return false;
  }
  return true;
}
