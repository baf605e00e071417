import { describe, expect, it } from 'vitest';
import { crossUserDuplicates, normalisedText } from '../../selection/duplicates.ts';
import { recordsOf } from './fixtures.ts';

const rows = [
  ['ada', 'Yes!'],
  ['ada', 'Yes!'],
  ['bo', 'yes'],
  ['bo', 'Only Bo says this'],
  ['cy', 'Yes!'],
  ['cy', '…'],
  ['dee', '---'],
] as const;

const records = recordsOf(rows.map(([user, text], i) => ({ user, text, id: `${i}`, score: 0 })));

describe('crossUserDuplicates()', () => {
  it('counts records whose text another user has too, not repeats of one user', () => {
    expect(crossUserDuplicates(records)).toEqual({ records: 3, compared: 7, share: 3 / 7 });
    const own = { ...records, userOf: Int32Array.of(0, 0, 1, 1, -1, 2, 3) };
    expect(crossUserDuplicates(own)).toEqual({ records: 0, compared: 6, share: 0 });
  });

  it('compares words where asked to, from a minimum length on', () => {
    expect(crossUserDuplicates(records, { compare: 'normalised' }).records).toBe(6);
    expect(crossUserDuplicates(records, { compare: 'normalised', minimumLength: 1 }).records).toBe(4);
    expect(crossUserDuplicates(records, { minimumLength: 100 })).toEqual({
      records: 0,
      compared: 0,
      share: 0,
    });
  });
});

describe('normalisedText()', () => {
  it('keeps letters and digits of any script, in lower case', () => {
    expect(normalisedText(' Ça va?  №7—ОК\n')).toBe('ça va 7 ок');
  });
});
