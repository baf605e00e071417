import { readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import * as fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { claimMechanisms, claimOf, claimSamplers, unitKinds } from '../../../accounting/audit/index.ts';
import { DpError } from '../../../accounting/check.ts';
import { claimSchema } from '../../../src/audit/claim-schema.ts';
import { parseClaim, readClaimFile } from '../../../src/audit/claim-file.ts';
import { root } from '../../support/sources.ts';
import { temporaryFolder } from '../support.ts';

const whole = `schema: dp-claim/1
subject: {name: model-x, digest: {sha256: abc}, source: https://example.org/x}
guarantee: {epsilon: 3.0, delta: 1.0e-6, relation: "<="}
unit: {kind: user, max_records_per_unit: 64, enforced_by: cap_then_sample, multi_device: merged}
adjacency: add_remove
release: {what: final_model, checkpoints: 1, other_outputs: [train_loss]}
mechanisms:
  - kind: dp_sgd
    n_units: 120000
    sampler: {kind: poisson, rate: 0.008, physical_cap: null, partial_last: none}
    steps: 4000
    clip: {norm: 1.0, per: unit, adaptive: null}
    noise: {multiplier: 1.1, relative_to: clip, applied_to: sum, per: logical_batch, workers: 8, seeds: distinct}
    normalise_by: expected
accounting: {method: rdp, orders: default, library: opacus, version: 1.50}
selection: {runs: 12, rule: best_validation, validation_private: true, count_distribution: fixed}
data: {pretraining: public-web, overlap_checked: false, duplicates: deduplicated}
randomness: {generator: chacha20, resumed: false}
`;

/** The claim with one part of its text changed. */
function changed(from: string, to: string): string {
  if (!whole.includes(from)) throw new Error(`no ${from} in the claim`);
  return whole.replace(from, to);
}

/** Names within names, each on a line of its own. */
function nested(levels: number): string {
  return Array.from({ length: levels }, (_, level) => `${' '.repeat(level)}a:\n`).join('');
}

function complaint(text: string): string {
  try {
    parseClaim(text, 'claim.yaml');
  } catch (error) {
    if (error instanceof DpError && error.code === 'INVALID_DATA') return error.message;
    throw error;
  }
  return 'no complaint';
}

describe('parseClaim()', () => {
  it('reads every field and leaves null what is not stated', () => {
    const { claim, lines } = parseClaim(whole, 'claim.yaml');
    expect(claim).toEqual(
      claimOf({
        subject: { name: 'model-x', digest: { sha256: 'abc' }, source: 'https://example.org/x' },
        guarantee: { epsilon: '3.0', delta: '1.0e-6', relation: '<=' },
        unit: {
          kind: 'user',
          max_records_per_unit: 64,
          enforced_by: 'cap_then_sample',
          multi_device: 'merged',
        },
        adjacency: 'add_remove',
        release: { what: 'final_model', checkpoints: 1, other_outputs: ['train_loss'] },
        mechanisms: [
          {
            kind: 'dp_sgd',
            n_units: 120_000,
            sampler: { kind: 'poisson', rate: 0.008, partial_last: 'none' },
            steps: 4000,
            clip: { norm: 1, per: 'unit' },
            noise: {
              multiplier: 1.1,
              relative_to: 'clip',
              applied_to: 'sum',
              per: 'logical_batch',
              workers: 8,
              seeds: 'distinct',
            },
            normalise_by: 'expected',
          },
        ],
        accounting: { method: 'rdp', orders: 'default', library: 'opacus', version: '1.50' },
        selection: {
          runs: 12,
          rule: 'best_validation',
          validation_private: true,
          count_distribution: 'fixed',
        },
        data: { pretraining: 'public-web', overlap_checked: false, duplicates: 'deduplicated' },
        randomness: { generator: 'chacha20', resumed: false },
      }),
    );
    expect(lines.get('/guarantee/epsilon')).toBe(3);
    expect(lines.get('/mechanisms/0/noise/multiplier')).toBe(13);
  });

  it('keeps the printed digits of epsilon, rho and mu, and nothing where nothing was printed', () => {
    const printed = (text: string): unknown =>
      parseClaim(`schema: dp-claim/1\nguarantee: {${text}}`, 'c').claim.guarantee;
    expect(printed('epsilon: 3')).toMatchObject({ epsilon: '3', rho: null, mu: null });
    expect(printed('epsilon: 3.00, rho: 0.810, mu: +1.')).toMatchObject({
      epsilon: '3.00',
      rho: '0.810',
      mu: '1.',
    });
    expect(printed('epsilon: "3.0"')).toMatchObject({ epsilon: '3.0' });
    expect(printed('epsilon: null')).toMatchObject({ epsilon: null });
  });

  it('keeps the printed digits of settings where their number alone loses them, in YAML as in JSON', () => {
    const digits = (mechanism: string, guarantee = 'delta: 1e-5'): unknown =>
      parseClaim(
        `{"schema": "dp-claim/1", "guarantee": {${guarantee.replace(/(\w+):/g, '"$1":')}}, "mechanisms": [{"kind": "dp_sgd", ${mechanism}}]}`,
        'c',
      ).claim.digits;
    expect(digits('"noise": {"multiplier": 1.10}')).toEqual({ '/mechanisms/0/noise/multiplier': '1.10' });
    expect(digits('"noise": {"multiplier": 1.1}, "sampler": {"rate": 0.01}, "steps": 10')).toBeUndefined();
    expect(
      digits(
        '"epochs": 2.0, "sensitivity": 3.50, "sampler": {"rate": 1.0e-2, "batch_size": 64.0}',
        'delta: 1.10e-10, profile: [{epsilon: 2.0, delta: 1.0e-6}]',
      ),
    ).toEqual({
      '/guarantee/delta': '1.10e-10',
      '/guarantee/profile/0/epsilon': '2.0',
      '/guarantee/profile/0/delta': '1.0e-6',
      '/mechanisms/0/epochs': '2.0',
      '/mechanisms/0/sensitivity': '3.50',
      '/mechanisms/0/sampler/rate': '1.0e-2',
      '/mechanisms/0/sampler/batch_size': '64.0',
    });
  });

  it('takes null, and nothing at all, for "not stated" everywhere', () => {
    const names = Object.keys(claimOf({})).filter(name => name !== 'schema');
    const nulls = names.map(name => `${name}: null\n`).join('');
    expect(parseClaim(`schema: dp-claim/1\n${nulls}`, 'c').claim).toEqual(claimOf({}));
    expect(parseClaim('schema: dp-claim/1', 'c').claim).toEqual(claimOf({}));
  });

  it('reads JSON as it reads YAML, with tabs, a mark of its encoding and signs beyond the first plane', () => {
    const claim = { schema: 'dp-claim/1', subject: { name: '\u{1f600} a/b' }, guarantee: { delta: 1e-6 } };
    const expected = claimOf({ subject: { name: '\u{1f600} a/b' }, guarantee: { delta: 1e-6 } });
    expect(parseClaim(`﻿${JSON.stringify(claim, null, '\t')}`, 'c').claim).toEqual(expected);
    expect(parseClaim(stringify(claim), 'c').claim).toEqual(expected);
    expect(parseClaim(JSON.stringify(claim), 'c').lines.get('/guarantee')).toBe(1);
  });

  const faults: readonly (readonly [name: string, text: string, message: string])[] = [
    [
      'a misspelt field',
      changed('multiplier', 'multiplyer'),
      'line 13: mechanisms[0].noise has no field "multiplyer". Did you mean multiplier?',
    ],
    [
      "another library's name",
      changed('    steps: 4000', '    sigma: 1.1'),
      'line 11: mechanisms[0] has no field "sigma". Did you mean noise.multiplier?',
    ],
    [
      'a field in the wrong place',
      `${whole}steps: 4\n`,
      'line 19: the claim has no field "steps". Did you mean mechanisms[].steps?',
    ],
    [
      'a name that every object has',
      `${whole}__proto__: {a: 1}\n`,
      'line 19: the claim has no field "__proto__". It has schema, subject',
    ],
    [
      'a misspelt word',
      changed('adjacency: add_remove', 'adjacency: add-remove'),
      'line 5: adjacency is "add-remove". Did you mean add_remove?',
    ],
    [
      'another word',
      changed('kind: poisson', 'kind: lottery'),
      'line 10: mechanisms[0].sampler.kind is "lottery". Give one of poisson, shuffle_each_epoch',
    ],
    [
      'a negative epsilon',
      changed('epsilon: 3.0', 'epsilon: -3'),
      'line 3: guarantee.epsilon is -3. Give a number above 0',
    ],
    [
      'epsilon 0',
      changed('epsilon: 3.0', 'epsilon: 0.0'),
      'line 3: guarantee.epsilon is 0. Give a number above 0',
    ],
    [
      'an epsilon in words',
      changed('epsilon: 3.0', 'epsilon: three'),
      'line 3: guarantee.epsilon is "three". Give a positive number',
    ],
    [
      'a limit in the number',
      changed('epsilon: 3.0', 'epsilon: "<= 3.0"'),
      'line 3: guarantee.epsilon is "<= 3.0". Give 3.0, and relation: "<="',
    ],
    [
      'an epsilon in hexadecimal',
      changed('epsilon: 3.0', 'epsilon: 0x3'),
      'line 3: guarantee.epsilon is 0x3.',
    ],
    ['an epsilon that is no number', changed('epsilon: 3.0', 'epsilon: .nan'), 'guarantee.epsilon is NaN.'],
    ['an endless epsilon', changed('epsilon: 3.0', 'epsilon: .inf'), 'guarantee.epsilon is Infinity.'],
    [
      'a name that a comma cuts in two',
      changed(
        'subject: {name: model-x, digest: {sha256: abc}, source: https://example.org/x}',
        'subject: {name: MNIST, epsilon 2}',
      ),
      'subject has no field "epsilon 2". A text with a comma in it needs quotes: name: "one, two".',
    ],
    ['delta -0.1', changed('1.0e-6', '-0.1'), 'line 3: guarantee.delta is -0.1. Give a number at least 0'],
    ['delta 1', changed('1.0e-6', '1'), 'line 3: guarantee.delta is 1. Give a number below 1'],
    [
      'part of a unit',
      changed('120000', '1.5'),
      'line 9: mechanisms[0].n_units is 1.5. Give a whole number or null',
    ],
    [
      'a number for a flag',
      changed('resumed: false', 'resumed: 0'),
      'randomness.resumed is 0. Give true or false',
    ],
    ['no sort of mechanism', changed('kind: dp_sgd', 'kind: null'), 'line 8: mechanisms[0].kind is null.'],
    [
      'no schema',
      changed('schema: dp-claim/1\n', ''),
      'schema is missing. Begin the file with schema: dp-claim/1',
    ],
    [
      'another schema',
      changed('dp-claim/1', 'dp-claim/9'),
      'line 1: schema is "dp-claim/9". Give dp-claim/1',
    ],
    ['an empty file', '', 'the claim is empty. Begin the file with schema: dp-claim/1'],
    ['a list', '- 1', 'the claim is a list. Give an object'],
    ['broken YAML', changed('{kind: user,', '{kind: user'), 'line 4: '],
    ['a field given twice', `${whole}adjacency: zero_out\n`, 'line 19: "adjacency" is given twice'],
    ['two documents', `${whole}---\na: 1\n`, 'line 19: a second document begins here'],
    [
      'a reference',
      changed('adjacency: add_remove', 'adjacency: &a add_remove\nevidence: *a'),
      'line 6: it refers to another place',
    ],
    ['a tag', changed('adjacency: add_remove', 'adjacency: !!js/function x'), 'line 5: Unresolved tag'],
    ['nesting without end', '['.repeat(1e5), 'it is nested more than 64 deep'],
    ['nested names', nested(600), 'line 65: it is nested more than 64 deep'],
    ['lists in lists', '- '.repeat(1e5), 'line 1: it is nested more than 64 deep'],
    ['names of names', '? '.repeat(1e5), 'line 1: it is nested more than 64 deep'],
    [
      'a bomb of references',
      'a: &a [x, x]\nb: &b [*a, *a]\nschema: dp-claim/1\n',
      'line 2: it refers to another place',
    ],
    [
      'a number in quotes',
      changed('1.1,', '"1.1",'),
      'multiplier is "1.1". Give the number 1.1, without quotes',
    ],
    [
      'a separator of thousands',
      changed('120000', '120,000'),
      'n_units is "120,000". Give the number 120000,',
    ],
    ['per cent', changed('0.008', '0.8%'), 'sampler.rate is "0.8%". Give the number 0.008,'],
    ['a fraction', changed('0.008', '960/120000'), 'sampler.rate is "960/120000". Give the number 0.008,'],
    ['a power', changed('1.0e-6', '10^-6'), 'guarantee.delta is "10^-6". Give the number 0.000001,'],
    ['a word', changed('1.0e-6', '1/n'), 'guarantee.delta is "1/n". Give a number or null'],
    ['about 3', changed('3.0', '~3.0'), 'guarantee.epsilon is "~3.0". Give 3.0 with the digits'],
    [
      'a decimal comma',
      changed('3.0', '"3,0"'),
      'guarantee.epsilon is "3,0". Give a number with a decimal point',
    ],
    [
      'more than a number can be',
      changed('3.0', '1e400'),
      'guarantee.epsilon is Infinity. Give a finite number',
    ],
    ['noise that is no number', changed('1.1,', '.nan,'), 'noise.multiplier is NaN. Give a finite number'],
    [
      'noise in hexadecimal',
      changed('1.1,', '0x1,'),
      'line 13: mechanisms[0].noise.multiplier is 0x1. Give it as',
    ],
    ['a rate above 1', changed('0.008', '1.5'), 'sampler.rate is 1.5. Give a number at most 1,'],
    ['negative noise', changed('1.1,', '-1.1,'), 'noise.multiplier is -1.1. Give a number above 0,'],
    [
      'no space after a colon',
      changed('epsilon: 3.0', 'epsilon:3.0'),
      'guarantee has no field "epsilon:3.0". Put a space after the colon: epsilon: 3.0',
    ],
    [
      'more mechanisms than it takes',
      `schema: dp-claim/1\nmechanisms:\n${'  - {kind: dp_sgd}\n'.repeat(101)}`,
      'mechanisms has 101 items. Give at most 100',
    ],
    [
      'a name without end',
      changed('model-x', 'x'.repeat(4001)),
      'subject.name is longer than 4000 characters. Shorten it',
    ],
    [
      'a batch larger than the table',
      changed('rate: 0.008', 'batch_size: 200000'),
      'line 10: mechanisms[0].sampler.batch_size is 200000, more than n_units, 120000.',
    ],
    [
      'a rate of another batch',
      changed('rate: 0.008', 'rate: 0.5, batch_size: 1000'),
      'line 10: mechanisms[0].sampler.rate is 0.5, but sampler.batch_size ÷ n_units is 1000 ÷ 120000',
    ],
    [
      'epochs of other steps',
      changed('    steps: 4000', '    steps: 4000\n    epochs: 3'),
      'line 11: mechanisms[0].steps is 4000, but 3 epochs are 356 to 394 steps.',
    ],
    [
      'a limit below the batch',
      changed('physical_cap: null', 'physical_cap: 100'),
      'line 10: mechanisms[0].sampler.physical_cap is 100, less than a batch, 960.',
    ],
    [
      'a microbatch above the batch',
      changed('per: unit, ', 'per: microbatch, microbatch_size: 1000, '),
      'line 12: mechanisms[0].clip.microbatch_size is 1000, more than a batch, 960.',
    ],
    [
      'more participations than there is room for',
      changed('rate: 0.008', 'min_separation: 2000, max_participations: 4'),
      'mechanisms[0].sampler.max_participations is 4, for which 4000 steps are too few: 6001 are needed.',
    ],
    [
      'a sensitivity below that of a part',
      changed('kind: dp_sgd', 'kind: dp_ftrl_tree\n    restarts: 0\n    sensitivity: 3').replace(
        'kind: poisson, rate: 0.008',
        'kind: min_separation, min_separation: 500, max_participations: 8',
      ),
      'mechanisms[0].sensitivity is 3, but prefix sums alone give at least',
    ],
    [
      'a seed of a resumption that never was',
      changed('resumed: false', 'resumed: false, resumed_seed: same'),
      'line 18: randomness.resumed_seed is same, but randomness.resumed is false.',
    ],
  ];

  it.each(faults)('refuses %s', (_, text, message) => {
    expect(complaint(text)).toContain(`Cannot read the claim: claim.yaml line `);
    expect(complaint(text)).toContain(message);
    expect(complaint(text)).toMatch(/[.?]$/);
  });

  it('reads lines that end in any way', () => {
    const { claim } = parseClaim(whole, 'c');
    expect(parseClaim(whole.replaceAll('\n', '\r\n'), 'c').claim).toEqual(claim);
    expect(parseClaim(whole.replaceAll('\n', '\r'), 'c').claim).toEqual(claim);
    expect(complaint(changed('adjacency: add_remove', 'adjacency: none').replaceAll('\n', '\r'))).toContain(
      'line 5: ',
    );
  });

  it('counts thousands of faults', () => {
    const faults = Array.from({ length: 3000 }, (_, at) => `f${at}: 1\n`).join('');
    expect(complaint(whole + faults)).toContain('(and 2997 more)');
  });

  it('lists three faults by line and counts the others', () => {
    const text = whole
      .replace('adjacency: add_remove', 'adjacency: none')
      .replace('epsilon: 3.0', 'epsilon: -1')
      .replace('120000', '0')
      .replace('steps: 4000', 'steps: no');
    expect(complaint(text)).toMatch(
      /line 3: .+; claim\.yaml line 5: .+; claim\.yaml line 9: .+ \(and 1 more\)\.$/,
    );
  });

  it('takes facts that agree within rounding', () => {
    const agreeing: readonly string[] = [
      changed('rate: 0.008', 'rate: 0.008, batch_size: 960'),
      changed('rate: 0.008', 'rate: 0.00833, batch_size: 1000'),
      changed('    steps: 4000', '    steps: 4000\n    epochs: 32'),
      changed('physical_cap: null', 'physical_cap: 960'),
      changed('kind: poisson, rate: 0.008', 'kind: cyclic_poisson, rate: 0.08, batch_size: 960'),
      changed('rate: 0.008', 'batch_size: 120000').replace('    steps: 4000', '    steps: 4\n    epochs: 4'),
    ];
    expect(agreeing.map(complaint)).toEqual(agreeing.map(() => 'no complaint'));
  });

  it('gives every text either a claim or a complaint', () => {
    const lines = whole.split('\n');
    const piece = fc.oneof(
      fc.constantFrom(...lines),
      fc.string(),
      fc.constantFrom('- ', '  ', '{', '}: ', '*a', '&a x'),
    );
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), pieces => {
        expect(complaint(pieces.join('\n'))).toMatch(/^(no complaint|Cannot read the claim: claim\.yaml )/);
      }),
      { numRuns: 300 },
    );
  });
});

