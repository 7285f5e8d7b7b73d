import { randomUUID } from 'node:crypto'
import { createClient, type Client } from '#lib/client/create-client'
import type { StepResult } from '#lib/events/types.generated'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep } from './load.ts'

const idleSteps = 300
const awaits = 1_000

/** The whole pipeline, one step at a time: publish to result, less the time of the model's call. */
export async function idleLatency(stack: BenchStack): Promise<Figure[]> {
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    await client.ask(makeStep(1_024))
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

/** 1,000 awaits at once: from the broker's timestamp of a result to the resolution of its promise. */
export async function awaitLatency(stack: BenchStack): Promise<Figure[]> {
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    const resolvedAtMs = await askAll(client)
    const brokerAtMs = await resultTimes(stack, new Set(resolvedAtMs.keys()))
    const delaysMs = [...resolvedAtMs].map(([stepId, atMs]) => atMs - brokerAtMs.get(stepId)!)
    return [
      {
        name: 'await of a result, broker timestamp to resolution, p99',
        value: percentile(delaysMs, 0.99),
        unit: 'ms',
        target: { atMost: 50 },
        note: `${awaits} concurrent awaits, p50 ${percentile(delaysMs, 0.5)} ms; the time a transaction stays open is in it`,
      },
    ]
  } finally {
    await client.close()
  }
}

async function askAll(client: Client): Promise<Map<string, number>> {
  const resolvedAtMs = new Map<string, number>()
  await Promise.all(
    Array.from({ length: awaits }, async () => {
      const step = makeStep(1_024)
      await client.ask(step)
      resolvedAtMs.set(step.stepId, Date.now())
    }),
  )
  return resolvedAtMs
}

/** The broker's timestamps of results, read again from the log. */
async function resultTimes(stack: BenchStack, stepIds: ReadonlySet<string>): Promise<Map<string, number>> {
  const times = new Map<string, number>()
  const consumer = stack.kafka('bench-times').consumer({ groupId: `bench-times-${randomUUID()}` })
  const all = Promise.withResolvers<void>()
  await consumer.connect()
  await consumer.subscribe({ topic: stack.topic('agent.results'), fromBeginning: true })
  await consumer.run({
    autoCommit: false,
    eachMessage: async ({ message }) => {
      const { stepId } = await stack.codec.decode('step-result', message.value)
      if (stepIds.has(stepId)) times.set(stepId, Number(message.timestamp))
      if (times.size === stepIds.size) all.resolve()
    },
  })
  await all.promise
  await consumer.disconnect()
  return times
}
