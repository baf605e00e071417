import { gzipSync } from 'node:zlib';
import { runInNewContext } from 'node:vm';
import { build } from 'esbuild';
import { expect, it } from 'vitest';
import { root } from './support/sources.ts';

async function bundle(contents: string, format: 'esm' | 'iife'): Promise<string> {
  const result = await build({
    stdin: { contents, resolveDir: root, loader: 'ts' },
    bundle: true,
    minify: true,
    format,
    ...(format === 'iife' ? { globalName: 'bundled' } : {}),
    platform: 'browser',
    write: false,
  });
  return result.outputFiles[0]!.text;
}

it('privacy-unit/accounting bundles to at most 40 kB gzip', async () => {
  const code = await bundle(`export * from './accounting/index.ts'`, 'esm');
  expect(gzipSync(code).length).toBeLessThanOrEqual(40 * 1024);
});

it('privacy-unit/accounting runs where there is nothing but the language', async () => {
  const code = await bundle(
    `
    import { epsilonOf, poissonEvent } from './accounting/index.ts';
    const event = poissonEvent({ noiseMultiplier: 1, samplingProbability: 0.01, steps: 100 });
    export const answer = epsilonOf(event, { delta: 1e-6, neighbours: 'add-or-remove' }).epsilon;
  `,
    'iife',
  );
  const text: unknown = runInNewContext(`${code}; JSON.stringify(bundled.answer)`, {});
  const [lower, upper] = String(text)
    .match(/[\d.e-]+(?=[,}])/g)!
    .map(Number);
  expect(lower).toBeGreaterThan(0);
  expect(upper).toBeGreaterThanOrEqual(lower!);
});
