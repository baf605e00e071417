import { DpError } from '../../accounting/check.ts';
import { isObject, parseJson } from './json.ts';

/** Where a model's parameters come from; written beside them and never lost on the way. */
export interface Provenance {
  /** Whether any text that it was trained on is private. */
  readonly trainedOn: 'public' | 'private';
  /** Name of the tokenizer it reads: `bytes`, `gpt2`, or `tokenizer.json` for a file beside the weights. */
  readonly tokenizer: string;
  /** What the text was. */
  readonly corpus?: string;
  /** What is promised to the people who wrote it; absent where nothing is. */
  readonly guarantee?: Readonly<Record<string, unknown>>;
}

/** One place that may say where a model is from, and what it holds: undefined where it says nothing. */
export interface Claim {
  readonly place: string;
  readonly value: unknown;
}

/** The key under which provenance stands in `config.json` and in the metadata of safetensors. */
export const provenanceKey = 'privacy_unit';

function isProvenance(value: unknown): value is Provenance {
  if (!isObject(value)) return false;
  const { trainedOn, tokenizer } = value;
  return (trainedOn === 'public' || trainedOn === 'private') && typeof tokenizer === 'string';
}

/** What the metadata of a safetensors file says. */
export function claimOfMetadata(metadata: Readonly<Record<string, string>>, place: string): Claim {
  const text = metadata[provenanceKey];
  return { place, value: text === undefined ? undefined : (parseJson(text) ?? text) };
}

/**
 * Where a model is from, by everything that says so: private wherever one place says private, since files that
 * were copied, merged or rewritten by other tools lose such notes but never gain them.
 *
 * @param options - given: taken where no place says anything, and where it says private; whoever gives it vouches
 *   for it
 * @throws DpError `INVALID_DATA` where nothing is said and nobody vouches, or what is said can't be read
 */
export function provenanceOf(
  claims: readonly Claim[],
  { folder, given }: { folder: string; given?: Provenance | undefined },
): Provenance {
  const stated = claims.filter(({ value }) => value !== undefined).map(checked);
  const all = given === undefined ? stated : [...stated, given];
  const found = all.find(({ trainedOn }) => trainedOn === 'private') ?? all[0];
  if (found !== undefined) return found;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: nothing in ${folder} says whether the text it was trained on is public or private. ` +
      'Say it yourself (--trained-on public): you vouch for it.',
  );
}

function checked({ place, value }: Claim): Provenance {
  if (isProvenance(value)) return value;
  throw new DpError(
    'INVALID_DATA',
    `Cannot load the model: ${place} names no trainedOn ('public' or 'private') and tokenizer. Restore the file.`,
  );
}
