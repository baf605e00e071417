import { describe, expect, it } from 'vitest';
import { claimNames, claimRow, readDocument, withTable } from '../../bench/claims-table.ts';

describe('the table of published claims', () => {
  const document = readDocument();

  it('has one row a claim and nothing else', () => {
    const rows = claimNames().map((_, at) => `| row ${at} |`);
    const other = withTable(document, rows);
    expect(other.split('\n').filter(line => line.startsWith('| row '))).toEqual(rows);
    expect(other.split('\n')).toHaveLength(document.split('\n').length);
  });

  it.each(claimNames())('has the row of %s as an audit writes it now', name => {
    expect(document.split('\n')).toContain(claimRow(name));
  });
});
