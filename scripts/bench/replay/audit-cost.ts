import { readFileSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { percentile, type Figure } from '../figures.ts'
import { measureRate } from '../spine/bench-stack.ts'
import { makeStep } from '../spine/load.ts'
import { benchPartitions, withBackend } from '../spine/with-backend.ts'

const without = fileURLToPath(new URL('classifier/without-audit.ts', import.meta.url))
const steps = 30_000
const stepBytes = 1_024
const rounds = 5

interface Run {
  /** Steps a second. */
  rate: number
  /** Of the classifier and of the broker, µs a step. */
  cpu: { classifier: number; broker: number }
}

/**
 * What the audit costs the classifier: the same load through one process of it with the audit, and right before or after
 * that without, each in a namespace of its own. The median of such pairs, since other load on the machine comes and goes;
 * the time on the processors is told as well, which other load changes little.
 */
export async function auditCost(infrastructure: Infrastructure, dir: string): Promise<Figure[]> {
  const pairs: { audited: Run; bare: Run }[] = []
  for (let round = 0; round < rounds; round++) {
    // Whichever comes second meets a broker that is warmer: they change places.
    const first = await runOnce(infrastructure, dir, round % 2 === 0 ? undefined : without)
    const second = await runOnce(infrastructure, dir, round % 2 === 0 ? without : undefined)
    pairs.push(round % 2 === 0 ? { audited: first, bare: second } : { audited: second, bare: first })
  }
  const mid = (of: (pair: (typeof pairs)[number]) => number) => percentile(pairs.map(of), 0.5)
  const list = (of: (pair: (typeof pairs)[number]) => number) => pairs.map((pair) => Math.round(of(pair))).join(', ')
  return [
    {
      name: "audit's cost to the classifier's throughput",
      value: mid(({ audited, bare }) => 100 * (1 - audited.rate / bare.rate)),
      unit: '%',
      target: { atMost: 20 },
      note:
        `median of ${rounds} pairs; steps/s of 1 kB over ${benchPartitions} lanes: with the audit ` +
        `${list(({ audited }) => audited.rate)}, without ${list(({ bare }) => bare.rate)}`,
    },
    ...(['classifier', 'broker'] as const).map((name) => ({
      name: `audit's cost to the ${name}'s processor time`,
      value: mid(({ audited, bare }) => 100 * (audited.cpu[name] / bare.cpu[name] - 1)),
      unit: '%',
      note: `${list(({ audited }) => audited.cpu[name])} against ${list(({ bare }) => bare.cpu[name])} µs a step`,
    })),
  ]
}

async function runOnce(infrastructure: Infrastructure, dir: string, main: string | undefined): Promise<Run> {
  let run: Run | undefined
  const measure = withBackend({ latencyMs: 0, slots: 1 }, async (stack) => {
    const made = Array.from({ length: steps }, () => makeStep(stepBytes))
    const values = made.map((step) => ({ key: step.taskId, value: stack.codec.encode('step', step) }))
    await stack.fill(stack.topic('agent.steps'), values)
    const broker = infrastructure.parts.find(({ name }) => name === 'kafka')?.pid
    const ofBroker = () => (broker === undefined ? Number.NaN : cpuMicros(broker))
    const before = ofBroker()
    const service = await stack.startService('classifier', main === undefined ? {} : { main })
    const started = cpuMicros(service.pid)
    const rate = await measureRate(() => stack.committed('classifier', stack.topic('agent.steps')), steps)
    const cpu = {
      classifier: (cpuMicros(service.pid) - started) / steps,
      broker: (ofBroker() - before) / steps,
    }
    await service.stop()
    const links = await stack.logEnd(stack.topic('agent.audit'))
    if (links > 0 !== (main === undefined))
      throw new Error(`agent.audit has ${links} links of ${main ?? 'the service'}`)
    run = { rate, cpu }
    return []
  })
  await measure(infrastructure, dir)
  return run!
}

/** What a process has had of the processors, user and system (Linux, whose clock ticks 100 times a second). */
function cpuMicros(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'utf8')
    .replace(/^.*\) /, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10_000
}
