import type { Infrastructure } from '../../../cli/stack/stack.ts'
import type { Figure } from '../figures.ts'
import { measureRate, type BenchStack } from '../spine/bench-stack.ts'
import { makeStep, pace } from '../spine/load.ts'
import { runSamples } from '../spine/sample-run.ts'
import { withBackend } from '../spine/with-backend.ts'
import { logBytes } from './log-bytes.ts'

const loadSteps = 20_000
const trickle = { perSecond: 10, steps: 300 }
const limitBytes = 1_000

/** What a step leaves in agent.audit on the broker's disk: of a load, and of a trickle. */
export function auditSize(infrastructure: Infrastructure, dir: string): Promise<Figure[]> {
  const measure = withBackend({ latencyMs: 0, slots: 256 }, async (stack) => {
    await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
    return [await ofLoad(stack, dir), await ofTrickle(stack, dir)]
  })
  return measure(infrastructure, dir)
}

/** Many at once: transactions are large, and so are the batches that the broker keeps. */
async function ofLoad(stack: BenchStack, dir: string): Promise<Figure> {
  const steps = Array.from({ length: loadSteps }, () => makeStep(1_024))
  const bytes = await growth(stack, dir, steps.length, () =>
    stack.fill(
      stack.topic('agent.steps'),
      steps.map((step) => ({ key: step.taskId, value: stack.codec.encode('step', step) })),
    ),
  )
  return figure('audit of a step, under load', bytes, loadSteps, 'decision, attempt of an open model, outcome')
}

/** Few: nearly every step has transactions and batches of its own. */
async function ofTrickle(stack: BenchStack, dir: string): Promise<Figure> {
  const { perSecond, steps } = trickle
  const bytes = await growth(stack, dir, steps, () =>
    pace(perSecond, (1_000 * steps) / perSecond, async () => {
      const step = makeStep(1_024)
      await stack.fill(stack.topic('agent.steps'), [{ key: step.taskId, value: stack.codec.encode('step', step) }])
    }),
  )
  const { target: _none, ...known } = figure(`audit of a step, ${perSecond} a second`, bytes, steps, 'the same steps')
  return known
}

/** By how much agent.audit grew until the pool had ended so many more steps. */
async function growth(stack: BenchStack, dir: string, steps: number, publish: () => Promise<void>): Promise<number> {
  const audit = stack.topic('agent.audit')
  const ended = () => stack.committed('oss-pool', stack.topic('agent.steps.oss'))
  const before = { bytes: logBytes(dir, audit), ended: await ended() }
  await publish()
  await measureRate(ended, before.ended + steps)
  return logBytes(dir, audit) - before.bytes
}

/** The same of samples/, as `npm start` runs it: each kind of step, some re-routed, and the orders of a start. */
export async function auditSizeOfSample({ env }: Infrastructure, dir: string): Promise<Figure[]> {
  let bytes = 0
  const { results } = await runSamples({
    parts: env,
    beforeEnd({ namespace }) {
      bytes = logBytes(dir, `${namespace}.agent.audit`)
    },
  })
  const attempts = results.reduce((sum, result) => sum + result.attempts.length, 0)
  return [
    figure('audit of a step, samples/', bytes, results.length, `${results.length} steps with ${attempts} attempts`),
  ]
}

function figure(name: string, bytes: number, steps: number, what: string): Figure {
  const value = bytes / steps
  return {
    name,
    value,
    unit: 'bytes on disk',
    target: { atMost: limitBytes },
    note: `${what}; ${(value / 1_000).toFixed(2)} GB a million steps, for each copy that Kafka keeps`,
  }
}
