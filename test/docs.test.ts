import { describe, expect, it } from 'vitest';
import { exampleBody, examplesIn, type Example } from './support/doctest.ts';
import { root, typescriptFiles } from './support/sources.ts';

function sources(): string[] {
  return ['README.md', ...['accounting', 'selection', 'trainer'].flatMap(typescriptFiles)];
}

function expectAbout(actual: unknown, value: number, unit: number): void {
  expect(typeof actual).toBe('number');
  expect(Math.abs(Number(actual) - value), `${String(actual)} against ~${value}`).toBeLessThanOrEqual(unit);
}

/** `privacy-unit/accounting` means the source in a test, never the build. */
function load(specifier: string): Promise<Record<string, unknown>> {
  const path = specifier
    .replace(/^privacy-unit\/accounting\/plan$/, 'accounting/plan-entry.ts')
    .replace(/^privacy-unit\/accounting\/audit$/, 'accounting/audit/index.ts')
    .replace(/^privacy-unit\/(\w+)$/, '$1/index.ts');
  return path.startsWith('node:') ? import(path) : import(`${root}${path}`);
}

async function run(example: Example): Promise<void> {
  const scope = example.file.endsWith('.md') ? {} : await load(example.file.slice(root.length));
  const names = Object.keys(scope).filter(name => name !== 'default');
  const body = `${exampleBody(example)}\nreturn example();`;
  // oxlint-disable-next-line no-implied-eval -- running the documented text is the point
  const make = new Function('expect', 'expectAbout', 'load', ...names, body);
  await make(expect, expectAbout, load, ...names.map(name => scope[name]));
}

describe('documented examples', () => {
  for (const file of sources()) {
    for (const example of examplesIn(root + file)) {
      it(`${file}:${example.line} does what it says`, () => run(example));
    }
  }
});
