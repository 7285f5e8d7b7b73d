import type { Keys } from '#lib/erasure/step-texts'
import { providerQueue } from '#lib/ledger/provider-window'
import type { AttemptRef, StoredAnswers, StoredAttempt } from '#lib/ledger/stored-answers'
import {
  noCall,
  type CallEnd,
  type CallModel,
  type EarlierCall,
  type ModelJob,
  type RoutedJob,
} from '#lib/worker/call-end'
import { heldAttemptOf, type HoldCalls } from '#lib/worker/hold-calls'
import type { NamedPlace } from '#lib/worker/permits'
import { idsOf, jobIdOf, storedRequestOf } from './lane-job.ts'
import type { ModelQueue } from './model-queue.ts'
import type { ModelQueues } from './model-queues.ts'
import type { ClosedBecause } from './process-call.ts'
import { isCalling, toCallEnd } from './stored-end.ts'
import { readStoredAnswer, toStoredRequest } from './stored-texts.ts'

export interface CallFrontierDeps {
  queues: ModelQueues
  answers: StoredAnswers
  keys: Keys
  holdCalls: HoldCalls
  nowMs: () => number
}

export interface CallFrontierOptions {
  /** Between two looks at a job whose end no event told of, ms. @default 1_000 */
  pollMs: number
  /** What the worker of the call gets to store how it ended at the deadline, before the lane ends it, ms. @default 2_000 */
  deadlineGraceMs: number
}

export const callFrontierDefaults: CallFrontierOptions = { pollMs: 1_000, deadlineGraceMs: 2_000 }

/** How this attempt ended, where it ended before this process or this lane was here. */
export function createRecall(deps: CallFrontierDeps): (job: RoutedJob) => Promise<CallEnd | null> {
  return async (job) => {
    const jobId = jobIdOf(idsOf(job.routed))
    for (const place of job.knownPlaces) {
      const ref = { queue: providerQueue(place.id, job.model.id), jobId }
      const end = await endOf(deps, ref, place, job)
      if (end) return end
    }
    return null
  }
}

/**
 * Puts the attempt into the queue of the first provider that may have it, and waits for its end: by events, and by
 * looking, since an event can be missed and a job can vanish with a Redis that was lost. Whoever had its call under way
 * then cannot store the answer: the call counts as lost, at its bound, and another one is made where the budget bears it.
 */
export function createCallFrontier(
  deps: CallFrontierDeps,
  options: CallFrontierOptions = callFrontierDefaults,
): CallModel {
  // Attempts that this process has opened, by job, also over the times that their records are handled again.
  const opened = new Map<string, { atMs: number; vanished: EarlierCall[] }>()

  return async (job, signal) => {
    const queue = await chooseQueue(deps, job)
    if (!queue)
      return {
        ...noCall(deps.nowMs()),
        kind: 'failed',
        verdict: 'backend_unavailable',
        detail: 'no provider of the model is open',
        outcomeUnknown: false,
      }
    const ids = idsOf(job.routed)
    const ref = { queue: queue.name, jobId: jobIdOf(ids) }
    const laneClass = job.routed.step.priority
    const mine = opened.get(ref.jobId) ?? { atMs: deps.nowMs(), vanished: [] }
    const put = async () => {
      const request = await toStoredRequest(deps.keys, job)
      await deps.answers.open(ref, storedRequestOf(job, request, mine.vanished.length))
      opened.set(ref.jobId, mine)
      await queue.add(ref.jobId, ids, laneClass)
    }
    const ended = (end: CallEnd): CallEnd => {
      opened.delete(ref.jobId)
      return after(mine.vanished, end)
    }
    if (!opened.has(ref.jobId)) await put()
    for (;;) {
      await nextLook(queue, ref, options, job.deadlineAtMs - deps.nowMs(), signal)
      const stored = await deps.answers.read(ref)
      if (stored?.ended) return ended(await toEnd(deps, ref, stored, queue.spec.place, job))
      if (signal.aborted) return ended({ ...noCall(deps.nowMs()), kind: 'expired', outcomeUnknown: false })
      if (stored === null) {
        const pastDeadline = deps.nowMs() >= job.deadlineAtMs
        // Asked first: it throws while the ledger is lost too, and then nothing has changed.
        const isHeld = pastDeadline || (await deps.holdCalls(heldAttemptOf(job.routed), mine.vanished.length + 2))
        mine.vanished.push(vanishedCall(mine.vanished.length + 1, queue.spec.place, mine.atMs, deps.nowMs()))
        mine.atMs = deps.nowMs()
        if (pastDeadline) return ended({ ...noCall(deps.nowMs()), kind: 'expired', outcomeUnknown: false })
        if (!isHeld) return ended(notHeld(deps.nowMs()))
        await put()
      } else if (deps.nowMs() >= job.deadlineAtMs + options.deadlineGraceMs) await deps.answers.close(ref, 'deadline')
      else if (job.orders.standing().is !== 'free') await followOrders(deps, ref, job)
      else if (!job.permits(queue.spec.place) || !isServed(deps.queues, queue))
        await closeUncalled(deps.answers, ref, 'constraint_violated')
      else if (!(await queue.has(ref.jobId, laneClass))) await put()
    }
  }
}

