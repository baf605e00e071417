import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { findGpus, hasHardwareVulkan } from '../../../trainer/engines/hardware.ts';
import { defaultEngines } from '../../../trainer/engines/open.ts';

const folders: string[] = [];
afterAll(() => folders.forEach(folder => rmSync(folder, { recursive: true, force: true })));

/** A root folder with these files. */
function rootWith(files: Readonly<Record<string, string>>): string {
  const root = mkdtempSync(join(tmpdir(), 'privacy-unit-root-'));
  folders.push(root);
  for (const [path, text] of Object.entries(files)) {
    mkdirSync(join(root, dirname(path)), { recursive: true });
    writeFileSync(join(root, path), text);
  }
  return root;
}

const driver = 'NVRM version: NVIDIA UNIX x86_64 Kernel Module  550.54.15  Tue Mar  5 22:23:56 UTC 2024\n';

describe('findGpus()', () => {
  it('sees nothing where the kernel shows nothing', () => {
    expect(findGpus(rootWith({}))).toEqual({ nvidia: false, seen: [] });
  });

  it('reads the version of the NVIDIA driver', () => {
    const root = rootWith({ 'proc/driver/nvidia/version': driver, 'dev/nvidia0': '' });
    expect(findGpus(root)).toEqual({ nvidia: true, seen: ['NVIDIA driver 550.54.15'] });
  });

  it('takes a device node for a driver', () => {
    expect(findGpus(rootWith({ 'dev/nvidia0': '' }))).toEqual({ nvidia: true, seen: ['NVIDIA device node'] });
  });

  it('tells a real render device from that of a virtual machine', () => {
    const root = rootWith({
      'sys/class/drm/renderD128/device/vendor': '0x1af4\n',
      'sys/class/drm/renderD129/device/vendor': '0x1002\n',
      'sys/class/drm/card0/device/vendor': '0x1002\n',
    });
    expect(findGpus(root)).toEqual({ nvidia: false, seen: ['AMD device renderD129'] });
  });
});

describe('defaultEngines()', () => {
  const processor = ['onnxruntime-node', 'onnxruntime-web'];

  it('tries GPUs where there are some, and never TensorFlow.js', () => {
    expect(defaultEngines({ nvidia: false, seen: [] })).toEqual(processor);
    expect(defaultEngines({ nvidia: true, seen: ['x'] })).toEqual(['cuda', 'webgpu', ...processor]);
    expect(defaultEngines({ nvidia: false, seen: ['x'] })).toEqual(['webgpu', ...processor]);
  });
});

describe('hasHardwareVulkan()', () => {
  it('goes by the driver library in the maps of the process', () => {
    const software = '7f00-7f01 r-xp 00000000 08:01 1 /usr/lib/x86_64-linux-gnu/libvulkan_lvp.so\n';
    const nvidia = '7f02-7f03 r-xp 00000000 08:01 2 /usr/lib/x86_64-linux-gnu/libGLX_nvidia.so.550.54.15\n';
    expect(hasHardwareVulkan(software)).toBe(false);
    expect(hasHardwareVulkan(software + nvidia)).toBe(true);
    expect(hasHardwareVulkan('')).toBeUndefined();
  });
});
