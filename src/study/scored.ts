import { existsSync, mkdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import type { Plan } from '../../accounting/index.ts';
import { curate, usesScores, type Records } from '../../selection/index.ts';
import { perplexityScorer, type LanguageModel } from '../../trainer/index.ts';
import type { Engine } from '../../trainer/engines/engine.ts';
import type { Surroundings } from '../command.ts';
import type { DemoSource } from '../demo/source.ts';
import { modelDigest } from '../models.ts';
import { readUserTable } from '../table.ts';

interface ScoringPlace {
  readonly source: DemoSource;
  readonly folder: string;
  /** The starting model, which saw public text alone. */
  readonly model: LanguageModel;
  readonly engine: Engine;
  readonly around: Surroundings;
}

/** The table from which a plan's users come: ranking by perplexity needs scores of the starting model first. */
export async function recordsFor(plan: Plan, place: ScoringPlace): Promise<Records> {
  const { source, folder, model, engine, around } = place;
  const { strategy, seed } = plan.selection;
  if (!usesScores(strategy)) return source.records;
  const { recordsPerUser } = plan.unit;
  const out = join(folder, 'selected', `${strategy}-k${recordsPerUser}-${seed.replaceAll(/\W/g, '-')}.arrow`);
  if (!existsSync(out)) {
    mkdirSync(dirname(out), { recursive: true });
    const scorer = perplexityScorer(model, engine);
    try {
      await curate({
        table: source.path,
        columns: source.columns,
        ...source.policies,
        rule: { strategy, seed, recordsPerUser },
        scorer: { ...scorer, provenance: 'public', name: 'starting model', hash: modelDigest(model) },
        out,
        signal: around.signal,
      });
    } finally {
      scorer.dispose();
    }
  }
  const { user, id, text = 'text' } = source.columns;
  return (await readUserTable(out, { user, id: id ?? 'record_id', text, needsText: true })).records;
}
