import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { root } from '../../support/sources.ts';
import { runCli, temporaryFolder } from '../support.ts';

function blocks(language: string): string[] {
  const text = readFileSync(`${root}README.md`, 'utf8');
  const section = text.slice(text.indexOf('## Is the printed'), text.indexOf('## What it promises'));
  return [...section.matchAll(new RegExp(`\`\`\`${language}\n([^]*?)\`\`\``, 'g'))].map(
    ([, block]) => block!,
  );
}

it('the claim of the README gets the verdict that is printed there', async () => {
  const path = join(temporaryFolder(), 'claim.yaml');
  writeFileSync(path, blocks('yaml')[0]!);
  const { code, stdout } = await runCli('audit', 'claim', path);
  expect(code).toBe(3);
  const shown = blocks('text')[0]!.split('\n…\n');
  expect(shown.length).toBeGreaterThan(1);
  for (const part of shown) expect(stdout).toContain(part.trim());
});
