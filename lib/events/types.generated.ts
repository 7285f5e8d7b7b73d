// From schemas/*.avsc by scripts/generate-events.ts. Do not edit.

export type StepKind = 'unknown' | 'classification' | 'extraction' | 'summarization' | 'content_filter' | 'routing' | 'tool_call' | 'reasoning' | 'generation'

export interface StepConstraints {
  /** null: as the tenant's floor says. */
  allowedRegions: string[] | null
  /** Compliance tags that a model must carry, such as baa. */
  requiredTags: string[]
  frontierAllowed: boolean
  /** Names of constraints that a reader must understand or refuse the step. */
  critical: string[]
}

export type StepPriority = 'interactive' | 'batch'

/** One step of an agent or a batch job: a typed routing envelope around an OpenAI chat-completions request body. A step is identified by (tenantId, stepId). */
export interface AgentStep {
  /** The caller's idempotency key, unique within the tenant. */
  stepId: string
  /** The task that the step belongs to; the Kafka key. */
  taskId: string
  tenantId: string
  /** Position in the task; informs features and displays only. */
  sequence: number | null
  kind: StepKind
  /** OpenAI chat-completions request body, JSON text. */
  request: string
  constraints: StepConstraints
  /** Cap on the whole task's spending. */
  taskBudgetMicroUsd: number | null
  /** Epoch milliseconds; after it the step ends as expired. */
  deadlineAtMs: number | null
  priority: StepPriority
  batchId: string | null
  /** The caller's own labels; returned in the result, never read for routing. */
  metadata: Record<string, string>
}

export type Tier = 'oss' | 'frontier'

/** One try of a step on one model: what was called, what came back, what the verdict on it was. */
export interface Attempt {
  /** Number of the decision that led here, from 1. */
  attempt: number
  /** Number of the last call within the attempt, from 1; 0 when none was made. */
  callNo: number
  tier: Tier
  model: string
  /** Id of the backend or provider in the policy; empty when none was reached. */
  backend: string
  region: string
  /** ok, or the code of what was wrong (lib/models/verdict). */
  verdict: string
  /** For a person; holds no prompt or answer text. */
  detail: string | null
  startedAtMs: number
  endedAtMs: number
  promptTokens: number
  completionTokens: number
  costMicroUsd: number
  /** The call may have been billed and its answer is lost. */
  outcomeUnknown: boolean
  /** Answered by the stand-in for a frontier model, not by a model. */
  standIn: boolean
  /** How sure the model was of its answer, by its log-probabilities (lib/verification/confidence); null where none were told. */
  confidencePpm: number | null
  /** The weak answer, as chat-completion JSON text; only within RoutedStep and failed results. */
  answer: string | null
  /** The weak answer was cut at 64 kB. */
  answerTruncated: boolean
}

export type ThresholdScale = 'unknown' | 'p_success' | 'gain'

/** What the classifier decided for one attempt of a step. */
export interface Decision {
  /** From 1; each re-route is a new attempt. */
  attempt: number
  tier: Tier
  model: string
  reasons: string[]
  /** P(the OSS answer is right), parts per million. */
  pSuccessPpm: number
  /** The threshold that applied, parts per million. */
  thresholdPpm: number
  /** sha256 of the policy, hex. */
  policyHash: string
  scorerHash: string | null
  engineVersion: number
  /** Forced onto the request. */
  maxOutputTokens: number
  /** Upper bound of what the attempt can cost. */
  boundMicroUsd: number
  decidedAtMs: number
  /** P(frontier right) less P(OSS right), parts per million; null where the scorer cannot tell. */
  gainPpm: number | null
  thresholdOn: ThresholdScale
  /** Since when the ledger holds the bound; its UTC day bears the cost. 0: nothing is held. */
  reservedAtMs: number
}

/** Where the step's own record lies. */
export interface StepOrigin {
  topic: string
  partition: number
  offset: number
  /** The broker's or producer's timestamp of the record. */
  receivedAtMs: number
}

/** A step on its way: with the decision that sent it, and what was tried before. */
export interface RoutedStep {
  step: AgentStep
  origin: StepOrigin
  decision: Decision
  attempts: Attempt[]
}

export type StepStatus = 'unknown' | 'completed' | 'failed' | 'refused' | 'rejected' | 'expired' | 'cancelled'

