export {
  allStrategies,
  type CapRule,
  isMergeable,
  type RecordStrategy,
  recordStrategies,
  type SelectionStrategy,
  type TokenPolicy,
  usesLengths,
  usesScores,
} from './rule.ts';
export { compareUtf8, recordKey } from './key.ts';
export { windowOf, windowStart } from './window.ts';
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
  type RuleEffect,
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
export type { OwnerForm } from './owners-column.ts';
export {
  normaliseUser,
  userIdVariants,
  type UserIdVariants,
  type UserNormalisation,
  userNormalisations,
  type VariantCounts,
} from './user-ids.ts';
export {
  expandInputs,
  formatOf,
  openTables,
  readTable,
  type RowPolicy,
  type SkipReason,
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
export type { SelectionEngineName } from './engines/engine.ts';
export {
  contributionsSql,
  defectsSql,
  duplicateCheckSql,
  maximumPerUserSql,
  selectionSql,
  type SelectionSqlOptions,
  type SqlColumns,
  type SqlDialect,
  sqlDialects,
  type SqlSource,
} from './sql/index.ts';
export {
  type FileRecord,
  type InputRecord,
  type Manifest,
  manifestPathOf,
  type OwnersRecord,
  readManifest,
  type ScorerRecord,
  type SelectionStatistics,
  writeManifest,
} from './manifest.ts';
export {
  type ManifestCheck,
  type ManifestVerification,
  verifyManifest,
  type VerifyOptions,
} from './verify.ts';
export type { Provenance, Scorer } from './scorer.ts';
export {
  type ColumnChoice,
  curate,
  type CurateOptions,
  type CurateResult,
  type CurateRule,
  type CurateStage,
  type InputOptions,
} from './curate.ts';
export {
  type EffectsOptions,
  type Survey,
  type SurveyDescription,
  type SurveyEffects,
  surveyTables,
  type SurveyOptions,
} from './survey.ts';
export { isHeldOut } from './held-out.ts';
