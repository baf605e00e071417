import { existsSync, openSync, readSync, closeSync } from 'node:fs';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { type ManifestCheck, readManifest, verifyManifest } from '../../selection/index.ts';
import type { Tokenizer } from '../../trainer/index.ts';
import { type CommonOptions, createCommand, type Deliver, type Surroundings } from '../command.ts';
import { type Answer, renderTable } from '../output.ts';

interface VerifyCommandOptions extends CommonOptions {
  readonly inputs: boolean;
  readonly output?: string;
}

function failureOf(checks: readonly ManifestCheck[]): DpError | undefined {
  const failed = checks.filter(check => !check.holds);
  if (failed.length === 0) return undefined;
  return new DpError(
    'CHECK_FAILED',
    `Cannot verify: ${failed.length} of ${checks.length} checks failed (${failed.map(({ name }) => name).join(', ')}). Do not rely on this table; select anew.`,
  );
}

function render(checks: readonly ManifestCheck[]): string {
  const rows = checks.map(({ name, holds, detail }) => [holds ? 'holds' : 'FAILED', name, detail]);
  return renderTable([{ title: 'result' }, { title: 'check' }, { title: 'detail' }], rows);
}

/** The tokenizer that the selection counted with, where it is one of ours. */
async function tokenizerOf(path: string): Promise<Tokenizer | undefined> {
  const name = (await readManifest(path)).tokenizer?.name;
  if (name !== 'bytes' && name !== 'gpt2') return undefined;
  const { openTokenizer } = await import('../../trainer/index.ts');
  return openTokenizer(name);
}

async function verify(
  path: string,
  options: VerifyCommandOptions,
  { signal }: Surroundings,
): Promise<Answer> {
  const { inputs, output } = options;
  const tokenizer = await tokenizerOf(path);
  const { holds, checks } = await verifyManifest(path, { inputs, output, tokenizer, signal });
  return { json: { holds, checks }, text: render(checks), failure: failureOf(checks) };
}

/** `privacy-unit verify`: checks a selected table against its manifest. */
export function verifyCommand(deliver: Deliver): Command {
  return createCommand('verify', {
    summary: 'check a selected table against its manifest',
    description:
      'Hashes the output and the inputs, counts rows, users and the most records of one user anew from the output, and compares all of it with the manifest. Ends with exit code 3 where a check fails.',
    examples: [
      'verify selected.arrow.manifest.json',
      'verify kept.json --output kept.arrows --no-inputs --json',
    ],
  })
    .argument('<MANIFEST>', 'what select wrote beside its output')
    .option('--no-inputs', 'leave the input files out (default: check them)')
    .option('--output <file>', 'where the output lies (default: as the manifest says)')
    .action((path: string, options: VerifyCommandOptions) =>
      deliver(options, around => verify(path, options, around)),
    );
}
