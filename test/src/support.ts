import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll } from 'vitest';
import { runProgram } from '../../src/program.ts';

/** What a command line wrote and how it would have ended. */
export interface Outcome {
  readonly code: number;
  readonly stdout: string;
  readonly stderr: string;
}

/** Runs a command line in this process, as from a pipe: no terminal, nothing interrupted. */
export async function runCli(...argv: string[]): Promise<Outcome> {
  const written = { stdout: '', stderr: '' };
  const code = await runProgram(argv, {
    stdout: { write: text => (written.stdout += text) },
    stderr: { write: text => (written.stderr += text) },
    signal: new AbortController().signal,
  });
  return { code, ...written };
}

/** The one JSON object that a successful `--json` prints. */
export async function runJson(...argv: string[]): Promise<Record<string, unknown>> {
  const { code, stdout, stderr } = await runCli(...argv, '--json');
  if (code !== 0) throw new Error(`exit code ${code}: ${stderr}`);
  const parsed: Record<string, unknown> = JSON.parse(stdout);
  return parsed;
}

/** A folder that is removed after the tests of the file. */
export function temporaryFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'privacy-unit-'));
  afterAll(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Writes rows as JSONL and gives the path. */
export function writeJsonl(path: string, rows: readonly object[]): string {
  writeFileSync(path, rows.map(row => `${JSON.stringify(row)}\n`).join(''));
  return path;
}

/** A small table: user u has 1 + (u mod 4) records. */
export function sampleRows(users: number): { user: string; record_id: string; text: string }[] {
  return Array.from({ length: users }, (_, user) =>
    Array.from({ length: 1 + (user % 4) }, (_, record) => ({
      user: `person-${user}`,
      record_id: `${user}-${record}`,
      text: `Record ${record} of somebody who says ${'word '.repeat(1 + ((user + record) % 3))}today.`,
    })),
  ).flat();
}
