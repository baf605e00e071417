import { appendFileSync, mkdtempSync, readFileSync, truncateSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { countNoised, openLedger, readLedger, type LedgerEntry } from '../../trainer/ledger.ts';

const header: LedgerEntry = {
  kind: 'header',
  format: 'privacy-unit/ledger',
  version: 1,
  planHash: 'p',
  tableDigest: 't',
  modelDigest: 'm',
  codeVersion: '0.0.0',
  noiseKeyCommitment: 'c',
};
const noised = (step: number): LedgerEntry => ({
  kind: 'noised',
  step,
  drawSize: 3 + step,
  noiseMultiplier: 1.1,
  clipNorm: 0.5,
});

function write(steps: number): string {
  const path = join(mkdtempSync(join(tmpdir(), 'ledger-')), 'ledger.jsonl');
  const ledger = openLedger(path);
  ledger.append(header);
  for (let step = 0; step < steps; step += 1) ledger.append(noised(step));
  ledger.close();
  return path;
}

const edit = (path: string, change: (text: string) => string): void =>
  writeFileSync(path, change(readFileSync(path, 'utf8')));

describe('openLedger()', () => {
  it('reads back what was appended, and goes on from there', () => {
    const path = write(2);
    const ledger = openLedger(path);
    expect(ledger.stepsCounted).toBe(2);
    ledger.append(noised(2));
    ledger.close();
    expect(readLedger(path)).toEqual([header, noised(0), noised(1), noised(2)]);
  });

  it('chains every line to the one before by SHA-256', () => {
    const lines = readFileSync(write(2), 'utf8').trimEnd().split('\n');
    const parsed: { previous: string; hash: string }[] = lines.map(line => JSON.parse(line));
    expect(parsed[0]!.previous).toBe('0'.repeat(64));
    expect(parsed[1]!.previous).toBe(parsed[0]!.hash);
    expect(parsed[2]!.previous).toBe(parsed[1]!.hash);
  });

  it('has the line on the disk when append() returns', () => {
    const path = write(0);
    const ledger = openLedger(path);
    ledger.append(noised(0));
    expect(readLedger(path).at(-1)).toEqual(noised(0));
    ledger.close();
  });

  it('lets go of a last line that a crash cut short, at any byte', () => {
    const whole = readFileSync(write(3), 'utf8');
    const before = whole.lastIndexOf('\n', whole.length - 2) + 1;
    for (let cut = before; cut < whole.length; cut += 23) {
      const path = write(3);
      truncateSync(path, cut);
      const ledger = openLedger(path);
      expect(ledger.stepsCounted).toBe(2);
      ledger.append(noised(2));
      ledger.close();
      expect(readLedger(path)).toHaveLength(4);
    }
  });

  it('reads lines of any length, in letters of several bytes, and goes on after one that was cut short', () => {
    const path = write(0);
    const long = { ...noised(0), participationDigest: 'é€'.repeat(500_000) };
    const ledger = openLedger(path);
    ledger.append(long);
    ledger.append(noised(1));
    ledger.close();
    appendFileSync(path, `{"kind":"noised","participationDigest":"${'é'.repeat(800_000)}`);
    const again = openLedger(path);
    expect(again.entries).toEqual([header, long, noised(1)]);
    again.append(noised(2));
    again.close();
    expect(readLedger(path)).toEqual([header, long, noised(1), noised(2)]);
  });

  it('takes bytes that are no text for a break', () => {
    const path = write(2);
    const bytes = readFileSync(path);
    bytes[bytes.indexOf('"drawSize"') + 1] = 0xff;
    writeFileSync(path, bytes);
    expect(() => openLedger(path)).toThrow('breaks at line 2');
  });

  it.each<[string, (text: string) => string]>([
    ['a changed value', text => text.replace('"drawSize":4', '"drawSize":5')],
    ['a changed noise multiplier', text => text.replace('1.1', '9.9')],
    ['a line left out of the middle', text => text.split('\n').toSpliced(2, 1).join('\n')],
    ['a header left out', text => text.split('\n').slice(1).join('\n')],
    ['two lines swapped', text => text.replace(/(.*\n)(.*\n)(.*\n)/, '$1$3$2')],
    ['a line that is there twice', text => text.replace(/(.*\n)(.*\n)/, '$1$2$2')],
    ['rubbish', text => `${text}{"kind":"noised"}\n`],
    ['an empty line', text => text.replace('\n', '\n\n')],
  ])('notices %s', (_, change) => {
    const path = write(3);
    edit(path, change);
    expect(() => openLedger(path)).toThrow(/^Cannot trust the ledger .*: the hash chain breaks at line \d\./);
    expect(() => readLedger(path)).toThrow(expect.objectContaining({ code: 'CHECK_FAILED' }));
  });

  it('notices every single changed byte', () => {
    const path = write(1);
    const whole = readFileSync(path);
    for (let place = 0; place < whole.length - 1; place += 1) {
      const changed = Buffer.from(whole);
      changed[place] = changed[place] === 0x31 ? 0x32 : 0x31;
      writeFileSync(path, changed);
      expect(() => readLedger(path), `byte ${place}`).toThrow();
    }
  });

  it('refuses to write beside another run', () => {
    const path = write(1);
    const first = openLedger(path);
    const second = openLedger(path);
    first.append(noised(1));
    expect(() => second.append(noised(1))).toThrow('Let only one run at a time write to a folder.');
    first.close();
    second.close();
    expect(readLedger(path)).toHaveLength(3);
  });

  it('takes bytes appended by others for a break', () => {
    const path = write(1);
    appendFileSync(path, 'x\n');
    expect(() => readLedger(path)).toThrow('breaks at line 3');
  });
});

describe('countNoised()', () => {
  const inEpochs: LedgerEntry = { ...header, version: 2, stepsPerEpoch: 4 };
  const at = (step: number, attempt: number): LedgerEntry => ({
    kind: 'noised',
    step,
    attempt,
    drawSize: 1,
    noiseMultiplier: 1,
    clipNorm: 1,
  });
  const steps = (first: number, last: number, attempt: number): LedgerEntry[] =>
    Array.from({ length: last - first + 1 }, (_, index) => at(first + index, attempt));

  it('is the number of noised lines, whatever they are the steps of', () => {
    expect(countNoised([header, ...steps(0, 6, 0), ...steps(5, 9, 1)])).toBe(12);
    expect(countNoised([inEpochs, ...steps(0, 9, 0)])).toBe(10);
    expect(countNoised([inEpochs])).toBe(0);
  });

  it('counts an epoch that was departed from as a whole: each has choices of its own', () => {
    // Epochs 0 and 1, the second left after one step; then 1 anew and 2: at least 3 whole ones and a step.
    expect(countNoised([inEpochs, ...steps(0, 4, 0), ...steps(4, 8, 1)])).toBe(13);
    // Departed three times at the same step: three epochs begun beside the first.
    expect(countNoised([inEpochs, ...steps(0, 3, 0), at(4, 0), at(4, 1), at(4, 2)])).toBe(13);
  });

  it('is kept along by a ledger', () => {
    const ledger = openLedger(null);
    for (const entry of [inEpochs, ...steps(0, 4, 0), ...steps(4, 8, 1)]) ledger.append(entry);
    expect(ledger.stepsCounted).toBe(countNoised(ledger.entries));
  });
});
