import type { Model } from './gpt.ts';
import type { JsonObject } from './json.ts';
import type { Provenance } from './provenance.ts';

/** The files that a model's own weights were read from; of an adapter, those of its base. */
export interface ModelSource {
  /** An absolute path. */
  readonly folder: string;
  /** `config.json` as it stands there. */
  readonly config: JsonObject;
  /** What an adapter that was read calls it, where that is a name such as `openai-community/gpt2` and no path. */
  readonly name?: string | undefined;
}

/** A model as it lies in a folder. */
export interface StoredModel extends Model {
  readonly provenance: Provenance;
  readonly source?: ModelSource | undefined;
}
