import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { inclusionProof, isIncluded, merkleRoot } from '../../../trainer/evidence/merkle.ts';

// Leaves and roots of the reference implementation of RFC 6962 (certificate-transparency, merkle tree tests).
const leaves = [
  '',
  '00',
  '10',
  '2021',
  '3031',
  '40414243',
  '5051525354555657',
  '606162636465666768696a6b6c6d6e6f',
].map(hex => Buffer.from(hex, 'hex'));
const roots = [
  '6e340b9cffb37a989ca544e6bb780a2c78901d3fb33738768511a30617afa01d',
  'fac54203e7cc696cf0dfcb42c92a1d9dbaf70ad9e621f4bd8d98662f00e3c125',
  'aeb6bcfe274b70a14fb067a5e5578264db0fa9b51af5e0ba159158f329e06e77',
  'd37ee418976dd95753c1c73862b9398fa2a2cf9b4ff0fdfe8b30cd95209614b7',
  '4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4',
  '76e67dadbcdf1e10e1b74ddc608abd2f98dfb16fbce75277b5232a127f2087ef',
  'ddb89be403809e325750d3d263cd78929c2942b7942a34b77e122c9594a74c8c',
  '5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328',
];

const trees = fc.record({
  leaves: fc.array(fc.uint8Array({ maxLength: 8 }), { minLength: 1, maxLength: 40 }),
  at: fc.nat(),
  other: fc.nat(),
});

describe('merkleRoot()', () => {
  it('gives the roots of the reference implementation', () => {
    roots.forEach((root, index) => expect(merkleRoot(leaves.slice(0, index + 1))).toBe(root));
    expect(merkleRoot([])).toBe('e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855');
  });
});

describe('inclusionProof()', () => {
  it('proves every leaf, in as many hashes as the tree is high, and nothing else', () => {
    fc.assert(
      fc.property(trees, ({ leaves, at, other }) => {
        const index = at % leaves.length;
        const proof = inclusionProof(leaves, index);
        const place = { index, size: leaves.length, proof, root: merkleRoot(leaves) };
        expect(proof.length).toBeLessThanOrEqual(Math.ceil(Math.log2(leaves.length)));
        expect(isIncluded(leaves[index]!, place)).toBe(true);
        expect(isIncluded(Uint8Array.of(...leaves[index]!, 1), place)).toBe(false);
        expect(isIncluded(leaves[index]!, { ...place, size: place.size + 1 + (other % 9), index: -1 })).toBe(
          false,
        );
        expect(isIncluded(leaves[index]!, { ...place, proof: [...proof, place.root] })).toBe(false);
        if (proof.length > 0)
          expect(isIncluded(leaves[index]!, { ...place, proof: proof.slice(1) })).toBe(false);
      }),
    );
  });
});
