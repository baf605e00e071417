/** Audits the claims in `claims/` and writes the table of their verdicts into README.md: `npm run claims:table`. */
import { writeFileSync } from 'node:fs';
import { claimNames, claimRow, readDocument, tableFile, withTable } from './claims-table.ts';

writeFileSync(tableFile, withTable(readDocument(), claimNames().map(claimRow)));
