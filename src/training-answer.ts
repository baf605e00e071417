import { join } from 'node:path';
import { renderStatement, type Statement } from '../accounting/plan-entry.ts';
import type { TrainingResult } from '../trainer/index.ts';
import type { CanaryAudit } from './canaries.ts';
import { number, type Answer } from './output.ts';

function perplexityInWords({ perplexity }: TrainingResult): string {
  if (perplexity === null) return 'Perplexity: no user was held out.';
  const { before, after } = perplexity;
  return `Perplexity on ${after.users} held-out users: ${number(before.byRecord)} before, ${number(after.byRecord)} after (not private).`;
}

function truncationInWords({ truncation }: TrainingResult): string[] {
  const { records, recordsCut, tokens, tokensCut } = truncation;
  if (recordsCut === 0) return [];
  return [
    `${recordsCut} of ${records} records are longer than the model's context: ${tokensCut} of ${tokens} tokens were never read (not private).`,
  ];
}

function diagnosticsInWords({ diagnostics }: TrainingResult): string[] {
  const { unitsDrawn, unitsNotFinite, emptySteps } = diagnostics;
  const lines: string[] = [];
  if (unitsNotFinite > 0)
    lines.push(
      `Warning: ${unitsNotFinite} of ${unitsDrawn} gradients were not finite and added nothing (not private). A lower --learning-rate may help.`,
    );
  if (emptySteps > 0)
    lines.push(
      `Steps that drew nobody: ${emptySteps} (not private). They were noise alone and count like any other.`,
    );
  return lines;
}

function clipInWords({ clipNorm }: TrainingResult, { clipping }: Statement): string[] {
  return clipping === undefined ? [] : [`The adaptive clip stands at ${number(clipNorm)}.`];
}

/** What `train` says of a run that is over. */
export function trainingAnswer(
  result: TrainingResult,
  parts: { statement: Statement; out: string; audit: CanaryAudit | undefined },
): Answer {
  const { statement, out, audit } = parts;
  const { epsilon, delta, perplexity, steps, stepsCounted, seconds } = result;
  const { truncation, diagnostics, notPrivate } = result;
  const text = [
    renderStatement(statement),
    '',
    ...(audit?.lines ?? []),
    perplexityInWords(result),
    ...clipInWords(result, statement),
    ...truncationInWords(result),
    ...diagnosticsInWords(result),
    `${steps} steps in ${seconds.toFixed(1)} s. Model, ledger and statement are in ${out}.`,
  ].join('\n');
  const json = {
    epsilon,
    delta,
    perplexity,
    steps,
    stepsCounted,
    clipNorm: result.clipNorm,
    seconds,
    statement,
    model: join(out, 'model'),
    ledger: join(out, 'ledger.jsonl'),
    truncation,
    diagnostics,
    notPrivate,
    canaries: audit?.json ?? null,
  };
  return { json, text, failure: audit?.failure };
}
