/** A finger is the main pointer: to focus a text field would open a keyboard over half of the page. */
export function byTouch(): boolean {
  return matchMedia('(pointer: coarse)').matches;
}
