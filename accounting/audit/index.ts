export { strongestVerdict, verdictDetails, verdictFor } from './verdict.ts';
export type { FindingLevel, Reason, Verdict, VerdictDetail } from './verdict.ts';
export { claimMechanisms, claimSamplers, unitKinds } from './claim.ts';
export { claimOf } from './claim-of.ts';
export type {
  Claim,
  ClaimAccounting,
  ClaimAudit,
  ClaimClip,
  ClaimData,
  ClaimEvidence,
  ClaimGuarantee,
  ClaimMechanism,
  ClaimMechanismKind,
  ClaimNoise,
  ClaimRandomness,
  ClaimReading,
  ClaimRelease,
  ClaimSampler,
  ClaimSamplerKind,
  ClaimSelection,
  ClaimSubject,
  ClaimUnit,
  Printed,
  ProfilePoint,
  StatedClaim,
  StatedPromise,
  StatedMechanism,
  UnitKind,
} from './claim.ts';
export { auditClaim } from './claim-audit.ts';
export { claimOfPlan } from './claim-of-plan.ts';
export type { PlanClaimFacts } from './claim-of-plan.ts';
export { testParticipation } from './participation.ts';
export type {
  DrawRun,
  ParticipationAnswer,
  ParticipationOptions,
  ParticipationTest,
} from './participation.ts';
export * from './scores/index.ts';
