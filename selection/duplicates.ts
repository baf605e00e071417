import type { Records } from './records.ts';

/** Records whose text also occurs under another user; raw counts, not private. */
export interface CrossUserDuplicates {
  /** Records that repeat a text of another user. */
  readonly records: number;
  /** Records looked at: those of at least the minimum length. */
  readonly compared: number;
  /** records ÷ compared, 0 where nothing was compared. */
  readonly share: number;
}

/** How texts are compared: as they are, or as their words. */
export type TextComparison = 'identical' | 'normalised';

/**
 * Lower case, every run of characters other than Unicode letters and digits one space, trimmed.
 *
 * @example
 * ```ts
 * normalisedText('  Ay, my lord! '); // 'ay my lord'
 * ```
 */
export function normalisedText(text: string): string {
  return text
    .toLowerCase()
    .replace(/[^\p{L}\p{N}]+/gu, ' ')
    .trim();
}

/** Occurrences of one text: its first user, whether others have it, and how many records. */
interface Occurrence {
  readonly user: number;
  isShared: boolean;
  count: number;
}

/**
 * How many records repeat a text of another user. Selection per user cannot see these: the formal claim covers rows
 * that are labelled with a user, not copies of them under other names, so a large share is a warning.
 *
 * @param options - `compare`: default `identical`; `minimumLength`: shortest text that counts, in UTF-16 units of the
 *   compared form, default 0
 * @example
 * ```ts
 * import { readRecords, textTable } from 'privacy-unit/selection';
 * const table = textTable({ user: ['ada', 'bo'], id: ['1', '1'], text: ['né', 'né'] });
 * const records = readRecords(table, { user: 'user', id: 'id', text: 'text', file: 'mail.csv' });
 * crossUserDuplicates(records); // { records: 2, compared: 2, share: 1 }
 * ```
 */
export function crossUserDuplicates(
  records: Records,
  options: { compare?: TextComparison; minimumLength?: number } = {},
): CrossUserDuplicates {
  const { compare = 'identical', minimumLength = 0 } = options;
  const seen = new Map<string, Occurrence>();
  let compared = 0;
  for (let row = 0; row < records.rowCount; row++) {
    const user = records.userOf[row]!;
    if (user < 0) continue;
    const text = compare === 'identical' ? records.textAt(row) : normalisedText(records.textAt(row));
    if (text.length < minimumLength) continue;
    compared += 1;
    note(seen, text, user);
  }
  let repeats = 0;
  for (const { isShared, count } of seen.values()) if (isShared) repeats += count;
  return { records: repeats, compared, share: compared === 0 ? 0 : repeats / compared };
}

function note(seen: Map<string, Occurrence>, text: string, user: number): void {
  const found = seen.get(text);
  if (found === undefined) {
    seen.set(text, { user, isShared: false, count: 1 });
    return;
  }
  found.count += 1;
  if (found.user !== user) found.isShared = true;
}
