import { setTimeout as sleep } from 'node:timers/promises'
import { createClient } from '#lib/client/create-client'
import type { Part } from '../../../cli/stack/part.ts'
import type { Figure } from '../figures.ts'
import type { SimulatedBackend } from './backend.ts'
import { peakResidentMb, type BenchStack } from './bench-stack.ts'
import { makeRoutedStep, makeStep } from './load.ts'

const limitMb = 350
const timeoutMs = 120_000

export const manySteps = 5_000
const largeSteps = 500
const largeStepBytes = 900_000
/** As traced steps bring it: a header must not keep the whole response in memory that it came in. */
const headers = { traceparent: '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01' }

/** A pool process with thousands of calls under way. */
export async function memoryOfManySteps(stack: BenchStack, backend: SimulatedBackend): Promise<Figure[]> {
  const topic = stack.topic('agent.steps.oss')
  const steps = Array.from({ length: manySteps }, () => makeStep(1_024))
  await stack.fill(
    topic,
    steps.map((step) => ({
      key: step.taskId,
      value: stack.codec.encode('routed-step', makeRoutedStep(step, stack.policyHash, Date.now())),
      headers,
    })),
  )
  const env = { SHUNT_MAX_IN_FLIGHT: String(manySteps) }
  const [pool] = await untilAnswered(stack, manySteps, () => [stack.startService('oss-pool', { env })])
  const { peak } = await backend.arrivals()
  return [
    {
      name: `memory of a pool with ${manySteps} steps of 1 kB in flight`,
      value: peakResidentMb(pool!.pid),
      unit: 'MB',
      target: { atMost: limitMb },
      note: `highest resident memory; ${peak} calls were under way at once`,
    },
  ]
}

/** Classifier and pool while far more bytes are offered than they may hold. */
export async function memoryOfLargeSteps(stack: BenchStack): Promise<Figure[]> {
  const topic = stack.topic('agent.steps')
  for (let at = 0; at < largeSteps; at++) {
    const step = makeStep(largeStepBytes)
    await stack.fill(topic, [{ key: step.taskId, value: stack.codec.encode('step', step), headers }])
  }
  const services = await untilAnswered(stack, largeSteps, () => [
    stack.startService('classifier'),
    stack.startService('oss-pool'),
  ])
  return services.map((service) => ({
    name: `memory of the ${service.name} with ${largeSteps} steps of ${largeStepBytes / 1_000} kB offered`,
    value: peakResidentMb(service.pid),
    unit: 'MB',
    target: { atMost: limitMb },
    note: 'highest resident memory until all were answered',
  }))
}

/** Starts services, and resolves with them once so many steps have a result. */
async function untilAnswered(stack: BenchStack, count: number, start: () => Promise<Part>[]): Promise<Part[]> {
  const client = await createClient(stack, { namespace: stack.namespace })
  const answered = new Set<string>()
  client.onResult(({ stepId }) => answered.add(stepId))
  try {
    const services = await Promise.all(start())
    for (const endAtMs = Date.now() + timeoutMs; answered.size < count; await sleep(100))
      if (Date.now() > endAtMs) throw new Error(`only ${answered.size} of ${count} steps were answered in time`)
    return services
  } finally {
    await client.close()
  }
}
