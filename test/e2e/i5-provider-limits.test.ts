import { randomUUID } from 'node:crypto'
import { setTimeout as sleep } from 'node:timers/promises'
import { asyncProperty, assert, constantFrom, integer, nat, record } from 'fast-check'
import { Redis } from 'ioredis'
import { afterAll, beforeAll, describe, expect, inject, test } from 'vitest'
import { createProviderLimits, type ProviderLimits, type Reservation } from '#lib/ledger/provider-limits'
import type { ProviderWindow } from '#lib/ledger/provider-window'
import { runLimitWorkers, type WorkersOptions } from '../support/limit-workers.ts'

let redis: Redis
let limits: ProviderLimits
let namespace: string

beforeAll(() => {
  redis = new Redis(inject('stack').redisUrl)
  namespace = `test-${randomUUID().slice(0, 8)}`
  limits = createProviderLimits({ redis, namespace })
})
afterAll(() => redis.disconnect())

const batch = { headroomPpm: 30_000, sharePpm: 200_000 }
const short = { windowMs: 500, guardMs: 150 }
const calm = { jitterMs: 30, latencyMs: 50, crashPpm: 0, batchPpm: 0, batch }
const newQueue = () => `p~${randomUUID().slice(0, 8)}`

/** A queue that counts from nothing. */
async function opened(window: ProviderWindow): Promise<string> {
  const queue = newQueue()
  await limits.initialise(queue, window, true)
  return queue
}

async function reserved(queue: string, window: ProviderWindow, inputTokens = 1, outputTokens = 1) {
  const answer = await limits.reserve(queue, window, { inputTokens, outputTokens }, null)
  expect(answer.kind).toBe('reserved')
  return answer as Reservation
}

const oneCall = (queue: string, window: ProviderWindow) =>
  limits.reserve(queue, window, { inputTokens: 1, outputTokens: 1 }, null)

describe('I5: the provider never counts more than a limit', () => {
  const anyLimits = constantFrom<Omit<ProviderWindow, 'windowMs' | 'guardMs'>>(
    { requests: 7 },
    { requests: 60 },
    { tokens: 600 },
    { inputTokens: 300, outputTokens: 500 },
    { requests: 25, inputTokens: 900, outputTokens: 300, tokens: 1_000 },
  )
  const scenario = record({
    seed: nat(1_000_000),
    workers: integer({ min: 1, max: 50 }),
    limit: anyLimits,
    maxTokens: integer({ min: 1, max: 80 }),
    jitterMs: integer({ min: 0, max: 100 }),
    latencyMs: integer({ min: 0, max: 300 }),
    crashPpm: constantFrom(0, 20_000, 150_000),
    batchPpm: constantFrom(0, 300_000, 1_000_000),
  })

  test('whatever up to 50 workers do, and wherever they crash', async () => {
    let calls = 0
    await assert(
      asyncProperty(scenario, scenario, scenario, async (...scenarios) => {
        const runs = scenarios.map(async ({ limit, ...each }) => {
          const window = { ...short, ...limit }
          return runLimitWorkers(limits, await opened(window), { ...each, window, forMs: 1_200, batch })
        })
        for (const run of await Promise.all(runs)) {
          expect(run.violations).toBe(0)
          calls += run.calls
        }
      }),
      { numRuns: 12 },
    )
    expect(calls).toBeGreaterThan(500)
  })

  test('nor when Redis loses all in the middle of a window', async () => {
    const window = { ...short, requests: 20 }
    const queue = await opened(window)
    const flush = async () => {
      await sleep(650)
      await redis.del(...(await redis.keys(`${namespace}.{${queue}}:*`)))
    }
    const options: WorkersOptions = {
      ...calm,
      seed: 1,
      workers: 20,
      maxTokens: 5,
      forMs: 2_500,
      window,
    }
    const [run] = await Promise.all([runLimitWorkers(limits, queue, options), flush()])
    expect(run.violations).toBe(0)
    expect(run.calls).toBeGreaterThan(40)
  })

  test('and hardly any of the binding limit is left unused where there is work enough', async () => {
    // The guard time is in proportion to the window what it is by default: a second of a minute.
    const window = { windowMs: 6_000, guardMs: 100, tokens: 6_000 }
    const options: WorkersOptions = {
      ...calm,
      seed: 2,
      workers: 40,
      maxTokens: 40,
      latencyMs: 200,
      batchPpm: 200_000,
      forMs: 18_000,
      window,
    }
    const run = await runLimitWorkers(limits, await opened(window), options)
    console.log(`I5: ${(run.mean * 100).toFixed(1)} % of the binding limit used, ${run.violations} violations`)
    expect(run.violations).toBe(0)
    expect(run.mean).toBeGreaterThan(0.9)
  })
})

