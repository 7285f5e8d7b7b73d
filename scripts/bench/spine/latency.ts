import { createClient, type Client } from '#lib/client/create-client'
import type { StepResult } from '#lib/events/types.generated'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep } from './load.ts'

const idleSteps = 300
const awaits = 1_000
const steadyResults = 4_000

/** The whole pipeline, one step at a time: publish to result, less the time of the model's call. */
export async function idleLatency(stack: BenchStack): Promise<Figure[]> {
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    for (let i = 0; i < 20; i++) await client.ask(makeStep(1_024))
    const addedMs: number[] = []
    for (let i = 0; i < idleSteps; i++) {
      const startedAtMs = performance.now()
      const result = await client.ask(makeStep(1_024))
      addedMs.push(performance.now() - startedAtMs - modelMs(result))
    }
    const note = `${idleSteps} steps, one after the other, through classifier and pool`
    return [
      {
        name: 'added latency of an idle step, p50',
        value: percentile(addedMs, 0.5),
        unit: 'ms',
        target: { atMost: 60 },
        note,
      },
      {
        name: 'added latency of an idle step, p99',
        value: percentile(addedMs, 0.99),
        unit: 'ms',
        target: { atMost: 150 },
      },
    ]
  } finally {
    await client.close()
  }
}

function modelMs(result: StepResult): number {
  return result.attempts.reduce((sum, attempt) => sum + attempt.endedAtMs - attempt.startedAtMs, 0)
}

/** 1,000 awaits at a time: from the broker's timestamp of a result to the resolution of its promise. */
export async function awaitLatency(stack: BenchStack): Promise<Figure[]> {
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    const burstMs = await askAll(client, awaits)
    const steadyMs = await askAll(client, steadyResults)
    return [
      {
        name: 'await of a result, broker timestamp to resolution, p99',
        value: percentile(steadyMs, 0.99),
        unit: 'ms',
        target: { atMost: 50 },
        note: `${awaits} awaits at a time, ${steadyResults} in all, p50 ${percentile(steadyMs, 0.5)} ms, most ${percentile(steadyMs, 1)} ms; a result is seen only once its transaction has ended`,
      },
      {
        name: `the same, the first ${awaits} published at once, p99`,
        value: percentile(burstMs, 0.99),
        unit: 'ms',
        note: `p50 ${percentile(burstMs, 0.5)} ms`,
      },
    ]
  } finally {
    await client.close()
  }
}

/** Keeps `awaits` steps in the air until `count` are answered; ms from timestamp to resolution of each. */
async function askAll(client: Client, count: number): Promise<number[]> {
  const writtenAtMs = new Map<string, number>()
  const ended = client.onResult((result, record) => writtenAtMs.set(result.stepId, record.timestampMs))
  const delaysMs: number[] = []
  let left = count
  await Promise.all(
    Array.from({ length: awaits }, async () => {
      while (left-- > 0) {
        const { stepId } = await client.ask(makeStep(1_024))
        // The broker's clock is this machine's.
        delaysMs.push(Date.now() - writtenAtMs.get(stepId)!)
      }
    }),
  )
  ended()
  return delaysMs
}
