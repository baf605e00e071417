import { flattenEvent, type BasicEvent, type DpEvent, type Neighbours } from '../event.ts';

/** What has no bound, and what to do instead. */
export interface Refusal {
  readonly part: string;
  readonly instead: string;
}

/**
 * The first part of an event that has no RDP under a relation, or undefined where all have one.
 *
 * @example
 * ```ts
 * const event = { kind: 'randomised-response', randomProbability: 0.5, buckets: 2 } as const;
 * refusalOf(event, 'add-or-remove').part; // 'randomised-response under add-or-remove'
 * refusalOf(event, 'replace'); // undefined
 * ```
 */
export function refusalOf(event: DpEvent, neighbours: Neighbours): Refusal | undefined {
  for (const { event: part } of flattenEvent(event)) {
    const refusal = refusalOfPart(part, neighbours);
    if (refusal !== undefined) return refusal;
  }
  return undefined;
}

const otherRelation = 'Use add-or-remove or zero-out neighbours.';

function refusalOfPart(event: BasicEvent, neighbours: Neighbours): Refusal | undefined {
  const part = `${event.kind} under ${neighbours}`;
  switch (event.kind) {
    case 'mixture-of-gaussians':
    case 'poisson-subsampled-laplace':
      return neighbours === 'replace' ? { part, instead: otherRelation } : undefined;
    case 'randomised-response':
      return neighbours === 'replace' ? undefined : { part, instead: 'Use replace neighbours.' };
    case 'fixed-size-gaussian':
      return refusalOfFixedSize(event.groupSize, neighbours);
    case 'repeat-and-select':
      return refusalOf(event.event, neighbours);
    case 'balls-in-bins-gaussian':
      return { part: event.kind, instead: 'Use the PLD accountant.' };
    case 'shuffled-gaussian':
      return {
        part: `${event.kind}, of which only lower bounds are known`,
        instead: 'Use Poisson sampling.',
      };
    default:
      return undefined;
  }
}

function refusalOfFixedSize(groupSize: number, neighbours: Neighbours): Refusal | undefined {
  const part = `fixed-size-gaussian under ${neighbours}`;
  if (neighbours === 'zero-out') return { part, instead: 'Use add-or-remove or replace neighbours.' };
  if (neighbours === 'add-or-remove' || groupSize === 1) return undefined;
  return { part: `${part} with groupSize ${groupSize}`, instead: 'Use add-or-remove neighbours.' };
}
