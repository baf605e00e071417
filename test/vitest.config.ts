import { defineConfig } from 'vitest/config';

/** Tests that put modules of their own in the place of real ones, or need ones that nobody has used before. */
const apart = ['test/trainer/audit/planted-bugs.test.ts', 'test/trainer/engines/open.test.ts'];
const tests = ['test/**/*.test.ts'];

/** Tests import the source, never the build; one temporary folder serves a whole run. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  root: '..',
  test: {
    root: new URL('..', import.meta.url).pathname,
    reporters: ['default', new URL('./support/closing-line.ts', import.meta.url).pathname],
    setupFiles: [new URL('./support/fixed-seed.ts', import.meta.url).pathname],
    globalSetup: [new URL('./support/temporary.ts', import.meta.url).pathname],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // One fewer than the cores is the default: half of a machine with two.
    maxWorkers: '100%',
    projects: [
      // Files share the modules of their process: loading them anew for each of 230 files took a quarter of the run.
      { extends: true, test: { name: 'shared', isolate: false, include: tests, exclude: apart } },
      { extends: true, test: { name: 'apart', include: apart } },
    ],
  },
});

export default config;
