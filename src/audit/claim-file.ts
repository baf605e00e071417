import { createHash } from 'node:crypto';
import { existsSync, readFileSync, statSync } from 'node:fs';
import { DpError } from '../../accounting/check.ts';
import { claimOf, type Claim, type Printed } from '../../accounting/audit/index.ts';
import { hasOwnDigits } from '../../accounting/audit/claim-printed.ts';
import { fieldName, isStatedClaim, schemaComplaints, type Complaint } from './claim-schema.ts';
import { contradictionsOf } from './contradictions.ts';
import type { AuditedFile } from './report.ts';
import { parseTree, TreeFault, type Tree } from './yaml-tree.ts';

/** A claim with the file that it came from. */
export interface ReadClaim {
  readonly claim: Claim;
  readonly file: AuditedFile;
  /** Line of every field, by JSON pointer. */
  readonly lines: ReadonlyMap<string, number>;
}

/** Larger than any claim; what is above is another sort of file. */
const largestFile = 1 << 18;

/** Messages list this many complaints. */
const listed = 3;

function fault(code: 'MISSING_FILE' | 'INVALID_DATA', reason: string): DpError {
  return new DpError(code, `Cannot read the claim: ${reason}${reason.endsWith('?') ? '' : '.'}`);
}

function readBytes(path: string): Buffer {
  if (!existsSync(path)) throw fault('MISSING_FILE', `there is no file ${path}. Check the name`);
  const { size } = statSync(path);
  if (!statSync(path).isFile()) throw fault('INVALID_DATA', `${path} is no file. Give a YAML or JSON file`);
  if (size > largestFile) {
    throw fault('INVALID_DATA', `${path} has ${size} bytes, more than ${largestFile}. Give a claim file`);
  }
  return readFileSync(path);
}

function decoded(bytes: Buffer, path: string): string {
  const mark = bytes.subarray(0, 2).toString('hex');
  if (mark === 'fffe' || mark === 'feff') throw fault('INVALID_DATA', `${path} is UTF-16. Save it as UTF-8`);
  try {
    return new TextDecoder('utf-8', { fatal: true }).decode(bytes);
  } catch {
    throw fault('INVALID_DATA', `${path} is no UTF-8 text. Give a YAML or JSON file`);
  }
}

function parsed(text: string, path: string): Tree {
  try {
    return parseTree(text);
  } catch (error) {
    if (!(error instanceof TreeFault)) throw error;
    const reason = error.message.replace(/\.$/, '');
    throw fault('INVALID_DATA', `${path} line ${error.line}: ${reason}. Mend the file`);
  }
}

/** The line of a field, or of the nearest one that holds it. */
export function lineAt(lines: ReadonlyMap<string, number>, field: string): number {
  for (let pointer = field; pointer !== ''; pointer = pointer.slice(0, pointer.lastIndexOf('/'))) {
    const line = lines.get(pointer);
    if (line !== undefined) return line;
  }
  return 1;
}

function refuse(
  complaints: readonly Complaint[],
  { path, lines }: { path: string; lines: Tree['lines'] },
): void {
  if (complaints.length === 0) return;
  const placed = complaints
    .map(({ field, text }) => ({ line: lineAt(lines, field), text }))
    .toSorted((one, other) => one.line - other.line);
  const texts = placed.slice(0, listed).map(({ line, text }) => `${path} line ${line}: ${text}`);
  const more = placed.length > listed ? ` (and ${placed.length - listed} more)` : '';
  throw fault('INVALID_DATA', texts.join('; ') + more);
}

/** Texts that may look like numbers. */
const texts: readonly string[] = ['/subject/name', '/accounting/version'];

/** What was stated: nulls are left out, versions that look like numbers keep their digits. */
function stated(value: unknown, { digits, at = '' }: { digits: Tree['digits']; at?: string }): unknown {
  if (Array.isArray(value)) return value.map(item => stated(item, { digits, at: `${at}/0` }));
  if (typeof value === 'number' && texts.includes(at)) return digits.get(at) ?? String(value);
  if (typeof value !== 'object' || value === null) return value;
  const members = Object.entries(value).filter(([, held]) => held !== null);
  return Object.fromEntries(
    members.map(([name, held]) => [name, stated(held, { digits, at: `${at}/${name}` })]),
  );
}

/** The printed digits where the file has a plain number. */
function printed(value: Printed | null, digits: string | undefined): Printed | null {
  return typeof value === 'number' ? (digits?.replace(/^\+/, '') ?? value) : value;
}

const decimal = /^[-+]?(?:\d+\.?\d*|\.\d+)(?:[eE][-+]?\d+)?$/;

/** Numbers in a spelling without decimal digits, such as 0x3. */
function spellingComplaints(digits: Tree['digits']): Complaint[] {
  return [...digits]
    .filter(([, spelling]) => !decimal.test(spelling))
    .map(([field, spelling]) => ({
      field,
      text: `${fieldName(field)} is ${spelling}. Give it as it was printed, such as 3.0`,
    }));
}

/** Numbers of mechanisms, points and evidence whose digits count. */
const measured =
  /^\/(?:mechanisms\/\d+\/(?:noise\/multiplier|sampler\/(?:rate|batch_size)|epochs|sensitivity)|guarantee\/(?:delta|profile\/\d+\/\w+)|evidence\/epsilon)$/;

/** Their digits, where those are more than the number alone has. */
function settingDigits(digits: Tree['digits']): Record<string, string> {
  const found = [...digits].filter(
    ([field, text]) => measured.test(field) && decimal.test(text) && hasOwnDigits(text),
  );
  return Object.fromEntries(found);
}

function withDigits(claim: Claim, digits: Tree['digits']): Claim {
  const { epsilon, rho, mu } = claim.guarantee;
  const guarantee = {
    ...claim.guarantee,
    epsilon: printed(epsilon, digits.get('/guarantee/epsilon')),
    rho: printed(rho, digits.get('/guarantee/rho')),
    mu: printed(mu, digits.get('/guarantee/mu')),
  };
  const kept = settingDigits(digits);
  return { ...claim, guarantee, ...(Object.keys(kept).length > 0 && { digits: kept }) };
}

/** A claim from the text of its file; `path` names it in errors. */
export function parseClaim(text: string, path: string): Omit<ReadClaim, 'file'> {
  const { value, lines, digits } = parsed(text, path);
  refuse(schemaComplaints(value), { path, lines });
  refuse(spellingComplaints(digits), { path, lines });
  const facts = stated(value, { digits });
  if (!isStatedClaim(facts)) throw fault('INVALID_DATA', `${path} is no claim. Mend the file`);
  const claim = withDigits(claimOf(facts), digits);
  refuse(contradictionsOf(claim), { path, lines });
  return { claim, lines };
}

/**
 * Reads a claim file, YAML or JSON. Whatever is not stated is null in the claim; nothing gets a default.
 *
 * @throws DpError - `MISSING_FILE`, `INVALID_DATA` with the line of what is wrong
 */
export function readClaimFile(path: string): ReadClaim {
  const bytes = readBytes(path);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  return { ...parseClaim(decoded(bytes, path), path), file: { path, sha256 } };
}
