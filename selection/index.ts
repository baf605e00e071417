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
export { type CappedRows, countsPerUser, selectCapped, selectRows, type SelectRowsOptions } from './cap.ts';
export {
  fittingText,
  type LengthUnit,
  lengthUnits,
  type SelectionTokenizer,
  textLengths,
} from './lengths.ts';
export {
  addContributions,
  type CapEffect,
  capEffects,
  type ContributionBucket,
  type Contributions,
  contributionsOf,
  contributionStatistics,
  type ContributionStatistics,
  defaultCaps,
} from './statistics.ts';
export { defaultShares, SizeHistogram, sizeStatistics, type SizeStatistics } from './statistics-sizes.ts';
export {
  defaultLargest,
  type PrivateHistogram,
  publicEdges,
  releaseContributions,
  type ReleaseOptions,
} from './private-histogram.ts';
export {
  type Estimate,
  type PrivateCapEffect,
  type PrivateQuantile,
  privateStatistics,
  type PrivateStatistics,
  type PrivateStatisticsOptions,
  type RecordsRange,
} from './private-statistics.ts';
export { type Coverage, privateCap, type PrivateCap, type PrivateCapOptions } from './private-cap.ts';
export {
  type ChoiceStatus,
  type CrossUserChoice,
  eventsOfCosts,
  type Origin,
  parsePrivacyCost,
  type PrivacyCost,
  privacyCostOf,
  type PrivateOrigin,
  type PublicOrigin,
  type SelectionChoice,
  type SourcedCap,
  spendingChoices,
  statusOf,
  type UserLocalChoice,
  type ValueChoice,
} from './safety.ts';
export {
  type OwnedRecords,
  type OwnedSelection,
  type OwnerLists,
  ownerLists,
  selectOwned,
} from './owners.ts';
export {
  normaliseUser,
  userIdVariants,
  type UserIdVariants,
  type UserNormalisation,
  userNormalisations,
  type VariantCounts,
} from './user-ids.ts';
export {
  formatOf,
  readTable,
  type TableFormat,
  tableFormats,
  takeRows,
  textTable,
  withTextColumn,
  writeTable,
} from './tables/index.ts';
export {
  type CrossUserDuplicates,
  crossUserDuplicates,
  DuplicateCounter,
  type DuplicateOptions,
  duplicateReport,
  type DuplicateReport,
  normalisedText,
  type TextComparison,
} from './duplicates.ts';
export { fileDigest, keptIdsDigest } from './digest.ts';
export {
  type FileRecord,
  type Manifest,
  type ManifestCheck,
  manifestPathOf,
  type ManifestVerification,
  readManifest,
  type ScorerRecord,
  verifyManifest,
  writeManifest,
} from './manifest.ts';
export type { Provenance, Scorer } from './scorer.ts';
export {
  curate,
  type CurateOptions,
  type CurateResult,
  type CurateRule,
  type CurateStage,
} from './curate.ts';
export { isHeldOut } from './held-out.ts';
