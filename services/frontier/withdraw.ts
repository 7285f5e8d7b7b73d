import type { Keys } from '#lib/erasure/step-texts'
import type { ErrorCode } from '#lib/errors'
import { providerQueue } from '#lib/ledger/provider-window'
import type { StoredAnswers } from '#lib/ledger/stored-answers'
import { HeldError, holdFor } from '#lib/stream/held-error'
import type { CallEnd, RoutedJob } from '#lib/worker/call-end'
import type { WithdrawnBecause } from '#lib/worker/handle-routed-step'
import type { CallFrontierOptions } from './call-frontier.ts'
import { idsOf, jobIdOf } from './lane-job.ts'
import { isCalling, toCallEnd } from './stored-end.ts'
import { readStoredAnswer } from './stored-texts.ts'

/** Between two looks at a call that is under way, ms. */
const lookMs = 500

const codes = {
  cancelled: 'SHUNT_CANCELLED',
  deadline: 'SHUNT_DEADLINE_PASSED',
  text_erased: 'SHUNT_TEXT_ERASED',
} as const satisfies Record<WithdrawnBecause, ErrorCode>

/**
 * Ends the attempt of a step that shall have no answer, so that no worker of its queue calls for it later. A call that is
 * under way will be billed: it is waited for, up to the deadline, since its answer wins.
 */
export function createWithdraw(
  deps: { answers: StoredAnswers; keys: Keys; nowMs: () => number },
  options: Pick<CallFrontierOptions, 'deadlineGraceMs'>,
): (job: RoutedJob, why: WithdrawnBecause) => Promise<CallEnd | null> {
  return async (job, why) => {
    const jobId = jobIdOf(idsOf(job.routed))
    for (const place of job.knownPlaces) {
      const ref = { queue: providerQueue(place.id, job.model.id), jobId }
      const before = await deps.answers.read(ref)
      if (!before) continue
      if (isCalling(before) && deps.nowMs() < job.deadlineAtMs + options.deadlineGraceMs) {
        throw new HeldError(
          codes[why],
          'the step ends when the call that is under way for it has ended',
          holdFor(lookMs),
        )
      }
      await deps.answers.close(ref, why)
      const stored = await deps.answers.read(ref)
      if (!stored?.ended || (stored.calls.length === 0 && stored.closed === why)) return null
      return toCallEnd(stored, await readStoredAnswer(deps, ref, job.routed), place, deps.nowMs())
    }
    return null
  }
}