function vanishedCall(callNo: number, { id, region }: NamedPlace, startedAtMs: number, endedAtMs: number): EarlierCall {
  const detail = 'its job vanished with a Redis that was lost; its call may have been billed'
  const verdict = 'backend_unavailable'
  return { callNo, backend: id, region, startedAtMs, endedAtMs, verdict, detail, outcomeUnknown: true }
}

/** The Redis that came after counts calls from one again: those of an attempt are told apart by their numbers. */
function after(vanished: readonly EarlierCall[], end: CallEnd): CallEnd {
  const later = (callNo: number) => (callNo === 0 ? 0 : callNo + vanished.length)
  const earlier = end.earlier.map((call) => ({ ...call, callNo: later(call.callNo) }))
  return { ...end, callNo: later(end.callNo), earlier: [...vanished, ...earlier] }
}

function notHeld(nowMs: number): CallEnd {
  const detail = 'the budget bears no call beside one that may have been billed'
  return { ...noCall(nowMs), kind: 'failed', verdict: 'budget_exhausted', detail, outcomeUnknown: false }
}

/**
 * The policy's first, but one whose calls are tried goes before one whose breaker is open. A step that waited in its lane
 * may have its job in a queue already: put into another, it would be called twice.
 */
async function chooseQueue({ queues, answers }: CallFrontierDeps, job: ModelJob): Promise<ModelQueue | undefined> {
  const permitted = queues.serving(job.model.id).filter((queue) => job.permits(queue.spec.place))
  const jobId = jobIdOf(idsOf(job.routed))
  if (permitted.length > 1)
    for (const queue of permitted) if (await answers.read({ queue: queue.name, jobId })) return queue
  return permitted.find((queue) => !queue.closed()) ?? permitted[0]
}

function isServed(queues: ModelQueues, queue: ModelQueue): boolean {
  return queues.serving(queue.spec.model).some((other) => other.name === queue.name)
}

/** A pause is known to every replica by then, ms. */
const orderSpreadMs = 5_000

/** A step that is paused gives up its slot, once no call of it is under way nor can begin where the order is news. */
async function followOrders(deps: CallFrontierDeps, ref: AttemptRef, job: ModelJob): Promise<void> {
  const standing = job.orders.standing()
  if (standing.is === 'cancelled') return closeUncalled(deps.answers, ref, 'cancelled')
  if (standing.is === 'free') return
  const ageMs = deps.nowMs() - standing.by.atMs
  if (ageMs >= 0 && ageMs < orderSpreadMs) return
  const stored = await deps.answers.read(ref)
  if (!stored?.ended && !isCalling(stored)) throw job.orders.held()
}

/** A call that runs is waited for: it was made when it was allowed, and will be billed. */
async function closeUncalled(answers: StoredAnswers, ref: AttemptRef, why: ClosedBecause): Promise<void> {
  if (!isCalling(await answers.read(ref))) await answers.close(ref, why)
}

async function endOf(
  deps: CallFrontierDeps,
  ref: AttemptRef,
  place: NamedPlace,
  job: RoutedJob,
): Promise<CallEnd | null> {
  const stored = await deps.answers.read(ref)
  return stored?.ended ? toEnd(deps, ref, stored, place, job) : null
}

async function toEnd(
  deps: CallFrontierDeps,
  ref: AttemptRef,
  stored: StoredAttempt,
  place: NamedPlace,
  { routed }: RoutedJob,
): Promise<CallEnd> {
  return toCallEnd(stored, await readStoredAnswer(deps, ref, routed), place, deps.nowMs())
}

/** Until the job ends, the lane closes, or it is time to look again; soon after the deadline at the latest. */
function nextLook(
  queue: ModelQueue,
  ref: AttemptRef,
  options: CallFrontierOptions,
  leftMs: number,
  signal: AbortSignal,
): Promise<void> {
  const waitMs = leftMs > 0 ? Math.min(options.pollMs, leftMs + 100) : 100
  return new Promise((resolve) => {
    const finish = () => {
      clearTimeout(timer)
      stopListening()
      signal.removeEventListener('abort', finish)
      resolve()
    }
    const timer = setTimeout(finish, waitMs)
    const stopListening = queue.onEnd(ref.jobId, finish)
    signal.addEventListener('abort', finish, { once: true })
    if (signal.aborted) finish()
  })
}
