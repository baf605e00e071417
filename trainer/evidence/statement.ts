import { readdirSync, statSync } from 'node:fs';
import { join, sep } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { epsilonOfPlan, parsePlan, type Plan } from '../../accounting/plan-entry.ts';
import { fileDigest } from '../../selection/digest.ts';
import { scoresFileName } from '../canaries/score-canaries.ts';
import { canonicalJson } from '../digest.ts';
import { countNoised, type HeaderEntry, type LedgerEntry } from '../ledger.ts';
import { readChainContent, type ChainContent } from '../audit/chain.ts';
import { merkleRoot } from './merkle.ts';

/** What an in-toto statement is about: a file of the run's folder with its SHA-256. */
export interface Subject {
  /** Relative to the folder, with `/`. */
  readonly name: string;
  readonly digest: { readonly sha256: string };
}

/** What is stated of a training run. Numbers that other programs may spell otherwise are decimal texts. */
export interface TrainingPredicate {
  readonly claim: {
    readonly epsilonUpper: string;
    readonly epsilonLower: string;
    readonly delta: string;
    readonly noiseMultiplier: string;
    readonly neighbours: string;
    readonly unit: string;
    readonly recordsPerUser: number;
    readonly stepsCounted: number;
  };
  /** Canonical JSON of the plan; its SHA-256 is the plan hash of the ledger. */
  readonly plan: string;
  readonly ledger: {
    readonly lines: number;
    /** Hash of the last line: an end that was cut off no longer has it. */
    readonly headHash: string;
    /** RFC 6962 root over the lines, for proofs that a single line belongs to it. */
    readonly root: string;
  };
  /** Digests that the ledger is bound to. */
  readonly tableDigest: string;
  readonly startingModelDigest: string;
  readonly modelDigest: string;
  /** The program that trained. */
  readonly tool: { readonly name: string; readonly version: string };
}

/** An in-toto Statement, version 1. */
export interface TrainingStatement {
  readonly _type: 'https://in-toto.io/Statement/v1';
  readonly subject: readonly Subject[];
  readonly predicateType: string;
  readonly predicate: TrainingPredicate;
}

/** Name and version of what {@link TrainingPredicate} says. */
export const predicateType = 'urn:privacy-unit:dp-training:v1';
/** Of every in-toto statement in an envelope. */
export const inTotoType = 'application/vnd.in-toto+json';
export const ledgerFile = 'ledger.jsonl';

/** A ledger's lines, without their line breaks, as leaves of its tree. */
export function ledgerLeaves({ bytes }: ChainContent): Uint8Array[] {
  const text = Buffer.from(bytes);
  const leaves: Uint8Array[] = [];
  let start = 0;
  for (let end = text.indexOf(0x0a); end >= 0; end = text.indexOf(0x0a, start)) {
    leaves.push(text.subarray(start, end));
    start = end + 1;
  }
  return leaves;
}

/** Files of a folder that a statement is about: ledger and model, statement of privacy, claim and scores of canaries where there are some. */
export function subjectNames(folder: string): string[] {
  const names = readdirSync(folder, { recursive: true, encoding: 'utf8' }).map(name =>
    name.split(sep).join('/'),
  );
  const own = names.filter(
    name =>
      name.startsWith('model/') ||
      name === ledgerFile ||
      name === scoresFileName ||
      /^(statement\.\w+|claim\.json)$/.test(name),
  );
  return own.filter(name => statSync(join(folder, name)).isFile()).sort(byCodeUnits);
}

function byCodeUnits(first: string, second: string): number {
  return first < second ? -1 : 1;
}

/** The statement about a finished run in a folder. */
export async function trainingStatement(folder: string): Promise<TrainingStatement> {
  const content = readChainContent(join(folder, ledgerFile));
  const { header, plan, modelDigest } = finishedRun(folder, content);
  const subject: Subject[] = [];
  for (const name of subjectNames(folder)) {
    const { sha256 } = await fileDigest(join(folder, name));
    subject.push({ name, digest: { sha256 } });
  }
  const { tableDigest, modelDigest: startingModelDigest } = header;
  const predicate: TrainingPredicate = {
    claim: claimOf(plan, countNoised(content.entries)),
    plan: canonicalJson(header.plan),
    ledger: ledgerFacts(content),
    tableDigest,
    startingModelDigest,
    modelDigest,
    tool: { name: 'privacy-unit', version: header.codeVersion },
  };
  return { _type: 'https://in-toto.io/Statement/v1', subject, predicateType, predicate };
}

/** What a predicate says of a ledger. */
export function ledgerFacts(content: ChainContent): TrainingPredicate['ledger'] {
  const { lines, head } = content.chain;
  return { lines, headHash: head, root: merkleRoot(ledgerLeaves(content)) };
}

/** What a predicate says of the guarantee: ε computed anew. */
export function claimOf(plan: Plan, stepsCounted: number): TrainingPredicate['claim'] {
  const { lower, upper } = epsilonOfPlan(plan, { steps: stepsCounted }).epsilon;
  return {
    epsilonUpper: String(upper),
    epsilonLower: String(lower),
    delta: String(plan.delta),
    noiseMultiplier: String(plan.noiseMultiplier),
    neighbours: plan.neighbours,
    unit: plan.unit.protection,
    recordsPerUser: plan.unit.recordsPerUser,
    stepsCounted,
  };
}

function finishedRun(
  folder: string,
  { chain, entries }: ChainContent,
): { header: HeaderEntry; plan: Plan; modelDigest: string } {
  const [header] = entries;
  const ending: LedgerEntry | undefined = entries.at(-1);
  if (chain.broken !== null) throw notSignable(folder, chain.broken.text.replace(/\.$/, ''));
  if (ending?.kind !== 'finished') throw notSignable(folder, 'its ledger does not say that the run is over');
  if (header?.kind !== 'header' || header.plan === undefined)
    throw notSignable(folder, 'its ledger does not hold its plan');
  return { header, plan: parsePlan(header.plan), modelDigest: ending.modelDigest };
}

function notSignable(folder: string, reason: string): DpError {
  return new DpError(
    'CHECK_FAILED',
    `Cannot sign the run in ${folder}: ${reason}. Sign a finished run of this release.`,
  );
}
