import { array, assert, integer, property, record } from 'fast-check'
import { describe, expect, onTestFinished, test } from 'vitest'
import { createProviderAccount } from './provider-account.ts'
import { createSlidingWindow } from './sliding-window.ts'
import { calm, drawLatencyMs, seededRandom } from './faults.ts'

describe('the sliding window', () => {
  test('counts what a list of all requests counts, at every moment', () => {
    const request = record({ afterMs: integer({ min: 0, max: 60 }), tokens: integer({ min: 0, max: 9 }) })
    assert(
      property(array(request, { maxLength: 40 }), integer({ min: 0, max: 39 }), (requests, corrected) => {
        const window = createSlidingWindow(100)
        const all: { atMs: number; tokens: number }[] = []
        let atMs = 0
        for (const { afterMs, tokens } of requests) {
          atMs += afterMs
          const correct = window.add(atMs, { requests: 1, inputTokens: tokens, outputTokens: 0 })
          const entry = { atMs, tokens }
          all.push(entry)
          if (all.length % 40 === corrected) {
            correct(1, 0)
            entry.tokens = 1
          }
          const inWindow = all.filter((each) => each.atMs > atMs - 100)
          expect(window.usedAt(atMs)).toEqual({
            requests: inWindow.length,
            inputTokens: inWindow.reduce((sum, each) => sum + each.tokens, 0),
            outputTokens: 0,
          })
        }
      }),
    )
  })
})

describe('the account', () => {
  const size = { inputTokens: 10, outputTokens: 40 }
  function open(options: Parameters<typeof createProviderAccount>[0]) {
    let nowMs = 0
    const account = createProviderAccount(options, () => nowMs)
    onTestFinished(() => account.stop())
    return { account, passMs: (ms: number) => (nowMs += ms) }
  }

  test('counts the longest answer until the real one is there', () => {
    const { account, passMs } = open({ windowMs: 1_000, tokens: 100 })
    const first = account.arrived(size)
    account.arrived(size)
    expect(account.arrived({ inputTokens: 0, outputTokens: 0 }).refusedForMs).toBeNull()
    first.answered({ inputTokens: 10, outputTokens: 10 })
    expect(account.arrived({ inputTokens: 10, outputTokens: 20 }).headers).toMatchObject({
      'x-ratelimit-limit-tokens': '100',
      'x-ratelimit-remaining-tokens': '0',
    })
    passMs(400)
    expect(account.arrived({ inputTokens: 1, outputTokens: 0 }).refusedForMs).toBe(600)
    expect(account.report()).toMatchObject({ violations: 1, peakShare: 1.01 })
    passMs(601)
    expect(account.arrived(size).refusedForMs).toBeNull()
  })

  test('counts a request that it refuses', () => {
    const { account } = open({ requests: 1 })
    for (let requests = 0; requests < 3; requests++) account.arrived(size)
    expect(account.report()).toMatchObject({ violations: 2, peakShare: 3, answered: 0, billedMicroUsd: 0 })
  })

  test('bills what was answered, to the micro-dollar', () => {
    const { account } = open({ inputMicroUsdPerMTok: 3_000_000, outputMicroUsdPerMTok: 15_000_000 })
    account.arrived(size).answered({ inputTokens: 7, outputTokens: 3 })
    account.arrived(size).answered({ inputTokens: 1, outputTokens: 0 })
    account.arrived(size)
    expect(account.report()).toMatchObject({ answered: 2, billedMicroUsd: 21 + 45 + 3 })
  })
})

test('latencies are lognormal about their median', () => {
  const random = seededRandom(1)
  const behaviour = { ...calm, latencyMs: 2_000, latencySigma: 0.5 }
  const drawn = Array.from({ length: 4_001 }, () => drawLatencyMs(behaviour, random)).toSorted((a, b) => a - b)
  expect(drawn[2_000]! / 2_000).toBeCloseTo(1, 1)
  expect(Math.log(drawn[3_365]! / drawn[2_000]!)).toBeCloseTo(0.5, 1)
})
