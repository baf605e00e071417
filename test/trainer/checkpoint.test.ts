import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  decodeCheckpoint,
  encodeCheckpoint,
  readCheckpoint,
  type Checkpoint,
} from '../../trainer/checkpoint.ts';
import { sha256 } from '../../trainer/digest.ts';
import { writeAtomically } from '../../trainer/durable.ts';

const planHash = 'a'.repeat(64);
const checkpoint: Checkpoint = {
  step: 7,
  parameters: Float32Array.of(1.5, -2, 3e-40),
  optimizer: { updates: 7, moments: [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)] },
};
const file = (): string => join(mkdtempSync(join(tmpdir(), 'checkpoint-')), 'checkpoint.bin');

describe('encodeCheckpoint() and decodeCheckpoint()', () => {
  it('are inverse, bit for bit', () => {
    expect(decodeCheckpoint(encodeCheckpoint(checkpoint, planHash), 'memory')).toEqual(checkpoint);
  });

  it('refuse bytes cut off anywhere, and bytes too many', () => {
    const bytes = encodeCheckpoint(checkpoint, planHash);
    for (let length = 0; length < bytes.length; length += 1) {
      expect(() => decodeCheckpoint(bytes.subarray(0, length), 'memory')).toThrow(
        /^Cannot read the checkpoint memory/,
      );
    }
    expect(() => decodeCheckpoint(Buffer.concat([bytes, Buffer.alloc(4)]), 'memory')).toThrow('Cannot read');
  });
});

describe('readCheckpoint()', () => {
  it('is undefined where there is none', () => {
    expect(readCheckpoint(file(), { digests: new Set(), planHash })).toBeUndefined();
  });

  it('takes only what the ledger recorded', () => {
    const path = file();
    const bytes = encodeCheckpoint(checkpoint, planHash);
    writeAtomically(path, bytes);
    expect(readCheckpoint(path, { digests: new Set(['other', sha256(bytes)]), planHash })).toEqual(
      checkpoint,
    );
    const changed = Buffer.from(bytes);
    changed[changed.length - 1]! ^= 1;
    writeFileSync(path, changed);
    expect(() => readCheckpoint(path, { digests: new Set([sha256(bytes)]), planHash })).toThrow(
      expect.objectContaining({ code: 'CHECK_FAILED' }),
    );
  });
});

it('readCheckpoint() says where a checkpoint is of a run of another plan', () => {
  const path = file();
  writeAtomically(path, encodeCheckpoint(checkpoint, 'b'.repeat(64)));
  expect(() => readCheckpoint(path, { digests: new Set(), planHash })).toThrow(
    `Cannot read the checkpoint ${path}: it is of a run of another plan (hash bbbbbbbbbbbb, not aaaaaaaaaaaa).`,
  );
});

describe('writeAtomically()', () => {
  it('leaves no temporary file and replaces what was there', () => {
    const path = file();
    writeAtomically(path, Buffer.from('one'));
    writeAtomically(path, Buffer.from('two'));
    expect(readFileSync(path, 'utf8')).toBe('two');
    expect(existsSync(`${path}.partial`)).toBe(false);
  });

  it('keeps the old content where a write was cut short', () => {
    const path = file();
    writeAtomically(path, Buffer.from('one'));
    writeFileSync(`${path}.partial`, 'tw');
    expect(readFileSync(path, 'utf8')).toBe('one');
  });
});

it('writeAtomically() leaves nothing behind where it fails', () => {
  const path = file();
  mkdirSync(join(path, 'taken'), { recursive: true });
  expect(() => writeAtomically(path, new Uint8Array(8))).toThrow(/EISDIR|ENOTEMPTY|EEXIST/);
  expect(readdirSync(dirname(path))).toEqual(['checkpoint.bin']);
});
