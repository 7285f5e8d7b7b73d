import { expect, test } from 'vitest'
import { endsItsStep } from '#lib/replay/publish/follow-replay'

test('a record that is rejected for its stepId leaves the recorded answer to the step that has the id', () => {
  expect(endsItsStep({ code: 'SHUNT_STEP_ID_CONFLICT' })).toBe(false)
  expect(endsItsStep({ code: 'SHUNT_EVENT_INVALID' })).toBe(true)
  expect(endsItsStep({ code: null })).toBe(true)
})
