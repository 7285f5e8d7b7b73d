import type { ChatRequest } from '#lib/events/chat-request'
import type { AgentStep, Attempt, PriorAttempt, StepFacts } from '#lib/events/types.generated'
import { isTransientVerdict, verdicts, type Verdict } from '#lib/models/verdicts'
import { extractFeatures, type StepFeatures } from './features.ts'
import { handWeighted, type Scorer } from './score.ts'
import { scoreWith, type Scoring } from './scoring.ts'

/** A step read in full: its facts, and what they were made from, for one who wants to explain them. */
export interface StepReading {
  facts: StepFacts
  features: StepFeatures
  scoring: Scoring
}

/** What a step can bring along of itself. */
type PublishedStep = Pick<
  AgentStep,
  'tenantId' | 'kind' | 'priority' | 'request' | 'constraints' | 'deadlineAtMs' | 'taskBudgetMicroUsd'
>

/**
 * The facts that decide() reads. `request` is the step's own, validated; `receivedAtMs` is the timestamp of its record,
 * from which the policy's default deadline counts.
 */
export function extractFacts(
  step: PublishedStep,
  request: ChatRequest,
  attempts: readonly Attempt[],
  receivedAtMs: number,
  scorer: Scorer = handWeighted,
): StepFacts {
  return readStep(step, request, attempts, receivedAtMs, scorer).facts
}

/** As `extractFacts`, with the features, the score's parts and whose they are. */
export function readStep(
  step: PublishedStep,
  request: ChatRequest,
  attempts: readonly Attempt[],
  receivedAtMs: number,
  scorer: Scorer = handWeighted,
): StepReading {
  const features = extractFeatures(step, request)
  const scoring = scoreWith(scorer, features, request)
  return { facts: factsOf(step, request, attempts, receivedAtMs, features, scoring), features, scoring }
}

/** As `extractFacts`, of a step whose features were extracted and scored before: outside, perhaps. */
export function factsOf(
  step: PublishedStep,
  request: ChatRequest,
  attempts: readonly Attempt[],
  receivedAtMs: number,
  features: StepFeatures,
  { score, scoredBy, fallback }: Scoring,
): StepFacts {
  const { trace } = features
  return {
    tenantId: step.tenantId,
    kind: step.kind,
    priority: step.priority,
    requestedModel: request.model ?? null,
    allowedRegions: step.constraints.allowedRegions,
    requiredTags: step.constraints.requiredTags,
    frontierAllowed: step.constraints.frontierAllowed,
    deadlineAtMs: step.deadlineAtMs,
    receivedAtMs,
    taskBudgetMicroUsd: step.taskBudgetMicroUsd,
    maxOutputTokens: features.maxOutputTokens,
    requestBytes: features.requestBytes,
    promptTokens: features.promptTokens,
    messageCount: features.messageCount,
    imageCount: features.imageCount,
    toolCount: features.toolCount,
    toolAmbiguityPpm: features.ambiguity.ppm,
    traceTroublePpm: trace.troublePpm,
    toolErrors: trace.toolErrors,
    repeatedCalls: trace.repeatedCalls,
    unknownToolCalls: trace.unknownToolCalls,
    malformedCalls: trace.malformedCalls,
    turnsSinceTrouble: trace.turnsSinceTrouble,
    pSuccessPpm: score.pSuccessPpm,
    gainPpm: score.gainPpm,
    priorAttempts: attempts.map(priorAttempt),
    scoredBy,
    scorerFallback: fallback,
  }
}

/** A verdict that this release does not know, from a newer worker, counts against the model. */
function priorAttempt({ tier, model, verdict, costMicroUsd }: Attempt): PriorAttempt {
  const transient = Object.hasOwn(verdicts, verdict) && isTransientVerdict(verdict as Verdict)
  return { tier, model, verdict, transient, costMicroUsd }
}
