import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it, vi } from 'vitest';
import { examineApart } from '../../../src/commands/doctor.ts';
import { installedVersion, machineReport, temporaryFolderReport } from '../../../src/surroundings.ts';
import { examineEngine, type EngineReport } from '../../../trainer/engines/survey.ts';
import { runCli, runJson, temporaryFolder } from '../support.ts';

const folder = temporaryFolder();

describe('doctor', () => {
  it('names every engine, checks numbers, and says why one does not work and what would install it', async () => {
    const answer = await runJson('doctor');
    expect(answer['engine']).toBe('onnxruntime-node:cpu');
    // oxlint-disable-next-line no-unsafe-type-assertion -- checked below
    const engines = answer['engines'] as EngineReport[];
    expect(engines.map(({ name }) => name)).toEqual([
      'cuda',
      'webgpu',
      'onnxruntime-node',
      'onnxruntime-web',
      'tfjs',
    ]);
    for (const report of engines) {
      if (report.works) {
        expect(report.largestError).toBeLessThan(1e-5);
        expect(report).toMatchObject({ reason: null, install: null });
      } else {
        expect(report.install).toMatch(/run "[^"]*npm install [^"]+"/i);
        expect(report).toMatchObject({ engine: null, largestError: null });
        expect(report.reason).toMatch(/\w+/);
      }
    }
    for (const name of ['onnxruntime-node', 'onnxruntime-web', 'tfjs']) {
      expect(engines.find(report => report.name === name)?.works, name).toBe(true);
    }
    expect(Object.keys(answer)).toEqual([
      'version',
      'engine',
      'engines',
      'packages',
      'machine',
      'temporaryFolder',
    ]);
    expect(answer['packages']).toContainEqual({
      name: '@duckdb/node-api',
      for: 'select --engine duckdb',
      version: expect.stringMatching(/^\d/),
      install: null,
    });
    expect(answer['machine']).toMatchObject({ node: process.versions.node });
  });

  it('says the same for people', async () => {
    const { code, stdout, stderr } = await runCli('doctor', '--engine', 'onnxruntime-node');
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/onnxruntime-node +yes +onnxruntime-node:cpu: right to \d\.\de-\d+ after/);
    expect(stdout).toContain('@clickhouse/client');
    expect(stdout).toContain('Training runs on onnxruntime-node:cpu.');
  });

  it('ends with 7 where the engine that was asked for does not work', async () => {
    const { code, stdout, stderr } = await runCli('doctor', '--engine', 'cuda', '--json');
    expect(code).toBe(7);
    expect(JSON.parse(stdout)).toMatchObject({ engine: null, engines: [{ name: 'cuda', works: false }] });
    expect(JSON.parse(stderr)).toMatchObject({ error: { code: 'ENGINE_UNAVAILABLE' } });
  });

  it('refuses an engine that it does not know', async () => {
    const { code, stderr } = await runCli('doctor', '--engine', 'gpu');
    expect(code).toBe(2);
    expect(stderr).toContain('--engine is "gpu"');
  });
});

describe('examineEngine()', () => {
  it('does not try a GPU where none is seen', async () => {
    const gpus = { nvidia: false, seen: [] };
    expect(await examineEngine('cuda', { gpus })).toMatchObject({
      works: false,
      seconds: 0,
      reason: 'no NVIDIA driver is seen under /proc or /dev',
    });
    expect((await examineEngine('webgpu', { gpus })).reason).toContain('no graphics processor is seen');
  });

  it('reports an engine that computes wrongly', async () => {
    vi.resetModules();
    vi.doMock('../../../trainer/engines/probe.ts', () => ({
      checkEngine: () => Promise.reject(new Error('its losses are off')),
    }));
    const { examineEngine: examine } = await import('../../../trainer/engines/survey.ts');
    expect(await examine('onnxruntime-node')).toMatchObject({ works: false, reason: 'its losses are off' });
    vi.doUnmock('../../../trainer/engines/probe.ts');
  });
});

describe('examineApart()', () => {
  const script = (name: string, text: string): string => {
    const path = join(folder, name);
    writeFileSync(path, text);
    return path;
  };

  it('takes the report of a process of its own, whatever that ends with', async () => {
    const report = { name: 'webgpu', works: false, reason: 'no adapter' };
    const text = `console.log(${JSON.stringify(JSON.stringify({ engines: [report] }))}); process.exitCode = 7;`;
    expect(await examineApart('webgpu', [process.execPath, script('ends.cjs', text)])).toEqual(report);
  });

  it('outlives a driver that brings its process down', async () => {
    const path = script('dies.cjs', 'process.abort()');
    expect(await examineApart('webgpu', [process.execPath, path])).toMatchObject({
      name: 'webgpu',
      works: false,
      reason: 'its process ended with SIGABRT during the check',
      install: expect.stringContaining('npm install onnxruntime-node'),
    });
  });
});

describe('surroundings', () => {
  it('finds packages as Node does, from a folder upwards', () => {
    const inner = join(folder, 'node_modules/a-package');
    mkdirSync(join(folder, 'deep/er'), { recursive: true });
    mkdirSync(inner, { recursive: true });
    writeFileSync(join(inner, 'package.json'), '{"version":"3.2.1"}');
    expect(installedVersion('a-package', join(folder, 'deep/er'))).toBe('3.2.1');
    expect(installedVersion('no-such-package', folder)).toBeNull();
  });

  it('says what the process runs on, and how much room the temporary folder has', () => {
    expect(machineReport().memoryBytes).toBeGreaterThan(1e8);
    expect(temporaryFolderReport(folder)).toMatchObject({ path: folder, writable: true });
    expect(temporaryFolderReport(folder).freeBytes).toBeGreaterThan(0);
    const absent = join(folder, 'absent');
    expect(temporaryFolderReport(absent)).toEqual({ path: absent, writable: false, freeBytes: 0 });
  });
});
