export { byteTokenizer, gpt2Tokenizer, openTokenizer, type Tokenizer } from './model/tokenizer.ts';
export {
  initialiseParameters,
  parametersOf,
  type GptConfig,
  type LoraConfig,
  type Model,
  type ModelSpec,
} from './model/gpt.ts';
export { mergeLora, withLora } from './model/lora.ts';
export { openLanguageModel, openTokenizerFrom, type OpenOptions } from './model/open.ts';
export {
  saveModel,
  type ModelSource,
  type Provenance,
  type SaveLayout,
  type SaveOptions,
} from './model/weights.ts';
export type { LanguageModel } from './language-model.ts';
export {
  drawRecords,
  encodeText,
  selectOnce,
  splitHeldOut,
  tableDigest,
  tokeniseRows,
  truncationOf,
  type DrawRule,
  type RecordTokens,
  type TextRow,
  type Truncation,
  type UserTokens,
} from './data.ts';
export {
  train,
  type Diagnostics,
  type TrainingProgress,
  type TrainingResult,
  type TrainOptions,
} from './train.ts';
export { planWithCanaries, type Canary, type CanaryRequest, type CanarySet } from './canaries/canaries.ts';
export { readCanaries, type CanaryCommitment } from './canaries/canary-file.ts';
export type { ScoredCanaries } from './canaries/score-canaries.ts';
export type { LossPoint, TrainingSettings } from './settings.ts';
export { trainWithoutPrivacy, type BaselineOptions, type BaselineResult } from './baseline.ts';
export { pretrain, type PretrainOptions } from './pretrain.ts';
export type { OrdinaryProgress, OrdinarySettings } from './ordinary.ts';
export { evaluate, type Perplexity } from './evaluate.ts';
export { perplexityScorer, type PerplexityScorer } from './score.ts';
export { checkFit } from './fit.ts';
export type { DeviceTensor, Engine, HostTensor, Program } from './engines/engine.ts';
export { engineNames, openEngine, type EngineName, type EngineOptions } from './engines/open.ts';
export { tfjsEngine } from './engines/tfjs.ts';
export { examineEngine, type EngineReport } from './engines/survey.ts';
export { disposePrograms } from './device.ts';
export {
  openMechanism,
  privateGradient,
  type Mechanism,
  type PrivateGradient,
  type StepBook,
  type StepPhase,
  type StepRecord,
  type StepSeal,
} from './mechanism.ts';
export type { ClipState, StepClip } from './step-clip.ts';
export { addGaussianNoise, noiseGrid } from './noise.ts';
export {
  ballsInBinsSampler,
  openSampler,
  poissonSampler,
  shuffledSampler,
  truncatedPoissonSampler,
  type EpochOptions,
  type Sampler,
} from './sampler.ts';
export { applyUpdate, defaultOptimizer, openOptimizer, type OptimizerSettings } from './optimizer.ts';
export { learningRateAt, type Schedule } from './schedule.ts';
export { countNoised, readLedger, type EpsilonSoFar, type LedgerEntry } from './ledger.ts';
export { checkDraws } from './check-draws.ts';
export { commitmentOf, deriveKey, type RandomBits, type RandomWords, type StepPoint } from './randomness.ts';
export { auditLedger, type AuditLedgerOptions, type LedgerAudit } from './audit/audit-ledger.ts';
export type { ChainBreak, ChainFault, ChainState } from './audit/chain.ts';
export type { ReplayAnswer, ReplayInputs } from './audit/replay/replay.ts';
export type { RandomAnswer } from './audit/replay/random-words.ts';
export type { StepOutcome } from './audit/replay/compare-stretch.ts';
export type { LedgerClaim } from './audit/spent-epsilon.ts';
export {
  signRun,
  verifyEvidence,
  type EvidenceCheck,
  type EvidenceVerification,
} from './evidence/evidence.ts';
export { checkPrivateKey, looksLikeEnvelope, preAuthentication } from './evidence/dsse.ts';
export { inclusionProof, isIncluded, merkleRoot } from './evidence/merkle.ts';
export type { Subject, TrainingPredicate, TrainingStatement } from './evidence/statement.ts';
