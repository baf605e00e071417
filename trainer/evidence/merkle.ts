import { createHash } from 'node:crypto';

const leafPrefix = Uint8Array.of(0);
const nodePrefix = Uint8Array.of(1);

function hashOf(...parts: readonly Uint8Array[]): Buffer {
  const hash = createHash('sha256');
  for (const part of parts) hash.update(part);
  return hash.digest();
}

/** The largest power of two below a number of leaves: where RFC 6962 parts them. */
function halfOf(leaves: number): number {
  let half = 1;
  while (2 * half < leaves) half *= 2;
  return half;
}

function rootOf(hashes: readonly Uint8Array[]): Uint8Array {
  if (hashes.length === 1) return hashes[0]!;
  const half = halfOf(hashes.length);
  return hashOf(nodePrefix, rootOf(hashes.slice(0, half)), rootOf(hashes.slice(half)));
}

/**
 * Merkle tree hash of some leaves (RFC 6962, section 2.1), 64 hexadecimal digits.
 *
 * @example
 * ```ts
 * merkleRoot([]).slice(0, 8); // 'e3b0c442'
 * merkleRoot([new Uint8Array(0)]).slice(0, 8); // '6e340b9c'
 * ```
 */
export function merkleRoot(leaves: readonly Uint8Array[]): string {
  if (leaves.length === 0) return hashOf().toString('hex');
  return Buffer.from(rootOf(leaves.map(leaf => hashOf(leafPrefix, leaf)))).toString('hex');
}

/**
 * Proof that a leaf is the one at `index` (RFC 6962, section 2.1.1): hashes from the leaf up, hexadecimal. It tells
 * nothing of the other leaves beside their hashes.
 *
 * @param index - of a leaf, from 0
 * @example
 * ```ts
 * const leaves = ['a', 'b', 'c'].map(text => new TextEncoder().encode(text));
 * inclusionProof(leaves, 2).length; // 1
 * ```
 */
export function inclusionProof(leaves: readonly Uint8Array[], index: number): string[] {
  const hashes = leaves.map(leaf => hashOf(leafPrefix, leaf));
  return pathOf(hashes, index).map(hash => Buffer.from(hash).toString('hex'));
}

function pathOf(hashes: readonly Uint8Array[], index: number): Uint8Array[] {
  if (hashes.length <= 1) return [];
  const half = halfOf(hashes.length);
  const [left, right] = [hashes.slice(0, half), hashes.slice(half)];
  return index < half
    ? [...pathOf(left, index), rootOf(right)]
    : [...pathOf(right, index - half), rootOf(left)];
}

/**
 * Whether a leaf is the one at `index` of a tree of `size` leaves with this root.
 *
 * @param options - proof: of `inclusionProof`
 * @example
 * ```ts
 * const leaves = ['a', 'b', 'c'].map(text => new TextEncoder().encode(text));
 * const place = { index: 1, size: 3, proof: inclusionProof(leaves, 1), root: merkleRoot(leaves) };
 * isIncluded(leaves[1], place); // true
 * isIncluded(leaves[0], place); // false
 * ```
 */
export function isIncluded(
  leaf: Uint8Array,
  options: { index: number; size: number; proof: readonly string[]; root: string },
): boolean {
  const { index, size, proof, root } = options;
  if (!(index >= 0 && index < size)) return false;
  const path = proof.map(hash => Buffer.from(hash, 'hex'));
  const found = climb(hashOf(leafPrefix, leaf), { index, size, path });
  return found !== undefined && Buffer.from(found).toString('hex') === root;
}

function climb(
  leaf: Uint8Array,
  { index, size, path }: { index: number; size: number; path: readonly Uint8Array[] },
): Uint8Array | undefined {
  if (size === 1) return path.length === 0 ? leaf : undefined;
  const top = path.at(-1);
  if (top === undefined) return undefined;
  const half = halfOf(size);
  const isLeft = index < half;
  const below = isLeft ? { index, size: half } : { index: index - half, size: size - half };
  const inner = climb(leaf, { ...below, path: path.slice(0, -1) });
  if (inner === undefined) return undefined;
  return isLeft ? hashOf(nodePrefix, inner, top) : hashOf(nodePrefix, top, inner);
}
