import { describe, expect, test } from 'vitest'
import fc from 'fast-check'
import { readClaim, type Claim } from '#lib/ledger/claims'

const claim: Claim = { tenantId: 't', stepId: 's', origin: 'agent.steps/0/7', contentHash: 'aa' }

describe('a claim that stands', () => {
  test.each([
    ['', 'claimed', 'agent.steps/0/7'],
    ['agent.steps/0/7#aa', 'redelivered', 'agent.steps/0/7'],
    ['agent.steps/0/3#aa', 'duplicate', 'agent.steps/0/3'],
    ['agent.steps.batch/0/7#aa', 'duplicate', 'agent.steps.batch/0/7'],
    ['agent.steps/0/3#bb', 'conflict', 'agent.steps/0/3'],
  ])('%j means %s', (standing, state, holder) => {
    expect(readClaim(claim, standing)).toEqual({ state, holder })
  })

  test('of many records of one step, in any order and however often redelivered, one origin alone may go on', () => {
    const record = fc.record({ origin: fc.nat(5).map((n) => `t/0/${n}`), contentHash: fc.constantFrom('a', 'b') })
    fc.assert(
      fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), (records) => {
        let standing = ''
        const goesOn = new Set<string>()
        for (const each of records) {
          const answer = readClaim({ ...claim, ...each }, standing)
          if (standing === '') standing = `${each.origin}#${each.contentHash}`
          if (answer.state === 'claimed' || answer.state === 'redelivered') goesOn.add(each.origin)
        }
        expect(goesOn.size).toBe(1)
      }),
    )
  })
})
