/** The page's regions in reading order; F6 goes through those that are there. */
const ORDER = ['banner', 'rooms', 'main', 'timeline', 'composer', 'panel', 'thread-composer'];

export function cycleRegion(step: 1 | -1): void {
  const regions = ORDER.flatMap((name) => [...document.querySelectorAll<HTMLElement>(`[data-region="${name}"]`)]).filter((element) => element.offsetParent !== null && entry(element));
  if (regions.length === 0) return;
  const inside = regions.findLastIndex((region) => region.contains(document.activeElement));
  const next = inside < 0 ? (step > 0 ? 0 : regions.length - 1) : (inside + step + regions.length) % regions.length;
  const region = regions[next];
  if (region) entry(region)?.focus();
}

/** Where the focus goes in a region: the place it holds in the tab order, a text field before buttons. */
function entry(region: HTMLElement): HTMLElement | null {
  return (
    region.querySelector<HTMLElement>('textarea') ??
    region.querySelector<HTMLElement>('[data-row][tabindex="0"], a[data-room][tabindex="0"]') ??
    region.querySelector<HTMLElement>('a[href]:not([tabindex="-1"]), button:not([tabindex="-1"]):not(:disabled), input, [tabindex="0"]')
  );
}
