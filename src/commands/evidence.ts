import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import type { Command } from 'commander';
import { DpError } from '../../accounting/check.ts';
import { checkPrivateKey, signRun } from '../../trainer/index.ts';
import { required } from '../arguments.ts';
import { createCommand, type CommonOptions, type Deliver } from '../command.ts';
import { checkAbsent, writeWhole } from '../files.ts';
import type { Answer } from '../output.ts';

const verb = 'sign the run';

interface EvidenceCommandOptions extends CommonOptions {
  readonly signWith?: string;
  readonly out?: string;
  readonly force?: true;
}

/** Text of a key file. */
export function readPemFile(path: string): string {
  if (existsSync(path)) return readFileSync(path, 'utf8');
  throw new DpError('MISSING_FILE', `Cannot read the key: there is no file ${path}. Check the name.`);
}

/** Refuses, before any work, a key that nothing can be signed with. */
export function checkSigningKey(path: string | undefined): void {
  if (path !== undefined) checkPrivateKey(readPemFile(path));
}

/** Signs a run and writes the evidence beside its ledger, or where it is to go. */
export async function writeEvidence(
  folder: string,
  { signWith, out = join(folder, 'evidence.json') }: { signWith: string; out?: string | undefined },
): Promise<string> {
  writeWhole(out, await signRun(folder, { privateKey: readPemFile(signWith) }));
  return out;
}

async function evidence(folder: string, options: EvidenceCommandOptions): Promise<Answer> {
  const { out = join(folder, 'evidence.json'), force } = options;
  const signWith = required(options.signWith, { verb, name: '--sign-with', example: 'key.pem' });
  checkAbsent(out, { verb, force: force === true });
  await writeEvidence(folder, { signWith, out });
  const text = `Signed evidence of the run in ${folder} is in ${out}. Others check it with \`privacy-unit verify ${out} --public-key\`.`;
  return { json: { evidence: out }, text };
}

/** `privacy-unit evidence`: signs a finished run. */
export function evidenceCommand(deliver: Deliver): Command {
  return createCommand('evidence', {
    summary: 'sign the files of a finished run',
    description:
      'Writes an in-toto statement about the model, the ledger and the statement of a run, with its plan, its epsilon and the head of its ledger, in a DSSE envelope signed with Ed25519. A key is made with `openssl genpkey -algorithm ed25519 -out key.pem`, its public half with `openssl pkey -in key.pem -pubout -out key.pub.pem`.',
    examples: [
      'evidence run --sign-with key.pem',
      'evidence run --sign-with key.pem --out run.dsse.json --json',
    ],
  })
    .argument('<RUN>', 'folder of train')
    .option('--sign-with <file>', 'private key, Ed25519 in PEM without a passphrase (required)')
    .option('--out <file>', 'where the evidence goes (default: evidence.json in the folder)')
    .option('--force', 'overwrite it (default: refuse)')
    .action((folder: string, options: EvidenceCommandOptions) =>
      deliver(options, () => evidence(folder, options)),
    );
}
