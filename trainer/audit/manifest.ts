import { existsSync, readFileSync } from 'node:fs';
import { DpError } from '../../accounting/check.ts';
import type { Plan } from '../../accounting/plan.ts';
import { readManifest, verifyManifest } from '../../selection/index.ts';
import { sha256 } from '../digest.ts';
import type { HeaderEntry } from '../ledger.ts';
import { finding, type Finding } from './finding.ts';

/** The manifest of the table's selection against the header's digest, the plan, and the table where it lies beside. */
export async function checkManifest(
  header: HeaderEntry,
  { plan, path }: { plan: Plan | undefined; path: string | undefined },
): Promise<Finding[]> {
  if (path === undefined) return [];
  if (!existsSync(path))
    throw new DpError('MISSING_FILE', `Cannot read the manifest: there is no file ${path}. Check the name.`);
  const found = sha256(readFileSync(path));
  if (header.manifestDigest !== found) return [otherManifest(header, found)];
  const { rule } = await readManifest(path);
  const { checks } = await verifyManifest(path, { inputs: false });
  const failed = checks.filter(({ holds }) => !holds).map(({ name }) => name);
  return [...(plan === undefined ? [] : checkRule(rule, plan)), ...tableFindings(failed)];
}

/** @param failed - names of checks of the table that do not hold */
function tableFindings(failed: readonly string[]): Finding[] {
  if (failed.length === 0) return [];
  if (failed.includes('output file')) {
    const text = 'The table that the manifest is of is not at hand, so that it was not compared.';
    return [finding('no-table', text, { level: 'warning' })];
  }
  const text = `The table beside the manifest is not the one that it was written for: ${failed.join(', ')}.`;
  return [finding('table-differs', text, { detail: 'unverifiable' })];
}

function otherManifest({ manifestDigest }: HeaderEntry, found: string): Finding {
  const own =
    manifestDigest === undefined ? 'no manifest' : `a manifest of digest ${manifestDigest.slice(0, 12)}`;
  return finding(
    'other-manifest',
    `The ledger names ${own}; the one that was given has ${found.slice(0, 12)}.`,
    {
      detail: 'unverifiable',
    },
  );
}

function checkRule(rule: { strategy: string; seed: string }, { selection }: Plan): Finding[] {
  const stray = (['strategy', 'seed'] as const).find(name => rule[name] !== selection[name]);
  if (stray === undefined) return [];
  const text = `The table was selected with ${stray} ${JSON.stringify(rule[stray])}, the plan has ${JSON.stringify(selection[stray])}.`;
  return [finding('rule-differs', text, { detail: 'unverifiable' })];
}
