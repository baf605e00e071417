import { describe, expect, it } from 'vitest';
import { sampleCorpus, type SampleRecord } from '../../../src/corpus/corpus.ts';

function contributions(records: readonly SampleRecord[]): number[] {
  const counts = new Map<string, number>();
  for (const { user } of records) counts.set(user, (counts.get(user) ?? 0) + 1);
  return [...counts.values()].sort((a, b) => b - a);
}

function words(records: readonly SampleRecord[]): Set<string> {
  return new Set(records.flatMap(({ text }) => text.toLowerCase().match(/[a-z]+/g) ?? []));
}

describe('sampleCorpus()', () => {
  const corpus = sampleCorpus();
  const halves = [corpus.publicRecords, corpus.privateRecords];

  it('gives the same bytes for the same seed and others for another', () => {
    expect(sampleCorpus()).toEqual(corpus);
    expect(sampleCorpus({ seed: 'other' }).privateRecords[0]).not.toEqual(corpus.privateRecords[0]);
  });

  it('has 600 different users in each half', () => {
    const [publicUsers, privateUsers] = halves.map(records => new Set(records.map(({ user }) => user)));
    expect([publicUsers!.size, privateUsers!.size]).toEqual([600, 600]);
    expect([...publicUsers!].filter(user => privateUsers!.has(user))).toEqual([]);
  });

  it('is heavy-tailed: many users with one record, few with very many', () => {
    for (const counts of halves.map(contributions)) {
      const total = counts.reduce((sum, count) => sum + count, 0);
      const topTenth = counts.slice(0, 60).reduce((sum, count) => sum + count, 0);
      expect(counts[0]).toBeLessThanOrEqual(150);
      expect(counts[0]).toBeGreaterThan(100);
      expect(counts.filter(count => count === 1).length).toBeGreaterThan(90);
      expect(topTenth / total).toBeGreaterThan(0.4);
    }
  });

  it('has ASCII records of 30 to 200 bytes with distinct ids', () => {
    const records = halves.flat();
    const odd = records.filter(({ text }) => !/^[\u0020-\u007e]{30,200}$/.test(text));
    expect(odd).toEqual([]);
    expect(new Set(records.map(({ recordId }) => recordId)).size).toBe(records.length);
  });

  it('gives the private half words that the public half lacks', () => {
    const known = words(corpus.publicRecords);
    const unknown = [...words(corpus.privateRecords)].filter(word => !known.has(word));
    expect(unknown.length).toBeGreaterThan(80);
  });

  it('plants secrets that occur once, each with another user', () => {
    expect(corpus.secrets).toHaveLength(5);
    expect(new Set(corpus.secrets.map(({ user }) => user)).size).toBe(5);
    for (const secret of corpus.secrets) {
      const holders = halves.flat().filter(({ text }) => text.includes(secret.text));
      expect(holders).toEqual([secret]);
    }
  });

  it('lets authors be told apart: most users keep to one way of ending their sentences', () => {
    const endings = new Map<string, Set<string>>();
    for (const { user, text } of corpus.privateRecords) {
      const seen = endings.get(user) ?? new Set();
      for (const [sign] of text.matchAll(/\.\.\.|!/g)) seen.add(sign);
      endings.set(user, seen);
    }
    expect([...endings.values()].filter(signs => signs.size > 1)).toEqual([]);
    expect([...endings.values()].filter(signs => signs.has('!')).length).toBeGreaterThan(50);
  });

  it('serves any number of users and secrets', () => {
    expect(sampleCorpus({ users: 2, secrets: 5 }).secrets).toHaveLength(2);
    expect(sampleCorpus({ users: 1, secrets: 0 }).secrets).toEqual([]);
  });
});
