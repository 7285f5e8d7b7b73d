import { assert, double, integer, nat, option, property } from 'fast-check'
import { expect, test } from 'vitest'
import { ModelCallError } from '#lib/models/model-call-error'
import { backoffMs, withRetries } from '#lib/models/retry'

function harness(failures: ModelCallError[]) {
  const waits: number[] = []
  let now = 0
  const deps = {
    nowMs: () => now,
    random: () => 0.5,
    sleep: (ms: number) => {
      waits.push(ms)
      now += ms
      return Promise.resolve()
    },
  }
  const work = () => {
    const failure = failures.shift()
    return failure ? Promise.reject(failure) : Promise.resolve('done')
  }
  const options = { maxTries: 4, deadlineAtMs: 10_000, signal: new AbortController().signal }
  return { run: (more = {}) => withRetries(deps, { ...options, ...more }, work), waits, failures }
}

test('what is transient is tried again, with waits that double', async () => {
  const { run, waits } = harness([new ModelCallError('server_error', ''), new ModelCallError('unreachable', '')])
  expect(await run()).toBe('done')
  expect(waits).toEqual([125, 250])
})

test('what is not transient is not tried again', async () => {
  const { run, waits } = harness([new ModelCallError('bad_request', 'HTTP 400')])
  await expect(run()).rejects.toThrow('HTTP 400')
  expect(waits).toEqual([])
})

test('Retry-After is the least that is waited', async () => {
  const { run, waits } = harness([new ModelCallError('rate_limited', '', { retryAfterMs: 3_000 })])
  await run()
  expect(waits[0]).toBeGreaterThanOrEqual(3_000)
})

test('a wait that would pass the deadline is not begun: the last error stands at once', async () => {
  const { run, waits } = harness([new ModelCallError('rate_limited', 'HTTP 429', { retryAfterMs: 60_000 })])
  await expect(run()).rejects.toThrow('HTTP 429')
  expect(waits).toEqual([])
})

test('tries are counted', async () => {
  const { run, failures } = harness(Array.from({ length: 9 }, () => new ModelCallError('overloaded', 'HTTP 503')))
  await expect(run()).rejects.toThrow('HTTP 503')
  expect(failures).toHaveLength(5)
})

test('no wait exceeds the bound, and none is shorter than asked', () => {
  assert(
    property(
      integer({ min: 1, max: 60 }),
      double({ min: 0, max: 1, noNaN: true, maxExcluded: true }),
      option(nat(100_000), { nil: undefined }),
      (tries, random, retryAfterMs) => {
        const waitMs = backoffMs(tries, () => random, retryAfterMs)
        expect(waitMs).toBeGreaterThanOrEqual(retryAfterMs ?? 0)
        expect(waitMs).toBeLessThanOrEqual((retryAfterMs ?? 0) + 20_000)
      },
    ),
  )
})
