import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { Redis } from 'ioredis'
import { createBudgets } from '#lib/ledger/budgets'
import { createLedgerState, openLedger } from '#lib/ledger/ledger-state'
import type { Infrastructure } from '../../../cli/stack/stack.ts'
import { percentile, type Figure } from '../figures.ts'

const perSecond = 5_000
const seconds = 10
const tickMs = 2
const tenants = Array.from({ length: 20 }, (_, i) => `tenant-${i}`)

/** How long a reservation takes at a steady rate, beside a PING at the same rate on the same connection. */
export async function reserveLatency({ redisUrl }: Infrastructure): Promise<Figure[]> {
  const namespace = `bench-${randomUUID().slice(0, 8)}`
  const redis = new Redis(redisUrl)
  try {
    await openLedger(createLedgerState({ redis, namespace }), tenants)
    const budgets = createBudgets({ redis, namespace })
    const caps = { taskMicroUsd: 10_000_000, dayMicroUsd: 1_000_000_000 }
    const ping = await atSteadyRate(() => redis.ping())
    const reserve = await atSteadyRate((n) => {
      const step = { tenantId: tenants[n % tenants.length]!, taskId: `task-${n % 1_000}`, origin: `agent.steps/0/${n}` }
      return budgets.reserve({ ...step, attempt: 1 }, 1_000, caps, Date.now())
    })
    return [
      {
        name: `reserve, p99 at ${perSecond} calls/s`,
        value: percentile(reserve, 0.99),
        unit: 'ms',
        target: { atMost: 1 },
        note: `median ${percentile(reserve, 0.5).toFixed(2)} ms; a PING at the same rate: median ${percentile(ping, 0.5).toFixed(2)}, p99 ${percentile(ping, 0.99).toFixed(2)} ms`,
      },
    ]
  } finally {
    redis.disconnect()
  }
}

/** Latencies, ms, of calls that are made on time, whatever became of those before. */
async function atSteadyRate(call: (n: number) => Promise<unknown>): Promise<number[]> {
  const latencies: number[] = []
  const under: Promise<void>[] = []
  const startedAtMs = performance.now()
  let made = 0
  while (made < perSecond * seconds) {
    const due = Math.min(perSecond * seconds, Math.floor(((performance.now() - startedAtMs) * perSecond) / 1_000))
    for (; made < due; made++) {
      const calledAtMs = performance.now()
      under.push(call(made).then(() => void latencies.push(performance.now() - calledAtMs)))
    }
    await sleep(tickMs)
  }
  await Promise.all(under)
  // The first second warms up connection and compiler.
  return latencies.slice(perSecond)
}
