import { defineConfig } from 'vitest/config';

/** Tests import the source, never the build; one temporary folder serves a whole run. */
const config: ReturnType<typeof defineConfig> = defineConfig({
  root: '..',
  test: {
    root: new URL('..', import.meta.url).pathname,
    include: ['test/**/*.test.ts'],
    reporters: ['default', new URL('./support/closing-line.ts', import.meta.url).pathname],
    setupFiles: [new URL('./support/fixed-seed.ts', import.meta.url).pathname],
    globalSetup: [new URL('./support/temporary.ts', import.meta.url).pathname],
    testTimeout: 60_000,
    hookTimeout: 60_000,
    pool: 'forks',
    // One fewer than the cores is the default: half of a machine with two.
    maxWorkers: '100%',
  },
});

export default config;
