import { createClient, type Client } from '#lib/client/create-client'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep, pace } from './load.ts'

const batchSteps = 100_000
const stepBytes = 1_024
const perSecond = 20
const warmUpMs = 10_000
const idleMs = 30_000
const besideMs = 75_000
const parts = 5

/** What a night's batch costs an interactive step: p99 of publish to result with 100,000 batch steps queued, and without. */
export async function priority(stack: BenchStack): Promise<Figure[]> {
  await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    await askSteadily(client, warmUpMs)
    const idle = await askSteadily(client, idleMs)
    await fillBatch(stack)
    let batchDone = 0
    const ended = client.onResult((result) => {
      if (result.taskId.startsWith(batchTask)) batchDone += 1
    })
    const beside = await askSteadily(client, besideMs)
    ended()
    const [p99, p99Beside] = [percentile(idle, 0.99), percentile(beside, 0.99)]
    const byTime = Array.from({ length: parts }, (_, part) => {
      const from = Math.floor((part * beside.length) / parts)
      const some = beside.slice(from, Math.floor(((part + 1) * beside.length) / parts))
      return `${Math.round(percentile(some, 0.5))}/${Math.round(percentile(some, 0.99))}`
    })
    return [
      {
        name: 'interactive p99 with 100,000 batch steps queued, against its idle p99',
        value: p99Beside / p99,
        unit: 'times',
        target: { atMost: 2 },
        note:
          `p99 ${Math.round(p99Beside)} against ${Math.round(p99)} ms, p50 ${Math.round(percentile(beside, 0.5))} against ` +
          `${Math.round(percentile(idle, 0.5))} ms; ${perSecond} steps/s, ${beside.length} beside the batch, p50/p99 by ` +
          `fifths of the time ${byTime.join(', ')} ms`,
      },
      {
        name: 'batch steps answered meanwhile',
        value: batchDone / (besideMs / 1_000),
        unit: 'a second',
        note: `${batchDone} of ${batchSteps} in ${besideMs / 1_000} s`,
      },
    ]
  } finally {
    await client.close()
  }
}

const batchTask = 'batch-'

async function fillBatch(stack: BenchStack): Promise<void> {
  const records = Array.from({ length: batchSteps }, (_, i) => {
    const step = makeStep(stepBytes, { taskId: `${batchTask}${i}`, priority: 'batch' })
    return { key: step.taskId, value: stack.codec.encode('step', step) }
  })
  await stack.fill(stack.topic('agent.steps.batch'), records)
}

/** Milliseconds of each, from publish to result, in the order of their start. */
async function askSteadily(client: Client, durationMs: number): Promise<number[]> {
  const tookMs: number[] = []
  let asked = 0
  await pace(perSecond, durationMs, async () => {
    const at = asked++
    const startedAtMs = performance.now()
    await client.ask(makeStep(stepBytes))
    tookMs[at] = performance.now() - startedAtMs
  })
  return tookMs
}
