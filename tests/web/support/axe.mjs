/** What axe-core says about a page. It runs in a world of its own: the page's content policy stays in force. */
import fs from 'node:fs';
import { AXE } from './chromium.mjs';

const source = fs.readFileSync(AXE, 'utf8');
const TAGS = ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice'];

export async function violations(page) {
  const session = await page.context().newCDPSession(page);
  const { frameTree } = await session.send('Page.getFrameTree');
  const { executionContextId } = await session.send('Page.createIsolatedWorld', { frameId: frameTree.frame.id });
  const evaluate = async (expression) => {
    const answer = await session.send('Runtime.evaluate', { expression, contextId: executionContextId, awaitPromise: true, returnByValue: true });
    if (answer.exceptionDetails) throw new Error(answer.exceptionDetails.exception?.description ?? answer.exceptionDetails.text);
    return answer.result.value;
  };
  await evaluate(`${source}; undefined`);
  const found = await evaluate(`(() => {
    // What lies over the page hides the rest from assistive technology, and with it the page's title and main part.
    const covered = document.querySelector('[role=dialog], [role=alertdialog], [role=menu]') !== null;
    const rules = covered ? { 'landmark-one-main': { enabled: false }, 'page-has-heading-one': { enabled: false } } : {};
    return axe.run(document, { rules, runOnly: ${JSON.stringify(TAGS)} }).then(({ violations }) =>
      violations.map((one) => one.id + ': ' + one.nodes.map((node) => node.target.join(' ') + ' ' + node.failureSummary).join(' | ')));
  })()`);
  await session.detach();
  return found;
}
