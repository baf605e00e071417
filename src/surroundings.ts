import { accessSync, constants, existsSync, readFileSync, statfsSync } from 'node:fs';
import { availableParallelism, cpus, freemem, tmpdir, totalmem } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { findGpus } from '../trainer/engines/hardware.ts';

/** A package that may be there and what needs it. */
export interface PackageReport {
  readonly name: string;
  readonly for: string;
  /** null where it isn't installed. */
  readonly version: string | null;
  /** The line that installs it; null where it is there. */
  readonly install: string | null;
}

/** The machine as far as it decides what runs. */
export interface MachineReport {
  readonly node: string;
  readonly platform: string;
  readonly processor: string;
  readonly cores: number;
  readonly memoryBytes: number;
  readonly freeMemoryBytes: number;
  readonly gpus: readonly string[];
}

/** Where rows go that don't fit into memory. */
export interface FolderReport {
  readonly path: string;
  readonly writable: boolean;
  readonly freeBytes: number;
}

const optionalPackages: readonly Omit<PackageReport, 'version'>[] = [
  {
    name: 'onnxruntime-node',
    for: 'training',
    install: 'ONNXRUNTIME_NODE_INSTALL=skip npm install onnxruntime-node',
  },
  { name: 'onnxruntime-web', for: 'training without it', install: 'npm install onnxruntime-web' },
  { name: '@tensorflow/tfjs-node-gpu', for: 'tfjs', install: 'npm install @tensorflow/tfjs-node-gpu' },
  { name: '@tensorflow/tfjs-node', for: 'tfjs', install: 'npm install @tensorflow/tfjs-node' },
  { name: '@tensorflow/tfjs', for: 'tfjs', install: 'npm install @tensorflow/tfjs' },
  {
    name: '@tensorflow/tfjs-core',
    for: 'tfjs',
    install: 'npm install @tensorflow/tfjs-core @tensorflow/tfjs-backend-cpu',
  },
  { name: '@duckdb/node-api', for: 'select --engine duckdb', install: 'npm install @duckdb/node-api' },
  {
    name: '@clickhouse/client',
    for: 'select --engine clickhouse',
    install: 'npm install @clickhouse/client',
  },
];

/** Version of a package that Node would find from a folder, without loading it. */
export function installedVersion(
  name: string,
  from: string = dirname(fileURLToPath(import.meta.url)),
): string | null {
  const path = join(from, 'node_modules', name, 'package.json');
  if (existsSync(path)) {
    const { version }: { version: string } = JSON.parse(readFileSync(path, 'utf8'));
    return version;
  }
  return dirname(from) === from ? null : installedVersion(name, dirname(from));
}

/** The optional packages and their versions. */
export function packageReports(): PackageReport[] {
  return optionalPackages.map(entry => {
    const version = installedVersion(entry.name);
    return { ...entry, version, install: version === null ? entry.install : null };
  });
}

/** What the process runs on. */
export function machineReport(): MachineReport {
  return {
    node: process.versions.node,
    platform: `${process.platform} ${process.arch}`,
    processor: cpus()[0]?.model.trim() ?? 'unknown',
    cores: availableParallelism(),
    memoryBytes: totalmem(),
    freeMemoryBytes: freemem(),
    gpus: findGpus().seen,
  };
}

/** The temporary folder, whether it can be written to, and the room in it. */
export function temporaryFolderReport(path: string = tmpdir()): FolderReport {
  try {
    accessSync(path, constants.W_OK);
    const { bavail, bsize } = statfsSync(path);
    return { path, writable: true, freeBytes: bavail * bsize };
  } catch {
    return { path, writable: false, freeBytes: 0 };
  }
}
