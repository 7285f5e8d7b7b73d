import { assert, property, string } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { readLimitReport, readLimitWait } from '#lib/models/rate-limit-headers'

const nowMs = Date.parse('2026-11-25T10:00:00Z')
const report = (fields: Record<string, string>) => readLimitReport(new Headers(fields), nowMs)
const wait = (fields: Record<string, string>) => readLimitWait(new Headers(fields), nowMs)

describe('what is left of the limits', () => {
  test("in OpenAI's headers", () => {
    expect(
      report({
        'x-ratelimit-limit-requests': '60',
        'x-ratelimit-remaining-requests': '59',
        'x-ratelimit-reset-requests': '1s',
        'x-ratelimit-remaining-tokens': '149984',
        'x-ratelimit-reset-tokens': '6m0.5s',
      }),
    ).toEqual({ requests: 59, tokens: 149_984, resetMs: 360_500 })
  })

  test("in Anthropic's", () => {
    expect(
      report({
        'anthropic-ratelimit-requests-remaining': '4',
        'anthropic-ratelimit-requests-reset': '2026-11-25T10:00:12Z',
        'anthropic-ratelimit-input-tokens-remaining': '7000',
        'anthropic-ratelimit-output-tokens-remaining': '0',
        'anthropic-ratelimit-output-tokens-reset': '2026-11-25T09:59:00Z',
      }),
    ).toEqual({ requests: 4, inputTokens: 7_000, outputTokens: 0, resetMs: 12_000 })
  })

  test('is unknown without them, and where they are no counts', () => {
    expect(report({ 'content-type': 'text/html' })).toBeUndefined()
    expect(report({ 'x-ratelimit-remaining-requests': '-1', 'x-ratelimit-remaining-tokens': 'lots' })).toBeUndefined()
    expect(readLimitReport({ 'x-ratelimit-remaining-requests': '1' })).toBeUndefined()
  })

  test('is read from any text without harm', () => {
    assert(
      property(string(), string(), (remaining, reset) => {
        const headers = new Headers()
        try {
          headers.set('x-ratelimit-remaining-requests', remaining)
          headers.set('x-ratelimit-reset-requests', reset)
        } catch {
          return
        }
        const read = readLimitReport(headers, nowMs)
        expect(read?.requests ?? 0).toBeGreaterThanOrEqual(0)
        expect(read?.resetMs ?? 0).toBeGreaterThanOrEqual(0)
      }),
    )
  })
})

describe('the wait after a 429', () => {
  test('is until the limit of which nothing is left is back', () => {
    expect(
      wait({
        'x-ratelimit-remaining-requests': '3',
        'x-ratelimit-reset-requests': '50s',
        'x-ratelimit-remaining-tokens': '0',
        'x-ratelimit-reset-tokens': '1m2s300ms',
      }),
    ).toBe(62_300)
  })

  test.each([
    ['12', 12_000],
    ['0.5', 500],
    [String(nowMs / 1_000 + 30), 30_000],
    [String(nowMs + 1_500), 1_500],
    ['Wed, 25 Nov 2026 10:00:03 GMT', 3_000],
  ])('is what X-RateLimit-Reset says: %s', (text, waitMs) => {
    expect(wait({ 'x-ratelimit-reset': text })).toBe(waitMs)
  })

  test('is unknown where nothing says', () => {
    expect(wait({ 'x-ratelimit-remaining-tokens': '5', 'x-ratelimit-reset-tokens': '9s' })).toBeUndefined()
    expect(wait({ 'x-ratelimit-reset': 'soon' })).toBeUndefined()
  })
})
