import type { Figure } from '../figures.ts'
import type { SimulatedBackend } from './backend.ts'
import { plainCalls } from './backend.ts'
import { runBareLoop } from './bare-loop.ts'
import { measureRate, type BenchStack } from './bench-stack.ts'
import { makeRoutedStep, makeStep } from './load.ts'

const records = 10_000
const stepBytes = 1_024

export interface PoolLoad {
  partitions: number
  latencyMs: number
  slots: number
}

/** Steps a second through one pool process and one backend, against the ideal and a bare loop that makes the same calls. */
export async function poolThroughput(stack: BenchStack, backend: SimulatedBackend, load: PoolLoad): Promise<Figure[]> {
  const topic = stack.topic('agent.steps.oss')
  const steps = Array.from({ length: records }, () => makeStep(stepBytes))
  await stack.fill(
    topic,
    steps.map((step) => ({
      key: step.taskId,
      value: stack.codec.encode('routed-step', makeRoutedStep(step, stack.policyHash, Date.now())),
    })),
  )
  const call = plainCalls(backend.url, load.slots)
  const runBare = () =>
    runBareLoop(() => stack.kafka('bare'), {
      topic,
      outTopic: stack.topic('agent.feedback'),
      partitions: load.partitions,
      records,
      work: async ({ value }) => {
        const { step } = await stack.codec.decode('routed-step', value)
        const { messages } = JSON.parse(step.request) as { messages: [{ content: string }] }
        await call(messages[0].content)
      },
    })
  const before = await runBare()
  const pool = await stack.startService('oss-pool')
  const rate = await measureRate(() => stack.committed('oss-pool', topic), records)
  await pool.stop()
  const after = await runBare()

  const ideal = load.slots / (load.latencyMs / 1_000)
  const { count, peak } = await backend.arrivals()
  return [
    {
      name: 'pool, share of the ideal rate',
      value: (100 * rate) / ideal,
      unit: '%',
      target: { atLeast: 90 },
      note:
        `${Math.round(rate)} of ${ideal} steps/s, ${load.slots} slots of ${load.latencyMs} ms; ` +
        `${count - 3 * records} calls more than records, ${peak} at once`,
    },
    {
      name: 'pool, share of the bare loop with the same calls',
      value: (200 * rate) / (before + after),
      unit: '%',
      note: `bare loop ${Math.round(before)}/s before and ${Math.round(after)}/s after it`,
    },
  ]
}
