import { describe, expect, it } from 'vitest';
import { isHeldOut } from '../../selection/held-out.ts';
import { failureOf } from './fixtures.ts';

const users = Array.from({ length: 4000 }, (_, i) => `user-${i}`);

describe('isHeldOut()', () => {
  it('holds out about the fraction asked for (false alarm below 1e-6)', () => {
    for (const fraction of [0.05, 0.5]) {
      const held = users.filter(user => isHeldOut(user, { fraction, seed: '42' })).length;
      const deviation = Math.sqrt(users.length * fraction * (1 - fraction));
      expect(Math.abs(held - users.length * fraction)).toBeLessThan(4.9 * deviation);
    }
  });

  it('only adds users as the fraction grows, and answers by user and seed alone', () => {
    for (const user of users.slice(0, 200)) {
      const at = (fraction: number): boolean => isHeldOut(user, { fraction, seed: '42' });
      expect(at(0)).toBe(false);
      if (at(0.2)) expect(at(0.4)).toBe(true);
    }
    const held = (seed: string): string[] => users.filter(user => isHeldOut(user, { fraction: 0.1, seed }));
    expect(held('1')).not.toEqual(held('2'));
  });

  it('refuses fractions outside [0, 1)', async () => {
    for (const fraction of [-0.1, 1, Number.NaN]) {
      expect((await failureOf(() => isHeldOut('u', { fraction, seed: '' }))).code).toBe('INVALID_ARGUMENT');
    }
  });
});
