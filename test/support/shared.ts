import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const folder = fileURLToPath(new URL('../../../shared/', import.meta.url));

/** True where the reference data lies beside the checkout; continuous integration must have it. */
export const hasShared: boolean = existsSync(`${folder}vectors`);

if (!hasShared && process.env['CI'] === 'true') {
  throw new Error(
    `Cannot run the tests: there is no reference data at ${folder}. Lay it beside the checkout.`,
  );
}

/** Path of a reference file, such as `vectors/accounting.json`. */
export function sharedPath(relative: string): string {
  return folder + relative;
}
