import { existsSync, readFileSync } from 'node:fs';

interface PackageManifest {
  readonly name: string;
  readonly version: string;
}

/** The nearest package.json above this file: one folder up in the source, two in the build. */
function manifest(): PackageManifest {
  let folder = new URL('..', import.meta.url);
  while (!existsSync(new URL('package.json', folder))) folder = new URL('..', folder);
  const found: PackageManifest = JSON.parse(readFileSync(new URL('package.json', folder), 'utf8'));
  return found;
}

/** Version of the installed package, as its package.json says. */
export const version: string = manifest().version;
