import { DpError } from '../../accounting/check.ts';

/** Engines that live in packages of their own, which are not installed unless asked for. */
export type OptionalEngineName = 'duckdb' | 'clickhouse';

const packages: Readonly<Record<OptionalEngineName, string>> = {
  duckdb: '@duckdb/node-api@1.5.6-r.1',
  clickhouse: '@clickhouse/client@1.23.1',
};

/** Imports an optional package; the compiler does not follow the name, so the build passes without it. */
export async function loadOptional<T>(specifier: string, engine: OptionalEngineName): Promise<T> {
  try {
    const module: T = await import(specifier);
    return module;
  } catch (error) {
    throw new DpError(
      'ENGINE_UNAVAILABLE',
      `Cannot open the engine ${engine}: the package ${specifier} did not load. Run "npm install ${packages[engine]}".`,
      { cause: error },
    );
  }
}
