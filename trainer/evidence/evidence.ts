import { existsSync, readFileSync } from 'node:fs';
import { dirname, isAbsolute, join, normalize } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { parsePlan } from '../../accounting/plan-entry.ts';
import { fileDigest } from '../../selection/digest.ts';
import { readChainContent, type ChainContent } from '../audit/chain.ts';
import { canonicalJson, sha256 } from '../digest.ts';
import { countNoised } from '../ledger.ts';
import { openEnvelope, renderEnvelope, signEnvelope, type OpenedEnvelope } from './dsse.ts';
import {
  claimOf,
  inTotoType,
  ledgerFacts,
  ledgerFile,
  predicateType,
  subjectNames,
  trainingStatement,
  type Subject,
  type TrainingPredicate,
  type TrainingStatement,
} from './statement.ts';

/** One thing that was checked of signed evidence. */
export interface EvidenceCheck {
  readonly name: string;
  /** Null where it could not be checked. */
  readonly holds: boolean | null;
  readonly detail: string;
}

/** What became of checking signed evidence. */
export interface EvidenceVerification {
  /** True where every check holds; null where none fails and some could not be made. */
  readonly holds: boolean | null;
  readonly checks: readonly EvidenceCheck[];
  /** What was signed; null where it could not be read. */
  readonly statement: TrainingStatement | null;
}

/**
 * Signed evidence of a finished run: an in-toto statement about the files of its folder (model, ledger, statement), with plan,
 * ε, head and Merkle root of the ledger, in a DSSE envelope signed with Ed25519.
 *
 * It proves who vouches for which files, and that the ledger ends where it ended when it was signed. It does not prove that the noise
 * was drawn.
 *
 * @param folder - of `train`
 * @param options - privateKey: Ed25519, PEM
 * @returns the text of the file, for `verifyEvidence`
 * @throws DpError `CHECK_FAILED` where the run is not over or its ledger is broken; `INVALID_DATA` for another key
 * @example
 * ```ts
 * await signRun('/no/such/run', { privateKey: '' }).catch(error => error.code); // 'MISSING_FILE'
 * ```
 */
export async function signRun(folder: string, { privateKey }: { privateKey: string }): Promise<string> {
  const statement = await trainingStatement(folder);
  const body = Buffer.from(canonicalJson(statement));
  return renderEnvelope(signEnvelope(body, { payloadType: inTotoType, privateKey }));
}

/**
 * Checks signed evidence against the files that it is about, read anew from its folder: the signature, the digest of each file,
 * the chain, head and root of the ledger, the plan's hash, and ε computed again.
 *
 * @param path - evidence.json, in the folder of the run unless `folder` says where that is
 * @param options - publicKey: Ed25519, PEM, got from the signer by another way; without it the signature stays open
 * @throws DpError `MISSING_FILE` where there is no such evidence; `INVALID_DATA` for another key
 * @example
 * ```ts
 * await verifyEvidence('/no/such/evidence.json').catch(error => error.code); // 'MISSING_FILE'
 * ```
 */
export async function verifyEvidence(
  path: string,
  options: { publicKey?: string | undefined; folder?: string | undefined } = {},
): Promise<EvidenceVerification> {
  if (!existsSync(path))
    throw new DpError(
      'MISSING_FILE',
      `Cannot verify the evidence: there is no file ${path}. Check the name.`,
    );
  const { publicKey, folder = dirname(path) } = options;
  const opened = openEnvelope(readText(path), { publicKey });
  const statement = opened === undefined ? undefined : statementIn(opened);
  if (opened === undefined || statement === undefined)
    return {
      holds: false,
      checks: [check('envelope', false, 'it is no statement of a training in an envelope')],
      statement: null,
    };
  const checks = [
    signatureCheck(opened),
    ...(await fileChecks(statement.subject, folder)),
    ...ledgerChecks(statement.predicate, folder),
  ];
  const isOpen = checks.some(({ holds }) => holds === null);
  const holds = checks.some(check => check.holds === false) ? false : isOpen ? null : true;
  return { holds, checks, statement };
}

/** As text where it is UTF-8; otherwise in a form that no envelope has. */
function readText(path: string): string {
  const bytes = readFileSync(path);
  const text = bytes.toString('utf8');
  return Buffer.from(text).equals(bytes) ? text : '';
}

function check(name: string, holds: boolean | null, detail: string): EvidenceCheck {
  return { name, holds, detail };
}

/** The statement inside, where it is written as `signRun` writes one. */
function statementIn({ payloadType, payload }: OpenedEnvelope): TrainingStatement | undefined {
  try {
    const text = Buffer.from(payload).toString('utf8');
    const statement: TrainingStatement = JSON.parse(text);
    const isOurs = payloadType === inTotoType && statement.predicateType === predicateType;
    return isOurs && canonicalJson(statement) === text && isComplete(statement) ? statement : undefined;
  } catch {
    return undefined;
  }
}

