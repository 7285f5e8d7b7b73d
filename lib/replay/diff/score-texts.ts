import { setImmediate as nextTurn } from 'node:timers/promises'
import { formatOrigin, sha256 } from '#lib/audit/records'
import type { AuditSource } from '#lib/audit/source'
import { isRetryable, ShuntError } from '#lib/errors'
import { parseStep } from '#lib/events/parse-step'
import type { DecisionRecord } from '#lib/events/types.generated'
import type { CompiledPolicy } from '#lib/policy/compile-policy'
import { extractFeatures } from '#lib/routing/features'
import type { Scorer } from '#lib/routing/score'
import { scoreWith } from '#lib/routing/scoring'
import type { InboundRecord } from '#lib/stream/types'
import type { RequestOpener } from '../remake-facts.ts'
import type { StepTexts } from '../step-texts.ts'
import { textWindows } from '../text-windows.ts'
import type { ScoredStep } from './task-log.ts'

export interface ScoreTextsDeps {
  codec: Pick<AuditSource['codec'], 'decode'>
  texts: Pick<StepTexts, 'read'>
  open: RequestOpener
  /** Of the new policy. */
  scorer: Scorer
  policy: CompiledPolicy
}

/** Scores steps whose texts are still kept; the others are left out. */
export type ScoreTexts = (records: readonly DecisionRecord[]) => Promise<readonly ScoredStep[]>

/** Between two of these the process looks at its signals and sockets. */
const perTurn = 200

export function createTextScorer(deps: ScoreTextsDeps): ScoreTexts {
  return async (records) => {
    const steps = [...new Map(records.map((record) => [formatOrigin(record.origin), record])).values()]
    const scored: ScoredStep[] = []
    for (const window of textWindows(steps, (record) => record)) {
      const found = await deps.texts.read(window.map(({ origin }) => origin))
      for (const [i, record] of window.entries()) {
        if (i % perTurn === 0) await nextTurn()
        const text = found.get(formatOrigin(record.origin))
        const step = text === undefined || text === 'expired' ? null : await scoreText(deps, record, text)
        if (step) scored.push(step)
      }
    }
    return scored
  }
}

/** Null for what is not the step any more: erased, or another record in its place. */
async function scoreText(
  { codec, open, scorer, policy }: ScoreTextsDeps,
  record: DecisionRecord,
  text: InboundRecord,
): Promise<ScoredStep | null> {
  // A later attempt's hash is of the record by which the step came back.
  if (record.attempt === 1 && !sha256(text.value ?? '').equals(record.contentHash)) return null
  try {
    const step = await parseStep(text, codec)
    if (step.stepId !== record.stepId) return null
    const opened = await open(step, policy)
    if (opened === null) return null
    const features = extractFeatures({ ...step, request: opened.text }, opened.request)
    const { score, scoredBy } = scoreWith(scorer, features, opened.request)
    const { topic, partition, offset } = record.origin
    return {
      taskId: record.taskId,
      stepId: record.stepId,
      origin: { topic, partition, offset },
      score: { pSuccessPpm: score.pSuccessPpm, gainPpm: score.gainPpm, scoredBy },
    }
  } catch (error) {
    if (!(error instanceof ShuntError) || isRetryable(error)) throw error
    return null
  }
}
