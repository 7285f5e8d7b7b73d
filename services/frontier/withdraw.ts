import { providerQueue } from '#lib/ledger/provider-window'
import type { StoredAnswers } from '#lib/ledger/stored-answers'
import { HeldError, holdFor } from '#lib/stream/held-error'
import type { CallEnd, ModelJob } from '#lib/worker/call-end'
import type { CallFrontierOptions } from './call-frontier.ts'
import { idsOf, jobIdOf } from './lane-job.ts'
import { isCalling, toCallEnd } from './stored-end.ts'

/** Between two looks at a call that is under way, ms. */
const lookMs = 500

/**
 * Ends the attempt of a step that shall have no answer, so that no worker of its queue calls for it later. A call that is
 * under way will be billed: it is waited for, up to the deadline, since its answer wins.
 */
export function createWithdraw(
  deps: { answers: StoredAnswers; nowMs: () => number },
  options: Pick<CallFrontierOptions, 'deadlineGraceMs'>,
): (job: ModelJob, why: 'deadline' | 'cancelled') => Promise<CallEnd | null> {
  return async (job, why) => {
    const jobId = jobIdOf(idsOf(job.routed))
    for (const place of job.knownPlaces) {
      const ref = { queue: providerQueue(place.id, job.model.id), jobId }
      const before = await deps.answers.read(ref)
      if (!before) continue
      if (isCalling(before) && deps.nowMs() < job.deadlineAtMs + options.deadlineGraceMs) {
        const code = why === 'cancelled' ? 'SHUNT_CANCELLED' : 'SHUNT_DEADLINE_PASSED'
        throw new HeldError(code, 'the step ends when the call that is under way for it has ended', holdFor(lookMs))
      }
      await deps.answers.close(ref, why)
      const stored = await deps.answers.read(ref)
      if (!stored?.ended || (stored.calls.length === 0 && stored.closed === why)) return null
      return toCallEnd(stored, await deps.answers.answer(ref), place, deps.nowMs())
    }
    return null
  }
}