function isComplete({ _type, subject, predicate }: TrainingStatement): boolean {
  const { ledger, plan, claim } = predicate;
  const isNamed = subject.every(
    ({ name, digest }) => typeof name === 'string' && typeof digest.sha256 === 'string',
  );
  const isLedger = typeof ledger.headHash === 'string' && typeof ledger.root === 'string';
  return (
    _type === 'https://in-toto.io/Statement/v1' &&
    isNamed &&
    isLedger &&
    typeof plan === 'string' &&
    typeof claim.epsilonUpper === 'string'
  );
}

function signatureCheck({ isSigned, keyid }: OpenedEnvelope): EvidenceCheck {
  const short = keyid.slice(0, 12);
  if (isSigned === null)
    return check('signature', null, `not checked: give the public key of the signer (key ${short})`);
  return check(
    'signature',
    isSigned,
    isSigned ? `by key ${short}` : `not by the key that was given; it names key ${short}`,
  );
}

async function fileChecks(subjects: readonly Subject[], folder: string): Promise<EvidenceCheck[]> {
  const checks: EvidenceCheck[] = [];
  for (const { name, digest } of subjects)
    checks.push(await fileCheck(name, { folder, expected: digest.sha256 }));
  const listed = new Set(subjects.map(({ name }) => name));
  const present = existsSync(folder) ? subjectNames(folder) : [];
  const strays = present.filter(name => !listed.has(name));
  if (!listed.has(ledgerFile)) checks.push(check(ledgerFile, false, 'the evidence does not list it'));
  if (strays.length > 0)
    checks.push(check('other files', false, `not in the evidence: ${strays.join(', ')}`));
  return checks;
}

async function fileCheck(
  name: string,
  { folder, expected }: { folder: string; expected: string },
): Promise<EvidenceCheck> {
  if (isAbsolute(name) || normalize(name).startsWith('..'))
    return check(name, false, 'it lies outside of the folder');
  if (!existsSync(join(folder, name))) return check(name, false, 'there is no such file');
  const { sha256: found } = await fileDigest(join(folder, name));
  return check(
    name,
    found === expected,
    `expected SHA-256 ${expected.slice(0, 12)}, found ${found.slice(0, 12)}`,
  );
}

function ledgerChecks(predicate: TrainingPredicate, folder: string): EvidenceCheck[] {
  const path = join(folder, ledgerFile);
  if (!existsSync(path)) return [];
  try {
    return compareLedger(predicate, readChainContent(path));
  } catch (error) {
    if (!(error instanceof DpError)) throw error;
    return [check('ledger', false, error.message)];
  }
}

function compareLedger(predicate: TrainingPredicate, content: ChainContent): EvidenceCheck[] {
  const { chain, entries } = content;
  const chained = check('chain of the ledger', chain.holds, chain.broken?.text ?? `${chain.lines} lines`);
  const [header] = entries;
  if (!chain.holds || header?.kind !== 'header') return [chained];
  const facts = ledgerFacts(content);
  const ends = canonicalJson(facts) === canonicalJson(predicate.ledger);
  const planHash = sha256(predicate.plan);
  const bound = { tableDigest: header.tableDigest, startingModelDigest: header.modelDigest };
  const isBound =
    bound.tableDigest === predicate.tableDigest &&
    bound.startingModelDigest === predicate.startingModelDigest;
  const ending = entries.at(-1);
  const isOver = ending?.kind === 'finished' && ending.modelDigest === predicate.modelDigest;
  return [
    chained,
    check('head and root of the ledger', ends, `${facts.lines} lines, head ${facts.headHash.slice(0, 12)}`),
    check(
      'plan',
      planHash === header.planHash,
      `hash ${planHash.slice(0, 12)}, the ledger has ${header.planHash.slice(0, 12)}`,
    ),
    check('table and models', isBound && isOver, 'digests of the ledger'),
    epsilonCheck(predicate, countNoised(entries)),
  ];
}

/** The upper bound that was signed must not lie below what the steps cost, nor the lower one above. */
function epsilonCheck({ claim, plan }: TrainingPredicate, stepsCounted: number): EvidenceCheck {
  const found = claimAnew(plan, stepsCounted);
  if (found === undefined) return check('epsilon', false, 'the plan in the evidence is not one');
  const { epsilonLower, epsilonUpper } = claim;
  const isSame = canonicalJson({ ...found, epsilonLower, epsilonUpper }) === canonicalJson(claim);
  const isHonest =
    Number(epsilonUpper) >= Number(found.epsilonLower) && Number(epsilonLower) <= Number(found.epsilonUpper);
  const detail = `signed [${epsilonLower}, ${epsilonUpper}], computed anew [${found.epsilonLower}, ${found.epsilonUpper}]`;
  return check('epsilon', isSame && isHonest, detail);
}

function claimAnew(plan: string, stepsCounted: number): TrainingPredicate['claim'] | undefined {
  try {
    return claimOf(parsePlan(JSON.parse(plan)), stepsCounted);
  } catch {
    return undefined;
  }
}
