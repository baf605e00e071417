import { cpSync, existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

/** What a bare machine needs of each package. */
const files: Readonly<Record<string, readonly string[]>> = {
  'onnxruntime-node': ['package.json', 'dist', `bin/napi-v6/${process.platform}/${process.arch}`],
  'onnxruntime-common': ['package.json', 'dist/cjs', 'dist/esm'],
};

const readme = `Needs Node 20 or later and an NVIDIA driver; for WebGPU also libvulkan1 and the driver's Vulkan part
(in a container NVIDIA_DRIVER_CAPABILITIES=all). Nothing is downloaded.

    node bench-gpu.mjs                    every engine that the machine's GPU can have
    node bench-gpu.mjs --engine webgpu    one of them
    node bench-gpu.mjs --engine onnxruntime-node --small   tries the script itself on a processor

It prints one JSON object.
`;

/** The node_modules folder, from a folder upwards, that holds a package. */
function modulesWith(name: string, from: string): string {
  const modules = join(from, 'node_modules');
  if (existsSync(join(modules, name))) return modules;
  if (dirname(from) === from) throw new Error(`Cannot pack: ${name} is not installed. Run "npm install".`);
  return modulesWith(name, dirname(from));
}

/**
 * Puts the bundle and the native library into a folder that runs by itself.
 *
 * @param options - bundle: the file to pack; root: where packages are looked for
 */
export function pack(folder: string, { bundle, root }: { bundle: string; root: string }): string[] {
  mkdirSync(folder, { recursive: true });
  cpSync(bundle, join(folder, 'bench-gpu.mjs'));
  writeFileSync(join(folder, 'README.txt'), readme);
  const packed = ['bench-gpu.mjs', 'README.txt'];
  for (const [name, parts] of Object.entries(files)) {
    const modules = modulesWith(name, root);
    for (const part of parts) {
      const path = join('node_modules', name, part);
      cpSync(join(modules, name, part), join(folder, path), { recursive: true });
      packed.push(path);
    }
  }
  return packed;
}
