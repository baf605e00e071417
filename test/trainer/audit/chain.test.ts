import { readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readChainContent } from '../../../trainer/audit/chain.ts';
import { readLedger, type LedgerEntry } from '../../../trainer/ledger.ts';
import { edited, entriesOf, planOf, write } from './ledgers.ts';

const path = write(entriesOf(planOf({ steps: 4 })));
const lines = readFileSync(path, 'utf8').split('\n');

describe('readChainContent()', () => {
  it('gives the lines of a sound ledger, with their hashes', () => {
    const { chain, entries } = readChainContent(path);
    const { hash }: { hash: string } = JSON.parse(lines[5]!);
    expect(chain).toEqual({ holds: true, lines: 6, head: hash, broken: null });
    expect(entries).toEqual(readLedger(path));
  });

  it.each<[string, number, string, (text: string) => string]>([
    ['a changed digit', 3, 'changed', text => text.replace('"step":1,', '"step":7,')],
    ['a line of rubbish', 2, 'changed', text => text.replace('\n', '\nrubbish\n')],
    ['a missing line', 3, 'missing', text => text.split('\n').toSpliced(2, 1).join('\n')],
    ['a missing header', 1, 'missing', text => text.split('\n').slice(1).join('\n')],
    ['swapped lines', 2, 'moved', text => text.replace(/(.*\n)(.*\n)(.*\n)/, '$1$3$2')],
    ['the header at the end', 1, 'moved', text => text.replace(/(.*\n)([^]*)/, '$2$1')],
    ['a line written twice', 3, 'repeated', text => text.replace(/(.*\n)(.*\n)/, '$1$2$2')],
    ['a last line cut short', 6, 'cut-short', text => text.slice(0, -20)],
    ['a last line break cut off', 6, 'cut-short', text => text.slice(0, -1)],
  ])('says where and how: %s', (_, line, fault, change) => {
    const { chain, entries } = readChainContent(edited(path, change));
    expect(chain).toMatchObject({ holds: false, broken: { line, fault } });
    expect(entries).toHaveLength(line - 1);
    expect(chain.broken!.text).toMatch(new RegExp(`^Line ${line} `));
  });

  it.each<[string, (entry: LedgerEntry) => object]>([
    ['a negative draw', entry => ({ ...entry, drawSize: -1 })],
    ['a text for noise', entry => ({ ...entry, noiseMultiplier: '1' })],
    ['a kind that there is not', entry => ({ ...entry, kind: 'toString' })],
    ['a second header', entry => ({ ...entry, kind: 'header' })],
    ['an epsilon that is none', entry => ({ ...entry, soFar: { steps: 1, epsilonUpper: 'small' } })],
  ])('finds a line that is chained and yet no line of a ledger: %s', (_, change) => {
    const entries = readLedger(path);
    // oxlint-disable-next-line no-unsafe-type-assertion -- a line as a forger could write it
    const forged = entries.with(2, change(entries[2]!) as LedgerEntry);
    expect(readChainContent(write(forged)).chain.broken).toMatchObject({ line: 3, fault: 'malformed' });
  });

  it.each<[string, object]>([
    ['a number for a digest', { manifestDigest: 5 }],
    [
      'settings without an optimizer',
      { settings: { schedule: { learningRate: 1, warmupSteps: 0, decay: 'cosine' } } },
    ],
    [
      'a learning rate that is none',
      {
        settings: {
          schedule: { learningRate: 'fast', warmupSteps: 0, decay: 'cosine' },
          optimizer: { kind: 'sgd' },
        },
      },
    ],
    ['null for settings', { settings: null }],
    ['a plan far too deep', { plan: JSON.parse('['.repeat(3000) + ']'.repeat(3000)) }],
  ])('finds a header that is none: %s', (_, change) => {
    const entries = readLedger(path);
    const forged = entries.with(0, { ...entries[0]!, ...change });
    expect(readChainContent(write(forged)).chain.broken).toMatchObject({ line: 1, fault: 'malformed' });
  });

  it('lets fields of later releases pass', () => {
    const forged = readLedger(path).map(entry => ({ ...entry, later: 1 }));
    expect(readChainContent(write(forged)).chain.holds).toBe(true);
  });

  it('notices any change of any byte, whatever it becomes', () => {
    const whole = readFileSync(path);
    const changed = edited(path, text => text);
    const change = fc.record({
      at: fc.nat({ max: whole.length - 1 }),
      mask: fc.integer({ min: 1, max: 255 }),
    });
    fc.assert(
      fc.property(change, ({ at, mask }) => {
        const bytes = Buffer.from(whole);
        bytes[at]! ^= mask;
        writeFileSync(changed, bytes);
        return !readChainContent(changed).chain.holds;
      }),
      { numRuns: 300 },
    );
  });

  it('reads lines that reach over many pieces of the file, and ones that are no text', () => {
    const entries = readLedger(path);
    const long = entries.with(1, Object.assign({ ...entries[1]! }, { later: 'ü'.repeat(3e6) }));
    const other = write(long);
    expect(readChainContent(other)).toMatchObject({ chain: { holds: true, lines: 6 }, entries: long });
    const bytes = readFileSync(other);
    bytes[bytes.length - 3] = 0xff;
    writeFileSync(other, bytes);
    expect(readChainContent(other).chain).toMatchObject({ lines: 5, broken: { line: 6, fault: 'changed' } });
  });

  it('takes no text for the bytes that were read as it', () => {
    // What is no UTF-8 reads as a replacement, whose hash a forger could give.
    const text = '\u{fffd}';
    const forged = write(readLedger(path).map(entry => Object.assign({ ...entry }, { later: text })));
    const bytes = readFileSync(forged);
    const at = bytes.indexOf(text, bytes.indexOf('\n'));
    writeFileSync(forged, Buffer.concat([bytes.subarray(0, at), Buffer.of(0xff), bytes.subarray(at + 3)]));
    expect(readChainContent(forged).chain.broken).toMatchObject({ line: 2, fault: 'changed' });
  });

  it('refuses what is no ledger', () => {
    expect(() => readChainContent(tmpdir())).toThrow(expect.objectContaining({ code: 'INVALID_DATA' }));
    expect(() => readChainContent(`${path}.gone`)).toThrow(expect.objectContaining({ code: 'MISSING_FILE' }));
    for (const text of ['', 'hello\n', '[1, 2]\n'])
      expect(() => readChainContent(edited(path, () => text))).toThrow(
        expect.objectContaining({ code: 'INVALID_DATA' }),
      );
  });
});
