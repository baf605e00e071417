import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { epsilonOfPlan } from '../../accounting/plan-epsilon.ts';
import { renderStatement, statementOf, statementRows } from '../../accounting/statement.ts';
import { root } from '../support/sources.ts';
import { sampleGroupPlan, samplePlan } from './sample-plan.ts';

const facts = { epsilon: { lower: 1.23456, upper: 2.34501 }, steps: 100, answers: { byAccountant: {} } };

describe('statementOf()', () => {
  it('survives JSON', () => {
    const statement = statementOf(sampleGroupPlan(), { epsilon: { lower: 0, upper: 3 }, steps: 100 });
    expect(JSON.parse(JSON.stringify(statement))).toEqual(statement);
  });

  it('asks for the answers behind epsilon where they are not given', () => {
    const plan = sampleGroupPlan();
    const answers = epsilonOfPlan(plan);
    const statement = statementOf(plan, { epsilon: answers.epsilon, steps: 100 });
    expect(statement.byAccountant).toEqual(answers.byAccountant);
    expect(statement.byConversion).toEqual(answers.byConversion);
  });

  const warned = (plan = samplePlan(), more = {}): string =>
    statementOf(plan, { ...facts, ...more }).warnings.join('\n');

  it('warns of a delta that is not below 1/users', () => {
    expect(warned(samplePlan({ delta: 1e-3 }))).toContain('delta 0.001 is not below 1/users = 0.00100');
    expect(warned(samplePlan({ delta: 9e-4 }))).not.toContain('1/users');
  });

  it('warns of an epsilon above 10', () => {
    expect(warned(samplePlan(), { epsilon: { lower: 0, upper: 10.00001 } })).toContain(
      'epsilon 10.01 is above 10',
    );
    expect(warned(samplePlan(), { epsilon: { lower: 0, upper: 10 } })).not.toContain('above 10');
    expect(warned(samplePlan(), { epsilon: { lower: 0, upper: Infinity } })).toContain(
      'no proved upper bound',
    );
  });

  it('says when more steps were counted than planned', () => {
    expect(warned(samplePlan(), { steps: 130 })).toContain('130 steps were counted where 100 were planned');
    expect(warned(samplePlan(), { steps: 40 })).not.toContain('counted');
  });

  it('always says that tuning and evaluation are not covered', () => {
    expect(warned()).toMatch(/Tuning .* is not covered/);
    expect(warned()).toMatch(/Losses, perplexities and counts .* are not covered/);
  });

  it('assumes public scores only where selection ranks by them', () => {
    const selection = { ...samplePlan().selection, strategy: 'lowest-perplexity' } as const;
    const assumed = (plan = samplePlan()): string => statementOf(plan, facts).assumptions.join('\n');
    expect(assumed(samplePlan({ selection }))).toContain('never saw private data');
    expect(assumed()).not.toContain('never saw private data');
  });

  it('names the release, as package.json does', () => {
    const { name, version }: { name: string; version: string } = JSON.parse(
      readFileSync(`${root}package.json`, 'utf8'),
    );
    expect(statementOf(samplePlan(), facts).code).toBe(`${name} ${version}`);
    expect(statementOf(samplePlan(), { ...facts, code: 'abc' }).code).toBe('abc');
  });

  it.each([
    [{ epsilon: { lower: 2, upper: 1 } }, '[2, 1]'],
    [{ epsilon: { lower: 0, upper: Number.NaN } }, '[0, NaN]'],
    [{ steps: -1 }, 'steps is -1'],
  ])('refuses %j with the value', (change, shown) => {
    expect(() => statementOf(samplePlan(), { ...facts, ...change })).toThrow(shown);
  });
});

describe('renderStatement()', () => {
  const plan = sampleGroupPlan();
  const answers = epsilonOfPlan(plan);
  const statement = statementOf(plan, { epsilon: answers.epsilon, answers, steps: 100 });

  it('rounds an upper bound up and a lower bound down', () => {
    const [guarantee] = statementRows(statementOf(samplePlan(), facts));
    expect(guarantee).toEqual(['Guarantee', 'epsilon at most 2.346 (and at least 1.234) at delta 0.0001']);
  });

  it('holds every fact on which the guarantee rests', () => {
    const text = renderStatement(statement);
    for (const fact of [
      'one user with all of their text; at most 5 of their records are used',
      'add-or-remove',
      'Gaussian noise of 2 ×',
      'each of the records takes part independently',
      'probability 0.01 a step, fixed denominator 40',
      '100 counted, 100 planned',
      'rdp: at most',
      'Rényi order',
      'lemma: at most',
      'mixture: at most',
      'the one stated',
      'for comparison',
      '1000 users, 4000 records, 5 records per user',
      'random, once, seed "42"',
    ])
      expect(text).toContain(fact);
    expect(text).not.toMatch(/undefined|NaN|\[object/);
  });

  it('names every private release behind the selection, and none where there is none', () => {
    const privacyCost = [
      { epsilon: 0.50001, delta: 1e-7, what: 'records per user, by a private histogram' },
      { epsilon: 0.25, delta: 0, what: 'a filter' },
    ];
    const spent = samplePlan({ selection: { ...samplePlan().selection, privacyCost } });
    const costly = statementOf(spent, facts);
    expect(statementRows(costly).find(([label]) => label === 'Spent on selection')).toEqual([
      'Spent on selection',
      'epsilon 0.5001 at delta 1e-7, counted in the guarantee: records per user, by a private histogram',
      'epsilon 0.2500 at delta 0, counted in the guarantee: a filter',
    ]);
    expect(costly.assumptions.join('\n')).toContain('nothing private of others beyond what was spent on it.');
    expect(JSON.parse(JSON.stringify(costly)).selection.privacyCost).toEqual(privacyCost);
    const free = renderStatement(statement);
    expect(free).not.toContain('Spent on selection');
    expect(free).toContain('nothing private of others.');
  });

  it('says infinity plainly', () => {
    const infinite = statementOf(samplePlan(), { ...facts, epsilon: { lower: 0, upper: Infinity } });
    expect(renderStatement(infinite)).toContain('epsilon at least 0 at delta 0.0001; no proved upper bound');
  });
});
