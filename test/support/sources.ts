import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

/** The checkout's top folder, with a slash at the end. */
export const root: string = fileURLToPath(new URL('../../', import.meta.url));

/** TypeScript files of a top-level folder, as paths from the top, sorted. */
export function typescriptFiles(folder: string): string[] {
  return readdirSync(root + folder, { recursive: true, encoding: 'utf8' })
    .filter(name => name.endsWith('.ts'))
    .map(name => `${folder}/${name}`)
    .sort((a, b) => (a < b ? -1 : 1));
}

const importPattern = /(?:import|export)\s(?:[^'"`;]*?\sfrom\s)?'([^']+)'|import\('([^']+)'\)/g;

/** What a file imports, as written; comments don't count. */
export function importsOf(file: string): string[] {
  const code = readFileSync(root + file, 'utf8').replace(/\/\*[\s\S]*?\*\/|^\s*\/\/.*$/gm, '');
  return [...code.matchAll(importPattern)].map(match => match[1] ?? match[2]!);
}
