import type { PolicyLibrary } from '#lib/audit/policy-library'
import { formatOrigin, sha256 } from '#lib/audit/records'
import type { AuditSource } from '#lib/audit/source'
import { isRetryable, ShuntError } from '#lib/errors'
import type { ChatRequest } from '#lib/events/chat-request'
import { parseStep } from '#lib/events/parse-step'
import { validateRequest } from '#lib/events/request-fields'
import type { AgentStep, DecisionRecord, StepFacts } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { extractFeatures, type StepFeatures } from '#lib/routing/features'
import { factsOf } from '#lib/routing/facts'
import { handWeighted, type Scorer } from '#lib/routing/score'
import { scoreWith, type ScoredBy, type ScorerFallback, type Scoring } from '#lib/routing/scoring'
import type { InboundRecord } from '#lib/stream/types'
import type { FactCounts } from './fact-counts.ts'
import { fieldDifferences, type FieldDifference } from './field-differences.ts'
import type { RecordedDecision } from './remake-decision.ts'

/** Reads a step's request for the facts; null where its text was erased. Throws ShuntErrors for what is no request. */
export type OpenRequest = (
  step: AgentStep,
  policy: CompiledPolicy,
) => { request: ChatRequest; text: string } | null | Promise<{ request: ChatRequest; text: string } | null>

export interface RemakeFactsDeps {
  codec: Pick<AuditSource['codec'], 'decode'>
  library: Pick<PolicyLibrary, 'policy' | 'scorer'>
  open: OpenRequest
}

/** How the facts of a decision came out, made anew from the step's text. */
export interface RemadeFacts {
  state: keyof FactCounts
  fields: FieldDifference[]
  detail: string | null
}

const same: RemadeFacts = { state: 'same', fields: [], detail: null }

/** Texts that nobody sealed. */
export const openPlain: OpenRequest = (step, policy) => ({
  request: validateRequest(step.request, policy).request,
  text: step.request,
})

/**
 * Makes facts as the classifier does: features of the request, the score of the scorer that decided, and what the step
 * says of itself. Inputs that the text does not hold are taken from the record: earlier attempts, the answer of an HTTP
 * scorer, and why it was not the one that answered. So is the estimate of tokens where a hint may have been added to it:
 * the weak answer that it quotes lies in the routed step, which is kept for days.
 *
 * @param found the record at the step's place; undefined where there is none
 */
export async function remakeFacts(
  deps: RemakeFactsDeps,
  decision: RecordedDecision,
  found: InboundRecord | 'expired' | undefined,
): Promise<RemadeFacts> {
  const { record } = decision
  if (found === 'expired') return { ...same, state: 'expired' }
  if (!found) return foreign(`no record at ${formatOrigin(record.origin)}`)
  // A later attempt's hash is of the record by which the step came back.
  if (record.attempt === 1 && !sha256(found.value ?? '').equals(record.contentHash)) return foreign('other content')
  const policy = deps.library.policy(record.policyHash.toString('hex'))
  if (!policy) return { ...same, state: 'scorerMissing' }
  const scorer = scorerFor(record, deps.library)
  if (!scorer) return { ...same, state: 'scorerMissing', detail: record.scorerHash!.toString('hex') }
  try {
    const step = await parseStep(found, deps.codec)
    if (step.stepId !== record.stepId) return foreign('another step')
    const opening = deps.open(step, policy)
    const opened = opening instanceof Promise ? await opening : opening
    if (opened === null) return { ...same, state: 'erased' }
    return compare(decision, step, opened, scorer, policy)
  } catch (error) {
    if (!(error instanceof ShuntError) || isRetryable(error)) throw error
    return foreign(error.message)
  }
}

function compare(
  { record, writer, body }: RecordedDecision,
  step: AgentStep,
  { request, text }: { request: ChatRequest; text: string },
  scorer: Scorer,
  policy: CompiledPolicy,
): RemadeFacts {
  const { facts: recorded, origin } = record
  const features = extractFeatures({ ...step, request: text }, request)
  const scoring = scoringOf(record, scorer, features, request)
  const facts = factsOf(step, request, [], origin.receivedAtMs, features, scoring)
  facts.priorAttempts = recorded.priorAttempts
  if (record.attempt > 1 && policy.reroute?.hint === true) facts.promptTokens = recorded.promptTokens
  const remade: Remade = { facts, troubledTools: [...features.trace.troubledTools] }
  const asWritten: Partial<DecisionRecord> = writer.isOurs
    ? record
    : (writer.type.fromBuffer(body.subarray(5)) as DecisionRecord)
  const fields = fieldDifferences(pick(asWritten), pick(remade, asWritten))
  return fields.length === 0 ? same : { state: 'different', fields, detail: null }
}

type Remade = Pick<DecisionRecord, 'facts' | 'troubledTools'>

/** What is made anew, as far as the writer of the record had it: an older one knew fewer facts. */
function pick(of: Partial<Remade>, asWritten: Partial<Remade> = of): Partial<Remade> {
  const names = Object.keys(asWritten.facts ?? {}) as (keyof StepFacts)[]
  const facts = Object.fromEntries(names.map((name) => [name, of.facts?.[name]])) as unknown as StepFacts
  return { facts, ...(asWritten.troubledTools && { troubledTools: of.troubledTools ?? [] }) }
}

function scorerFor({ scorerHash }: DecisionRecord, library: RemakeFactsDeps['library']): Scorer | undefined {
  return scorerHash === null ? handWeighted : library.scorer(scorerHash.toString('hex'))?.scorer
}

function scoringOf({ facts }: DecisionRecord, scorer: Scorer, features: StepFeatures, request: ChatRequest): Scoring {
  const { pSuccessPpm, gainPpm } = facts
  const fallback = facts.scorerFallback as ScorerFallback | null
  if ((facts.scoredBy as ScoredBy) !== 'http') return scoreWith(scorer, features, request, fallback)
  return { score: { pSuccessPpm, gainPpm, parts: [] }, scoredBy: 'http', scorerHash: null, fallback }
}

function foreign(detail: string): RemadeFacts {
  return { state: 'foreign', fields: [], detail }
}
