import { formatOrigin } from '#lib/audit/records'
import { stepKeyText, type RecordPlace } from '#lib/client/waits'
import type { AttemptRecord, OutcomeRecord, StepFeedback, Tier } from '#lib/events/types.generated'
import { wrongByForm } from '#lib/models/wrong-by-form'

export interface FeedbackJoinOptions {
  /** An answer that failed verification counts as wrong, beside the verdict on the one that was accepted. */
  verification: boolean
}

/** A step whose answer was judged; its request is still to be read. */
export interface JudgedStep {
  id: string
  tenantId: string
  /** Where the step's own record lies. */
  place: RecordPlace
  outcome: { oss?: boolean; frontier?: boolean }
}

/** What became of the steps that there is feedback on. */
export interface FeedbackCounts {
  /** Steps with a verdict: of several on one, the last counts. */
  steps: number
  judged: number
  /** No attempt with an answer is in what was read of the audit. */
  withoutAnswer: number
  /** Answered by the stand-in for a frontier model, which is none, and by nothing else. */
  standIn: number
  /** Labels of answers that failed verification. */
  failedVerification: number
}

type Answered = Pick<AttemptRecord['attempt'], 'attempt' | 'tier' | 'verdict' | 'standIn' | 'endedAtMs'>

/** One record of a step, of which there are several where its stepId was used again later. */
interface Run {
  place: RecordPlace
  completed: boolean
  attempts: Answered[]
}

interface Judged {
  id: string
  tenantId: string
  right: boolean
  atMs: number
  runs: Map<string, Run>
}

/**
 * Joins verdicts with what the audit says of who answered. Pure: feedback first, then audit records in any order, then
 * `steps`. Memory goes with the steps that were judged, not with all.
 *
 * The labels are one-sided: of a step that was answered by one model nobody knows what the other would have said
 * ("selective labels", Lakkaraju et al. 2017).
 */
export function createFeedbackJoin({ verification }: FeedbackJoinOptions) {
  const judged = new Map<string, Judged>()

  function runOf({ tenantId, stepId, origin }: Pick<AttemptRecord, 'tenantId' | 'stepId' | 'origin'>): Run | undefined {
    const of = judged.get(stepKeyText({ tenantId, stepId }))
    if (!of || origin === null) return undefined
    const { topic, partition, offset } = origin
    const name = formatOrigin(origin)
    const run = of.runs.get(name) ?? { place: { topic, partition, offset }, completed: false, attempts: [] }
    of.runs.set(name, run)
    return run
  }

  return {
    feedback({ tenantId, stepId, verdict, atMs }: StepFeedback): void {
      if (verdict === 'unknown') return
      const key = stepKeyText({ tenantId, stepId })
      const known = judged.get(key)
      if (known && known.atMs > atMs) return
      judged.set(key, { id: `${tenantId}/${stepId}`, tenantId, right: verdict === 'right', atMs, runs: new Map() })
    },

    attempt(record: AttemptRecord): void {
      if (record.answerHash === null) return
      const { attempt, tier, verdict, standIn, endedAtMs } = record.attempt
      runOf(record)?.attempts.push({ attempt, tier, verdict, standIn, endedAtMs })
    },

    outcome(record: OutcomeRecord): void {
      if (record.status !== 'completed') return
      const run = runOf(record)
      if (run) run.completed = true
    },

    steps(): { steps: JudgedStep[]; counts: FeedbackCounts } {
      const counts = { steps: judged.size, judged: 0, withoutAnswer: 0, standIn: 0, failedVerification: 0 }
      const steps: JudgedStep[] = []
      for (const { id, tenantId, right, atMs, runs } of judged.values()) {
        const run = runThatWasMeant([...runs.values()], atMs)
        const answer = run && answerOf(run)
        if (!run || !answer) {
          counts.withoutAnswer += 1
          continue
        }
        const outcome = outcomeOf(run, answer, right, verification)
        const tiers = Object.keys(outcome) as Tier[]
        if (tiers.length === 0) {
          counts.standIn += 1
          continue
        }
        counts.judged += 1
        counts.failedVerification += tiers.filter((tier) => tier !== answer.tier || answer.standIn).length
        steps.push({ id, tenantId, place: run.place, outcome })
      }
      return { steps, counts }
    },
  }
}

/** A verdict names no record, only the step: it is on the last answer before it. Clocks differ: else on the first. */
function runThatWasMeant(runs: readonly Run[], atMs: number): Run | undefined {
  const answered = runs
    .filter(({ attempts }) => attempts.length > 0)
    .map((run) => ({ run, firstMs: Math.min(...run.attempts.map(({ endedAtMs }) => endedAtMs)) }))
    .toSorted((a, b) => a.firstMs - b.firstMs)
  return (answered.findLast(({ firstMs }) => firstMs <= atMs) ?? answered[0])?.run
}

/** Whose answer the result has: the last one of a step that completed, else the one handed back when it failed. */
function answerOf({ attempts, completed }: Run): Answered | undefined {
  const inOrder = attempts.toSorted((a, b) => a.attempt - b.attempt)
  const accepted = inOrder.findLast(({ verdict }) => verdict === 'ok') ?? (completed ? inOrder.at(-1) : undefined)
  return accepted ?? inOrder.findLast(({ tier }) => tier === 'frontier') ?? inOrder.at(-1)
}

/** The verdict on the answer comes last: it knows more than a check of the form. */
function outcomeOf(run: Run, answer: Answered, right: boolean, verification: boolean): JudgedStep['outcome'] {
  const outcome: JudgedStep['outcome'] = {}
  if (verification)
    for (const { tier, verdict, standIn } of run.attempts)
      if (!standIn && wrongByForm.has(verdict)) outcome[tier] = false
  if (!answer.standIn) outcome[answer.tier] = right
  return outcome
}
