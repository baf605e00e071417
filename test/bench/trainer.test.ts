import { describe, expect, it } from 'vitest';
import { openRelease, ratiosWithRelease } from '../../bench/trainer-release.ts';

describe('ratiosWithRelease()', () => {
  it('counts the release once a logical step, however many micro-batches it has', () => {
    const steps = {
      plain: { cpu: 1, wall: 9 },
      record: { cpu: 1.5, wall: 9 },
      user: { cpu: 1.25, wall: 9 },
    };
    expect(ratiosWithRelease(steps, { cpu: 0.8, wall: 9 })).toEqual({
      '1 micro-batch': { record: 2.3, user: 2.05 },
      '8 micro-batches': { record: 1.6, user: 1.35 },
    });
  });
});

describe('openRelease()', () => {
  it('releases step after step, and leaves nothing behind', async () => {
    const release = openRelease(100);
    await release.run();
    await release.run();
    release.close();
    expect(() => release.close()).toThrow();
  });
});
