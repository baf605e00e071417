import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { DpError } from '../accounting/check.ts';
import { canonicalOrder } from './contract.ts';
import { readFailure } from './tables/source.ts';

/**
 * Digest of a set of kept record ids, the same whatever order, engine or machine they came from: ids sorted by UTF-8
 * bytes, joined by `\n`, SHA-256, first 16 hex digits.
 *
 * @example
 * ```ts
 * keptIdsDigest(['b', 'a']) === keptIdsDigest(['a', 'b']); // true
 * keptIdsDigest([]); // 'e3b0c44298fc1c14'
 * ```
 */
export function keptIdsDigest(ids: readonly string[]): string {
  const hash = createHash('sha256');
  const sorted = canonicalOrder(ids);
  for (const [index, id] of sorted.entries()) hash.update(index === 0 ? id : `\n${id}`);
  return hash.digest('hex').slice(0, 16);
}

/**
 * Size and SHA-256 (hex) of a file, read in pieces.
 *
 * @throws DpError `MISSING_FILE`; `INTERRUPTED` where the signal says so
 * @example
 * ```ts
 * await fileDigest('/does/not/exist').catch(error => error.code); // 'MISSING_FILE'
 * ```
 */
export async function fileDigest(
  path: string,
  options: { signal?: AbortSignal | undefined } = {},
): Promise<{ bytes: number; sha256: string }> {
  try {
    const { size } = await stat(path);
    const hash = createHash('sha256');
    for await (const piece of createReadStream(path, { highWaterMark: 2 ** 20 })) {
      if (options.signal?.aborted === true)
        throw new DpError('INTERRUPTED', 'Cannot hash files: interrupted. Start again; nothing was written.');
      hash.update(piece);
    }
    return { bytes: size, sha256: hash.digest('hex') };
  } catch (error) {
    throw readFailure(path, error);
  }
}
