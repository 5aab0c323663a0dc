interface Brands {
  readonly brands: readonly { readonly brand: string }[];
  readonly platform: string;
}

/** How this session is called in the list of sessions: the browser and the system, no more. */
export function deviceName(): string {
  const data = (navigator as { userAgentData?: Brands }).userAgentData;
  const agent = navigator.userAgent;
  const browser = data?.brands.find((one) => !/not.?a.?brand|chromium/i.test(one.brand))?.brand ?? /(Firefox|Edg|OPR|Chrome|Safari)/.exec(agent)?.[1]?.replace('Edg', 'Edge').replace('OPR', 'Opera') ?? 'Browser';
  const system = data?.platform || /(Windows|Android|iPhone|iPad|Mac OS X|Linux)/.exec(agent)?.[1]?.replace('Mac OS X', 'macOS');
  return system ? `${browser}, ${system}` : browser;
}
