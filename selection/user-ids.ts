import { checkChoice } from '../accounting/check.ts';

/**
 * Ways of writing one user id: `nfc` composes letters and their accents, `trim` takes white space off both ends, `spaces`
 * makes every run of white space inside one space, `lower` ignores case.
 */
export type UserNormalisation = 'nfc' | 'trim' | 'spaces' | 'lower';

export const userNormalisations: readonly UserNormalisation[] = ['nfc', 'trim', 'spaces', 'lower'];

/** Lower case first: it may leave letters and accents apart that `nfc` then composes. */
const steps: readonly (readonly [UserNormalisation, (user: string) => string])[] = [
  ['lower', user => user.toLowerCase()],
  ['nfc', user => user.normalize('NFC')],
  ['spaces', user => user.replace(/\s+/gu, ' ')],
  ['trim', user => user.trim()],
];

/**
 * One written form of a user id. A public map of single ids, so it spends nothing: two ids that meet are one user from
 * then on, and the cap holds for both together. To be applied before anything is counted or selected.
 *
 * @param modes - in any order; none leaves the id as it is
 * @returns may be empty (white space alone under `trim`), which the policy for null users then covers
 * @throws DpError `INVALID_ARGUMENT` for an unknown mode
 * @example
 * ```ts
 * normaliseUser(' Ada  Lovelace', ['trim', 'spaces', 'lower']); // 'ada lovelace'
 * ```
 */
export function normaliseUser(user: string, modes: readonly UserNormalisation[]): string {
  for (const mode of modes) {
    checkChoice(mode, { verb: 'normalise users', name: 'a mode', choices: userNormalisations });
  }
  return folded(user, modes);
}

function folded(user: string, modes: readonly UserNormalisation[]): string {
  let form = user;
  for (const [mode, apply] of steps) if (modes.includes(mode)) form = apply(form);
  return form;
}

/** Groups of two or more ids with one normalised form, and the ids in them. */
export interface VariantCounts {
  readonly groups: number;
  readonly ids: number;
}

/** Raw counts, not private; the ids themselves are never told. */
export interface UserIdVariants extends VariantCounts {
  /** What each mode would bring together by itself. */
  readonly byMode: Readonly<Record<UserNormalisation, VariantCounts>>;
}

function countGroups(users: Iterable<string>, modes: readonly UserNormalisation[]): VariantCounts {
  const sizes = new Map<string, number>();
  for (const user of users) {
    const form = folded(user, modes);
    sizes.set(form, (sizes.get(form) ?? 0) + 1);
  }
  let groups = 0;
  let ids = 0;
  for (const size of sizes.values()) {
    if (size < 2) continue;
    groups += 1;
    ids += size;
  }
  return { groups, ids };
}

const noGroups: VariantCounts = { groups: 0, ids: 0 };

/**
 * Counts user ids that differ by case, white space or Unicode normalisation alone. Two ids of one person let that
 * person keep 2k records, so groups are worth a warning; `normaliseUser` mends them.
 *
 * @param users - distinct ids
 * @returns `groups` and `ids` under all modes together
 * @example
 * ```ts
 * const { groups, ids, byMode } = userIdVariants(['Ada', 'ada', 'ada ', 'bo']);
 * [groups, ids]; // [1, 3]
 * byMode.lower; // { groups: 1, ids: 2 }
 * ```
 */
export function userIdVariants(users: readonly string[]): UserIdVariants {
  const all = countGroups(users, userNormalisations);
  const alone = (mode: UserNormalisation): VariantCounts =>
    all.groups === 0 ? noGroups : countGroups(users, [mode]);
  return {
    ...all,
    byMode: { nfc: alone('nfc'), trim: alone('trim'), spaces: alone('spaces'), lower: alone('lower') },
  };
}
