import { parseHTML } from 'linkedom';
import { describe, expect, it } from 'vitest';
import type { VerdictDetail } from '../../../accounting/audit/index.ts';
import { renderAuditPage } from '../../../src/audit/page.ts';
import { intervalFigure } from '../../../src/audit/chart.ts';
import { reportRows } from '../../../src/audit/rows.ts';
import { sampleReport } from './sample-report.ts';

function textOf(html: string): string {
  return parseHTML(html).document.querySelector('body')!.textContent;
}

describe('renderAuditPage()', () => {
  const html = renderAuditPage(sampleReport);
  const { document } = parseHTML(html);

  it('loads and runs nothing', () => {
    expect(document.querySelectorAll('script, link, iframe, img, object, style[src]')).toHaveLength(0);
    expect(html).not.toMatch(/<script|\son\w+=|javascript:|@import|url\(/i);
  });

  it('shows the texts of a claim as texts', () => {
    expect(document.querySelector('title')!.textContent).toBe(`Audit of ${sampleReport.subject}`);
    expect(textOf(html)).toContain(sampleReport.subject);
    expect(textOf(html)).toContain('<b>not</b>');
    expect(document.querySelectorAll('li b')).toHaveLength(0);
  });

  it('begins with the verdict and the statement, then chart, findings, questions', () => {
    const text = textOf(html);
    const order = [
      'The claim is refuted for the sampler that was used',
      sampleReport.statement,
      'Every epsilon at the claimed delta',
      sampleReport.explanation!,
      'DPC-S1-shuffled-as-poisson',
      'Questions to the author',
      'All numbers',
      'ab'.repeat(32),
    ].map(part => text.indexOf(part));
    expect(order).not.toContain(-1);
    expect(order).toEqual(order.toSorted((one, other) => one - other));
  });

  it('says on its first screen what was claimed, what the verdict means, and what it does not say', () => {
    const details: readonly VerdictDetail[] = [
      'refuted',
      'refuted_for_sampler',
      'privacy_overstated',
      'borderline',
      'unverifiable',
      'conditional',
      'privacy_understated',
      'consistent',
    ];
    for (const kind of ['claim', 'scores', 'ledger'] as const) {
      for (const detail of details) {
        const text = textOf(renderAuditPage({ ...sampleReport, kind, detail }));
        const [head] = text.split('Every epsilon at the claimed delta');
        expect(head).toContain('What was claimed: epsilon [1.185, 1.195] at delta 1e-5.');
        expect(head).toContain('What the verdict means: ');
        const isHarmless = /privacy_understated|consistent/.test(detail);
        expect(head).toMatch(
          isHarmless
            ? /What it does not say: that the (?:training|ledger|claim)/
            : /What it does not say: that /,
        );
      }
    }
  });

  it('links a source only where it is an address or a paper', () => {
    const links = [...document.querySelectorAll('a')].map(link => link.getAttribute('href'));
    expect(links).toEqual(['https://arxiv.org/abs/2403.17673', 'https://arxiv.org/abs/2403.17673']);
    const [first] = sampleReport.reasons;
    const bad = renderAuditPage({
      ...sampleReport,
      reasons: [{ ...first!, source: 'javascript:alert(1) "onclick="x' }],
    });
    expect(parseHTML(bad).document.querySelectorAll('a')).toHaveLength(0);
  });

  it('gives every number of the chart in a table too', () => {
    const cells = [...document.querySelectorAll('tbody th')].map(cell => cell.textContent);
    expect(cells).toEqual(reportRows(sampleReport).map(({ name }) => name));
    expect(textOf(html)).toContain('at least 3.239');
  });

  it('draws the chart once for broad pages and once for narrow ones', () => {
    const [broad, narrow, ...more] = [...document.querySelectorAll('figure > div')];
    expect([broad!.className, narrow!.className, more.length]).toEqual(['broad', 'narrow', 0]);
    const widths = [broad, narrow].map(part => Number(part!.querySelector('svg')!.getAttribute('width')));
    expect(widths[1]).toBeLessThan(390);
    expect(widths[0]).toBeGreaterThan(700);
    for (const { name } of reportRows(sampleReport)) expect(narrow!.textContent).toContain(`${name}: `);
  });

  it('says how it was tested, where that is told', () => {
    const facts = [
      ['Canaries', '99 <users>'],
      ['Cut', 'by rank', 'registered'],
    ] as const;
    const told = parseHTML(renderAuditPage({ ...sampleReport, facts })).document;
    expect([...told.querySelectorAll('dt')].map(({ textContent }) => textContent)).toContain('Cut');
    expect(told.querySelector('dd')!.textContent).toBe('99 <users>');
    expect(html).not.toContain('How it was tested');
  });

  it('leaves out what there is not', () => {
    const bare = renderAuditPage({
      ...sampleReport,
      claimed: { epsilon: null, delta: null },
      recomputed: {},
      evidence: null,
      reasons: [],
      questions: [],
      explanation: null,
      files: [],
    });
    expect(parseHTML(bare).document.querySelectorAll('svg, table, li')).toHaveLength(0);
  });
});

describe('intervalFigure()', () => {
  const { document } = parseHTML(`<body>${intervalFigure(sampleReport)}</body>`);

  it('draws one row a number and an arrow where there is no upper end', () => {
    const texts = [...document.querySelectorAll('text')].map(text => text.textContent);
    for (const { name } of reportRows(sampleReport)) expect(texts).toContain(name);
    expect(texts.filter(text => text === '▸')).toHaveLength(2);
  });

  it('has finite coordinates at any scale', () => {
    const scales = [
      { exact: { lower: 0, upper: 0 } },
      { exact: { lower: 1e-9, upper: 2e-9 } },
      { a: { lower: 0.1, upper: 0.2 }, b: { lower: 450, upper: Infinity } },
      { a: { lower: Infinity, upper: Infinity } },
      {},
    ];
    for (const recomputed of scales) {
      expect(intervalFigure({ ...sampleReport, recomputed })).not.toMatch(/NaN|Infinity/);
    }
  });
});