/** How a step ended: exactly one terminal record a claimed step. */
export interface StepResult {
  stepId: string
  taskId: string
  tenantId: string
  status: StepStatus
  /** Why it did not complete. */
  code: string | null
  message: string | null
  /** OpenAI chat-completion response, JSON text; the best weak answer when failed. */
  answer: string | null
  tier: Tier | null
  model: string | null
  backend: string | null
  /** The answer is the stand-in's, not a model's. */
  standIn: boolean
  reasons: string[]
  /** Over all attempts. */
  costMicroUsd: number
  /** Of the attempt that ended the step. */
  promptTokens: number
  /** Of the attempt that ended the step. */
  completionTokens: number
  /** Without their answers. */
  attempts: Attempt[]
  policyHash: string | null
  origin: StepOrigin
  sequence: number | null
  batchId: string | null
  metadata: Record<string, string>
  finishedAtMs: number
}

export type AuditType = 'unknown' | 'decision' | 'attempt' | 'outcome' | 'duplicate' | 'operator' | 'policy_activated' | 'lane_reset'

/** Envelope of one link in a lane's hash chain. The body is the Confluent-framed Avro of the type's own record, hashed exactly as written. */
export interface AuditRecord {
  /** group/topic/partition of the lane that wrote it; the Kafka key. */
  chainId: string
  /** Grows when a lane lost its head and started again. */
  epoch: number
  /** From 1 within an epoch. */
  seq: number
  /** sha256 of the link before; 32 zero bytes at an epoch's start. */
  prevHash: Buffer
  type: AuditType
  body: Buffer
}

export interface PriorAttempt {
  tier: Tier
  model: string
  verdict: string
  /** The cause passes by itself; it says nothing about the model's answers. */
  transient: boolean
  costMicroUsd: number
}

/** What is known of the step without its text. Scores are integers in parts per million. */
export interface StepFacts {
  tenantId: string
  kind: string
  priority: string
  requestedModel: string | null
  /** Of the step itself; decide() adds the tenant's floor. */
  allowedRegions: string[] | null
  requiredTags: string[]
  frontierAllowed: boolean
  /** Of the step itself. */
  deadlineAtMs: number | null
  /** Of the step's own record; the policy's default deadline counts from it. */
  receivedAtMs: number
  taskBudgetMicroUsd: number | null
  /** As the request asks. */
  maxOutputTokens: number | null
  requestBytes: number
  /** Upper estimate. */
  promptTokens: number
  messageCount: number
  imageCount: number
  toolCount: number
  toolAmbiguityPpm: number
  traceTroublePpm: number
  toolErrors: number
  repeatedCalls: number
  unknownToolCalls: number
  malformedCalls: number
  turnsSinceTrouble: number | null
  pSuccessPpm: number
  gainPpm: number | null
  priorAttempts: PriorAttempt[]
  /** hand_weighted, trained or http: whose answer pSuccessPpm and gainPpm are. */
  scoredBy: string
  /** Why the policy's HTTP scorer is not the one that answered. */
  scorerFallback: string | null
}

/** What the ledger knew when the step was decided; null where nothing keeps it yet. */
export interface LedgerSnapshot {
  nowMs: number
  budgetLeftMicroUsd: number | null
  /** Decayed failure rate by task, tool, kind, model. */
  failuresPpm: Record<string, number> | null
  /** Models whose circuit breaker is open. */
  unavailableModels: string[]
  ledgerLagMs: number | null
  /** What is left of the task's cap alone; null where it has none. */
  taskLeftMicroUsd: number | null
  /** Steps of the task that were decided so far; null where no ledger was asked. */
  taskSteps: number | null
}

export type DecisionAction = 'unknown' | 'route' | 'refuse' | 'expire' | 'fail'

export interface ThresholdTerm {
  name: string
  ppm: number
}

export interface RemovedModel {
  model: string
  reason: string
}

/** What decide() answered. */
export interface DecisionOutcome {
  action: DecisionAction
  /** Of a step that goes no further. */
  code: string | null
  tier: Tier | null
  model: string | null
  reasons: string[]
  /** Name of the policy's rule that decided. */
  rule: string | null
  thresholdPpm: number
  terms: ThresholdTerm[]
  removed: RemovedModel[]
  maxOutputTokens: number
  boundMicroUsd: number
  /** On p_success a step below the threshold escalates, on gain one at or above it. */
  thresholdOn: ThresholdScale
}

