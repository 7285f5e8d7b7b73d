import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '#lib/client/create-client'
import type { Part } from '../../../cli/stack/part.ts'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep, pace } from './load.ts'

const perSecond = 200
const leastStops = 4
const mostStops = 12
/** Past the session time-out and the rebalance after it, and past the transaction's time-out. */
const stoppedMs = 25_000
const restMs = 6_000
/** A result that is seen so long after it was written was held back by an open transaction. */
const stallMs = 1_000

/**
 * Two pools under a steady load; one is stopped (SIGSTOP) at random moments. A transaction that it leaves open holds
 * back every later result in the same partition, whoever wrote it: how long, from the broker's timestamp of a result to
 * the moment a reader of committed records sees it?
 */
export async function stalledCommit(stack: BenchStack): Promise<Figure[]> {
  const [pool, other] = await Promise.all([
    stack.startService('oss-pool', { id: 'pool-1' }),
    stack.startService('oss-pool', { id: 'pool-2' }),
    stack.startService('classifier'),
  ])
  const client = await createClient(stack, { namespace: stack.namespace })
  let longestMs = 0
  client.onResult((_result, record) => {
    longestMs = Math.max(longestMs, Date.now() - record.timestampMs)
  })
  const end = new AbortController()
  const load = (async () => {
    while (!end.signal.aborted) await pace(perSecond, 2_000, () => client.publish(makeStep(256)))
  })()
  try {
    await sleep(5_000)
    const gapsMs: number[] = []
    for (let stop = 0; stop < mostStops; stop++) {
      longestMs = 0
      await stopFor(stop % 2 === 0 ? pool : other, stoppedMs)
      await sleep(restMs)
      gapsMs.push(longestMs)
      if (gapsMs.length >= leastStops && gapsMs.some((gapMs) => gapMs > stallMs)) break
    }
    const stalled = gapsMs.filter((gapMs) => gapMs > stallMs).length
    return [
      {
        name: 'longest delay of other results by a process stopped within a commit',
        // A run in which no stop met an open transaction says nothing.
        value: stalled > 0 ? percentile(gapsMs, 1) / 1_000 : Number.NaN,
        unit: 's',
        target: { atMost: 25 },
        note:
          `${stalled} of ${gapsMs.length} stops of ${stoppedMs / 1_000} s left a transaction open; longest delay by stop ` +
          `${gapsMs.map((gapMs) => (gapMs / 1_000).toFixed(1)).join(', ')} s; 2 pools, ${perSecond} steps/s`,
      },
    ]
  } finally {
    end.abort()
    await load
    await client.close()
  }
}

async function stopFor(service: Part, ms: number): Promise<void> {
  await sleep(Math.random() * 500)
  process.kill(service.pid, 'SIGSTOP')
  try {
    await sleep(ms)
  } finally {
    process.kill(service.pid, 'SIGCONT')
  }
}
