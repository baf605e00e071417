import { DpError } from '../accounting/check.ts';
import { verifyEvidence, type EvidenceCheck } from '../trainer/index.ts';
import { readPemFile } from './commands/evidence.ts';
import { type Answer, renderTable } from './output.ts';

function failureOf(checks: readonly EvidenceCheck[], holds: boolean | null): DpError | undefined {
  const failed = checks.filter(check => check.holds === false).map(({ name }) => name);
  if (holds === false)
    return new DpError(
      'CHECK_FAILED',
      `Cannot verify: ${failed.length} of ${checks.length} checks failed (${failed.join(', ')}). Do not rely on this evidence.`,
    );
  if (holds === null)
    return new DpError(
      'INCONCLUSIVE',
      'Cannot verify: the signature was not checked. Give --public-key with a key that you got from the signer by another way.',
    );
  return undefined;
}

function render(checks: readonly EvidenceCheck[]): string {
  const words = (holds: boolean | null): string => (holds === null ? 'open' : holds ? 'holds' : 'FAILED');
  const rows = checks.map(({ name, holds, detail }) => [words(holds), name, detail]);
  return renderTable([{ title: 'result' }, { title: 'check' }, { title: 'detail' }], rows);
}

/** Checks signed evidence of a run; the answer of `privacy-unit verify` for it. */
export async function verifySigned(
  path: string,
  { publicKey, run }: { publicKey?: string | undefined; run?: string | undefined },
): Promise<Answer> {
  const key = publicKey === undefined ? undefined : readPemFile(publicKey);
  const { holds, checks, statement } = await verifyEvidence(path, { publicKey: key, folder: run });
  return { json: { holds, checks, statement }, text: render(checks), failure: failureOf(checks, holds) };
}
