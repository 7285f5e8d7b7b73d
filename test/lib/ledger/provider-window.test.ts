import { assert, integer, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { callTimeMs, usedByOthers, windowOf } from '#lib/ledger/provider-window'

const minute = { windowMs: 60_000, guardMs: 1_000 }
const size = { inputTokens: 900, outputTokens: 100 }

describe('the limits of a policy', () => {
  const limits = {
    windowMs: 10_000,
    guardMs: 500,
    interactiveHeadroomPpm: 0,
    requestsPerMinute: 100,
    tokensPerMinute: 3,
  }

  test('hold for their share of the minute, rounded down and never to nothing', () => {
    expect(windowOf(limits, 'm')).toEqual({ windowMs: 10_000, guardMs: 500, requests: 16, tokens: 1 })
  })

  test('are those of the model where it has its own', () => {
    const perModel = { m: { requestsPerMinute: 6, outputTokensPerMinute: 600 } }
    expect(windowOf({ ...limits, perModel }, 'm')).toMatchObject({ requests: 1, outputTokens: 100, tokens: 1 })
    expect(windowOf({ ...limits, perModel }, 'other').requests).toBe(16)
  })
})

describe('the time of a call', () => {
  test('of 60 requests a minute is a second', () => {
    expect(callTimeMs({ ...minute, requests: 60 }, size)).toBe(1_000)
  })

  test('follows from the limit that the call takes most of', () => {
    const window = { ...minute, requests: 600, inputTokens: 9_000, outputTokens: 100_000, tokens: 100_000 }
    expect(callTimeMs(window, size)).toBe(6_000)
  })

  test('gives calls that keep it no more than any limit, whatever their size', () => {
    const amount = integer({ min: 1, max: 1_000_000 })
    assert(
      property(amount, amount, amount, amount, (tokens, outputTokens, input, output) => {
        const call = { inputTokens: input, outputTokens: output }
        const inWindow = minute.windowMs / callTimeMs({ ...minute, tokens, outputTokens }, call)
        expect(inWindow * (input + output)).toBeLessThanOrEqual(tokens * (1 + 1e-9))
        expect(inWindow * output).toBeLessThanOrEqual(outputTokens * (1 + 1e-9))
      }),
    )
  })
})

describe('what others use, by the headers of an answer', () => {
  const window = { ...minute, requests: 100, tokens: 10_000 }
  const known = { requests: 30, inputTokens: 2_000, outputTokens: 1_000 }

  test('is what the provider counts beyond what we knew when the call was reserved', () => {
    expect(usedByOthers(window, known, { requests: 50, tokens: 6_900, resetMs: 20_000 })).toEqual({
      requests: 20,
      inputTokens: 0,
      outputTokens: 0,
      tokens: 100,
      forMs: 20_000,
    })
  })

  test('is nothing where it says that more is left than we think', () => {
    expect(usedByOthers(window, known, { requests: 99, tokens: 9_999 })).toMatchObject({ requests: 0, tokens: 0 })
  })

  test('is never more than the limit, and holds for a window at most', () => {
    const told = usedByOthers(window, { requests: 0, inputTokens: 0, outputTokens: 0 }, { requests: -5, resetMs: 1e9 })
    expect(told).toMatchObject({ requests: 100, forMs: 60_000 })
  })

  test('is unknown where no header tells', () => {
    expect(usedByOthers(window, known, { resetMs: 1 })).toBeNull()
  })
})
