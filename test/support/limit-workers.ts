import { setTimeout as sleep } from 'node:timers/promises'
import type { BatchShare, ProviderLimits } from '#lib/ledger/provider-limits'
import type { CallSize, ProviderWindow } from '#lib/ledger/provider-window'
import { seededRandom } from '../simulators/faults.ts'
import { createSlidingWindow } from '../simulators/sliding-window.ts'

export interface WorkersOptions {
  seed: number
  workers: number
  window: ProviderWindow
  /** Tokens of a call, at most. */
  maxTokens: number
  /** From a request's start to its arrival, at most. */
  jitterMs: number
  latencyMs: number
  forMs: number
  /** Chance of each: a worker that dies before its call, one that dies after it, a request that is never sent. */
  crashPpm: number
  /** Of the workers, parts per million that make batch calls. */
  batchPpm: number
  batch: BatchShare
}

/** One request as the provider saw it; times from the same clock. */
interface Call {
  arrivedAtMs: number
  size: CallSize
  /** Absent where it was refused or is never answered. */
  answered?: { atMs: number; used: CallSize }
}

export interface WorkersRun {
  calls: number
  /** Moments at which the provider counted more than a limit. */
  violations: number
  /** Used of the limit that is nearest to its end, over the second half of the time, parts of one. */
  mean: number
  batchCalls: number
}

const nowMs = () => performance.timeOrigin + performance.now()

/**
 * Workers that reserve, call and settle as the frontier's do, against a provider that is a list of arrivals. When
 * requests arrive is reckoned and not waited for, so that a slow machine cannot make a late one; a worker that comes too
 * late to send in time gives back what it reserved.
 */
export async function runLimitWorkers(
  limits: ProviderLimits,
  queue: string,
  options: WorkersOptions,
): Promise<WorkersRun> {
  const calls: Call[] = []
  const endsAtMs = nowMs() + options.forMs
  let batchCalls = 0

  async function work(index: number): Promise<void> {
    const random = seededRandom(options.seed * 1_000 + index)
    const draw = (ppm: number) => random() * 1_000_000 < ppm
    const batch = draw(options.batchPpm) ? options.batch : null
    while (nowMs() < endsAtMs) {
      const size = {
        inputTokens: 1 + Math.floor(random() * options.maxTokens),
        outputTokens: 1 + Math.floor(random() * options.maxTokens),
      }
      const askedAtMs = nowMs()
      const answer = await limits.reserve(queue, options.window, size, batch)
      if (answer.kind === 'never') continue
      if (answer.kind === 'wait') {
        await sleep(Math.min(answer.waitMs, 25))
        continue
      }
      if (draw(options.crashPpm)) continue
      const late = nowMs() - askedAtMs > options.window.guardMs - options.jitterMs
      const settle = (used: CallSize | 'unknown' | 'not_sent') =>
        limits.settle(queue, options.window, answer, { used, batch })
      if (late || draw(options.crashPpm)) {
        await settle('not_sent')
        continue
      }
      const call: Call = { arrivedAtMs: nowMs() + random() * options.jitterMs, size }
      calls.push(call)
      if (batch) batchCalls++
      const inputTokens = Math.ceil(size.inputTokens * (0.7 + 0.3 * random()))
      const used = { inputTokens, outputTokens: Math.ceil(size.outputTokens * random()) }
      // The provider counts a prompt itself: no more than our bound.
      call.size = { inputTokens, outputTokens: size.outputTokens }
      const refused = draw(options.crashPpm)
      const answeredAtMs = call.arrivedAtMs + random() * options.latencyMs
      if (!refused) call.answered = { atMs: answeredAtMs, used }
      while (nowMs() <= answeredAtMs) await sleep(answeredAtMs - nowMs() + 0.5)
      if (draw(options.crashPpm)) continue
      await settle(refused ? 'unknown' : used)
    }
  }

  await Promise.all(Array.from({ length: options.workers }, (_, index) => work(index)))
  return { ...countAsProvider(calls, options), batchCalls }
}

type Event = { atMs: number } & ({ call: Call; what: 'arrives' | 'is_answered' } | { what: 'look' })

function countAsProvider(calls: readonly Call[], options: WorkersOptions): Omit<WorkersRun, 'batchCalls'> {
  const { window } = options
  const events = calls.flatMap((call): Event[] => [
    { atMs: call.arrivedAtMs, call, what: 'arrives' },
    ...(call.answered ? [{ atMs: call.answered.atMs, call, what: 'is_answered' as const }] : []),
  ])
  const from = Math.min(...calls.map((call) => call.arrivedAtMs))
  for (let atMs = from + options.forMs / 2; atMs < from + options.forMs; atMs += window.windowMs / 200)
    events.push({ atMs, what: 'look' })
  events.sort((a, b) => a.atMs - b.atMs)

  const provider = createSlidingWindow(window.windowMs)
  const corrections = new Map<Call, (inputTokens: number, outputTokens: number) => void>()
  const shareAt = (atMs: number) => {
    const { requests, inputTokens, outputTokens } = provider.usedAt(atMs)
    const used = { requests, inputTokens, outputTokens, tokens: inputTokens + outputTokens }
    const names = ['requests', 'inputTokens', 'outputTokens', 'tokens'] as const
    return Math.max(...names.map((name) => used[name] / (window[name] ?? Infinity)))
  }
  let violations = 0
  const shares: number[] = []
  for (const event of events) {
    if (event.what === 'look') shares.push(shareAt(event.atMs))
    else if (event.what === 'is_answered') {
      const { inputTokens, outputTokens } = event.call.answered!.used
      corrections.get(event.call)!(inputTokens, outputTokens)
    } else {
      corrections.set(event.call, provider.add(event.atMs, { requests: 1, ...event.call.size }))
      if (shareAt(event.atMs) > 1) violations++
    }
  }
  return { calls: calls.length, violations, mean: shares.reduce((sum, share) => sum + share, 0) / shares.length }
}
