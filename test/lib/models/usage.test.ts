import { anything, assert, nat, property } from 'fast-check'
import { describe, expect, test } from 'vitest'
import { chargedUsage, usageProblem } from '#lib/models/usage'

const bound = { promptTokens: 1_000, maxOutputTokens: 200 }

describe('what a provider says was used', () => {
  test.each([
    [900, 150, null],
    [0, 0, null],
    [1_400, 200, null],
    [1_000, 236, null],
    [1_000, 237, 'completion_above_limit'],
    [100_001, 10, 'prompt_absurd'],
    [-1, 10, 'not_a_count'],
    [10, -1, 'not_a_count'],
    [Number.NaN, 10, 'not_a_count'],
    [1.5, 10, 'not_a_count'],
    [Infinity, 10, 'not_a_count'],
    ['10', 10, 'not_a_count'],
    [undefined, undefined, 'not_a_count'],
  ])('%j read and %j written is %j', (promptTokens, completionTokens, problem) => {
    expect(usageProblem({ promptTokens, completionTokens }, bound)).toBe(problem)
  })

  test('is charged as it is, or at the bound', () => {
    expect(chargedUsage({ promptTokens: 900, completionTokens: 150 }, bound)).toEqual({
      promptTokens: 900,
      completionTokens: 150,
    })
    expect(chargedUsage({ promptTokens: -900, completionTokens: 150 }, bound)).toEqual({
      promptTokens: 1_000,
      completionTokens: 200,
      usageProblem: 'not_a_count',
    })
  })

  test('comes out as counts whatever it is', () => {
    assert(
      property(anything(), anything(), nat(), nat(), (promptTokens, completionTokens, prompt, maxOutputTokens) => {
        const charged = chargedUsage({ promptTokens, completionTokens }, { promptTokens: prompt, maxOutputTokens })
        expect(Number.isSafeInteger(charged.promptTokens) && charged.promptTokens >= 0).toBe(true)
        expect(Number.isSafeInteger(charged.completionTokens) && charged.completionTokens >= 0).toBe(true)
      }),
    )
  })

  test('is no answer where it counts nothing and there is no bound', () => {
    const unbound = { promptTokens: undefined, maxOutputTokens: 200 }
    expect(() => chargedUsage({ promptTokens: -1, completionTokens: 1 }, unbound)).toThrow('does not count tokens')
    expect(chargedUsage({ promptTokens: 1e9, completionTokens: 1 }, unbound)).toMatchObject({ promptTokens: 1e9 })
  })
})
