import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readRecords } from '../../selection/records.ts';
import { readTable } from '../../selection/tables/index.ts';
import {
  normaliseUser,
  userIdVariants,
  type UserNormalisation,
  userNormalisations,
} from '../../selection/user-ids.ts';
import { hasShared, sharedPath } from '../support/shared.ts';
import { failureOf } from './fixtures.ts';

const someModes = fc.subarray([...userNormalisations]);
const someUser = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 8 }),
  fc.constantFrom('İ', 'T\u0308', 'e\u0301', '\u212b', 'ΑΣ', ' \u00a0a\t b ', 'ǅ'),
);

describe('normaliseUser()', () => {
  it('does what each mode says and nothing else', () => {
    const user = ' Gr\u0061\u0301n\u00a0  D ';
    expect(normaliseUser(user, [])).toBe(user);
    expect(normaliseUser(user, ['nfc'])).toBe(' Gr\u00e1n\u00a0  D ');
    expect(normaliseUser(user, ['trim'])).toBe('Gr\u0061\u0301n\u00a0  D');
    expect(normaliseUser(user, ['spaces'])).toBe(' Gr\u0061\u0301n D ');
    expect(normaliseUser(user, ['lower'])).toBe(' gr\u0061\u0301n\u00a0  d ');
    expect(normaliseUser(' \t', ['trim'])).toBe('');
    expect(normaliseUser('J\u030c', ['nfc', 'lower'])).toBe('\u01f0');
  });

  it('changes nothing the second time, in whatever order the modes are named', () => {
    fc.assert(
      fc.property(someUser, someModes, (user, modes) => {
        const once = normaliseUser(user, modes);
        expect(normaliseUser(once, modes)).toBe(once);
        expect(normaliseUser(user, modes.toReversed())).toBe(once);
      }),
      { numRuns: 1000 },
    );
  });

  it('refuses a mode it does not know, without the user id', async () => {
    // oxlint-disable-next-line no-unsafe-type-assertion -- what a command line may pass
    const modes = ['upper' as UserNormalisation];
    const { code, message } = await failureOf(() => normaliseUser('Ada', modes));
    expect(code).toBe('INVALID_ARGUMENT');
    expect(message).not.toContain('Ada');
  });
});

describe('userIdVariants()', () => {
  it('counts groups and their ids, by each mode and by all together', () => {
    const users = ['Ada', 'ada', ' ada', 'b  o', 'b o', 'é', 'e\u0301', 'cy'];
    expect(userIdVariants(users)).toEqual({
      groups: 3,
      ids: 7,
      byMode: {
        nfc: { groups: 1, ids: 2 },
        trim: { groups: 1, ids: 2 },
        spaces: { groups: 1, ids: 2 },
        lower: { groups: 1, ids: 2 },
      },
    });
  });

  it('finds none among ids that stay apart, and only numbers come out', () => {
    expect(userIdVariants(['ada', 'bo']).groups).toBe(0);
    expect(JSON.stringify(userIdVariants(['secret', 'Secret']))).not.toMatch(/secret/i);
  });

  it('agrees with what normaliseUser() would merge', () => {
    fc.assert(
      fc.property(fc.uniqueArray(someUser, { maxLength: 30 }), users => {
        const forms = users.map(user => normaliseUser(user, userNormalisations));
        const { groups, ids } = userIdVariants(users);
        expect(users.length - ids + groups).toBe(new Set(forms).size);
      }),
    );
  });

  // Skipped only where there is no ../shared/data beside the checkout.
  it.skipIf(!hasShared)('finds the two pairs of shakespeare-speeches that differ by case', async () => {
    const file = 'shakespeare-speeches.parquet';
    const table = await readTable(sharedPath(`data/${file}`));
    const { users } = readRecords(table, { user: 'user', id: 'record_id', file });
    const { groups, ids, byMode } = userIdVariants(users);
    expect({ groups, ids }).toEqual({ groups: 2, ids: 4 });
    expect(byMode.lower).toEqual({ groups: 2, ids: 4 });
    expect(byMode.nfc.groups).toBe(0);
  });
});
