export {
  allStrategies,
  type CapRule,
  type RecordStrategy,
  recordStrategies,
  type SelectionStrategy,
  type TokenPolicy,
  usesLengths,
  usesScores,
} from './rule.ts';
export { compareUtf8, recordKey } from './key.ts';
export type { NumberColumn, SelectionColumns } from './selector.ts';
export { canonicalOrder, contractVersion, keptTokens, selectForUser, type UserRecords } from './contract.ts';
export {
  type Chunk,
  chunkPhase,
  type ChunkRule,
  chunksOfUser,
  drawSeed,
  type UserTokenRecords,
} from './chunks.ts';
export {
  type DuplicatePolicy,
  groupByUser,
  type NullUserPolicy,
  readRecords,
  type ReadRecordsOptions,
  type RecordColumns,
  type Records,
  rowsOfUser,
  type UserGroups,
} from './records.ts';
export { countsPerUser, selectRows, type SelectRowsOptions } from './cap.ts';
export {
  type CapEffect,
  type ContributionBucket,
  contributionStatistics,
  type ContributionStatistics,
  defaultCaps,
} from './statistics.ts';
export {
  formatOf,
  readTable,
  type TableFormat,
  tableFormats,
  takeRows,
  withTextColumn,
  writeTable,
} from './tables/index.ts';
export { isHeldOut } from './held-out.ts';
