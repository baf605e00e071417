import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { claimOf } from '../../../accounting/audit/index.ts';
import { readClaimFile } from '../../../src/audit/claim-file.ts';
import { claimTemplate } from '../../../src/audit/claim-template.ts';
import { runCli } from '../support.ts';

const folder = mkdtempSync(join(tmpdir(), 'template-'));
afterAll(() => rmSync(folder, { recursive: true, force: true }));

function read(text: string): ReturnType<typeof readClaimFile>['claim'] {
  const path = join(folder, 'claim.yaml');
  writeFileSync(path, text);
  return readClaimFile(path).claim;
}

describe('claimTemplate()', () => {
  it('is a claim file in which nothing is stated but the sort of mechanism', () => {
    const filled = claimTemplate().replace('- kind: null', '- kind: dp_sgd');
    expect(read(filled)).toEqual(claimOf({ mechanisms: [{ kind: 'dp_sgd' }] }));
  });

  it('has a comment before every field', () => {
    const lines = claimTemplate().split('\n');
    const bare = lines.filter(
      (line, index) => !line.trimStart().startsWith('#') && !lines[index - 1]!.trimStart().startsWith('#'),
    );
    expect(bare).toEqual([]);
    expect(Math.max(...lines.map(line => line.length))).toBeLessThan(110);
  });

  it('is printed by the command', async () => {
    const { stdout, code } = await runCli('audit', 'template');
    expect(code).toBe(0);
    expect(stdout.trimEnd()).toBe(claimTemplate());
    expect(() => read(stdout)).toThrow(/kind is null/);
  });
});
