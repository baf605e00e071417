import type { AuditReport } from '../../../src/audit/report.ts';

/** A refuted claim with everything that a report may hold, and texts that want to be markup. */
export const sampleReport: AuditReport = {
  kind: 'claim',
  subject: 'Tutorial <script>alert("1")</script> & co',
  verdict: 'refuted',
  detail: 'refuted_for_sampler',
  statement:
    'Epsilon is at least 3.239 at delta 0.00001 for every example under zero-out neighbours, with batches of 256 shuffled in every epoch and noise multiplier 1.3; no upper bound is proved.',
  claimed: { epsilon: { lower: 1.185, upper: 1.195 }, delta: 1e-5 },
  reasons: [
    {
      code: 'DPC-S1-shuffled-as-poisson',
      level: 'error',
      text: 'Batches were shuffled, but accounted for as Poisson samples.',
      epsilon: { lower: 3.2394, upper: Infinity },
      source: 'Chua et al., arXiv:2403.17673, section 4',
      field: '/mechanisms/0/sampler/kind',
    },
    {
      code: 'DPC-R1-classic-conversion',
      level: 'note',
      text: 'The classic conversion of Rényi divergence gives the printed number, <b>not</b> the tightest one.',
      epsilon: { lower: 1.1921, upper: 1.1921 },
    },
    {
      code: 'DPC-S1-shuffled-as-poisson',
      level: 'error',
      text: 'The same for the second mechanism.',
      epsilon: null,
      source: 'Chua et al., arXiv:2403.17673, section 4',
      field: '/mechanisms/1/noise/multiplier',
    },
  ],
  recomputed: {
    exact: { lower: 0.86438, upper: 0.86442 },
    'rdp modern': { lower: 0.9544, upper: 0.9544 },
    'rdp classic': { lower: 1.1921, upper: 1.1921 },
    'shuffle lower bound': { lower: 3.2394, upper: Infinity },
  },
  explanation:
    'The classic conversion over the orders of its time gives 1.192, which rounds to the printed 1.19.',
  questions: ['Are batches drawn by Poisson sampling, or is the table "shuffled"?'],
  evidence: { epsilonLowerBound: 2.165, detectionLimit: 3.49, method: 'one-run' },
  files: [{ path: 'claims/my claim #1.yaml', sha256: 'ab'.repeat(32) }],
  details: { readings: [{ name: 'as stated', epsilon: 1.1921 }] },
  lines: new Map([
    ['/mechanisms', 6],
    ['/mechanisms/0', 7],
    ['/mechanisms/0/sampler', 9],
    ['/mechanisms/0/sampler/kind', 10],
  ]),
};