describe('a reservation', () => {
  test('takes of all limits or of none, and names the one that binds', async () => {
    const window = { ...short, requests: 10, inputTokens: 100, outputTokens: 100 }
    const queue = await opened(window)
    await reserved(queue, window, 60, 10)
    const refused = await limits.reserve(queue, window, { inputTokens: 50, outputTokens: 10 }, null)
    expect(refused).toMatchObject({ kind: 'wait', waitsFor: 'input_tokens' })
    expect(await reserved(queue, window, 40, 10)).toMatchObject({
      used: { requests: 2, inputTokens: 100, outputTokens: 20 },
    })
  })

  test('that is refused is granted after exactly the wait that it was told', async () => {
    const window = { windowMs: 300, guardMs: 50, requests: 2 }
    const queue = await opened(window)
    await reserved(queue, window)
    await sleep(100)
    await reserved(queue, window)
    const refused = await oneCall(queue, window)
    if (refused.kind !== 'wait') throw new Error('not refused')
    expect(refused.waitMs).toBeGreaterThan(100)
    expect(refused.waitMs).toBeLessThanOrEqual(250)
    await sleep(refused.waitMs + 1)
    expect((await oneCall(queue, window)).kind).toBe('reserved')
  })

  test('larger than a whole window is never granted', async () => {
    const window = { ...short, tokens: 100 }
    const answer = await limits.reserve(await opened(window), window, { inputTokens: 60, outputTokens: 41 }, null)
    expect(answer).toEqual({ kind: 'never', waitsFor: 'tokens' })
  })

  test('gives back what its call did not use, once', async () => {
    const window = { ...short, windowMs: 5_000, tokens: 100 }
    const queue = await opened(window)
    const first = await reserved(queue, window, 20, 80)
    expect((await oneCall(queue, window)).kind).toBe('wait')
    const used = { inputTokens: 20, outputTokens: 20 }
    for (let times = 0; times < 3; times++) await limits.settle(queue, window, first, { used, batch: null })
    expect(await reserved(queue, window, 30, 30)).toMatchObject({ used: { inputTokens: 50, outputTokens: 50 } })
    expect((await oneCall(queue, window)).kind).toBe('wait')
  })

  test('counts as a request after all was given back, unless it was never sent', async () => {
    const window = { ...short, windowMs: 5_000, requests: 1 }
    const queue = await opened(window)
    const first = await reserved(queue, window)
    await limits.settle(queue, window, first, { used: { inputTokens: 0, outputTokens: 0 }, batch: null })
    expect((await oneCall(queue, window)).kind).toBe('wait')
    const other = await opened(window)
    await limits.settle(other, window, await reserved(other, window), { used: 'not_sent', batch: null })
    expect((await oneCall(other, window)).kind).toBe('reserved')
  })

  test('finds less where the provider says that less is left', async () => {
    const window = { ...short, windowMs: 5_000, requests: 10 }
    const queue = await opened(window)
    const report = { requests: 1, resetMs: 200 }
    await limits.settle(queue, window, await reserved(queue, window), { used: 'unknown', report, batch: null })
    await reserved(queue, window)
    expect(await oneCall(queue, window)).toMatchObject({ kind: 'wait', waitsFor: 'requests' })
    await sleep(210)
    expect((await oneCall(queue, window)).kind).toBe('reserved')
  })
})

describe('where nobody knows what was called before', () => {
  test('one window passes without a call', async () => {
    const window = { windowMs: 200, guardMs: 50, requests: 10 }
    const queue = newQueue()
    expect(await oneCall(queue, window)).toEqual({ kind: 'wait', waitMs: 250, waitsFor: 'first_window' })
    expect(await limits.initialise(queue, window, true)).toBe(false)
    expect(await oneCall(queue, window)).toMatchObject({ kind: 'wait', waitsFor: 'first_window' })
    await sleep(260)
    expect((await oneCall(queue, window)).kind).toBe('reserved')
  })
})

test('a pause that the provider asked for holds for every call, and a shorter one does not cut it', async () => {
  const window = { ...short, requests: 10 }
  const queue = await opened(window)
  await limits.pause(queue, 5_000)
  await limits.pause(queue, 10)
  expect(await oneCall(queue, window)).toMatchObject({ kind: 'wait', waitsFor: 'pause' })
  expect(await limits.pausedMs(queue)).toBeGreaterThan(4_000)
})

describe('batch calls', () => {
  const window = { windowMs: 1_000, guardMs: 100, requests: 100 }
  const ask = (queue: string, of: typeof batch | null) =>
    limits.reserve(queue, window, { inputTokens: 1, outputTokens: 1 }, of)

  test('are spread evenly, use what nobody else does, and leave a headroom to interactive ones', async () => {
    const queue = await opened(window)
    const askFor = async (ms: number) => {
      let granted = 0
      for (const until = performance.now() + ms; performance.now() < until;) {
        const answer = await ask(queue, batch)
        if (answer.kind === 'reserved') granted++
        else await sleep(answer.kind === 'wait' ? Math.min(answer.waitMs, 20) : 0)
      }
      return granted
    }
    expect(await askFor(500)).toBeLessThan(60)
    await askFor(1_000)
    const answer = await ask(queue, null)
    if (answer.kind !== 'reserved') throw new Error('no headroom')
    expect(answer.used.requests).toBeGreaterThan(85)
    expect(answer.used.requests).toBeLessThan(100)
  })

  test('get their share beside interactive ones that would take all', async () => {
    const queue = await opened(window)
    const counts = { batch: 0, interactive: 0 }
    const begin = performance.now()
    // Of the first window interactive calls take what they find: nobody waits yet.
    const isFirstWindow = () => performance.now() < begin + 1_050
    const run = async (of: typeof batch | null, name: keyof typeof counts) => {
      while (performance.now() < begin + 6_600) {
        const answer = await ask(queue, of)
        if (answer.kind === 'wait') await sleep(Math.min(5, answer.waitMs))
        else if (!isFirstWindow()) counts[name]++
      }
    }
    await Promise.all([run(null, 'interactive'), run(null, 'interactive'), run(batch, 'batch')])
    const share = counts.batch / (counts.batch + counts.interactive)
    expect(share).toBeGreaterThan(0.12)
    // What interactive calls leave for a moment is theirs too.
    expect(share).toBeLessThan(0.5)
  })
})
