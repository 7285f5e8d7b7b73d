import { createClient, type Client } from '#lib/client/create-client'
import { percentile, type Figure } from '../figures.ts'
import type { BenchStack } from './bench-stack.ts'
import { makeStep, pace } from './load.ts'

export const slowMarker = 'BENCH-SLOW'
const perSecond = 150
const roundMs = 12_000
const rounds = 3

/** What one step of 10 s costs those around it: p99 of publish to result, with such a step and without, turn by turn. */
export async function slowStep(stack: BenchStack): Promise<Figure[]> {
  await Promise.all([stack.startService('classifier'), stack.startService('oss-pool')])
  const client = await createClient(stack, { namespace: stack.namespace })
  try {
    await oneRound(client)
    const without: number[] = []
    const beside: number[] = []
    const slowMs: number[] = []
    for (let round = 0; round < rounds; round++) {
      without.push(...(await oneRound(client)))
      const slow = timed(client, slowMarker)
      beside.push(...(await oneRound(client)))
      slowMs.push(await slow)
    }
    const [p99, p99Beside] = [percentile(without, 0.99), percentile(beside, 0.99)]
    return [
      {
        name: 'p99 beside a step of 10 s, against p99 without one',
        value: (100 * p99Beside) / p99,
        unit: '%',
        target: { atMost: 110 },
        note:
          `p99 ${Math.round(p99Beside)} against ${Math.round(p99)} ms, p50 ${Math.round(percentile(beside, 0.5))} against ` +
          `${Math.round(percentile(without, 0.5))} ms; ${rounds} rounds each, ${perSecond} steps/s, 200 ms at the backend; ` +
          `the slow steps took ${slowMs.map((ms) => Math.round(ms)).join(', ')} ms`,
      },
    ]
  } finally {
    await client.close()
  }
}

async function oneRound(client: Client): Promise<number[]> {
  const tookMs: number[] = []
  await pace(perSecond, roundMs, async () => tookMs.push(await timed(client, 'quick')))
  return tookMs
}

async function timed(client: Client, content: string): Promise<number> {
  const request = JSON.stringify({ messages: [{ role: 'user', content }], max_tokens: 8 })
  const startedAtMs = performance.now()
  await client.ask(makeStep(1, { request }))
  return performance.now() - startedAtMs
}
