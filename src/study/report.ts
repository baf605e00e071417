import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { readJson, writeWhole } from '../files.ts';
import { renderJson } from '../output.ts';
import { renderCsv } from './csv.ts';
import { findingsOf, type StudyFacts, type StudyFindings } from './findings.ts';
import { hasResult, readConfiguration, readPlannedRuns, readResult } from './folder.ts';
import { renderStudy } from './page.ts';

const factsName = 'facts.json';

/** What a report needs beside results: kept, so that one can be written without the table. */
interface KeptFacts extends Omit<StudyFacts, 'configuration' | 'repetitions' | 'progress'> {
  readonly format: 'privacy-unit/study-facts';
  readonly version: 1;
  /** Runs that the study makes in all. */
  readonly runs: number;
}

/** Keeps what a report needs, before any run is made. */
export function writeFacts(folder: string, facts: Omit<KeptFacts, 'format' | 'version'>): void {
  const fixed = { format: 'privacy-unit/study-facts', version: 1 } as const;
  writeWhole(join(folder, factsName), renderJson({ ...fixed, ...facts }));
}

/**
 * Reads what a report needs.
 *
 * @throws DpError `INVALID_DATA` where the folder holds no study that has begun to train
 */
function readFacts(folder: string): StudyFacts & { readonly runs: number } {
  const path = join(folder, factsName);
  const asked = readConfiguration(folder);
  if (asked === undefined || !existsSync(path))
    throw new DpError(
      'INVALID_DATA',
      `Cannot report on ${folder}: it holds no study that has begun to train. Give the folder of one with --out.`,
    );
  const { configuration, repetitions } = asked;
  const kept: KeptFacts = JSON.parse(JSON.stringify(readJson(path, 'the facts of the study')));
  const { format: _, version: __, ...facts } = kept;
  return { ...facts, configuration, repetitions };
}

/**
 * Writes the report of a study from its folder alone, as far as it has come.
 *
 * @throws DpError `INVALID_DATA` where no run is done
 */
export function reportOf(folder: string): StudyFindings {
  const { runs: of, ...facts } = readFacts(folder);
  const done = [...readPlannedRuns(folder).keys()].filter(name => hasResult(folder, name));
  if (done.length === 0)
    throw new DpError(
      'INVALID_DATA',
      `Cannot report on ${folder}: 0 of ${of} runs are done. Run the study first, for as long as a run takes.`,
    );
  const progress = done.length < of ? { progress: { done: done.length, of } } : {};
  const findings = findingsOf(
    done.map(name => readResult(folder, name)),
    { ...facts, ...progress },
  );
  writeWhole(join(folder, 'results.csv'), renderCsv(findings.runs));
  writeWhole(join(folder, 'results.json'), renderJson(findings));
  writeWhole(join(folder, 'report.html'), renderStudy(findings));
  return findings;
}

// A report must not take longer than a twentieth of what it reports on: composing many runs takes its time.
const share = 20;

/** Writes reports while a study goes on, as often as that takes little of its time. */
export function openReports(folder: string): () => void {
  let notBefore = 0;
  return () => {
    const started = performance.now();
    if (started < notBefore) return;
    reportOf(folder);
    const ended = performance.now();
    notBefore = ended + share * (ended - started);
  };
}
