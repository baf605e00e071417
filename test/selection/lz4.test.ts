import { describe, expect, it } from 'vitest';
import { decodeLz4Frame } from '../../selection/tables/lz4.ts';

const text = `${'the cat sat on the mat; '.repeat(3)}${'a'.repeat(46)}`.repeat(3);

/** Written by the lz4 command (1.9): as it comes, and with block checksums and the content size. */
const frames = {
  plain:
    '04224d186440a745000000f0007468652063617420736174206f6e200f00416d61743b09000f1800191f6101001a0067000f5e00190f3000050f75001a1f614600050f18001d0f7600165061616161610000000058396eeb',
  checked:
    '04224d187c406201000000000000a745000000f0007468652063617420736174206f6e200f00416d61743b09000f1800191f6101001a0067000f5e00190f3000050f75001a1f614600050f18001d0f760016506161616161d8b5003f0000000058396eeb',
};

describe('decodeLz4Frame()', () => {
  it.each(Object.entries(frames))('decodes a frame of the reference program (%s)', (_, hex) => {
    expect(Buffer.from(decodeLz4Frame(Buffer.from(hex, 'hex'))).toString()).toBe(text);
  });

  it('copies blocks that are stored as they are', () => {
    const frame = Buffer.from('04224d186040000300008061626300000000', 'hex');
    expect(Buffer.from(decodeLz4Frame(frame)).toString()).toBe('abc');
  });

  it('refuses other bytes, cut frames, and matches that reach before the start', () => {
    expect(() => decodeLz4Frame(Buffer.from('no frame at all'))).toThrow(RangeError);
    expect(() => decodeLz4Frame(Buffer.from(frames.plain, 'hex').subarray(0, 60))).toThrow(RangeError);
    const reaching = Buffer.from('04224d18604000040000001061ff0000000000', 'hex');
    expect(() => decodeLz4Frame(reaching)).toThrow(RangeError);
  });
});
