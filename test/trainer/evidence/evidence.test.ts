import { generateKeyPairSync } from 'node:crypto';
import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import * as fc from 'fast-check';
import { beforeAll, describe, expect, it } from 'vitest';
import { canonicalJson, sha256 } from '../../../trainer/digest.ts';
import { renderEnvelope, signEnvelope } from '../../../trainer/evidence/dsse.ts';
import { signRun, verifyEvidence, type EvidenceVerification } from '../../../trainer/evidence/evidence.ts';
import { inclusionProof, isIncluded } from '../../../trainer/evidence/merkle.ts';
import { inTotoType, ledgerLeaves, type TrainingStatement } from '../../../trainer/evidence/statement.ts';
import { readChainContent } from '../../../trainer/audit/chain.ts';
import { entriesOf, planOf, stepLines, write } from '../audit/ledgers.ts';

const keys = generateKeyPairSync('ed25519', {
  publicKeyEncoding: { type: 'spki', format: 'pem' },
  privateKeyEncoding: { type: 'pkcs8', format: 'pem' },
});
const { publicKey, privateKey } = keys;
const plan = planOf({ steps: 3 });
const run = dirname(write(entriesOf(plan)));

beforeAll(async () => {
  mkdirSync(join(run, 'model', 'part'), { recursive: true });
  writeFileSync(join(run, 'model', 'weights.bin'), Buffer.alloc(100, 7));
  writeFileSync(join(run, 'model', 'part', 'config.json'), '{}');
  writeFileSync(join(run, 'statement.json'), '{}');
  writeFileSync(join(run, 'checkpoint.bin'), 'not part of what is signed');
  writeFileSync(join(run, 'evidence.json'), await signRun(run, { privateKey }));
});

function copied(): string {
  const folder = mkdtempSync(join(tmpdir(), 'evidence-'));
  cpSync(run, folder, { recursive: true });
  return folder;
}

async function failed(folder: string, options: { publicKey?: string } = { publicKey }): Promise<string[]> {
  const { checks } = await verifyEvidence(join(folder, 'evidence.json'), options);
  return checks.filter(({ holds }) => holds !== true).map(({ name }) => name);
}

describe('signRun()', () => {
  it('states files, plan, epsilon as texts, and the end of the ledger', async () => {
    const { statement }: EvidenceVerification = await verifyEvidence(join(run, 'evidence.json'));
    const { chain } = readChainContent(join(run, 'ledger.jsonl'));
    expect(statement!.subject.map(({ name }) => name)).toEqual([
      'ledger.jsonl',
      'model/part/config.json',
      'model/weights.bin',
      'statement.json',
    ]);
    expect(statement!.subject[2]!.digest.sha256).toBe(sha256(Buffer.alloc(100, 7)));
    expect(statement!.predicate).toMatchObject({
      claim: {
        epsilonUpper: expect.stringMatching(/^\d+\.\d+$/),
        delta: '0.0001',
        noiseMultiplier: '1.5',
        stepsCounted: 3,
      },
      plan: canonicalJson(plan),
      ledger: { lines: 5, headHash: chain.head },
      tool: { name: 'privacy-unit', version: '0.1.0' },
    });
  });

  it('lets a single line be proved to belong to the ledger', async () => {
    const { statement } = await verifyEvidence(join(run, 'evidence.json'));
    const leaves = ledgerLeaves(readChainContent(join(run, 'ledger.jsonl')));
    const { root, lines: size } = statement!.predicate.ledger;
    const place = { index: 2, size, proof: inclusionProof(leaves, 2), root };
    expect(isIncluded(leaves[2]!, place)).toBe(true);
    expect(isIncluded(leaves[3]!, place)).toBe(false);
  });

  it('refuses a run that is not over, and a broken ledger', async () => {
    const open = dirname(write(entriesOf(plan).slice(0, -1)));
    await expect(signRun(open, { privateKey })).rejects.toThrow('does not say that the run is over');
    const broken = copied();
    writeFileSync(
      join(broken, 'ledger.jsonl'),
      readFileSync(join(run, 'ledger.jsonl'), 'utf8').replace('"step":1', '"step":0'),
    );
    await expect(signRun(broken, { privateKey })).rejects.toThrow('Cannot sign the run');
  });
});

