import { existsSync, readFileSync } from 'node:fs';
import { join, normalize } from 'node:path';
import { builtinModules } from 'node:module';
import { describe, expect, it } from 'vitest';
import { importsOf, root, typescriptFiles } from './support/sources.ts';

const folders = ['accounting', 'selection', 'trainer', 'src'] as const;
type Folder = (typeof folders)[number];

const mayImport: Record<Folder, readonly Folder[]> = {
  accounting: ['accounting'],
  selection: ['selection', 'accounting'],
  trainer: ['trainer', 'selection', 'accounting'],
  src: ['src', 'trainer', 'selection', 'accounting'],
};

// oxlint-disable-next-line no-unsafe-type-assertion -- our own file; a wrong shape fails below
const manifest = JSON.parse(readFileSync(`${root}package.json`, 'utf8')) as {
  exports: Record<string, string | { types: string; default: string }>;
  bin: Record<string, string>;
  dependencies: Record<string, string>;
  optionalDependencies: Record<string, string>;
  devDependencies: Record<string, string>;
};

function targetOf(file: string, specifier: string): string {
  return normalize(join(file, '..', specifier));
}

function relativeImports(file: string): string[] {
  return importsOf(file)
    .filter(specifier => specifier.startsWith('.'))
    .map(specifier => targetOf(file, specifier));
}

function packageName(specifier: string): string {
  const [scope, name] = specifier.split('/');
  return scope!.startsWith('@') ? `${scope}/${name}` : scope!;
}

function foreignImports(file: string): string[] {
  return importsOf(file).filter(specifier => !specifier.startsWith('.'));
}

/** Whether a package of types is imported for its types, which leaves nothing in what is built. */
function isTypesAlone(file: string, specifier: string): boolean {
  const code = readFileSync(root + file, 'utf8');
  return (
    Object.hasOwn(manifest.devDependencies, `@types/${specifier}`) &&
    code.split(`from '${specifier}'`).length === 2 &&
    new RegExp(`^import type [^;]* from '${specifier}';`, 'm').test(code)
  );
}

function isBuiltin(specifier: string): boolean {
  return specifier.startsWith('node:') || builtinModules.includes(specifier);
}

describe('the house', () => {
  for (const folder of folders) {
    it(`${folder}/ imports only from ${mayImport[folder].join(', ')}`, () => {
      const strays = typescriptFiles(folder).flatMap(file =>
        relativeImports(file)
          .filter(target => !mayImport[folder].some(allowed => target.startsWith(`${allowed}/`)))
          .filter(target => target !== 'package.json')
          .map(target => `${file} -> ${target}`),
      );
      expect(strays).toEqual([]);
    });
  }

  it('accounting/ imports nothing but itself, and mathjs in the referee alone', () => {
    const isReferee = (file: string): boolean => file.startsWith('accounting/referee');
    const files = typescriptFiles('accounting');
    expect(files.filter(file => !isReferee(file)).flatMap(foreignImports)).toEqual([]);
    expect(new Set(files.filter(isReferee).flatMap(foreignImports))).toEqual(new Set(['mathjs']));
  });

  it('no accountant asks the referee', () => {
    const users = typescriptFiles('accounting')
      .filter(file => !file.startsWith('accounting/referee'))
      .filter(file => relativeImports(file).some(target => target.startsWith('accounting/referee')));
    expect(users).toEqual([]);
  });

  it('every package that the product imports is declared', () => {
    const declared = new Set(Object.keys({ ...manifest.dependencies, ...manifest.optionalDependencies }));
    const used = folders
      .flatMap(typescriptFiles)
      .flatMap(file => foreignImports(file).filter(name => !isTypesAlone(file, name)));
    const packages = used.filter(specifier => !isBuiltin(specifier)).map(packageName);
    expect(packages.filter(name => !declared.has(name))).toEqual([]);
  });

  it('has no import cycles', () => {
    const finished = new Set<string>();
    const visit = (file: string, path: readonly string[]): string | undefined => {
      if (path.includes(file)) return [...path, file].join(' -> ');
      if (finished.has(file) || !file.endsWith('.ts')) return undefined;
      const cycle = relativeImports(file)
        .map(target => visit(target, [...path, file]))
        .find(found => found);
      finished.add(file);
      return cycle;
    };
    expect(
      folders
        .flatMap(typescriptFiles)
        .map(file => visit(file, []))
        .filter(cycle => cycle),
    ).toEqual([]);
  });

  it('every export and the command have a source file', () => {
    const targets = Object.values(manifest.exports).map(entry =>
      typeof entry === 'string' ? entry : entry.default,
    );
    const sources = [...targets, ...Object.values(manifest.bin)].map(target =>
      target
        .replace(/^(\.\/)?dist\//, '')
        .replace(/^bin\//, 'src/')
        .replace(/\.js$/, '.ts'),
    );
    expect(sources.filter(source => !existsSync(root + source))).toEqual([]);
  });

  it('src/ holds no mathematics: nothing numerical is called there', () => {
    const numerical = /\bMath\.(?!max\b|min\b|round\b|floor\b|ceil\b|abs\b|trunc\b)\w+/;
    const found = typescriptFiles('src').filter(file => numerical.test(readFileSync(root + file, 'utf8')));
    expect(found).toEqual([]);
  });

  it('nothing draws from Math.random', () => {
    const found = folders
      .flatMap(typescriptFiles)
      .filter(file => readFileSync(root + file, 'utf8').includes('Math.random'));
    expect(found).toEqual([]);
  });

  it('no file is longer than 400 lines', () => {
    const long = folders
      .flatMap(typescriptFiles)
      .filter(file => readFileSync(root + file, 'utf8').split('\n').length > 400);
    expect(long).toEqual([]);
  });
});