/** Everything that decide() read and answered, so that the decision can be made again, byte for byte. No prompt or answer text. */
export interface DecisionRecord {
  stepId: string
  taskId: string
  origin: StepOrigin
  /** sha256 of the record that was decided: the step's as published, or the RoutedStep by which it came back. */
  contentHash: Buffer
  attempt: number
  engineVersion: number
  policyHash: Buffer
  scorerHash: Buffer | null
  facts: StepFacts
  snapshot: LedgerSnapshot
  outcome: DecisionOutcome
  /** Since when the ledger holds the outcome's bound; its UTC day bears the cost. 0: nothing is held. */
  reservedAtMs: number
  /** The task's cap as step and policy name it. */
  taskCapMicroUsd: number | null
  /** Reservations that were asked for; each refusal led to another decision, on what it had seen. */
  reservationRounds: number
  /** Time that was waited for reservations of others to settle. */
  budgetWaitMs: number
  /** Names of offered tools that failed in the step's own trace, right before it. */
  troubledTools: string[]
}

/** One attempt, as the worker saw it. The answer is present only as its hash. */
export interface AttemptRecord {
  stepId: string
  taskId: string
  tenantId: string
  /** With its answer left out. */
  attempt: Attempt
  /** sha256 of the answer's JSON text. */
  answerHash: Buffer | null
  /** Where the step's own record lies: another record may bear the same stepId once the dedupe window is over. */
  origin: StepOrigin | null
  /** False for a call of the attempt that brought no answer, where another record of the attempt follows. */
  ends: boolean
  /** What the ledger held for one call of the attempt. */
  boundMicroUsd: number
  /** Since when; its UTC day bears the cost. */
  reservedAtMs: number
  /** Of the step. */
  kind: string
  /** Names of offered tools that the answer calls. */
  tools: string[]
}

/** A step's end, so that the ledger releases what is left. */
export interface OutcomeRecord {
  stepId: string
  taskId: string
  tenantId: string
  /** Where the step's own record lies; tells a lane that is rebuilt what is done. */
  origin: StepOrigin | null
  status: StepStatus
  code: string | null
  attempts: number
  costMicroUsd: number
  finishedAtMs: number
}

/** A step published again with the same content: no call, no second result. */
export interface DuplicateRecord {
  stepId: string
  taskId: string
  tenantId: string
  /** Of the duplicate. */
  origin: StepOrigin
  /** topic/partition/offset that holds the claim. */
  first: string
  contentHash: Buffer
}

/** First link of a new epoch: the lane had lost its head. */
export interface LaneResetRecord {
  /** Of the last link found; null when there was none. */
  lastEpoch: number | null
  lastSeq: number | null
  lastHash: Buffer | null
  reason: string
  atMs: number
}

export type FeedbackVerdict = 'unknown' | 'right' | 'wrong'

/** The caller's later verdict on an answer. */
export interface StepFeedback {
  stepId: string
  taskId: string
  tenantId: string
  verdict: FeedbackVerdict
  /** The caller's own code for what was wrong. */
  code: string | null
  actor: string | null
  atMs: number
}

/** An operator's order. The topic is compacted: the last order of a name is in force. */
export interface ControlOrder {
  /** What is ordered, such as policy or topics/<group>/<topic>/<partition>; the Kafka key. */
  name: string
  orderId: string
  actor: string
  reason: string
  atMs: number
  /** JSON text; its form follows from the name. */
  value: string
}

/** An operator's order, as it stands in agent.control. */
export interface OperatorRecord {
  order: ControlOrder
  /** Of the order in agent.control. */
  offset: number
}

/** A policy that was put in force, by the order that did. */
export interface PolicyActivatedRecord {
  order: ControlOrder
  /** Of the order in agent.control. */
  offset: number
  /** sha256 of the policy, as agent.policies has it. */
  policyHash: Buffer
}

export type PolicyRecordType = 'unknown' | 'policy' | 'scorer'

/** A policy or scorer that decided, by content hash. A scorer may come in parts. */
export interface PolicyRecord {
  /** sha256 of the whole content, hex; the Kafka key, with /<part> where there are several. */
  hash: string
  type: PolicyRecordType
  part: number
  parts: number
  content: Buffer
}

/** The interface of each schema, by the name of its file. */
export interface EventTypes {
  step: AgentStep
  attempt: Attempt
  decision: Decision
  'routed-step': RoutedStep
  'step-result': StepResult
  'audit-record': AuditRecord
  'decision-record': DecisionRecord
  'attempt-record': AttemptRecord
  'outcome-record': OutcomeRecord
  'duplicate-record': DuplicateRecord
  'lane-reset-record': LaneResetRecord
  'step-feedback': StepFeedback
  'control-order': ControlOrder
  'operator-record': OperatorRecord
  'policy-activated-record': PolicyActivatedRecord
  'policy-record': PolicyRecord
}