describe('verifyEvidence()', () => {
  it('holds for the run that was signed, also elsewhere, and stays open without the key', async () => {
    expect(await verifyEvidence(join(copied(), 'evidence.json'), { publicKey })).toMatchObject({
      holds: true,
    });
    const elsewhere = join(mkdtempSync(join(tmpdir(), 'evidence-')), 'evidence.json');
    cpSync(join(run, 'evidence.json'), elsewhere);
    expect((await verifyEvidence(elsewhere, { publicKey, folder: run })).holds).toBe(true);
    const open = await verifyEvidence(join(run, 'evidence.json'));
    expect(open.holds).toBe(null);
    expect(open.checks[0]).toMatchObject({ name: 'signature', holds: null });
  });

  it.each<[string, string[], (folder: string) => void]>([
    [
      'a changed weight',
      ['model/weights.bin'],
      folder => writeFileSync(join(folder, 'model', 'weights.bin'), Buffer.alloc(100, 8)),
    ],
    ['a missing file', ['statement.json'], folder => rmSync(join(folder, 'statement.json'))],
    [
      'a file more in the model',
      ['other files'],
      folder => writeFileSync(join(folder, 'model', 'more.bin'), ''),
    ],
    [
      'a ledger that was written anew',
      ['ledger.jsonl', 'head and root of the ledger'],
      folder =>
        cpSync(
          write(
            entriesOf(
              plan,
              stepLines(plan).map(line => ({ ...line, clippedSumDigest: 'x' })),
            ),
          ),
          join(folder, 'ledger.jsonl'),
        ),
    ],
    [
      'a ledger of another plan',
      ['ledger.jsonl', 'head and root of the ledger', 'plan'],
      folder => cpSync(write(entriesOf(planOf({ steps: 3, clipNorm: 1 }))), join(folder, 'ledger.jsonl')),
    ],
    [
      'a ledger without its last step',
      ['ledger.jsonl', 'head and root of the ledger', 'table and models', 'epsilon'],
      folder => cpSync(write(entriesOf(plan).slice(0, -2)), join(folder, 'ledger.jsonl')),
    ],
  ])('notices %s', async (_, names, change) => {
    const folder = copied();
    change(folder);
    expect(await failed(folder)).toEqual(names);
    expect((await verifyEvidence(join(folder, 'evidence.json'), { publicKey })).holds).toBe(false);
  });

  it('notices any change of any byte of any signed file', async () => {
    const folder = copied();
    const names = [
      'ledger.jsonl',
      'model/weights.bin',
      'model/part/config.json',
      'statement.json',
      'evidence.json',
    ];
    const change = fc.record({
      name: fc.constantFrom(...names),
      at: fc.nat(),
      mask: fc.integer({ min: 1, max: 255 }),
    });
    await fc.assert(
      fc.asyncProperty(change, async ({ name, at, mask }) => {
        const whole = readFileSync(join(run, name));
        const bytes = Buffer.from(whole);
        bytes[at % bytes.length]! ^= mask;
        writeFileSync(join(folder, name), bytes);
        const { holds } = await verifyEvidence(join(folder, 'evidence.json'), { publicKey });
        writeFileSync(join(folder, name), whole);
        expect(holds).toBe(false);
      }),
      { numRuns: 60 },
    );
  });

  const forge = (change: (statement: TrainingStatement) => object): string => {
    const folder = copied();
    const envelope: { payload: string } = JSON.parse(readFileSync(join(folder, 'evidence.json'), 'utf8'));
    const statement: TrainingStatement = JSON.parse(Buffer.from(envelope.payload, 'base64').toString());
    const body = Buffer.from(canonicalJson(change(statement)));
    writeFileSync(
      join(folder, 'evidence.json'),
      renderEnvelope(signEnvelope(body, { payloadType: inTotoType, privateKey })),
    );
    return folder;
  };

  it('does not take the word of the signer for what can be computed', async () => {
    const small = forge(({ predicate, ...rest }) => ({
      ...rest,
      predicate: { ...predicate, claim: { ...predicate.claim, epsilonUpper: '0.1' } },
    }));
    expect(await failed(small)).toEqual(['epsilon']);
    const quiet = forge(({ predicate, ...rest }) => ({
      ...rest,
      predicate: { ...predicate, claim: { ...predicate.claim, noiseMultiplier: '9' } },
    }));
    expect(await failed(quiet)).toEqual(['epsilon']);
    const outside = forge(({ subject, ...rest }) => ({
      ...rest,
      subject: [...subject, { name: '../x', digest: { sha256: 'y' } }],
    }));
    expect(await failed(outside)).toEqual(['../x']);
    const without = forge(({ subject, ...rest }) => ({ ...rest, subject: subject.slice(1) }));
    expect(await failed(without)).toEqual(['ledger.jsonl', 'other files']);
    for (const other of [{}, { predicateType: 'urn:other' }, { subject: null }, { predicate: { plan: 1 } }])
      expect(
        await failed(
          forge(statement => ({
            ...statement,
            ...other,
            ...(Object.keys(other).length === 0 ? { _type: 'x' } : {}),
          })),
        ),
      ).toEqual(['envelope']);
  });

  it('does not follow a link out of the folder unnoticed: what it reads has to have the digest', async () => {
    const folder = copied();
    rmSync(join(folder, 'statement.json'));
    symlinkSync('/etc/hostname', join(folder, 'statement.json'));
    expect(await failed(folder)).toEqual(['statement.json']);
  });
});
