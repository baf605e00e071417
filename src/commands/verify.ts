import { existsSync, readFileSync, statSync } from 'node:fs';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { type ManifestCheck, readManifest, verifyManifest } from '../../selection/index.ts';
import { looksLikeEnvelope } from '../../trainer/evidence/dsse.ts';
import type { Tokenizer } from '../../trainer/index.ts';
import { type CommonOptions, createCommand, type Deliver, type Surroundings } from '../command.ts';
import { type Answer, renderTable } from '../output.ts';

interface VerifyCommandOptions extends CommonOptions {
  readonly inputs: boolean;
  readonly output?: string;
  readonly publicKey?: string;
  readonly run?: string;
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

function isEvidence(path: string): boolean {
  return existsSync(path) && statSync(path).isFile() && looksLikeEnvelope(readFileSync(path, 'utf8'));
}

function onlyForEvidence({ publicKey, run }: VerifyCommandOptions): void {
  if ((publicKey ?? run) === undefined) return;
  throw new DpError(
    'INVALID_ARGUMENT',
    'Cannot verify: --public-key and --run go with signed evidence, and this is none. Leave them out for a manifest.',
  );
}

async function verify(
  path: string,
  options: VerifyCommandOptions,
  { signal }: Surroundings,
): Promise<Answer> {
  if (isEvidence(path)) {
    const { verifySigned } = await import('../signed-evidence.ts');
    return verifySigned(path, options);
  }
  onlyForEvidence(options);
  const { inputs, output } = options;
  const tokenizer = await tokenizerOf(path);
  const { holds, checks } = await verifyManifest(path, { inputs, output, tokenizer, signal });
  return { json: { holds, checks }, text: render(checks), failure: failureOf(checks) };
}

/** `privacy-unit verify`: checks a selected table against its manifest, or signed evidence against a run. */
export function verifyCommand(deliver: Deliver): Command {
  return createCommand('verify', {
    summary: 'check a selected table against its manifest, or signed evidence of a run',
    description:
      'Hashes the output and the inputs, counts rows, users and the most records of one user anew from the output, and compares all of it with the manifest. For the evidence that `evidence` signed: checks the signature, every file of the run, the ledger with its head, and epsilon. Ends with exit code 3 where a check fails, with 4 where no public key was given.',
    examples: [
      'verify selected.arrow.manifest.json',
      'verify run/evidence.json --public-key key.pub.pem --json',
    ],
  })
    .argument('<FILE>', 'manifest that select wrote beside its output, or evidence.json of a run')
    .option('--no-inputs', 'leave the input files out (default: check them)')
    .option('--output <file>', 'where the output lies (default: as the manifest says)')
    .option('--public-key <file>', "the signer's public key in PEM (default: the signature stays open)")
    .option('--run <folder>', 'folder of the run that evidence is about (default: where the evidence lies)')
    .action((path: string, options: VerifyCommandOptions) =>
      deliver(options, around => verify(path, options, around)),
    );
}
