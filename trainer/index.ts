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
export type { LossPoint, TrainingSettings } from './settings.ts';
export { trainWithoutPrivacy, type BaselineOptions, type BaselineResult } from './baseline.ts';
export { pretrain, type PretrainOptions } from './pretrain.ts';
export type { OrdinaryProgress, OrdinarySettings } from './ordinary.ts';
export { evaluate, type Perplexity } from './evaluate.ts';
export { perplexityScorer, type PerplexityScorer } from './score.ts';
export { checkFit } from './fit.ts';
export { disposePrograms } from './device.ts';
export { openMechanism, privateGradient, type Mechanism, type StepPhase } from './mechanism.ts';
export { addGaussianNoise } from './noise.ts';
export { poissonSampler, type PoissonSampler } from './sampler.ts';
export { applyUpdate, defaultOptimizer, openOptimizer, type OptimizerSettings } from './optimizer.ts';
export { learningRateAt, type Schedule } from './schedule.ts';
export { countNoised, readLedger, type LedgerEntry } from './ledger.ts';
