import { setTimeout as sleep } from 'node:timers/promises'
import { createClient, type Client } from '#lib/client/create-client'
import type { Part } from '../../../cli/stack/part.ts'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep, pace } from './load.ts'

const pooledPerSecond = 200
/** Ended by the classifier itself, whose results share the partitions with those of the pool. */
const expiredPerSecond = 100
const rounds = 3
const mostTries = 100
/** Past the session time-out and the rebalance after it, and past the transaction's time-out. */
const stoppedMs = 25_000
const restMs = 8_000
/** A partition that shows nothing for so long, with 25 results a second of the classifier's, is held back. */
const stallMs = 400

/**
 * A pool is stopped (SIGSTOP) until that meets an open transaction, which holds back every later result in the same
 * partition, whoever wrote it: how long, from the broker's timestamp of a result of the classifier, which is never
 * stopped, to the moment a reader of committed records sees it?
 */
export async function stalledCommit(stack: BenchStack, partitions: number): Promise<Figure[]> {
  const [pool] = await Promise.all([
    stack.startService('oss-pool', { id: 'pool-1' }),
    stack.startService('oss-pool', { id: 'pool-2' }),
    stack.startService('classifier'),
  ])
  const client = await createClient(stack, { namespace: stack.namespace })
  let longestMs = 0
  const seenAtMs = Array.from({ length: partitions }, () => Date.now())
  client.onResult((result, record) => {
    seenAtMs[record.partition] = Date.now()
    if (result.status === 'expired') longestMs = Math.max(longestMs, Date.now() - record.timestampMs)
  })
  const isHeld = () => seenAtMs.some((atMs) => Date.now() - atMs >= stallMs)
  const end = new AbortController()
  const load = Promise.all([
    publishUntil(end.signal, client, pooledPerSecond, () => makeStep(256)),
    publishUntil(end.signal, client, expiredPerSecond, () => makeStep(256, { deadlineAtMs: Date.now() })),
  ])
  try {
    await sleep(5_000)
    const delaysMs: number[] = []
    let tries = 0
    while (delaysMs.length < rounds && tries++ < mostTries) {
      longestMs = 0
      if (!(await stopWhile(pool, isHeld))) continue
      await sleep(restMs)
      delaysMs.push(longestMs)
    }
    return [
      {
        name: 'longest delay of other results by a process stopped within a commit',
        // A run in which no stop met an open transaction says nothing.
        value: delaysMs.length > 0 ? percentile(delaysMs, 1) / 1_000 : Number.NaN,
        unit: 's',
        target: { atMost: 25 },
        note:
          `${delaysMs.length} of ${tries} stops met an open transaction and lasted ${stoppedMs / 1_000} s; longest delays ` +
          `${delaysMs.map((delayMs) => (delayMs / 1_000).toFixed(1)).join(', ')} s; 2 pools, ${pooledPerSecond} steps/s`,
      },
    ]
  } finally {
    end.abort()
    await load
    await client.close()
  }
}

async function publishUntil(
  end: AbortSignal,
  client: Client,
  perSecond: number,
  make: () => ReturnType<typeof makeStep>,
): Promise<void> {
  while (!end.aborted) await pace(perSecond, 1_000, () => client.publish(make()))
}

/** Stops the process; for long if that holds results back, else only for a moment. True if it did. */
async function stopWhile(service: Part, isHeld: () => boolean): Promise<boolean> {
  await sleep(500 + Math.random() * 500)
  process.kill(service.pid, 'SIGSTOP')
  try {
    await sleep(stallMs + 200)
    if (!isHeld()) return false
    await sleep(stoppedMs)
    return true
  } finally {
    process.kill(service.pid, 'SIGCONT')
  }
}
