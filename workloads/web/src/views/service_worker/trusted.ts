interface Policy {
  createScriptURL(address: string): unknown;
}
interface PolicyFactory {
  createPolicy(name: string, rules: { createScriptURL: (address: string) => string; createHTML: (html: string) => string }): Policy;
}

/** The one script this page starts by address. */
const WORKER = '/sw.js';

/**
 * The page's Trusted Types policy, the default one: it lets through the service worker's address and the empty string
 * (React Aria empties its live region by `innerHTML`), and nothing else, whoever asks.
 */
const policy: Policy | undefined = (globalThis as { trustedTypes?: PolicyFactory }).trustedTypes?.createPolicy('default', {
  createScriptURL: (address) => {
    if (address === WORKER) return address;
    throw new TypeError('this address is no script of the page');
  },
  createHTML: (html) => {
    if (html === '') return html;
    throw new TypeError('the page makes no elements from text');
  },
});

export function scriptAddress(address: typeof WORKER): unknown {
  return policy ? policy.createScriptURL(address) : address;
}