describe('readClaimFile()', () => {
  const folder = temporaryFolder();

  it('gives the digest of the bytes', () => {
    const path = join(folder, 'claim.yaml');
    writeFileSync(path, 'schema: dp-claim/1\n');
    expect(readClaimFile(path).file).toEqual({
      path,
      sha256: '88c6ccf64ac7d534bb2a5e4edd8e6d41125759b8b8fd2521fa15f6ad8cf88eb4',
    });
  });

  const files: readonly (readonly [name: string, content: Buffer | undefined, message: string])[] = [
    ['absent', undefined, 'there is no file'],
    ['latin', Buffer.from([0x61, 0xe9]), 'is no UTF-8 text'],
    ['in UTF-16', Buffer.from('\ufeffschema: dp-claim/1', 'utf16le'), 'is UTF-16. Save it as UTF-8'],
    ['large', Buffer.alloc((1 << 18) + 1, 32), 'has 262145 bytes, more than 262144'],
  ];

  it.each(files)('refuses a file that is %s', (name, content, message) => {
    const path = join(folder, name);
    if (content !== undefined) writeFileSync(path, content);
    expect(() => readClaimFile(path)).toThrow(message);
  });

  it('refuses a folder', () => {
    expect(() => readClaimFile(folder)).toThrow('is no file');
  });

  const claims = `${root}bench/claims/`;
  it.each(readdirSync(claims))('reads the published claim %s', name => {
    expect(readClaimFile(claims + name).claim.subject.name).not.toBeNull();
  });
});

