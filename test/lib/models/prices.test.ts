import * as fc from 'fast-check'
import { describe, expect, test } from 'vitest'
import { costMicroUsd } from '#lib/models/prices'

const price = { inputMicroUsdPerMTok: 150_000, outputMicroUsdPerMTok: 600_000 }

describe('costMicroUsd', () => {
  test('a million tokens of each cost the two prices', () => {
    expect(costMicroUsd(price, 1_000_000, 1_000_000)).toBe(750_000)
  })

  test('rounds up once, over both sums', () => {
    expect(costMicroUsd(price, 1, 0)).toBe(1)
    expect(costMicroUsd(price, 1, 1)).toBe(1)
    expect(costMicroUsd(price, 4, 2)).toBe(2)
    expect(costMicroUsd(price, 0, 0)).toBe(0)
  })

  test('stays exact where a product of numbers would not', () => {
    const dear = { inputMicroUsdPerMTok: 999_999_999, outputMicroUsdPerMTok: 0 }
    expect(costMicroUsd(dear, 1_000_000_001, 0)).toBe(1_000_000_000_000)
  })

  test('is never below the exact cost and less than one micro-USD above it', () => {
    const tokens = fc.integer({ min: 0, max: 10_000_000 })
    const perMTok = fc.integer({ min: 0, max: 100_000_000 })
    fc.assert(
      fc.property(perMTok, perMTok, tokens, tokens, (input, output, prompt, completion) => {
        const exact = BigInt(input) * BigInt(prompt) + BigInt(output) * BigInt(completion)
        const cost = costMicroUsd({ inputMicroUsdPerMTok: input, outputMicroUsdPerMTok: output }, prompt, completion)
        const over = BigInt(cost) * 1_000_000n - exact
        expect(over >= 0n && over < 1_000_000n).toBe(true)
      }),
    )
  })

  test.each([-1, 1.5, Number.NaN, Number.POSITIVE_INFINITY])('refuses %s tokens', (count) => {
    expect(() => costMicroUsd(price, count, 0)).toThrow(RangeError)
  })
})
