import { join } from 'node:path';
import { DpError } from '../../accounting/check.ts';
import { writeWhole } from '../files.ts';
import { renderJson } from '../output.ts';
import { renderCsv } from './csv.ts';
import { findingsOf, type StudyFindings } from './findings.ts';
import { hasResult, readFacts, readPlannedRuns, readResult } from './folder.ts';
import { renderStudy } from './page.ts';

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
