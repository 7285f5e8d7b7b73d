import { setTimeout as sleep } from 'node:timers/promises'
import { createRecordedAnswers } from '#lib/ledger/recorded-answers'
import type { RecordedAnswer } from '#lib/models/recorded-chat'
import { copyRange, readCopied } from '#lib/replay/publish/copy-range'
import { copyStep, createShift } from '#lib/replay/publish/copy-step'
import { followReplay, summarizeReplay } from '#lib/replay/publish/follow-replay'
import { asksForDecisions } from '#lib/replay/publish/range'
import { readRecordedResults } from '#lib/replay/publish/read-recorded'
import type { RecordedRun } from '#lib/replay/publish/recorded-run'
import type { ReplaySummary } from '#lib/replay/publish/summary'
import { connectRedis } from '../context.ts'
import type { Progress } from '../progress.ts'
import { type PlannedReplay, type ReplayDeps } from './plan-replay.ts'
import { replayEnvironment, type ReplayRoom } from './replay-services.ts'

const lookMs = 100

export interface RunReplayOptions {
  maxInFlight: number
  progress: Progress
  signal: AbortSignal
}

/**
 * Starts the services, copies what is left of the range, waits until each copy has come to its end, and stops the services.
 * Throws the signal's reason, SHUNT_SETUP_FAILED where a service ends by itself, and as its parts do.
 */
export async function runReplay(
  deps: ReplayDeps,
  planned: PlannedReplay,
  room: ReplayRoom,
  run: RecordedRun,
  options: RunReplayOptions,
): Promise<ReplaySummary> {
  const { namespace, order, policy, codec } = planned
  const { progress } = options
  const signal = AbortSignal.any([options.signal, room.failed])
  const own = { ...deps, codec }
  const { span, filter, source } = order

  const env = replayEnvironment(deps.config, planned, process.env)
  // What fails first ends the other.
  const failed = new AbortController()
  const beginning = AbortSignal.any([signal, failed.signal])
  const orFail = (work: Promise<void>) => work.catch((error: unknown) => failed.abort(error))
  const recorded = { namespace: source, span, signal: beginning }
  await Promise.all([orFail(room.start(env, beginning)), orFail(readRecordedResults(deps, run, recorded))])
  beginning.throwIfAborted()

  using redis = connectRedis(deps.config.redisUrl)
  const answers = createRecordedAnswers({ redis: redis.client, namespace })
  // After the services were started: whatever an earlier command had under way is written by now.
  const copied = await readCopied(own, { namespace, span, signal })
  await using following = await followReplay({ ...own, answers }, { namespace, signal })

  let count = copied.count
  const show = () => {
    progress.at(following.ended())
    progress.note(`${count} copied, ${following.decided()} decided`)
  }
  progress.total(span.offsets)
  const shown = setInterval(show, lookMs)
  try {
    const shiftMs = createShift(Date.now)
    const isWanted = asksForDecisions(filter) ? run.isWanted : () => true
    const copying = { id: order.id, from: source, to: namespace, policy: policy.policy, filter, times: span }
    await copyRange(
      {
        ...own,
        answers,
        copyStep: (record) => copyStep({ codec, keys: deps.keys, isWanted, shiftMs }, record, copying),
        recordedAnswer: (at) => (order.frontier === 'recorded' ? recordedAnswer(run, at) : null),
      },
      {
        from: source,
        span,
        copied,
        maxInFlight: options.maxInFlight,
        ended: following.ended,
        onCopied: (now) => (count = now),
        signal,
      },
    )
    progress.total(count)
    while (following.ended() < count) await sleep(lookMs, undefined, { signal })
  } catch (error) {
    throw signal.aborted ? signal.reason : error
  } finally {
    clearInterval(shown)
    show()
  }
  await room.stop()
  return summarizeReplay(own, run, { namespace, copied: count, signal: options.signal })
}

function recordedAnswer(run: RecordedRun, source: string): RecordedAnswer | null {
  const found = run.result(source)
  if (!found || found.answer === null || found.model === null) return null
  const { model, promptTokens, completionTokens, standIn } = found
  return { model, answer: found.answer, promptTokens, completionTokens, standIn }
}
