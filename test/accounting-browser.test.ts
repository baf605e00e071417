import { existsSync, readFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { build, transformSync } from 'esbuild';
import { chromium, type Browser, type Page } from 'playwright-core';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { root } from './support/sources.ts';

/** Where Debian and others put a browser; PRIVACY_UNIT_BROWSER names another one. */
const executable = [
  process.env['PRIVACY_UNIT_BROWSER'] ?? '',
  '/usr/bin/chromium',
  '/usr/bin/chromium-browser',
  '/usr/bin/google-chrome',
].find(path => path !== '' && existsSync(path));

const quiet = [
  '--no-sandbox',
  '--disable-gpu',
  '--disable-quic',
  '--no-first-run',
  '--disable-background-networking',
  '--disable-component-update',
  '--disable-sync',
];

/** What a page asks: an accountant's interval, an estimate of time left out, and a plan's risk. */
const questions = `
  const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 10000 });
  const { epsilon, byAccountant } = epsilonOf(event, { delta: 1e-6, neighbours: 'add-or-remove' });
  const { noiseMultiplier } = calibrateNoise({
    epsilon: 1, delta: 1e-6, samplingProbability: 0.01, steps: 1000, neighbours: 'add-or-remove',
  });
  window.answer = { ...epsilon, value: byAccountant.exact.value, noiseMultiplier };`;

async function bundled(): Promise<string> {
  const contents = `import { calibrateNoise, epsilonOf, poissonEvent } from './accounting/index.ts';${questions}`;
  const { outputFiles } = await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    minify: true,
    format: 'iife',
    platform: 'browser',
    write: false,
  });
  return outputFiles[0]!.text;
}

interface Reply {
  readonly type: string;
  readonly body: string;
}

/** The sources one by one, types stripped, so that the browser itself resolves every import. */
function replyTo(url: string, bundle: string): Reply | undefined {
  const page = (script: string): string =>
    `<!doctype html><meta charset="utf-8"><title>accounting</title>${script}`;
  const module = `import { calibrateNoise, epsilonOf, poissonEvent } from '/accounting/index.ts';${questions}`;
  if (url === '/unbundled') return { type: 'html', body: page(`<script type="module">${module}</script>`) };
  if (url === '/bundled') return { type: 'html', body: page('<script src="/bundle.js"></script>') };
  if (url === '/bundle.js') return { type: 'javascript', body: bundle };
  const path = `${root}${url.slice(1)}`;
  if (!url.startsWith('/accounting/') || !existsSync(path)) return undefined;
  const body = transformSync(readFileSync(path, 'utf8'), { loader: 'ts', target: 'es2023' }).code;
  return { type: 'javascript', body };
}

function serve(bundle: string): Server {
  return createServer(({ url = '' }, response) => {
    const reply = replyTo(url, bundle);
    response.writeHead(reply === undefined ? 404 : 200, { 'content-type': `text/${reply?.type ?? 'plain'}` });
    response.end(reply?.body ?? '');
  });
}

if (executable === undefined)
  process.stdout.write('No Chromium was found: the accounting library is not tested in a browser.\n');

describe.runIf(executable !== undefined)('privacy-unit/accounting in a browser', () => {
  let browser: Browser;
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    server = serve(await bundled());
    await new Promise<void>(resolve => server.listen(0, '127.0.0.1', resolve));
    // oxlint-disable-next-line no-unsafe-type-assertion -- a server on a port has no other address
    origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    browser = await chromium.launch({ executablePath: executable!, args: quiet });
  });

  afterAll(async () => {
    await browser.close();
    server.close();
  });

  it.each(['unbundled', 'bundled'])('%s, it answers what it answers here', async way => {
    const page: Page = await browser.newPage();
    const errors: string[] = [];
    page.on('pageerror', error => errors.push(String(error)));
    await page.goto(`${origin}/${way}`);
    await page.waitForFunction('window.answer !== undefined');
    const answer: Record<string, number> = JSON.parse(
      String(await page.evaluate('JSON.stringify(window.answer)')),
    );
    expect(errors).toEqual([]);
    expect(answer['lower']).toBeLessThanOrEqual(6.907384495);
    expect(answer['upper']).toBeGreaterThanOrEqual(6.907384495);
    expect(answer['upper']! - answer['lower']!).toBeLessThanOrEqual(1e-4 * 6.91);
    expect(Math.abs(answer['value']! - 6.90738449504526)).toBeLessThanOrEqual(1e-9);
    expect(answer['noiseMultiplier']).toBeGreaterThan(1.5);
    await page.close();
  });
});
