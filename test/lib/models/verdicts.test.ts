import { expect, test } from 'vitest'
import { isTransientVerdict, verdictCodes, verdicts } from '#lib/models/verdicts'

test('every verdict has a sentence for the docs', () => {
  for (const code of verdictCodes) expect(verdicts[code].meaning).toMatch(/^[A-Z].*\.$/)
})

test('another call to the same model is worth making only where the answer was not the fault', () => {
  expect(verdictCodes.filter((code) => isTransientVerdict(code))).toEqual([
    'response_malformed',
    'backend_unavailable',
    'backend_overloaded',
    'backend_timeout',
    'breaker_open',
  ])
})