interface SchemaNode {
  readonly properties?: Record<string, SchemaNode>;
  readonly items?: SchemaNode;
  readonly enum?: readonly unknown[];
  readonly description?: string;
}

/** Names of an object and of what it holds, in one order. */
function shape(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(shape);
  if (typeof value !== 'object' || value === null) return null;
  return Object.fromEntries(
    Object.entries(value)
      .toSorted(([one], [other]) => (one < other ? -1 : 1))
      .map(([name, held]) => [name, shape(held)]),
  );
}

function schemaShape(node: SchemaNode): unknown {
  if (node.items?.properties !== undefined) return [schemaShape(node.items)];
  if (node.properties === undefined) return null;
  return shape(
    Object.fromEntries(Object.entries(node.properties).map(([name, below]) => [name, schemaShape(below)])),
  );
}

describe('claim.schema.json', () => {
  const schema: SchemaNode = claimSchema();

  it('has the fields of a claim, no more and no fewer', () => {
    const claim = claimOf({
      guarantee: { profile: [{ epsilon: 1, delta: 1e-5 }] },
      mechanisms: [{ kind: 'dp_sgd' }],
    });
    expect(schemaShape(schema)).toEqual(shape(claim));
  });

  it('has the words of a claim', () => {
    const mechanism = schema.properties!['mechanisms']!.items!.properties!;
    expect(mechanism['kind']!.enum).toEqual(claimMechanisms);
    expect(mechanism['sampler']!.properties!['kind']!.enum).toEqual([...claimSamplers, null]);
    expect(schema.properties!['accounting']!.properties!['sampler']!.enum).toEqual([...claimSamplers, null]);
    expect(schema.properties!['unit']!.properties!['kind']!.enum).toEqual([...unitKinds, null]);
  });

  it('explains every field', () => {
    const dumb = (node: SchemaNode, name: string): string[] => [
      ...(node.description === undefined ? [name] : []),
      ...Object.entries(node.properties ?? node.items?.properties ?? {}).flatMap(([key, below]) =>
        dumb(below, `${name}.${key}`),
      ),
    ];
    expect(dumb(schema, 'claim')).toEqual([]);
  });

  it('is part of the package, as it is checked against', () => {
    const manifest: { exports: Record<string, unknown> } = JSON.parse(
      readFileSync(`${root}package.json`, 'utf8'),
    );
    expect(manifest.exports['./claim.schema.json']).toBe('./dist/src/audit/claim.schema.json');
    expect(JSON.parse(readFileSync(`${root}src/audit/claim.schema.json`, 'utf8'))).toEqual(schema);
  });
});
