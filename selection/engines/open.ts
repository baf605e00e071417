import { openBuiltin } from './builtin.ts';
import type { SelectionEngine, SelectionEngineName } from './engine.ts';
import type { OptionalEngineName } from './optional.ts';

/**
 * Opens an engine that lives in a package of its own; the package is loaded now and not before.
 *
 * @throws DpError `ENGINE_UNAVAILABLE` with the line that installs it, where the package does not load
 * @example
 * ```ts
 * (await openOptionalEngine('duckdb')).name; // 'duckdb'
 * ```
 */
export async function openOptionalEngine(name: OptionalEngineName): Promise<SelectionEngine> {
  if (name === 'duckdb') {
    const { openDuckdb } = await import('./duckdb.ts');
    return openDuckdb();
  }
  const { openClickhouse } = await import('./clickhouse.ts');
  return openClickhouse();
}

/**
 * Opens any engine.
 *
 * @throws DpError `ENGINE_UNAVAILABLE`, see `openOptionalEngine`
 * @example
 * ```ts
 * (await openSelectionEngine('builtin')).name; // 'builtin'
 * ```
 */
export async function openSelectionEngine(name: SelectionEngineName): Promise<SelectionEngine> {
  return name === 'builtin' ? openBuiltin() : openOptionalEngine(name);
}
