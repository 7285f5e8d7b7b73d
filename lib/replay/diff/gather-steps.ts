import { formatOrigin } from '#lib/audit/records'
import type { AttemptRecord } from '#lib/events/types.generated'
import type { RecordedAttempt, RecordedStep, TaskRows } from './recorded-step.ts'

/**
 * The steps of a task out of its rows, which come in any order. A step without a decision in the range is left out: there
 * is nothing to decide again.
 */
export function gatherSteps({ decisions, attempts, verdicts, scores }: TaskRows): RecordedStep[] {
  const steps = new Map<string, RecordedStep>()
  for (const { record, place } of decisions) {
    const { origin, stepId, facts } = record
    const name = formatOrigin(origin)
    let step = steps.get(name)
    if (!step) {
      step = { tenantId: facts.tenantId, stepId, origin, decisions: [], right: null, score: null }
      steps.set(name, step)
    }
    step.decisions.push({ record, place, attempt: null })
  }
  for (const step of steps.values())
    if (step.decisions.length > 1) step.decisions.sort((a, b) => a.record.attempt - b.record.attempt)
  for (const record of attempts) {
    const step = record.origin === null ? undefined : steps.get(formatOrigin(record.origin))
    const decision = step?.decisions.find(({ record: { attempt } }) => attempt === record.attempt.attempt)
    if (decision) decision.attempt = withCall(decision.attempt, record)
  }
  for (const { origin, score } of scores) {
    const step = steps.get(formatOrigin(origin))
    if (step) step.score = score
  }
  const all = [...steps.values()]
  for (const verdict of verdicts.toSorted((a, b) => a.atMs - b.atMs)) {
    if (verdict.verdict === 'unknown') continue
    const meant = stepThatWasMeant(all, verdict)
    if (meant) meant.right = verdict.verdict === 'right'
  }
  return all
}

/** Money of every call counts, also of one that was lost; what the attempt brought is told by the call that ended it. */
function withCall(known: RecordedAttempt | null, { attempt, ends }: AttemptRecord): RecordedAttempt {
  const costMicroUsd = attempt.costMicroUsd + (known?.costMicroUsd ?? 0)
  if (!ends && known) return { ...known, costMicroUsd }
  const { promptTokens, completionTokens, verdict, confidencePpm, standIn, region, endedAtMs } = attempt
  return { costMicroUsd, promptTokens, completionTokens, verdict, confidencePpm, standIn, region, endedAtMs }
}

/** A verdict names the step only, and a stepId may come again: it is on the last decision before it, else on the first. */
function stepThatWasMeant(
  steps: readonly RecordedStep[],
  { tenantId, stepId, atMs }: { tenantId: string; stepId: string; atMs: number },
): RecordedStep | undefined {
  const named = steps
    .filter((step) => step.tenantId === tenantId && step.stepId === stepId)
    .toSorted((a, b) => decidedAtMs(a) - decidedAtMs(b))
  return named.findLast((step) => decidedAtMs(step) <= atMs) ?? named[0]
}

function decidedAtMs({ decisions }: RecordedStep): number {
  return decisions[0]!.record.snapshot.nowMs
}
