import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';

/** Graphics processors that a machine shows without any of their libraries being loaded. */
export interface Gpus {
  /** Whether the kernel's NVIDIA driver is there. */
  readonly nvidia: boolean;
  /** What was seen, for people; empty where there is nothing but a processor. */
  readonly seen: readonly string[];
}

/** PCI vendors whose display devices compute; a virtual machine's own display is none of them. */
const vendors: Readonly<Record<string, string>> = {
  '0x10de': 'NVIDIA',
  '0x1002': 'AMD',
  '0x8086': 'Intel',
};

/** Vulkan drivers of real devices, by parts of the names of their libraries. */
const hardwareDrivers = [
  'libGLX_nvidia',
  'libEGL_nvidia',
  'libnvidia-',
  'libvulkan_radeon',
  'amdvlk',
  'libvulkan_intel',
] as const;

function textOf(path: string): string {
  try {
    return readFileSync(path, 'utf8');
  } catch {
    return '';
  }
}

function renderDevices(root: string): readonly string[] {
  const folder = join(root, 'sys/class/drm');
  if (!existsSync(folder)) return [];
  return readdirSync(folder).flatMap(name => {
    const vendor = vendors[textOf(join(folder, name, 'device/vendor')).trim()];
    return name.startsWith('renderD') && vendor !== undefined ? [`${vendor} device ${name}`] : [];
  });
}

function nvidiaDriver(root: string): readonly string[] {
  const version = /\b(\d+\.\d+(?:\.\d+)?)\b/.exec(textOf(join(root, 'proc/driver/nvidia/version')))?.[1];
  if (version !== undefined) return [`NVIDIA driver ${version}`];
  return existsSync(join(root, 'dev/nvidia0')) ? ['NVIDIA device node'] : [];
}

/**
 * Looks for graphics processors by what the Linux kernel shows of its drivers; on other systems it sees none.
 *
 * @param root - the folder that /proc, /dev and /sys lie in
 */
export function findGpus(root = '/'): Gpus {
  const nvidia = nvidiaDriver(root);
  return { nvidia: nvidia.length > 0, seen: [...nvidia, ...renderDevices(root)] };
}

/**
 * Whether a Vulkan driver of a real device is loaded into this process. Asked after a WebGPU session was made:
 * where it is false, the session computes in software.
 *
 * @param maps - text of /proc/self/maps
 * @returns undefined where the system doesn't say
 */
export function hasHardwareVulkan(maps: string = textOf('/proc/self/maps')): boolean | undefined {
  if (maps === '') return undefined;
  return hardwareDrivers.some(driver => maps.includes(driver));
}
