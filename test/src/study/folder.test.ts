import { existsSync, mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  checkStudyFolder,
  hasResult,
  checkSameStudy,
  readResult,
  runFolder,
  writeResult,
  writeStudy,
} from '../../../src/study/folder.ts';
import { temporaryFolder } from '../support.ts';
import { privateResult } from './made-up.ts';

const folder = temporaryFolder();
const configuration = { '--epsilon': [2, 8], '--delta': null };

describe('checkSameStudy()', () => {
  const place = join(folder, 'study');

  it('takes the same configuration again, and more repetitions', () => {
    checkSameStudy(place, { configuration, repetitions: 2 });
    writeStudy(place, { configuration, repetitions: 2 });
    checkSameStudy(place, { configuration, repetitions: 2 });
    checkSameStudy(place, { configuration, repetitions: 3 });
  });

  it('refuses fewer repetitions, and names whatever changed', () => {
    expect(() => checkSameStudy(place, { configuration, repetitions: 1 })).toThrow(
      '--seeds was 2 and is 1 now',
    );
    const changed = { ...configuration, '--epsilon': [2] };
    expect(() => checkSameStudy(place, { configuration: changed, repetitions: 2 })).toThrow(
      '--epsilon was [2,8] and is [2] now',
    );
  });

  it('refuses what is no study', () => {
    const other = join(folder, 'other');
    mkdirSync(other);
    writeFileSync(join(other, 'corpus-public.arrow'), '');
    checkStudyFolder(other);
    writeFileSync(join(other, 'letter.txt'), 'hello');
    expect(() => checkStudyFolder(other)).toThrow('holds 1 entries that are no study');
    writeFileSync(join(other, 'study.json'), '{}');
    expect(() => checkSameStudy(other, { configuration, repetitions: 1 })).toThrow(
      'is not the configuration',
    );
  });
});

describe('results', () => {
  const result = {
    ...privateResult({ mechanism: 'user-wise' }, { byUser: 5 }),
    epsilon: { lower: 1, upper: Infinity },
  };

  it('come back as they were, infinities as well', () => {
    writeResult(folder, result, { keepModel: false });
    expect(hasResult(folder, result.name)).toBe(true);
    expect(readResult(folder, result.name)).toEqual(result);
  });

  it('let go of model and checkpoint, unless they are to be kept', () => {
    const place = runFolder(folder, result.name);
    for (const keepModel of [true, false]) {
      mkdirSync(join(place, 'model'), { recursive: true });
      writeFileSync(join(place, 'checkpoint.bin'), '');
      writeResult(folder, result, { keepModel });
      expect(existsSync(join(place, 'model'))).toBe(keepModel);
      expect(existsSync(join(place, 'checkpoint.bin'))).toBe(false);
    }
    expect(readdirSync(join(folder, 'results'))).toEqual([`${result.name}.json`]);
  });

  it('that are broken or of another run are refused', () => {
    writeFileSync(join(folder, 'results', 'a.json'), '{');
    expect(() => readResult(folder, 'a')).toThrow('is not JSON');
    writeFileSync(join(folder, 'results', 'a.json'), JSON.stringify({ ...result, name: 'b' }));
    expect(() => readResult(folder, 'a')).toThrow('is not that of a');
  });
});
